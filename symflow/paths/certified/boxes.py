r"""Polynomials of Taylor steps on parts of the step, as float64 boxes.

On a step theta~ = sum_k a_k u^k with u = s / s_end in [0, 1]. Around the centre c of a part of half-width w

    theta~(c + w v) = sum_l T_l v^l,    T_l = sum_k a_k binom(k, l) c^{k-l} w^l,    |v| <= 1:

T_0 is the middle of a box, |T_1| + |T_2| + sum_k |a_k| ((c + w)^k - its first three terms) its reach. Sums of p + 1
products lose at most 4 (p + 4) u of the sum of their sizes, which is added; IEEE arithmetic is all that is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ldexp

import numpy as np

from symflow.evaluate.products import Coefficients
from symflow.evaluate.rounded import UNIT, Rounded
from symflow.numbers.fixed_point import to_float
from symflow.paths.taylor.dense import Segment

ORDERS = 3
"""Orders in v that are kept with their signs."""
FLOOR = 2.0**-900
"""Powers below this may underflow, and are taken to be this where they bound."""


def step_end(segment: Segment, clock: int) -> float:
    """s at the end of the step, to float64; of a step that is too short for float64, a later one."""
    return max(ldexp(to_float(segment.end - segment.start, clock), -segment.tau), 2.0**-900)


def scaled_floats(series: Sequence[Coefficients], end: float, bits: int) -> Rounded:
    """The coefficients of series in s as those in u = s / end, shape (series, order + 1)."""
    terms = max((len(c) for c in series), default=1)
    values = np.zeros((len(series), terms))
    for row, c in zip(values, series, strict=True):
        row[: len(c)] = [to_float(v, bits) for v in c]
    powers = np.full(terms, end)
    powers[0] = 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        lost = 2.0**-1000 * np.maximum(np.abs(values), 1.0)  # where powers or products underflow
        values = values * np.cumprod(powers)
    known = np.isfinite(values)
    values = np.where(known, values, 0.0)
    error = np.abs(values) * ((2 * terms + 8) * UNIT) + lost
    return Rounded(values, np.where(known, error, np.inf))


def slopes(series: Rounded) -> Rounded:
    """The coefficients of d/du."""
    places = np.arange(1, series.value.shape[1])
    with np.errstate(over="ignore"):
        value, error = series.value[:, 1:] * places, series.error[:, 1:] * places * (1 + 4 * UNIT) + 2.0**-1000
    return Rounded(np.where(np.isfinite(value), value, 0.0), np.where(np.isfinite(value), error, np.inf))


def on_parts(series: Rounded, lows: np.ndarray, highs: np.ndarray) -> Rounded:
    """The series on the parts [low, high] of [0, 1]: boxes of shape (parts, series)."""
    terms = series.value.shape[1]
    centre, half = lows / 2 + highs / 2, (highs - lows) / 2 * (1 + 8 * UNIT) + 4 * UNIT
    powers = np.vander(centre, terms, increasing=True)
    reach = np.maximum(np.vander(centre + half, terms, increasing=True), FLOOR)
    rest = reach.copy()
    sizes = np.abs(series.value)
    parts: list[np.ndarray] = []
    binomial, places = np.ones(terms), np.arange(terms)
    for order in range(min(ORDERS, terms)):
        if order:
            binomial = binomial * np.maximum(places - order + 1, 0) / order
        weights = np.zeros_like(powers)
        weights[:, order:] = binomial[order:] * powers[:, : terms - order]
        weights *= (half**order)[:, None]
        rest -= weights
        with np.errstate(over="ignore", invalid="ignore"):
            parts.append(weights @ series.value.T)
    lost = 4 * (2 * terms + 8) * UNIT
    with np.errstate(over="ignore", invalid="ignore"):
        around = sum((np.abs(part) for part in parts[1:]), np.zeros_like(parts[0]))
        beyond = (np.maximum(rest, 0.0) + ORDERS * lost * reach) @ sizes.T + reach @ (series.error.T + lost * sizes.T)
        error = (around + beyond) * (1 + lost)
    known = np.isfinite(parts[0]) & np.isfinite(error)
    return Rounded(np.where(known, parts[0], 0.0), np.where(known, error, np.inf))
