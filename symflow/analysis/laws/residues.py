"""Residues modulo a prime below 2^31 in int64 arrays, and truncated power series of them (last axis: the powers)."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import flint
import numpy as np

from symflow.errors import ProblemError, brief

PRIME = 2**31 - 1
"""A product of two residues fits into int64."""
_HALF = 16


def residue(q: Fraction | int) -> int:
    """q modulo the prime.

    Raises:
        ProblemError: the prime divides its denominator.
    """
    value = Fraction(q)
    if value.denominator % PRIME == 0:
        raise ProblemError(
            f"ranks are taken modulo {PRIME}, which may divide no denominator of the map and the point, got "
            f"{brief(value)}; scale the map or give another point with at="
        )
    return value.numerator * pow(value.denominator, -1, PRIME) % PRIME


def residues(values: Iterable[Fraction | int]) -> np.ndarray:
    """The same for a list."""
    return np.array([residue(v) for v in values], dtype=np.int64)


def matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A product of matrices of residues with inner sizes below 2^15.

    b = 2^16 u + v with u < 2^15, v < 2^16: entries of a u and a v are sums of fewer than 2^15 terms below 2^47.
    """
    upper = np.matmul(a, b >> _HALF) % PRIME
    lower = np.matmul(a, b & ((1 << _HALF) - 1))
    return ((upper << _HALF) + lower % PRIME) % PRIME


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The truncated product of series along the last axis; the other axes broadcast."""
    length = a.shape[-1]
    total = a[..., :1] * b % PRIME
    for k in range(1, length):
        total[..., k:] += a[..., k : k + 1] * b[..., : length - k] % PRIME
    return total % PRIME


def rank(matrix: np.ndarray) -> int:
    """The rank of a matrix of residues."""
    if not matrix.size:
        return 0
    return int(_modular(matrix).rank())


def pivots(matrix: np.ndarray) -> list[int]:
    """The columns that are independent of those before them."""
    if not matrix.size:
        return []
    reduced, found = _modular(matrix).rref()
    return [next(c for c in range(matrix.shape[1]) if int(reduced[r, c])) for r in range(int(found))]


def _modular(matrix: np.ndarray) -> flint.nmod_mat:
    rows, columns = matrix.shape
    return flint.nmod_mat(rows, columns, matrix.reshape(-1).tolist(), PRIME)
