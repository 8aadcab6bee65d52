"""A program, as `interpret` walks over it, becomes operations on places: what the kernel repeats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

from symflow.evaluate.fixed_point import common_denominator
from symflow.evaluate.native.loops.layout import COMBINE, COPY, GATE, HEAD, MAXIMUM, MOST_TERMS, MULTIPLY, WORD
from symflow.programs.nodes import Table
from symflow.programs.rules.arithmetic import Arithmetic

LARGEST_WORD = 1 << 62
NONE = -1
MOST_WORDS = 50_000_000
"""Longest programs (400 MB)."""


class Unwritten(TypeError):
    """A program that the kernel doesn't know how to run."""


@dataclass(frozen=True)
class Call:
    """Functions that Python computes: log(sum(exp(x))) of each row, or an elementwise function of rows of one.

    Attributes:
        name: of the elementwise function; "" for log-sum-exp.
        exponent: of powers.
        rows: the places of the arguments.
        out: those of the results.
    """

    name: str
    exponent: Fraction | None
    rows: np.ndarray
    out: np.ndarray


Segment: TypeAlias = tuple[int, int] | Call
"""Operations from one word to another one, or a call."""


@dataclass(frozen=True, eq=False)
class Written:
    """A program for the kernel.

    Attributes:
        words: the operations.
        once: those, up to this word, that depend on constants alone: they run once.
        segments: what is repeated.
        constants: rationals, and their places.
        divisors: of sums.
        places: how many.
        state: how many are the state: the first ones.
    """

    words: np.ndarray
    once: int
    segments: list[Segment]
    constants: dict[Fraction, int]
    divisors: list[int]
    places: int
    state: int

    @property
    def calls(self) -> bool:
        """Whether Python computes something."""
        return any(isinstance(segment, Call) for segment in self.segments)


@dataclass(eq=False)
class LoopWriter(Arithmetic):
    """The arithmetic that writes; its arrays hold places, and the operations are those of `FixedArrays`.

    Attributes:
        state: how many places are the state.
    """

    state: int
    constants: dict[Fraction, int] = field(default_factory=dict)
    divisors: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._known = bytearray(self.state)
        self._once: list[np.ndarray] = []
        self._again: list[np.ndarray | Call] = []
        self._size = 0
        self.zero = self.number(Fraction(0))

    # What moves numbers ----------------------------------------------------------------------------------------------

    def number(self, q: Fraction) -> int:
        """The place of a rational."""
        if q not in self.constants:
            self.constants[q] = int(self._fresh(1, known=True)[0])
        return self.constants[q]

    def lift(self, array: np.ndarray) -> np.ndarray:
        """The places of rationals."""
        return np.array([self.number(Fraction(q)) for q in array.reshape(-1)], dtype=np.int64).reshape(array.shape)

    def constant(self, value: Fraction, shape: tuple[int, ...]) -> np.ndarray:
        return np.full(shape, self.number(value), dtype=np.int64)

    def identity(self, size: int) -> np.ndarray:
        return np.where(np.eye(size, dtype=bool), self.number(Fraction(1)), self.zero)

    def broadcast(self, array: np.ndarray, positions: Sequence[int], shape: tuple[int, ...]) -> np.ndarray:
        return np.broadcast_to(np.expand_dims(array, tuple(positions)), shape)

    def gather(self, x: np.ndarray, table: Table, position: int) -> np.ndarray:
        index = table.positions
        found = np.take(x, np.maximum(index, 0), axis=position)
        shape = [1] * position + list(index.shape) + [1] * (x.ndim - position - 1)
        return np.where((index >= 0).reshape(shape), found, self.zero)

    def stack(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack(arrays, axis=-1)

    # What computes ---------------------------------------------------------------------------------------------------

    def scatter_add(self, x: np.ndarray, table: Table, position: int) -> np.ndarray:
        index = table.positions.reshape(-1)
        shape = (*x.shape[:position], index.size, *x.shape[position + len(table.targets) :])
        moved = np.moveaxis(x.reshape(shape), position, 0)
        parts = [moved[index == source] for source in range(int(table.source.size))]
        most = max(1, max(len(part) for part in parts))
        padded = [np.concatenate([p, np.full((most - len(p), *p.shape[1:]), self.zero)]) for p in parts]
        summed = np.moveaxis(np.stack(padded), 1, -1)
        return np.moveaxis(self._sums([1] * most, summed, 1), 0, position)

    def combine(self, coefficients: Sequence[Fraction], arrays: Sequence[np.ndarray]) -> np.ndarray:
        denominator, numerators = common_denominator(coefficients)
        return self._sums(numerators, np.stack(arrays, axis=-1), denominator)

    def einsum(self, subscripts: str, arrays: Sequence[np.ndarray]) -> np.ndarray:
        inputs, _, out = subscripts.partition("->")
        labels = inputs.split(",")
        if len(labels) > 2:
            raise Unwritten(f"a product of {len(labels)} arrays")
        summed = sorted({c for used in labels for c in used} - set(out))
        sizes = {c: n for used, x in zip(labels, arrays, strict=True) for c, n in zip(used, x.shape, strict=True)}
        order = [*out, *summed]
        grids = []
        for used, x in zip(labels, arrays, strict=True):
            own = [c for c in order if c in used]
            diagonal = np.einsum(f"{used}->{''.join(own)}", x)
            spread = diagonal.reshape([sizes[c] if c in used else 1 for c in order])
            grids.append(np.broadcast_to(spread, [sizes[c] for c in order]))
        shape = [sizes[c] for c in out]
        terms = np.stack(grids, axis=-1).reshape(int(np.prod(shape)), -1, len(labels))
        if len(labels) == 1:
            return self._sums([1] * terms.shape[1], terms[..., 0], 1).reshape(shape)
        mask = (terms != self.zero).all(axis=-1)
        return self._rows(MULTIPLY, terms, mask, (0, 1)).reshape(shape)

    def gate(self, z: np.ndarray, alpha: Fraction, alpha_bar: Fraction) -> np.ndarray:
        terms = np.stack([np.zeros_like(z), z], axis=-1).reshape(-1, 1, 2)
        mask = np.ones(terms.shape[:2], dtype=bool)
        return self._rows(GATE, terms, mask, (1,), self.number(alpha), self.number(alpha_bar)).reshape(z.shape)

    def maximum(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        xs = np.stack(arrays, axis=-1)
        terms = np.stack([np.zeros_like(xs), xs], axis=-1).reshape(-1, len(arrays), 2)
        return self._rows(MAXIMUM, terms, np.ones(terms.shape[:2], dtype=bool), (1,)).reshape(xs.shape[:-1])

    def function(self, name: str, x: np.ndarray, exponent: Fraction | None) -> np.ndarray:
        arguments, where = np.unique(x, return_inverse=True)
        return self._call(name, exponent, arguments.reshape(-1, 1))[where].reshape(x.shape)

    def log_sum_exp(self, x: np.ndarray, position: int) -> np.ndarray:
        rows = np.moveaxis(x, position, -1)
        return self._call("", None, rows.reshape(-1, rows.shape[-1])).reshape(rows.shape[:-1])

    # What is written -------------------------------------------------------------------------------------------------

    def _fresh(self, count: int, *, known: bool = False) -> np.ndarray:
        """New places."""
        first = len(self._known)
        self._known += (b"\1" if known else b"\0") * count
        return np.arange(first, first + count)

    def _call(self, name: str, exponent: Fraction | None, rows: np.ndarray) -> np.ndarray:
        out = self._fresh(len(rows))
        self._again.append(Call(name, exponent, rows, out))
        return out

    def _sums(self, numerators: Sequence[int], xs: np.ndarray, denominator: int) -> np.ndarray:
        """sum n x // d over the last axis."""
        shape, count = xs.shape[:-1], len(numerators)
        if max(map(abs, numerators), default=0) >= LARGEST_WORD or denominator >= LARGEST_WORD:
            raise Unwritten("a rational with a long numerator or denominator")
        flat = xs.reshape(-1, count)
        mask = flat != self.zero
        if denominator == 1 and list(numerators) == [1] * count and (mask.sum(axis=1) <= 1).all():
            return np.where(mask.any(axis=1), np.where(mask, flat, 0).sum(axis=1), self.zero).reshape(shape)
        factors = np.broadcast_to(np.array(numerators, dtype=np.int64), flat.shape)
        row = NONE if denominator == 1 else self.divisors.setdefault(denominator, len(self.divisors))
        return self._rows(COMBINE, np.stack([factors, flat], axis=-1), mask, (1,), row).reshape(shape)

    def _rows(
        self, kind: int, terms: np.ndarray, mask: np.ndarray, columns: tuple[int, ...], first: int = NONE,
        second: int = NONE,
    ) -> np.ndarray:  # fmt: skip
        """Operations of one kind, a row of terms each, of which `mask` says which there are; `columns` hold places."""
        counts = mask.sum(axis=1)
        some = counts > 0
        known = np.frombuffer(bytes(self._known), dtype=bool)
        fixed = some & (known[terms[..., list(columns)]].all(axis=-1) | ~mask).all(axis=1)
        out = np.full(len(terms), self.zero)
        for chosen, constant in ((fixed, True), (some & ~fixed, False)):
            count = int(chosen.sum())
            if not count:
                continue
            out[chosen] = self._fresh(count, known=constant)
            written = _words(kind, out[chosen], terms[chosen], mask[chosen], first, second)
            (self._once if constant else self._again).append(written)
            self._size += len(written)
            if self._size > MOST_WORDS or int(counts.max()) > MOST_TERMS:
                raise Unwritten("a program that is too long")
        return out

    def finish(self, outputs: np.ndarray) -> Written:
        """The program whose next state is in these places."""
        if (outputs < self.state).any():  # places that are overwritten meanwhile
            fresh = self._fresh(len(outputs))
            self._copy(fresh, outputs)
            outputs = fresh
        self._copy(np.arange(self.state), outputs)
        segments: list[Segment] = []
        once = at = sum(map(len, self._once))
        for part in self._again:
            if isinstance(part, Call):
                segments.append(part)
                continue
            start = at
            if segments and isinstance(last := segments[-1], tuple):
                start = last[0]
                segments.pop()
            at += len(part)
            segments.append((start, at))
        words = np.concatenate([*self._once, *(part for part in self._again if isinstance(part, np.ndarray))])
        return Written(words, once, segments, self.constants, list(self.divisors), len(self._known), self.state)

    def _copy(self, targets: np.ndarray, sources: np.ndarray) -> None:
        terms = np.stack([targets, sources], axis=-1)[None]
        self._again.append(_words(COPY, np.zeros(1), terms, np.ones(terms.shape[:2], dtype=bool), NONE, NONE))


def _words(kind: int, out: np.ndarray, terms: np.ndarray, mask: np.ndarray, first: int, second: int) -> np.ndarray:
    """Operations, one after the other."""
    counts = mask.sum(axis=1)
    lengths = len(HEAD) + 2 * counts
    starts = np.cumsum(lengths) - lengths
    words = np.empty(int(lengths.sum()), dtype=np.int64)
    heads: dict[str, Any] = {"kind": kind, "length": lengths, "out": out, "count": counts}
    for name, value in (heads | {"first": first, "second": second}).items():
        words[starts + WORD[name]] = value
    row, term = np.nonzero(mask)
    at = starts[row] + len(HEAD) + 2 * (np.cumsum(mask, axis=1) - 1)[row, term]
    words[at], words[at + 1] = terms[row, term].T
    return words
