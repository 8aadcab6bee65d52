"""Upper bounds of programs that grow with each of their inputs, which are >= 0: float64, every operation rounded up."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from symflow.evaluate.numpy_batches import BatchArithmetic
from symflow.numbers.outward import UNIT, up
from symflow.programs.nodes import Table

SMALL = 8
"""Size up to which eigenvectors are worth their time."""
POWERS = 6
"""Products with the matrix that stand for them beyond."""
LEAST = 2.0**-1074
"""Underflow of one operation."""


class GrowingArithmetic(BatchArithmetic):
    """float64 arrays of numbers that are at least the true ones, all of them >= 0; the first axis is the batch."""

    def constant(self, value: Fraction, shape: tuple[int, ...]) -> np.ndarray:
        _grows(value >= 0, f"the constant {value}")
        found = super().constant(value, shape)
        return found if float(value) == value else up(found)

    def combine(self, coefficients: Sequence[Fraction], arrays: Sequence[np.ndarray]) -> np.ndarray:
        _grows(min(coefficients) >= 0, f"the coefficient {min(coefficients)}")
        found = super().combine(coefficients, arrays)
        return np.asarray(found * (1 + 4 * (len(arrays) + 2) * UNIT) + 2 * len(arrays) * LEAST)

    def einsum(self, subscripts: str, arrays: Sequence[np.ndarray]) -> np.ndarray:
        found = super().einsum(subscripts, arrays)
        inputs, out = subscripts.split("->")
        sizes: dict[str, int] = {}
        for letters, array in zip(inputs.split(","), arrays, strict=True):
            sizes |= dict(zip(letters, array.shape[array.ndim - len(letters) :], strict=True))
        terms = int(np.prod([size for letter, size in sizes.items() if letter not in out], dtype=float))
        # What an underflow on the way loses may be multiplied by the factors that follow.
        lost = 2 * terms * len(arrays) * LEAST
        for array in arrays:
            lost = lost * max(1.0, float(np.max(array, initial=0.0)))
        return np.asarray(found * (1 + 4 * (terms + len(arrays) + 2) * UNIT) + lost)

    def function(self, name: str, x: np.ndarray, exponent: Fraction | None) -> np.ndarray:
        _grows(name == "power" and exponent == Fraction(1, 2), f"the function {name} {exponent or ''}")
        return up(np.sqrt(x))

    def scatter_add(self, x: np.ndarray, table: Table, position: int) -> np.ndarray:
        return np.asarray(super().scatter_add(x, table, position) * (1 + 4 * (len(table.index) + 2) * UNIT))

    def largest_eigenvalue(self, x: np.ndarray) -> np.ndarray:
        """max_i (M v)_i / v_i for some v > 0, which is at least the spectral radius (Collatz, Wielandt)."""
        size = x.shape[-1]
        with np.errstate(all="ignore"):
            scale = np.maximum(x.max(axis=(-2, -1)), 2.0**-500)[..., None, None]
            fine = np.isfinite(scale)[..., 0]
            shares = np.where(fine[..., None], x / scale, 0.0)  # rounded, only to find v
            v = _positive_vector((shares + np.swapaxes(shares, -1, -2)) / 2)
            moved = np.einsum("...ij,...j->...i", x, v) * (1 + 4 * (size + 2) * UNIT) + 2 * size * LEAST
            ratio = up(moved / v).max(axis=-1)
        return np.where(fine[..., 0] & ~np.isnan(ratio), ratio, np.inf)

    def spectral_norm(self, x: np.ndarray) -> np.ndarray:
        return _refuse("a spectral norm")

    def log_sum_exp(self, x: np.ndarray, position: int) -> np.ndarray:
        return _refuse("log-sum-exp")

    def matrix_power(self, x: np.ndarray, exponent: Fraction) -> np.ndarray:
        return _refuse("a matrix power")

    def gate(self, z: np.ndarray, alpha: Fraction, alpha_bar: Fraction) -> np.ndarray:
        return _refuse("a gate")


def _positive_vector(matrix: np.ndarray) -> np.ndarray:
    """About the eigenvector of the largest eigenvalue of symmetric matrices of numbers >= 0; positive."""
    if matrix.shape[-1] <= SMALL:
        return np.asarray(np.abs(np.linalg.eigh(matrix)[1][..., -1]) + 2.0**-40)
    v = matrix.sum(axis=-1)
    for _ in range(POWERS):
        v = np.einsum("...ij,...j->...i", matrix, v / np.maximum(v.max(axis=-1, keepdims=True), 2.0**-1000)) + v
    return np.asarray(v / np.maximum(v.max(axis=-1, keepdims=True), 2.0**-1000) + 2.0**-40)


def _grows(holds: bool, what: str) -> None:
    if not holds:
        _refuse(what)


def _refuse(what: str) -> np.ndarray:
    raise TypeError(f"only sums, products and roots of numbers >= 0 are known to grow, got {what}")
