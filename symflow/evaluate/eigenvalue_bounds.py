r"""Verified eigenvalues of symmetric matrices of float64 balls; nothing is assumed of the routine that guesses them.

Let |M - A| <= E entrywise, M and A symmetric, and V any invertible matrix: eigenvectors of A as LAPACK guesses them.
With B = V^T A V, the eigenvalues of B lie in Gershgorin's discs; with e >= ||V^T V - I||, e < 1, every x = V y has
||y||^2 between ||x||^2/(1 + e) and ||x||^2/(1 - e) and x^T A x = y^T B y. So

    lambda_min(A) >= min(b/(1 - e), b/(1 + e)),    b the lowest point of the discs of B,

the mirror holds for lambda_max, and the Rayleigh quotients of the columns of V bound both from the other side. By Weyl
the eigenvalues of M are within ||E|| of those of A, and ||E|| <= max_i (E v)_i / v_i for every positive v (Collatz,
Wielandt). Products of matrices are known to their rounding, which counts in B, in V^T V and in E v.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from symflow.evaluate.rounded import TINY, UNIT, Rounded


class EigenvalueBounds(NamedTuple):
    """Lower and upper bounds on the ends of spectra, one of each a matrix; infinite where nothing is known."""

    smallest_low: np.ndarray
    smallest_high: np.ndarray
    largest_low: np.ndarray
    largest_high: np.ndarray


def eigenvalue_bounds(x: Rounded) -> EigenvalueBounds:
    """Bounds on the smallest and largest eigenvalues of symmetric matrices, shape (..., n, n)."""
    value, error = np.broadcast_arrays(x.value, x.error)
    size = value.shape[-1]
    fine = (np.isfinite(value) & np.isfinite(error)).all(axis=(-2, -1))
    a = np.where(fine[..., None, None], value, 0.0)
    turned = np.swapaxes(a, -1, -2)
    middle = a / 2 + turned / 2
    reach = np.where(fine[..., None, None], error, 0.0)
    reach = np.maximum(reach, np.swapaxes(reach, -1, -2)) + 2 * UNIT * (np.abs(a) + np.abs(turned)) + TINY
    with np.errstate(over="ignore", invalid="ignore"):
        vectors = np.linalg.eigh(middle)[1]
        vectors = np.where(np.isfinite(vectors), vectors, 0.0)
        inner, inner_error = _product(np.swapaxes(vectors, -1, -2), vectors)
        stray = np.abs(inner - np.eye(size)) + inner_error
        e = _up(stray.sum(axis=-1).max(axis=-1), size)
        right, right_error = _product(middle, vectors)
        b, b_error = _product(np.swapaxes(vectors, -1, -2), right)
        b_error = b_error + _up(np.swapaxes(np.abs(vectors), -1, -2) @ right_error, size) + size * TINY
        centre = np.diagonal(b, axis1=-2, axis2=-1)
        discs = (np.abs(b) + b_error).sum(axis=-1) - np.abs(centre)
        # The difference is of numbers up to the sum of the row; a few units of that cover its rounding.
        discs = np.maximum(discs, 0) + 4 * (size + 2) * UNIT * (np.abs(b) + b_error).sum(axis=-1) + TINY
        norm = _norm(reach)
        low, high = (centre - discs).min(axis=-1), (centre + discs).max(axis=-1)
        lengths = np.diagonal(inner, axis1=-2, axis2=-1)
        stretched, moved = (np.diagonal(v, axis1=-2, axis2=-1) for v in (inner_error, b_error))
        usable = (lengths > 0.5) & (stretched < 0.25)
        quotient = np.where(usable, centre / np.where(usable, lengths, 1.0), np.nan)
        lost = 4 * (moved + 2 * np.abs(centre) * stretched) + 8 * UNIT * np.abs(quotient)
        high_of_low, low_of_high = (quotient + lost).min(axis=-1), (quotient - lost).max(axis=-1)
        ends = (
            _scaled(low, -e) - norm,
            high_of_low + norm,
            low_of_high - norm,
            _scaled(high, e) + norm,
        )
    known = fine & (e < 0.5)
    rounding = 8 * UNIT * (np.abs(low) + np.abs(high) + norm) + TINY
    signs = (-1, 1, -1, 1)
    outward = (np.where(known & np.isfinite(v), v + s * rounding, s * np.inf) for v, s in zip(ends, signs, strict=True))
    return EigenvalueBounds(*outward)


def _scaled(end: np.ndarray, e: np.ndarray) -> np.ndarray:
    """An end of the spectrum of B as one of A: away from 0 by 1/(1 - |e|), towards it by 1/(1 + |e|)."""
    away = np.sign(end) * np.sign(e) >= 0
    return np.asarray(end / np.where(away, 1 - np.abs(e), 1 + np.abs(e)))


def _product(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a b, and at most how far its entries are from the exact product."""
    size = a.shape[-1]
    return a @ b, _up(4 * size * UNIT * (np.abs(a) @ np.abs(b)), size) + size * TINY


def _norm(reach: np.ndarray) -> np.ndarray:
    """At least the spectral norm of symmetric matrices of positive numbers."""
    v = reach.sum(axis=-1)
    for _ in range(3):
        v = np.einsum("...ij,...j->...i", reach, v / v.max(axis=-1, keepdims=True))
    v = v / v.max(axis=-1, keepdims=True) + 2.0**-60
    ratio = np.einsum("...ij,...j->...i", reach, v) / v
    return _up(ratio.max(axis=-1), reach.shape[-1]) + 2.0**-900  # products that underflow, over entries of v


def _up(sums: np.ndarray, size: int) -> np.ndarray:
    """Sums of about `size` positive terms, rounded up."""
    return np.asarray(sums * (1 + 4 * (size + 2) * UNIT) + TINY)
