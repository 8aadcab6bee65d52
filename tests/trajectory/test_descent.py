"""Gradient descent in float64 and with digits, against exact rational iterations."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import mpmath
import numpy as np
import pytest

import symflow as sf

REFERENCE = Path(__file__).parent.parent / "problem" / "reference"


def exact_descent(problem: sf.Problem, eta: Fraction, steps: int) -> list[Fraction]:
    """Descent in rationals, through the exact interpreter of the sample-form gradient."""
    g = sf.gradient(problem.objective)
    theta = list(problem.theta0)
    for _ in range(steps):
        theta = [t - eta * d for t, d in zip(theta, sf.evaluate_exact(g, theta), strict=True)]
    return theta


@pytest.mark.parametrize("name", ["linear-2-2-2-1", "relu-2-3-1", "leaky-2-2-2-1", "linear-3-4-2"])
def test_against_exact_rationals(name: str) -> None:
    problem = sf.load_problem(REFERENCE / f"{name}.json")
    eta = Fraction(1, 7)
    exact = exact_descent(problem, eta, 4)
    run = sf.descend(problem, step_size=eta, steps=4, dps=60)
    with mpmath.workdps(80):
        error = max(
            abs(a - mpmath.mpf(b.numerator) / b.denominator) for a, b in zip(run.iterates[-1], exact, strict=True)
        )
        assert error < mpmath.mpf(10) ** -60
        assert error <= run.error_estimate
    single = sf.descend(problem, step_size=eta, steps=4)
    np.testing.assert_allclose(single.iterates[-1], [float(v) for v in exact], rtol=0, atol=1e-15)
    assert single.iterates.dtype == np.float64


def test_thinning_keeps_the_same_iterates() -> None:
    problem = sf.load_problem(REFERENCE / "linear-2-2-2-1.json")
    full = sf.descend(problem, step_size="1/10", steps=10)
    thin = sf.descend(problem, step_size="1/10", steps=10, every=4)
    assert thin.indices == (0, 4, 8, 10)
    np.testing.assert_array_equal(thin.iterates, full.iterates[[0, 4, 8, 10]])
    chosen = sf.descend(problem, step_size="1/10", steps=10, keep=[3], dps=30)
    assert chosen.indices == (0, 3, 10)


def test_interpolation_is_piecewise_linear() -> None:
    problem = sf.load_problem(REFERENCE / "scalar-depth2.json")
    run = sf.descend(problem, step_size="1/10", steps=3, dps=30)
    np.testing.assert_array_equal(run("1/5"), run.iterates[2])
    middle = run("3/20")
    with mpmath.workdps(40):
        assert abs(middle[0] - (run.iterates[1][0] + run.iterates[2][0]) / 2) < 1e-35
    with pytest.raises(ValueError, match="not kept"):
        sf.descend(problem, step_size="1/10", steps=10, every=5)("1/10")


@pytest.mark.parametrize("dps", [None, 30])
def test_divergence_is_an_error_and_not_a_nan(dps: int | None) -> None:
    problem = sf.load_problem(REFERENCE / "linear-3-4-2.json")
    with pytest.raises(sf.ComputationError, match="diverges") as caught:
        sf.descend(problem, step_size=1000, steps=300, dps=dps)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 0}, "steps must be a positive whole number, got 0"),
        ({"steps": 2.5}, "steps must be a positive whole number, got 2.5"),
        ({"steps": 3, "every": 0}, "every must be a positive whole number, got 0"),
        ({"steps": 3, "every": 1.5}, "every must be a positive whole number, got 1.5"),
        ({"steps": 3, "every": True}, "every must be a positive whole number, got true"),
        ({"steps": 3, "keep": ["a"]}, "keep must hold whole numbers from 0 to the number of steps, 3, got 'a'"),
        ({"steps": 3, "keep": [1.5]}, "keep must hold whole numbers from 0 to the number of steps, 3, got 1.5"),
        ({"steps": 3, "keep": [4]}, "keep must hold whole numbers from 0 to the number of steps, 3, got 4"),
        ({"steps": 3, "keep": [-1]}, "keep must hold whole numbers from 0 to the number of steps, 3, got -1"),
        ({"steps": 3, "keep": 7}, "keep must be a list of steps, got 7"),
        ({"steps": 3, "dps": -1}, "dps must be None"),
    ],
)
def test_wrong_arguments(arguments: dict[str, object], message: str) -> None:
    problem = sf.load_problem(REFERENCE / "scalar-depth2.json")
    with pytest.raises(sf.ProblemError, match=message):
        sf.descend(problem, step_size="1/10", **arguments)


def test_the_caller_s_precision_is_left_alone() -> None:
    problem = sf.load_problem(REFERENCE / "scalar-depth2.json")
    before = mpmath.mp.prec
    sf.descend(problem, step_size="1/10", steps=3, dps=30)
    sf.solve_flow(problem, horizon=1, dps=30)
    assert mpmath.mp.prec == before


def test_a_diverging_step_is_noticed_before_the_flow_is_solved(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = sf.load_problem(REFERENCE / "linear-2-2-2-1.json")

    def solved(*args: object, **settings: object) -> None:
        raise AssertionError("the flow was solved first")

    monkeypatch.setattr("symflow.analysis.deviation.solve_flow", solved)
    with pytest.raises(sf.DescentDiverged, match="step size 50 diverges"):
        sf.deviation(problem, step_size=50, horizon=50_000)
    with pytest.raises(sf.ProblemError, match="steps are too many for multiprecision descent"):
        sf.deviation(problem, step_size="1e-9", horizon=10)
