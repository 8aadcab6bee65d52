"""Programs that are compiled again and again while few gates change: only the rows that these touch are made anew.

Every row of every array has a number of its own, used or not, so that a change does not renumber what follows. Where a
program is compiled again, each operation over arrays finds what it was given before. The rows with other entries are
made again, and the next operations see those whose entries have changed: mostly that ends soon, since the number of a
series remains while its terms change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from symflow.dynamics.vector_field import VectorField
from symflow.evaluate.blocks.compiler import BlockCompiler
from symflow.evaluate.blocks.constants import WORD_BITS, Constants
from symflow.evaluate.blocks.rows import Block, Rows, joined
from symflow.evaluate.series_steps import SeriesArithmetic
from symflow.programs.nodes import Table

KEPT = 6
"""How many fields are remembered."""
PATCHES = 8
"""Blocks of one operation that are joined."""


class TooDifferent(Exception):
    """What is compiled differs by more than single rows from what was compiled before."""


@dataclass(frozen=True)
class _Sums:
    """Sums of products, a row each.

    Attributes:
        a, b: the factors.
        found: the entries of the sums.
        first: the number of the first row.
        denominator: of the rows that are sums of multiples.
    """

    a: np.ndarray
    b: np.ndarray
    found: np.ndarray
    first: int
    denominator: int | None


@dataclass(frozen=True)
class _Call:
    """One operation over arrays.

    Attributes:
        given: its arrays of entries.
        found: the entries of the result.
        blocks: what computes them.
        sums: how it is compiled row by row, if it is.
    """

    given: tuple[np.ndarray, ...]
    found: np.ndarray
    blocks: tuple[Block, ...]
    sums: _Sums | None = None


class Recompiler(BlockCompiler):
    """Compiles one program, and compiles it again with other gates."""

    def __init__(self, constants: Constants) -> None:
        super().__init__(constants)
        self._calls: list[_Call] = []
        self._place = 0
        self._again = self._within = False
        self._before: _Call | None = None
        self._sum: _Sums | None = None
        self._common: int | None = 1
        self._keys: dict[int, int] = {}
        self._shared: set[int] = set()

    def begin(self) -> None:
        """What follows compiles the program, for the first time or again."""
        self._again = bool(self._calls)
        self.blocks, self._place = [], 0
        self._hashed, self._known, self._listed = [], {}, 0  # served to find equal rows

    def state(self, count: int) -> np.ndarray:
        """The entries of series that are given."""
        return self._operation((), lambda: self.fresh(count) + 1)

    def combine(self, coefficients: Sequence[Fraction], arrays: Sequence[np.ndarray]) -> np.ndarray:
        return self._operation(arrays, lambda: BlockCompiler.combine(self, coefficients, arrays))

    def einsum(self, subscripts: str, arrays: Sequence[np.ndarray]) -> np.ndarray:
        return self._operation(arrays, lambda: BlockCompiler.einsum(self, subscripts, arrays))

    def scatter_add(self, x: np.ndarray, table: Table, position: int) -> np.ndarray:
        return self._operation((x,), lambda: BlockCompiler.scatter_add(self, x, table, position))

    def function(self, name: str, x: np.ndarray, exponent: Fraction | None) -> np.ndarray:
        return self._operation((x,), lambda: BlockCompiler.function(self, name, x, exponent), rows=False)

    def log_sum_exp(self, x: np.ndarray, position: int) -> np.ndarray:
        return self._operation((x,), lambda: BlockCompiler.log_sum_exp(self, x, position), rows=False)

    def _operation(
        self, given: Sequence[np.ndarray], compute: Callable[[], np.ndarray], *, rows: bool = True
    ) -> np.ndarray:
        """An operation, from what is known of it; `rows`: it is one call of `_sums`.

        Raises:
            TooDifferent: what is not compiled row by row was given other entries before.
        """
        if self._within:
            return compute()
        before = self._calls[self._place] if self._again else None
        if before is None or not all(map(np.array_equal, before.given, given)):
            if before is not None and not rows:
                raise TooDifferent
            before = self._computed(before, tuple(given), compute)
        self._calls[self._place : self._place + 1] = [before]
        self._place += 1
        self.blocks += before.blocks
        return before.found

    def _computed(
        self, before: _Call | None, given: tuple[np.ndarray, ...], compute: Callable[[], np.ndarray]
    ) -> _Call:
        """An operation that was not compiled before, or not with these arrays."""
        blocks, self.blocks = self.blocks, []
        self._within, self._before, self._sum = True, before, None
        found = compute()
        self._within = False
        made, self.blocks = tuple(self.blocks), blocks
        return _Call(given, found, made, self._sum)

    def _sums(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        a, b = np.broadcast_arrays(a, b)
        if self._before is not None:
            return self._changed(self._before, a, b)
        first, self._common = self.count, 1
        found = super()._sums(a, b)
        self._sum = _Sums(a, b, found, first, self._common)
        return found

    def _changed(self, before: _Call, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Sums of which some rows have changed."""
        old = before.sums
        if old is None or old.a.shape != a.shape:
            raise TooDifferent
        changed = ((a != old.a) | (b != old.b)).any(axis=1)
        rows = np.flatnonzero(changed)
        keys = [self._keys.pop(n) for n in (old.first + rows).tolist() if n in self._keys]
        if not self._shared.isdisjoint(keys):
            raise TooDifferent
        self._seen.difference_update(keys)
        self._common = old.denominator
        found = old.found.copy()
        found[rows] = self._rows(a[rows], b[rows], old.first + rows)
        kept = [block.only(~changed[block.out - old.first]) for block in before.blocks if isinstance(block, Rows)]
        whole = [block for block in (*kept, *self.blocks) if isinstance(block, Rows) and len(block.out)]
        self.blocks = list(joined(whole, PATCHES))
        self._sum = replace(old, a=a, b=b, found=found)
        return found

    def _denominator(self, constants: np.ndarray) -> int | None:
        own = super()._denominator(constants)
        if not self._again:
            self._common = own
            return own
        whole = self._common
        most = max((abs(self.constants.values[c]) for c in set(constants.tolist())), default=Fraction(0))
        if whole is not None and (own is None or whole % own or most * whole >= 1 << WORD_BITS):
            raise TooDifferent
        return whole

    def _distinct(self, given: Rows, hashes: np.ndarray) -> np.ndarray:
        keys = hashes.tolist()
        if not self._again:
            entries = super()._distinct(given, hashes)
            different = entries != given.out + 1
            self._shared.update(hashes[different].tolist())
            self._keys.update(zip(given.out.tolist(), keys, strict=True))
            return entries
        if not self._seen.isdisjoint(keys) or len(set(keys)) < len(keys):
            raise TooDifferent
        self._seen.update(keys)
        self._keys.update(zip(given.out.tolist(), keys, strict=True))
        self.blocks.append(given)
        return given.out + 1


class Compilers:
    """The compilers of the fields that were compiled last.

    Args:
        arithmetic: the numbers.
    """

    def __init__(self, arithmetic: SeriesArithmetic) -> None:
        self.constants = Constants(arithmetic)
        self._last: list[tuple[VectorField, Recompiler]] = []

    def of(self, field: VectorField, *, fresh: bool = False) -> Recompiler:
        """The compiler of a field, or one that remembers nothing."""
        found = next((made for other, made in self._last if other is field), None)
        if found is None or fresh:
            found = Recompiler(self.constants)
        others = [pair for pair in self._last if pair[0] is not field]
        self._last = [(field, found), *others[: KEPT - 1]]
        return found
