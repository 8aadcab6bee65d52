"""Exponentials that a Taylor step must not lose: what their truncated series can hide is bounded by Cauchy's estimate.

In fixed point e^z is 0 where z < -bits log 2, and so are all coefficients of its series, however fast z grows: the
series then look like those of a simpler field. From the series of z itself a bound is known. On |s| <= r

    |e^{z(s)}| <= B(r) = e^{z_0 + D(r)},   D(r) = sum_{k>=1} |z_k| r^k,

so the terms beyond order p are at most about B(rho h) rho^-p for |s| <= h and any rho > 1. What takes the place of B
for another function that flattens out (a sigmoid, tanh, the bell e^{-z^2/2}) stands in its record: `saturates`.
Softplus, erf and log-sum-exp have such functions as their derivatives.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import numpy as np

from symflow.evaluate.series import Function
from symflow.programs.rules.elementwise import elementwise

RADII = np.array([1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0, 10.0, 16.0, 64.0])
"""The rho that are tried."""
TERMS = 128
"""Coefficients of z that are read; what follows is small at the radii that matter."""
SLACK = 0.5
"""A function that is not lost may hide eps^SLACK, since the bound is crude there: of what is larger than eps and is
seen at the step's end, the defect tells."""
LOST = 16
"""A function whose distance from its limit is below 2^LOST units of the last place has no digits left to speak of."""
SHORTEST = -60
"""log2 of the shortest step that is considered, in units of the present one."""


def log2_resolved(
    functions: Sequence[Function],
    series: np.ndarray,
    bits: int,
    log2_start: float,
    log2_tolerance: float,
    order: int,
    tau: int,
) -> float:
    """log2 of the largest step h <= 2^log2_start in which no function that flattens out hides more than it may.

    Args:
        functions: those of the recurrence that flatten out.
        series: the coefficients of their arguments, a row each.
        bits: of the fixed point.
        log2_start: the step to begin with.
        log2_tolerance: log2 eps of the local tolerance.
        order: p.
        tau: series are in s = t / 2^tau.
    """
    first, sizes = series[:, 0], np.abs(series[:, 1 : TERMS + 1])
    with np.errstate(invalid="ignore"):
        start = _log_bounds(functions, first[:, None], np.zeros((len(functions), 1)))[:, 0]
    lost = start < (LOST - bits) * log(2)
    step = log2_start
    while step > SHORTEST:
        allowed, duration = log2_tolerance * log(2), (step + tau) * log(2)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            spread = sizes @ np.power.outer(2.0**step * RADII, np.arange(1, sizes.shape[1] + 1)).T
            bounds = _log_bounds(functions, first[:, None], spread)
            hidden = np.nan_to_num(bounds - order * np.log(RADII), nan=np.inf, posinf=np.inf, neginf=-np.inf)
            excess = np.where(lost, bounds[:, 0] - allowed, hidden.min(axis=1) - SLACK * allowed)
        if (excess + duration <= 0).all():
            break
        step -= 1
    return step


def _log_bounds(functions: Sequence[Function], first: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """log B, one row a function."""
    records = np.array([elementwise(f.name, f.exponent) for f in functions])
    found = np.empty(spread.shape)
    for record in set(records):
        rows = records == record
        found[rows] = record.known("saturates", "steps")(first[rows], spread[rows])
    return found
