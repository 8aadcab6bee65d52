"""From a float64 point to an exact problem: rationals of few digits, as few as the violation bears."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor, log10
from typing import Any

import numpy as np

from symflow.analysis.falsify.claim import Claim
from symflow.analysis.falsify.draws import Points
from symflow.analysis.falsify.family import Setup
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


def roundings(points: Points, row: int) -> list[ExactPoint]:
    """One point, rounded to more and more digits; repetitions are left out."""
    found: list[ExactPoint] = []
    for decimals in DECIMALS:
        theta = points.exact[row] if points.exact is not None else _rounded(points.theta[row], decimals)
        x, y = (tuple(_rounded(line, decimals) for line in a[row]) for a in (points.x, points.y))
        eta = _significant(float(np.exp(points.log_eta[row])), decimals + 1)
        found.append(ExactPoint(theta, x, y, eta, int(points.steps[row])))
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


def _rounded(values: np.ndarray, decimals: int) -> tuple[Fraction, ...]:
    unit = 10**decimals
    return tuple(Fraction(round(Fraction(float(v)) * unit), unit) for v in values)


def _significant(value: float, digits: int) -> Fraction:
    place = digits - 1 - floor(log10(value))
    unit = Fraction(10) ** place
    return round(Fraction(value) * unit) / unit
