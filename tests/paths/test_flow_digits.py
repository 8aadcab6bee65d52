"""Closed forms at 50, 300 and 1000 digits: the flow has every digit it claims."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath
import pytest
from mpmath import mpf
from plain_flow import network_problem

import symflow as sf
from symflow.paths.trajectory import Trajectory

DIGITS = [50, 300, 1000]


def depth_one(t: Any) -> list[Any]:
    """Sigma_xx = (1/4 + 9)/4, Lambda_yx = (3 + 3)/4: w' = 3/2 - 37/16 w from w = 2."""
    rest, rate = mpf(24) / 37, mpf(37) / 16
    return [rest + (2 - rest) * mpmath.exp(-rate * t)]


def depth_two(t: Any) -> list[Any]:
    """w_1 = 1, w_2 = 1/3, target 1: u' = sqrt(c^2 + 4u^2)(1 - u), c = w_1^2 - w_2^2 = 8/9 (C2)."""
    c, u0 = mpf(8) / 9, mpf(1) / 3
    kappa = mpmath.sqrt(4 + c**2)
    plus, minus = (2 + kappa) / c, (2 - kappa) / c
    q0 = (2 * u0 + mpmath.sqrt(c**2 + 4 * u0**2)) / c
    k = (q0 - plus) / (q0 - minus)
    q = (plus - minus * k * mpmath.exp(-kappa * t)) / (1 - k * mpmath.exp(-kappa * t))
    u = c / 4 * (q - 1 / q)
    first = mpmath.sqrt((mpmath.sqrt(c**2 + 4 * u**2) + c) / 2)
    return [first, u / first]


def logistic(t: Any) -> list[Any]:
    """w' = 1 / (1 + e^w) from w = 0: w + e^w = t + 1, so w = t + 1 - W(e^(t+1))."""
    return [t + 1 - mpmath.lambertw(mpmath.exp(t + 1)).real]


def exponential(t: Any) -> list[Any]:
    """w' = e^-w from w = 0: w = log(1 + t)."""
    return [mpmath.log(1 + t)]


def cross_entropy(t: Any) -> list[Any]:
    """Two classes, x = 1: the difference of the weights d' = 2 / (1 + e^d), their sum is conserved."""
    d = 2 * t + 1 - mpmath.lambertw(mpmath.exp(2 * t + 1)).real
    return [d / 2, -d / 2]


def quartic(t: Any) -> list[Any]:
    """l = p^4/4: w' = -w^3 from w = 1."""
    return [1 / mpmath.sqrt(1 + 2 * t)]


def margin(loss: str, outputs: int = 1) -> Callable[[], sf.Problem]:
    y = [[1]] if outputs == 1 else [[1, 0]]
    return lambda: sf.Problem(
        network={"widths": [1, outputs], "activation": "linear"},
        loss={"kind": loss},
        data={"x": [[1]], "y": y},
        init={"theta": [0] * outputs},
    )


CASES: dict[str, tuple[Callable[[], sf.Problem], Callable[[Any], list[Any]]]] = {
    "depth one": (lambda: network_problem([1, 1], [["1/2"], [3], [0], [0]], [[6], [1], [0], [7]], [2], 1), depth_one),
    "depth two": (lambda: network_problem([1, 1, 1], [[1]], [[1]], [1, "1/3"], 1), depth_two),
    "logistic": (margin("logistic"), logistic),
    "exponential": (margin("exponential"), exponential),
    "cross-entropy": (margin("cross-entropy", 2), cross_entropy),
    "expression": (
        lambda: sf.Problem(
            network={"widths": [1, 1], "activation": "linear"},
            loss={"kind": "expression", "expression": "prediction^4/4"},
            data={"x": [[1]], "y": [[0]]},
            init={"theta": [1]},
        ),
        quartic,
    ),
}


def errors(trajectory: Trajectory, solution: Callable[[Any], list[Any]], dps: int) -> list[Any]:
    with mpmath.workdps(dps + 20):
        times = [Fraction(1, 1000), Fraction(1, 3), Fraction(1)]
        return [
            abs(a - b)
            for q in times
            for a, b in zip(trajectory(q), solution(mpf(q.numerator) / q.denominator), strict=True)
        ]


SLOW = {(name, 1000) for name in ("cross-entropy", "depth two", "expression", "logistic")}
MATRIX = [
    pytest.param(name, dps, marks=[pytest.mark.thorough] if (name, dps) in SLOW else [])
    for name in sorted(CASES)
    for dps in DIGITS
]


@pytest.mark.parametrize(("name", "dps"), MATRIX)
def test_every_digit_is_right(name: str, dps: int) -> None:
    problem, solution = CASES[name]
    trajectory = sf.solve_flow(problem(), dps=dps, horizon=1)
    found = errors(trajectory, solution, dps)
    assert max(found) <= mpf(10) ** -dps
    assert max(found) <= trajectory.error_estimate
    if name != "depth two":
        return
    wrong = errors(trajectory, lambda t: depth_two(t * (1 + mpf(10) ** (3 - dps))), dps)
    assert max(wrong) > mpf(10) ** -dps  # negative control: time off in the last digits is seen
