"""Exact constants by number, and what is computed from them once for all regions of a run."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import inf, lcm

import numpy as np
from gmpy2 import mpz

from symflow.evaluate.series_steps import SeriesArithmetic

WORD_BITS = 62
"""Integers of sums are words."""


class Constants:
    """The constants of a field.

    Args:
        arithmetic: the numbers that they become.
    """

    def __init__(self, arithmetic: SeriesArithmetic) -> None:
        self.arithmetic = arithmetic
        self.values: list[Fraction] = []
        self._numbers: dict[Fraction, int] = {}
        self._arrays: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._products: dict[tuple[int, int], Fraction] = {}
        self._denominators: dict[bytes, int | None] = {}
        self._lifted: dict[int, mpz] = {}
        self._whole: dict[tuple[int, int], int] = {}
        self._sizes = np.zeros(0)

    def number(self, q: Fraction) -> int:
        """The number of a constant."""
        if q not in self._numbers:
            self._numbers[q] = len(self.values)
            self.values.append(q)
        return self._numbers[q]

    def of_array(self, constants: np.ndarray, number: Callable[[Fraction], int]) -> np.ndarray:
        """The entries of an array of data, which is kept."""
        if id(constants) not in self._arrays:
            self._arrays[id(constants)] = constants, numbered(constants, number)
        return self._arrays[id(constants)][1]

    def product(self, c: int, d: int) -> Fraction:
        """The product of two of them."""
        if (c, d) not in self._products:
            self._products[c, d] = self.values[c] * self.values[d]
        return self._products[c, d]

    def denominator(self, constants: np.ndarray) -> int | None:
        """What makes integers of all of them that are words; None where there is nothing."""
        used = np.flatnonzero(np.bincount(constants))
        key = used.tobytes()
        if key not in self._denominators:
            self._denominators[key] = _denominator([self.values[c] for c in used.tolist()])
        return self._denominators[key]

    def sizes(self) -> np.ndarray:
        """The absolute values of all of them in float64."""
        new = [_size(q) for q in self.values[len(self._sizes) :]]
        self._sizes = np.concatenate([self._sizes, new]) if new else self._sizes
        return self._sizes

    def lifted(self, c: int) -> mpz:
        """In fixed point."""
        if c not in self._lifted:
            self._lifted[c] = self.arithmetic.lift(self.values[c])
        return self._lifted[c]

    def whole(self, c: int, denominator: int) -> int:
        """The integer over a denominator."""
        if (c, denominator) not in self._whole:
            self._whole[c, denominator] = int(self.values[c] * denominator)
        return self._whole[c, denominator]


def numbered(constants: np.ndarray, number: Callable[[Fraction], int]) -> np.ndarray:
    """The entries of exact constants; equal ones are mostly one object."""
    objects, same = identities(constants)
    return np.array([number(q) for q in objects], dtype=np.int64)[same].reshape(constants.shape)


def identities(constants: np.ndarray) -> tuple[list[Fraction], np.ndarray]:
    """The different objects in an array, in the order in which they come, and which of them each entry is."""
    values = constants.reshape(-1).tolist()
    ids = np.fromiter(map(id, values), dtype=np.int64, count=len(values))
    _, first, same = np.unique(ids, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return [values[i] for i in first[order].tolist()], rank[same]


def _size(q: Fraction) -> float:
    try:
        return abs(float(q))
    except OverflowError:
        return inf


def _denominator(constants: list[Fraction]) -> int | None:
    found = 1
    for q in constants:
        found = lcm(found, q.denominator)
        if found.bit_length() > WORD_BITS:
            return None
    most = max((abs(q) for q in constants), default=Fraction(0)) * found
    return found if most < 1 << WORD_BITS else None
