"""Balancedness of neighbouring layers, what gradient flow conserves (R10)."""

from __future__ import annotations

import numpy as np


def balancedness(a: np.ndarray, b: np.ndarray, *, matrix: bool) -> np.ndarray:
    """D_j = W_{j+1}^T W_{j+1} - W_j W_j^T, or its diagonal: per unit, and per channel for shared weights.

    Args:
        a: W_j, outputs first; leading batch axes are allowed for matrices only.
        b: W_{j+1}, its second axis the outputs of W_j.
        matrix: whether to return D_j itself (linear networks), else its diagonal.

    Returns:
        d_j x d_j, or d_j entries; floats or mpmath numbers as in the arguments.
    """
    if matrix:
        return np.asarray(np.swapaxes(b, -1, -2) @ b - a @ np.swapaxes(a, -1, -2))
    incoming = (a * a).reshape(a.shape[0], -1).sum(axis=1)
    outgoing = np.moveaxis(b * b, 1, 0).reshape(b.shape[1], -1).sum(axis=1)
    return np.asarray(outgoing - incoming)
