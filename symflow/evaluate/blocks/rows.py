"""Blocks of operations: what one node of a program does to all its entries, as arrays of numbers of series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TypeAlias

import numpy as np

NONE = -1
ARRAYS = ("out", "pairs", "pair_counts", "scaled", "scaled_counts", "constant")
"""The arrays of `Rows`."""


@dataclass(frozen=True, eq=False)
class Rows:
    """out = sum a b + sum c x + constant, or out = sum n x / denominator + constant: one operation a row.

    Attributes:
        out: the series, shape (n,).
        pairs: factors a, b of all rows, those of one row together; shape (m, 2).
        pair_counts: how many each row has, shape (n,).
        scaled: (number of c, series x), likewise.
        scaled_counts: how many each row has.
        constant: numbers of constants, or NONE.
        denominator: where c is an integer over it in every row; None: constants are rounded to fixed point.
    """

    out: np.ndarray
    pairs: np.ndarray
    pair_counts: np.ndarray
    scaled: np.ndarray
    scaled_counts: np.ndarray
    constant: np.ndarray
    denominator: int | None = None

    @property
    def series(self) -> tuple[np.ndarray, ...]:
        """All series that it names."""
        return self.out, self.pairs, self.scaled[:, 1]

    def only(self, rows: np.ndarray) -> Rows:
        """Some of the rows, as a mask says."""
        return Rows(
            self.out[rows],
            self.pairs[np.repeat(rows, self.pair_counts)],
            self.pair_counts[rows],
            self.scaled[np.repeat(rows, self.scaled_counts)],
            self.scaled_counts[rows],
            self.constant[rows],
            self.denominator,
        )

    def in_order(self, order: np.ndarray) -> Rows:
        """The rows in another order."""
        arrays = [self.out[order]]
        for terms, counts, ends in zip(
            (self.pairs, self.scaled), (self.pair_counts, self.scaled_counts), self._ends, strict=True
        ):
            length = counts[order]
            first = np.repeat((ends - counts)[order] - (np.cumsum(length) - length), length)
            arrays += [terms[first + np.arange(len(first))], length]
        out, pairs, pair_counts, scaled, scaled_counts = arrays
        return Rows(out, pairs, pair_counts, scaled, scaled_counts, self.constant[order], self.denominator)

    def row(self, i: int) -> tuple[bytes, bytes, int]:
        """All that a row computes from."""
        found = [
            terms[ends[i] - counts[i] : ends[i]].tobytes()
            for terms, counts, ends in zip(
                (self.pairs, self.scaled), (self.pair_counts, self.scaled_counts), self._ends, strict=True
            )
        ]
        return found[0], found[1], int(self.constant[i])

    @cached_property
    def _ends(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the terms of each row end."""
        return np.cumsum(self.pair_counts), np.cumsum(self.scaled_counts)


def joined(blocks: Sequence[Rows], most: int) -> Sequence[Rows]:
    """Blocks of one operation, those with one denominator as one where there are more than `most`."""
    if len(blocks) <= most:
        return blocks
    found = []
    for denominator in {block.denominator: None for block in blocks}:
        parts = [block for block in blocks if block.denominator == denominator]
        out, pairs, pair_counts, scaled, scaled_counts, constant = (
            np.concatenate([getattr(block, name) for block in parts]) for name in ARRAYS
        )
        found.append(Rows(out, pairs, pair_counts, scaled, scaled_counts, constant, denominator))
    return found


@dataclass(frozen=True, eq=False)
class Functions:
    """out = u(x), one a row; where it is an integral, u'(x) = `sign` `derivative`."""

    out: np.ndarray
    name: str
    exponent: Fraction | None
    x: np.ndarray
    derivative: np.ndarray | None
    sign: int

    @property
    def series(self) -> tuple[np.ndarray, ...]:
        """All series that it names."""
        return (self.out, self.x) if self.derivative is None else (self.out, self.x, self.derivative)


@dataclass(frozen=True, eq=False)
class LogSums:
    """out = log(sum_i e^{x_i}) for the rows x of an array; `shares` are the series e^{x_i - out}."""

    out: np.ndarray
    xs: np.ndarray
    shares: np.ndarray

    @property
    def series(self) -> tuple[np.ndarray, ...]:
        """All series that it names."""
        return self.out, self.xs, self.shares


Block: TypeAlias = Rows | Functions | LogSums


def unread(blocks: Sequence[Block], watched: np.ndarray, wanted: np.ndarray, count: int) -> np.ndarray:
    """The series that only watching needs: rows from which nothing else is computed.

    Args:
        blocks: all that is computed.
        watched: series that are watched.
        wanted: other series that are read.
        count: of all series.
    """
    only = np.zeros(count, dtype=bool)
    only[watched] = True
    own = np.zeros(count, dtype=bool)
    for block in blocks:
        if isinstance(block, Rows):
            own[block.out] = True
            only[block.pairs] = only[block.scaled[:, 1]] = False
        else:
            for series in block.series:
                only[series] = False
    only[wanted] = False
    return np.flatnonzero(only & own)


def needed(blocks: Sequence[Block], wanted: np.ndarray, count: int) -> list[Block]:
    """The blocks without rows that nothing wanted depends on.

    Args:
        blocks: in the order in which they are computed.
        wanted: series.
        count: of all series.
    """
    used = np.zeros(count, dtype=bool)
    used[wanted] = True
    for block in blocks:  # functions use one another's earlier coefficients, so all of them remain
        if not isinstance(block, Rows):
            for series in block.series:
                used[series] = True
    found: list[Block] = []
    for block in reversed(blocks):
        if isinstance(block, Rows):
            rows = used[block.out]
            block = block if rows.all() else block.only(rows)
            used[block.pairs] = True
            used[block.scaled[:, 1]] = True
            if not len(block.out):
                continue
        found.append(block)
    return found[::-1]
