"""From a float64 point to an exact problem: rounded to the fewest digits that still violate the claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, log10

import numpy as np

from symflow.analysis.falsify.claim import Claim
from symflow.analysis.falsify.draws import Points
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
        run: dict[str, int | Fraction] = {"dps": dps}
        if claim.needs.moving or "eta" in claim.names:
            run["step_size"] = self.eta
        if claim.needs.moving:
            run["horizon"] = self.steps * self.eta
        data = {"x": [list(row) for row in self.x], "y": [list(row) for row in self.y]}
        init = {"theta": list(self.theta)}
        return Problem(
            network=setup.network,
            loss=setup.loss,
            data=data,
            init=init,
            run=run,
            descent=setup.method,
            name="counterexample",
        )


@dataclass(frozen=True)
class Ranges:
    """Where the numbers of an exact point may lie.

    Attributes:
        theta: the largest |weight|; None where theta is to stay as it is.
        x: the largest |input|.
        y: the largest |target|; None for labels, which are whole numbers.
        eta: the smallest and the largest step size.
    """

    theta: Fraction | None
    x: Fraction
    y: Fraction | None
    eta: tuple[Fraction, Fraction]

    @classmethod
    def of(cls, family: Family, setup: Setup, steps: int, *, moving: bool) -> Ranges:
        """Those of a family.

        Args:
            family: the ranges.
            setup: the shape.
            steps: k.
            moving: whether time passes.
        """
        low, high = (Fraction(e) for e in family.step_sizes)
        if moving:
            low, high = max(low, Fraction(family.times[0]) / steps), min(high, Fraction(family.times[1]) / steps)
        data = Fraction(family.data)
        targets = data if setup.loss.known.labels is None else None
        return cls(None if setup.balanced else Fraction(family.weights), data, targets, (low, high))


def roundings(points: Points, row: int, ranges: Ranges) -> list[ExactPoint]:
    """One point, rounded to more and more digits but never out of the family; repetitions are left out.

    Args:
        points: in float64.
        row: which of them.
        ranges: of the family.
    """
    steps, eta = int(points.steps[row]), Fraction(float(np.exp(points.log_eta[row])))

    def line(values: np.ndarray, places: int, most: Fraction | None) -> tuple[Fraction, ...]:
        return tuple(rounded(Fraction(float(v)), places, most) for v in values)

    found: list[ExactPoint] = []
    for places in DECIMALS:
        theta = points.exact[row] if points.exact is not None else line(points.theta[row], places, ranges.theta)
        x = tuple(line(values, places, ranges.x) for values in points.x[row])
        y = tuple(line(values, places, ranges.y) for values in points.y[row])
        step_size = significant(eta, places + 1, *ranges.eta)
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


def rounded(value: Fraction, places: int, most: Fraction | None) -> Fraction:
    """Rounded to so many decimals, the absolute value at most `most`."""
    unit = 10**places
    found = Fraction(round(value * unit), unit)
    if most is None:
        return found
    end = Fraction(floor(most * unit), unit)
    return min(max(found, -end), end)


def significant(value: Fraction, digits: int, low: Fraction, high: Fraction) -> Fraction | None:
    """Rounded to so many significant digits, from low to high; None where there is no such number."""
    unit = Fraction(10) ** (digits - 1 - floor(log10(value)))
    nearest = min(max(round(value * unit), ceil(low * unit)), floor(high * unit))
    return nearest / unit if low <= nearest / unit else None


def decimals(value: Fraction) -> int:
    """How many decimals a decimal number has."""
    places = 0
    while (value * 10**places).denominator > 1:
        places += 1
    return places


def significant_digits(value: Fraction) -> int:
    """How many digits a decimal number has from its first to its last one that is not 0."""
    whole = int(abs(value) * 10 ** decimals(value))
    return len(str(whole).rstrip("0"))
