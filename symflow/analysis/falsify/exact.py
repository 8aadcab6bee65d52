"""From a float64 point to an exact problem: rationals of few digits, as few as the violation bears."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, log10
from typing import Any

import numpy as np

from symflow.analysis.falsify.claim import Claim
from symflow.analysis.falsify.draws import LABELLED, Points
from symflow.analysis.falsify.family import Family, Setup
from symflow.problem import Problem

DECIMALS = (0, 1, 2, 3, 4, 6, 9, 12, 16)
"""Decimals of weights and data that are tried; the step size has one significant digit more."""


@dataclass(frozen=True)
class ExactPoint:
    """A point of a setup in rationals.

    Attributes:
        theta: initial weights.
        x: inputs, row by row.
        y: targets.
        eta: step size.
        steps: k.
    """

    theta: tuple[Fraction, ...]
    x: tuple[tuple[Fraction, ...], ...]
    y: tuple[tuple[Fraction, ...], ...]
    eta: Fraction
    steps: int

    def problem(self, setup: Setup, claim: Claim, dps: int) -> Problem:
        """The problem; where time passes its horizon is k step sizes."""
        run: dict[str, Any] = {"dps": dps}
        if claim.needs.moving or "eta" in claim.names:
            run["step_size"] = self.eta
        if claim.needs.moving:
            run["horizon"] = self.steps * self.eta
        data = {"x": [list(row) for row in self.x], "y": [list(row) for row in self.y]}
        init = {"theta": list(self.theta)}
        return Problem(network=setup.network, loss=setup.loss, data=data, init=init, run=run, name="counterexample")


def roundings(points: Points, row: int, family: Family, setup: Setup, moving: bool) -> list[ExactPoint]:
    """One point, rounded to more and more digits but never out of the family; repetitions are left out.

    Args:
        points: in float64.
        row: which of them.
        family: the ranges.
        setup: the shape.
        moving: whether time passes.
    """
    weights, data = Fraction(family.weights), Fraction(family.data)
    targets = None if setup.loss.kind in LABELLED else data
    steps, eta = int(points.steps[row]), float(np.exp(points.log_eta[row]))
    low, high = (Fraction(e) for e in family.step_sizes)
    if moving:
        low, high = max(low, Fraction(family.times[0]) / steps), min(high, Fraction(family.times[1]) / steps)
    found: list[ExactPoint] = []
    for decimals in DECIMALS:
        theta = points.exact[row] if points.exact is not None else _rounded(points.theta[row], decimals, weights)
        x = tuple(_rounded(line, decimals, data) for line in points.x[row])
        y = tuple(_rounded(line, decimals, targets) for line in points.y[row])
        step_size = _significant(eta, decimals + 1, low, high)
        if step_size is not None:
            found.append(ExactPoint(theta, x, y, step_size, steps))
    return list(dict.fromkeys(found))


def as_points(exact: Sequence[ExactPoint], kept: bool) -> Points:
    """Exact points in float64; `kept` says whether theta is to stay as it is."""
    return Points(
        np.array([[float(v) for v in p.theta] for p in exact]),
        np.array([[[float(v) for v in line] for line in p.x] for p in exact]),
        np.array([[[float(v) for v in line] for line in p.y] for p in exact]),
        np.log([float(p.eta) for p in exact]),
        np.array([p.steps for p in exact]),
        tuple(p.theta for p in exact) if kept else None,
    )


def _rounded(values: np.ndarray, decimals: int, most: Fraction | None) -> tuple[Fraction, ...]:
    """Rounded to so many decimals, the absolute values at most `most`."""
    unit = 10**decimals
    found = (Fraction(round(Fraction(float(v)) * unit), unit) for v in values)
    if most is None:
        return tuple(found)
    end = Fraction(floor(most * unit), unit)
    return tuple(min(max(v, -end), end) for v in found)


def _significant(value: float, digits: int, low: Fraction, high: Fraction) -> Fraction | None:
    """Rounded to so many significant digits, from low to high; None where there is no such number."""
    unit = Fraction(10) ** (digits - 1 - floor(log10(value)))
    nearest = min(max(round(Fraction(value) * unit), ceil(low * unit)), floor(high * unit))
    return nearest / unit if low <= nearest / unit else None
