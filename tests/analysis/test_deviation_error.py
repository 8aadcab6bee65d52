"""What is known of the deviation: radii that contain the truth, certified where flow and descent are."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy

import symflow as sf
from symflow.analysis.distances import distances
from symflow.paths.path_error import PathError
from symflow.report.report import deviation_report

ETA, STEPS = Fraction(1, 20), 60


def quadratic() -> sf.Problem:
    """f = (a^2 + 3 b^2) / 2: flow and descent are known."""
    a, b = sympy.symbols("a b")
    return sf.Problem(objective=sf.expression_objective((a**2 + 3 * b**2) / 2, (a, b)), theta0=["1/3", "-2/7"], dps=25)


def truth(k: int) -> object:
    """The distance after k steps, to 60 digits."""
    with mpmath.workdps(60):
        eta, third, start = mpmath.mpf(1) / 20, mpmath.mpf(1) / 3, mpmath.mpf(-2) / 7
        a = third * ((1 - eta) ** k - mpmath.exp(-eta * k))
        b = start * ((1 - 3 * eta) ** k - mpmath.exp(-3 * eta * k))
        return mpmath.sqrt(a * a + b * b)


def compared(error: PathError | None) -> sf.Deviation:
    """With a flow of which that much is known."""
    problem = quadratic()
    flow = sf.solve_flow(problem, horizon=ETA * STEPS, dps=25)
    return sf.deviation(
        problem, step_size=ETA, horizon=ETA * STEPS, dps=25, flow=replace(flow, error=error or flow.error)
    )


def outside(dev: sf.Deviation) -> int:
    """How often the truth is not within the radius."""
    with mpmath.workdps(60):
        return sum(abs(v - truth(k)) > r for k, v, r in zip(dev.indices, dev.values, dev.radii, strict=True))


def test_the_truth_lies_within_the_radii() -> None:
    dev = compared(PathError(mpmath.mpf(10) ** -26, "certified"))
    assert outside(dev) == 0
    assert dev.error.how == "certified"
    assert dev.error.reason == ""
    assert max(dev.radii) < mpmath.mpf(10) ** -25
    assert max(r / v for v, r in zip(dev.values[1:], dev.radii[1:], strict=True)) < mpmath.mpf(10) ** -20
    assert outside(replace(dev, radii=tuple(0 * r for r in dev.radii))) > len(dev.radii) / 2  # the check can fail


def test_it_is_certified_only_where_both_paths_are() -> None:
    dev = compared(PathError(mpmath.mpf(10) ** -26, "estimated", "the rate is not known"))
    assert (dev.error.how, dev.error.reason) == ("estimated", "flow: the rate is not known")
    assert deviation_report(dev)["error"] == {
        "value": deviation_report(dev)["error"]["value"], "how": "estimated", "reason": "flow: the rate is not known",
    }  # fmt: skip
    assert dev.run.error.how == "certified"
    assert dev.error_estimate == dev.error.value


def test_a_given_run_is_what_it_is() -> None:
    problem = quadratic()
    flow = sf.solve_flow(problem, horizon=ETA * STEPS, dps=25)
    flow = replace(flow, error=PathError(mpmath.mpf(10) ** -26, "certified"))
    run = sf.descend(problem, step_size=ETA, steps=STEPS).iterates
    dev = sf.deviation(problem, step_size=ETA, horizon=ETA * STEPS, dps=25, run=run, flow=flow)
    assert dev.error.how == "certified"
    with mpmath.workdps(60):
        for k, value, radius in zip(dev.indices, dev.values, dev.radii, strict=True):
            t = k * mpmath.mpf(1) / 20
            a, b = mpmath.exp(-t) / 3, -2 * mpmath.exp(-3 * t) / 7
            exact = mpmath.sqrt((mpmath.mpf(run[k][0]) - a) ** 2 + (mpmath.mpf(run[k][1]) - b) ** 2)
            assert abs(value - exact) <= radius


def test_what_cannot_be_told_from_zero_is_zero() -> None:
    rows = np.array([[mpmath.mpf(1), mpmath.mpf(2)]], dtype=object)
    near = rows + mpmath.mpf(10) ** -12
    ((value, radius),) = distances(rows, near, 15, mpmath.mpf(10) ** -10)
    assert value == 0
    assert radius >= mpmath.mpf(10) ** -10 + mpmath.sqrt(2) * mpmath.mpf(10) ** -12


@pytest.mark.parametrize("key", ["radii", "error", "deviation", "error_estimate"])
def test_reports_have_the_keys(key: str) -> None:
    report = deviation_report(compared(None))
    assert key in report
    assert len(report["radii"]) == len(report["deviation"]) == len(report["times"])
