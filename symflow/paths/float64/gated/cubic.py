"""Cubics from values and slopes at both ends (Hermite): the path between two ends of a step, and its first zeros."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

HALVINGS = 45
"""Of an interval that holds a zero."""


@dataclass(frozen=True)
class Cubic:
    """y(s) = a + b x + c x^2 + d x^3 with x = s / length, on [0, length]; entry by entry."""

    length: float
    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    d: np.ndarray

    def __call__(self, s: float) -> np.ndarray:
        """y(s)."""
        x = s / self.length
        return np.asarray(self.a + x * (self.b + x * (self.c + x * self.d)))

    def slope(self, s: float) -> np.ndarray:
        """y'(s)."""
        x = s / self.length
        return np.asarray((self.b + x * (2 * self.c + x * 3 * self.d)) / self.length)


def cubic(length: float, y0: np.ndarray, slope0: np.ndarray, y1: np.ndarray, slope1: np.ndarray) -> Cubic:
    """The cubic with these values and slopes at 0 and at `length`."""
    b = length * slope0
    return Cubic(length, y0, b, 3 * (y1 - y0) - 2 * b - length * slope1, 2 * (y0 - y1) + b + length * slope1)


def first_negative(y: Cubic, watched: np.ndarray) -> list[tuple[float, int] | None]:
    """For each row of nonnegative starts the first zero after which an entry is negative: when, and which entry.

    Args:
        y: entries of shape (M, U).
        watched: which of them to look at.
    """
    with np.errstate(all="ignore"):
        root = np.sqrt(np.maximum(y.c * y.c - 3 * y.b * y.d, 0.0))
        low = np.where(np.abs(y.d) > 1e-12 * np.abs(y.c), (root - y.c) / (3 * y.d), -y.b / (2 * y.c))
    low = np.where((low > 0) & (low < 1), low, 1.0)
    lowest = y.a + low * (y.b + low * (y.c + low * y.d))
    ends = y.a + y.b + y.c + y.d
    rows, columns = np.nonzero(((lowest < 0) | (ends < 0)) & watched)
    found: list[tuple[float, int] | None] = [None] * len(watched)
    a, b, c, d = (x[rows, columns] for x in (y.a, y.b, y.c, y.d))
    left, right = np.zeros(len(rows)), np.where(lowest[rows, columns] < 0, low[rows, columns], 1.0)
    for _ in range(HALVINGS):
        middle = (left + right) / 2
        above = a + middle * (b + middle * (c + middle * d)) > 0
        left, right = np.where(above, middle, left), np.where(above, right, middle)
    for row, column, x in zip(rows.tolist(), columns.tolist(), right.tolist(), strict=True):
        known = found[row]
        if known is None or x * y.length < known[0]:
            found[row] = x * y.length, column
    return found
