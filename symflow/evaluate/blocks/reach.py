"""How far series that are not computed can move: bounds from the series that they are sums of products of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from symflow.evaluate.blocks.steps import BlockSteps, series_of
from symflow.evaluate.products import Coefficients

SLACK = 1 + 2.0**-40
"""Covers the rounding of the bounds and of the coefficients."""


def reach(coefficients: np.ndarray, s: float, unit: float) -> np.ndarray:
    """At least sum_{k>=1} |x_k| s^k for each row of coefficients.

    Powers below the least normal number count as that one: a large coefficient may outweigh them.

    Args:
        coefficients: in float64, known to a relative 2^-50 and a unit.
        s: where.
        unit: of the last place.
    """
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        powers = np.maximum(np.cumprod(np.full(coefficients.shape[1] - 1, s * SLACK)), 2.0**-1022)
        return np.asarray((np.abs(coefficients[:, 1:]) + unit) @ powers * SLACK)


def row_reaches(
    steps: BlockSteps, floats: Callable[[Sequence[Coefficients]], np.ndarray], s: float, unit: float
) -> np.ndarray:
    """The same for what rows compute, by the numbers of series, from what they are computed from; inf for the others.

    A product of a and b moves by at most |a_0| A + |b_0| B + A B, A and B the reaches of b and a. Each coefficient is
    rounded to a unit.

    Args:
        steps: those of the rows.
        floats: the coefficients of series in float64.
        s: where.
        unit: of the last place.
    """
    blocks, size = steps.unread_rows, steps.size
    read = np.zeros(size, dtype=bool)
    for block in blocks:
        read[block.pairs] = read[block.scaled[:, 1]] = True
    numbers = np.flatnonzero(read)
    coefficients = floats(series_of(steps, numbers))
    first, moved, found = np.zeros(size), np.zeros(size), np.full(size, np.inf)
    first[numbers] = np.abs(coefficients[:, 0]) * SLACK + unit
    moved[numbers] = reach(coefficients, s, unit)
    sizes = steps.constants.sizes() * SLACK + unit
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        for block in blocks:
            a, b = block.pairs.T
            products = first[a] * moved[b] + moved[a] * (first[b] + moved[b])
            multiples = sizes[block.scaled[:, 0]] * moved[block.scaled[:, 1]]
            total = np.zeros(len(block.out))
            for terms, counts in ((products, block.pair_counts), (multiples, block.scaled_counts)):
                row = np.repeat(np.arange(len(counts)), counts)
                total += np.bincount(row, weights=terms, minlength=len(counts))
            found[block.out] = (total + (coefficients.shape[1] + 1) * unit) * SLACK
    return found
