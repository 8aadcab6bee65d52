"""The arithmetic that turns a program into blocks of operations.

An entry of an array is 0 (zero by structure), -1 - c for the constant of number c, or 1 + s for the series of number s.
The rules are those of `series_compiler`, which makes one step of every entry; here one block is made of every array.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from symflow.evaluate.blocks.constants import Constants, numbered
from symflow.evaluate.blocks.rows import NONE, Block, Functions, LogSums, Rows
from symflow.evaluate.moved_arrays import ObjectArrays, factor_places
from symflow.programs.nodes import Input, Map, Node, Table, split_scale
from symflow.programs.program import topological
from symflow.programs.rules.elementwise import elementwise

_ARGUMENT = Input("argument", (), "state", "x")


@dataclass(frozen=True)
class _Terms:
    """Terms of many sums: row by row."""

    row: np.ndarray
    first: np.ndarray
    second: np.ndarray

    def only(self, rows: np.ndarray) -> _Terms:
        """Those of some rows."""
        chosen = rows[self.row]
        return _Terms(self.row[chosen], self.first[chosen], self.second[chosen])

    def hashed(self, count: int, salt: int) -> np.ndarray:
        """A hash of the terms of each row."""
        x = (self.first.astype(np.uint64) << np.uint64(32)) + self.second.astype(np.uint64) + np.uint64(salt)
        for factor in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9):
            x = (x ^ (x >> np.uint64(29))) * np.uint64(factor)
        found = np.zeros(count, dtype=np.uint64)
        np.add.at(found, self.row, x ^ (x >> np.uint64(32)))
        return found


class BlockCompiler(ObjectArrays):
    """Builds the blocks: an arithmetic over arrays of numbers.

    Equal rows are computed once, so that what cancels by symmetry is zero by structure.
    """

    def __init__(self, constants: Constants) -> None:
        self.blocks: list[Block] = []
        self.constants = constants
        self.count = 0
        self._known: dict[int, tuple[Rows, int]] = {}
        self._hashed: list[tuple[np.ndarray, Rows]] = []
        self._seen: set[int] = set()
        self._listed = 0
        self._functions: dict[tuple[str, Fraction | None], dict[int, int]] = {}
        self._one = self.number(Fraction(1))

    def fresh(self, count: int) -> np.ndarray:
        """New series."""
        self.count += count
        return np.arange(self.count - count, self.count)

    def number(self, q: Fraction) -> int:
        """The entry of a constant."""
        return -1 - self.constants.number(q) if q else 0

    def data(self, constants: np.ndarray) -> np.ndarray:
        """The entries of an array of data."""
        return self.constants.of_array(constants, self.number)

    def entries(self, constants: np.ndarray) -> np.ndarray:
        """The entries of exact constants."""
        return numbered(constants, self.number)

    # Arrays.

    def constant(self, value: Fraction, shape: tuple[int, ...]) -> np.ndarray:
        return np.full(shape, self.number(value), dtype=np.int64)

    def identity(self, size: int) -> np.ndarray:
        return np.eye(size, dtype=np.int64) * self._one

    def combine(self, coefficients: Sequence[Fraction], arrays: Sequence[np.ndarray]) -> np.ndarray:
        whole = np.stack(np.broadcast_arrays(*arrays), axis=-1)
        factors = np.array([self.number(c) for c in coefficients], dtype=np.int64)
        terms = whole.reshape(-1, len(coefficients))
        return self._sums(terms, np.broadcast_to(factors, terms.shape)).reshape(whole.shape[:-1])

    def einsum(self, subscripts: str, arrays: Sequence[np.ndarray]) -> np.ndarray:
        if len(arrays) > 2:
            raise TypeError("power series need products of at most two factors; split the product first")
        if set(subscripts) <= {",", "-", ">"}:  # of scalars, or of arrays that stand for them in a derivative
            factors = [a.reshape(-1, 1) for a in np.broadcast_arrays(*arrays)]
            shape = np.broadcast_shapes(*(a.shape for a in arrays))
        else:
            places, shape = factor_places(subscripts, tuple(a.shape for a in arrays))
            factors = [a.reshape(-1)[at] for a, at in zip(arrays, places, strict=True)]
        if len(factors) == 1:
            factors.append(np.full(factors[0].shape, self._one))
        return self._sums(*factors).reshape(shape)

    def gather(self, x: np.ndarray, table: Table, position: int) -> np.ndarray:
        index = table.positions
        read = np.take(x, np.maximum(index, 0), axis=position)
        return np.where((index >= 0).reshape(index.shape + (1,) * (x.ndim - position - 1)), read, 0)

    def scatter_add(self, x: np.ndarray, table: Table, position: int) -> np.ndarray:
        flat = x.reshape(*x.shape[:position], -1, *x.shape[position + len(table.targets) :])
        lines = np.moveaxis(flat, position, 0)
        readers = table.readers
        read = np.where((readers >= 0).reshape(*readers.shape, *(1,) * (lines.ndim - 1)), lines[readers], 0)
        terms = np.moveaxis(read, 1, -1)
        found = self._sums(terms.reshape(-1, readers.shape[1]), np.full((1, 1), self._one))
        return np.moveaxis(found.reshape(terms.shape[:-1]), 0, position)

    def function(self, name: str, x: np.ndarray, exponent: Fraction | None) -> np.ndarray:
        u = elementwise(name, exponent)
        found = np.zeros(x.size, dtype=np.int64)
        flat = x.reshape(-1).copy()
        for entry in np.unique(flat[flat <= 0]).tolist():
            value = u.constant(self.constants.values[-1 - entry] if entry else Fraction(0))
            places = flat == entry
            if value is None:
                flat[places] = self._series(np.array([entry]))[0] + 1
            else:
                found[places] = self.number(value)
        places = flat > 0
        arguments = flat[places] - 1
        known = self._functions.setdefault((name, exponent), {})
        new = np.array([a for a in dict.fromkeys(arguments.tolist()) if a not in known], dtype=np.int64)
        if len(new):
            out = self.fresh(len(new))
            known |= dict(zip(new.tolist(), out.tolist(), strict=True))
            self._add_functions(name, exponent, new, out)
        found[places] = [1 + known[a] for a in arguments.tolist()]
        return found.reshape(x.shape)

    def _add_functions(self, name: str, exponent: Fraction | None, x: np.ndarray, out: np.ndarray) -> None:
        """u(x), with u' where u is the integral of it: (sign, series) with u'(x) = sign * series."""
        if elementwise(name, exponent).recurrence is not None:
            self.blocks.append(Functions(out, name, exponent, x, None, 1))
            return
        # Recurrences use one another's earlier coefficients: sine and cosine, a function and its own derivative.
        place = len(self.blocks)
        y = Map(name, _ARGUMENT, exponent)
        whole = y.derivative()
        sign, node = split_scale(whole)
        if abs(sign) != 1:
            sign, node = Fraction(1), whole
        values: dict[Node, np.ndarray] = {_ARGUMENT: x + 1, y: out + 1}
        for a in topological([node]):
            if a not in values:
                values[a] = a.evaluate([values[b] for b in a.arguments], self)
        derivative = self._series(np.broadcast_to(values[node], x.shape))
        self.blocks.insert(place, Functions(out, name, exponent, x, derivative, int(sign)))

    def log_sum_exp(self, x: np.ndarray, position: int) -> np.ndarray:
        lines = np.moveaxis(x, position, -1)
        xs = self._series(lines.reshape(-1)).reshape(-1, lines.shape[-1])
        out = self.fresh(len(xs))
        place = len(self.blocks)
        level = np.broadcast_to(out[:, None] + 1, xs.shape)
        distances = self.combine([Fraction(1), Fraction(-1)], [xs + 1, level])
        shares = self.function("exp", distances, None) - 1
        self.blocks.insert(place, LogSums(out, xs, shares))
        return (out + 1).reshape(lines.shape[:-1])

    def _series(self, entries: np.ndarray) -> np.ndarray:
        """The numbers of series; constants become series."""
        found = entries - 1
        for entry in np.unique(entries[entries <= 0]).tolist():
            nothing = np.zeros(0, dtype=np.int64)
            none = _Terms(nothing, nothing, nothing)
            constant = np.array([-1 - entry if entry else NONE])
            found[entries == entry] = self._emit(self.fresh(1), none, none, constant, 1)[0] - 1
        return found

    # Sums of products.

    def _sums(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """sum_j a_ij b_ij for the rows of two arrays of entries."""
        a, b = np.broadcast_arrays(a, b)
        return self._rows(a, b, self.fresh(len(a)))

    def _rows(self, a: np.ndarray, b: np.ndarray, own: np.ndarray) -> np.ndarray:
        """The same, where `own` are the numbers that the rows have if they are series of their own."""
        count = len(a)
        row, place = np.nonzero((a != 0) & (b != 0))
        x, y = a[row, place], b[row, place]
        constant = self._products(count, row, x, y)
        both = (x > 0) & (y > 0)
        pairs = _Terms(row[both], np.minimum(x, y)[both] - 1, np.maximum(x, y)[both] - 1)
        one = (x > 0) != (y > 0)
        scaled = self._merged(_Terms(row[one], -1 - np.minimum(x, y)[one], np.maximum(x, y)[one] - 1))
        multiplied = np.bincount(pairs.row, minlength=count) > 0
        counts = np.bincount(scaled.row, minlength=count)
        found = np.where(constant == NONE, 0, -1 - constant)
        single = (counts == 1) & ~multiplied & (constant == NONE)
        same = scaled.only(single)
        same = same.only(np.isin(np.arange(count), same.row[same.first == -1 - self._one]))
        found[same.row] = same.second + 1
        added = (counts > 0) & ~multiplied
        added[same.row] = False
        for rows, denominator in ((multiplied, None), (added, self._denominator(scaled.only(added).first))):
            if rows.any():
                renumbered = np.cumsum(rows) - 1
                terms = [t.only(rows) for t in (pairs, scaled)]
                terms = [_Terms(renumbered[t.row], t.first, t.second) for t in terms]
                found[rows] = self._emit(own[rows], terms[0], terms[1], constant[rows], denominator)
        return found

    def _denominator(self, constants: np.ndarray) -> int | None:
        """What makes integers of constants, by their numbers."""
        return self.constants.denominator(constants)

    def _products(self, count: int, row: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The numbers of the sums of products of two constants."""
        found = np.full(count, NONE, dtype=np.int64)
        sums: dict[int, Fraction] = {}
        known = (x < 0) & (y < 0)
        for i, c, d in zip(row[known].tolist(), x[known].tolist(), y[known].tolist(), strict=True):
            product = self.constants.product(-1 - c, -1 - d)
            sums[i] = sums[i] + product if i in sums else product
        for i, q in sums.items():
            if q:
                found[i] = -1 - self.number(q)
        return found

    def _merged(self, terms: _Terms) -> _Terms:
        """The terms with those of one series in one row added up, and without those that cancel."""
        key = terms.row * max(self.count, 1) + terms.second
        ordered = np.sort(key)
        if not (ordered[1:] == ordered[:-1]).any():
            return terms
        _, start, index, counts = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
        first = terms.first.copy()
        keep = np.zeros(len(key), dtype=bool)
        keep[start] = True
        for which in np.flatnonzero(counts > 1).tolist():
            total = sum((self.constants.values[c] for c in terms.first[index == which].tolist()), Fraction(0))
            first[start[which]] = -1 - self.number(total)
            keep[start[which]] = bool(total)
        return _Terms(terms.row[keep], first[keep], terms.second[keep])

    def _emit(
        self, own: np.ndarray, pairs: _Terms, scaled: _Terms, constant: np.ndarray, denominator: int | None
    ) -> np.ndarray:
        """The entries of rows: of equal ones that there are, or of new ones, which have their own numbers."""
        count = len(own)
        hashes = pairs.hashed(count, 1) + scaled.hashed(count, 2) + constant.astype(np.uint64) * np.uint64(0x9E3779B9)
        given = Rows(
            own,
            np.stack([pairs.first, pairs.second], axis=1),
            np.bincount(pairs.row, minlength=count),
            np.stack([scaled.first, scaled.second], axis=1),
            np.bincount(scaled.row, minlength=count),
            constant,
            denominator,
        )
        return self._distinct(given, hashes)

    def _distinct(self, given: Rows, hashes: np.ndarray) -> np.ndarray:
        """The entries of rows; what equals no earlier one becomes a block."""
        keys = hashes.tolist()
        if self._seen.isdisjoint(keys) and len(set(keys)) == len(keys):
            self._seen.update(keys)
            self._hashed.append((hashes, given))
            self.blocks.append(given)
            return given.out + 1
        for known, rows in self._hashed[self._listed :]:
            self._known |= {key: (rows, i) for i, key in enumerate(known.tolist())}
        self._listed = len(self._hashed)
        out = given.out.copy()
        new = np.zeros(len(keys), dtype=bool)
        self._seen.update(keys)
        for i, key in enumerate(keys):
            other = self._known.get(key)
            if other is not None and other[0].row(other[1]) == given.row(i):
                out[i] = other[0].out[other[1]]
            else:
                new[i] = True
                self._known[key] = (given, i)
        self._hashed.append((hashes[new], distinct := given.only(new)))
        self._listed += 1
        self.blocks.append(distinct)
        return out + 1
