"""Matrices of balls as NumPy object arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
from flint import arb, arb_mat

from symflow.numbers.balls import Ball, ball

lifted: Callable[[np.ndarray], np.ndarray] = np.frompyfunc(ball, 1, 1)
"""Rationals as balls, entry by entry."""
middles: Callable[[np.ndarray], np.ndarray] = np.frompyfunc(lambda x: x.mid(), 1, 1)
"""The midpoints, entry by entry."""
symmetric: Callable[[np.ndarray], np.ndarray] = np.frompyfunc(lambda x: arb(0, x.abs_upper()), 1, 1)
"""[-|x|, |x|], entry by entry."""
UNIT_INTERVAL = arb(0, 1)


def vector(entries: Sequence[Ball]) -> np.ndarray:
    """A vector of balls."""
    return np.array(list(entries), dtype=object)


def inverse(matrix: np.ndarray) -> np.ndarray:
    """A matrix that contains the inverses of all matrices in a ball matrix.

    Raises:
        ZeroDivisionError: one of them may be singular.
    """
    known = arb_mat(matrix.tolist())
    near = known.mid().inv().mid()
    found = (near * known).inv() * near
    size = len(matrix)
    return np.array([[found[i, j] for j in range(size)] for i in range(size)], dtype=object)


def identity(size: int) -> np.ndarray:
    """The identity matrix."""
    return np.array([[arb(int(i == j)) for j in range(size)] for i in range(size)], dtype=object)


def floats(matrix: np.ndarray) -> np.ndarray:
    """The midpoints in float64."""
    return np.array([float(x.mid()) for x in matrix.reshape(-1)]).reshape(matrix.shape)


def from_floats(matrix: np.ndarray) -> np.ndarray:
    """float64 numbers as exact balls."""
    return np.asarray(lifted(np.vectorize(Fraction, otypes=[object])(matrix)), dtype=object)
