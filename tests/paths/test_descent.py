"""Gradient descent in float64 and with digits, against exact rational iterations."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy
from cases import reference

import symflow as sf


def exact_descent(problem: sf.Problem, eta: Fraction, steps: int) -> list[Fraction]:
    """Descent in rationals, through the exact interpreter of the sample-form gradient."""
    g = sf.gradient(problem.objective)
    theta = list(problem.theta0)
    for _ in range(steps):
        theta = [t - eta * d for t, d in zip(theta, sf.evaluate_exact(g, theta), strict=True)]
    return theta


@pytest.mark.parametrize("name", ["linear-2-2-2-1", "relu-2-3-1", "leaky-2-2-2-1", "linear-3-4-2"])
def test_against_exact_rationals(name: str) -> None:
    problem = reference(name)
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
    problem = reference("linear-2-2-2-1")
    full = sf.descend(problem, step_size="1/10", steps=10)
    thin = sf.descend(problem, step_size="1/10", steps=10, every=4)
    assert thin.indices == (0, 4, 8, 10)
    np.testing.assert_array_equal(thin.iterates, full.iterates[[0, 4, 8, 10]])
    chosen = sf.descend(problem, step_size="1/10", steps=10, keep=[3], dps=30)
    assert chosen.indices == (0, 3, 10)


def test_interpolation_is_piecewise_linear() -> None:
    problem = reference("scalar-depth2")
    run = sf.descend(problem, step_size="1/10", steps=3, dps=30)
    np.testing.assert_array_equal(run("1/5"), run.iterates[2])
    middle = run("3/20")
    with mpmath.workdps(40):
        assert abs(middle[0] - (run.iterates[1][0] + run.iterates[2][0]) / 2) < 1e-35
    with pytest.raises(ValueError, match="not kept"):
        sf.descend(problem, step_size="1/10", steps=10, every=5)("1/10")


def network(widths: list[int], x: str, theta: list[str], loss: str = "square") -> sf.Problem:
    """A linear network with one sample x and target 1."""
    return sf.Problem(
        network={"widths": widths, "activation": "linear"},
        loss={"kind": loss},
        data={"x": [[x]], "y": [["1"]]},
        init={"theta": theta},
    )


def plain_descent(slopes: Callable[[list], list], start: list[str], eta: str, steps: int) -> list:
    """Descent written out in mpmath, at the caller's precision."""
    theta, step = [mpmath.mpf(v) for v in start], mpmath.mpf(eta)
    for _ in range(steps):
        theta = [v - step * g for v, g in zip(theta, slopes(theta), strict=True)]
    return theta


SCALES = {
    # widths, x, theta0, loss, eta, steps, the gradient
    "weights of 1e-40": (
        [1, 1, 1],
        "1",
        ["1e-40", "1e-40"],
        "square",
        "0.1",
        1200,
        lambda v: [v[1] * (v[0] * v[1] - 1), v[0] * (v[0] * v[1] - 1)],
    ),
    "weights of 1e-200, depth 3": (
        [1, 1, 1, 1],
        "1",
        ["1e-200"] * 3,
        "square",
        "1e199",
        12,
        lambda v: [(v[0] ** 3 - 1) * v[0] ** 2] * 3,
    ),
    "data of 1e-40": (
        [1, 1],
        "1e-40",
        ["0"],
        "logistic",
        "1e40",
        120,
        lambda v: [-mpmath.mpf("1e-40") / (1 + mpmath.exp(mpmath.mpf("1e-40") * v[0]))],
    ),
    "data of 1e-200": (
        [1, 1],
        "1e-200",
        ["0"],
        "square",
        "1e400",
        1,
        lambda v: [mpmath.mpf("1e-200") * (mpmath.mpf("1e-200") * v[0] - 1)],
    ),
    "saturated, wrong side": (
        [1, 1],
        "1",
        ["-1500"],
        "logistic",
        "2",
        1000,
        lambda v: [-1 / (1 + mpmath.exp(v[0]))],
    ),
    "saturated, right side": (
        [1, 1],
        "1",
        ["1500"],
        "logistic",
        "1e645",
        200,
        lambda v: [-1 / (1 + mpmath.exp(v[0]))],
    ),
    "exploding": (
        [1, 1],
        "1",
        ["-1500"],
        "exponential",
        "1e-645",
        100,
        lambda v: [-mpmath.exp(-v[0])],
    ),
}


@pytest.mark.parametrize("name", SCALES)
@pytest.mark.parametrize("dps", [15, 50])
def test_precision_follows_the_smallest_scale(name: str, dps: int) -> None:
    widths, x, theta, loss, eta, steps, slopes = SCALES[name]
    run = sf.descend(network(widths, x, theta, loss), step_size=eta, steps=steps, dps=dps)
    with mpmath.workdps(150):
        truth = plain_descent(
            slopes, theta, str(Fraction(eta).numerator / mpmath.mpf(Fraction(eta).denominator)), steps
        )
        errors = [abs(a - b) / max(1, abs(b)) for a, b in zip(run.iterates[-1], truth, strict=True)]
        assert max(errors) <= mpmath.mpf(10) ** -dps
        assert all(abs(a / b - 1) < 1e-10 for a, b in zip(run.iterates[-1], truth, strict=True))


def test_descent_that_amplifies_rounding_takes_more_digits() -> None:
    """theta <- theta^3 - 3 theta = 2 cos(3 phi) for theta = 2 cos(phi): errors grow threefold a step, 300 steps."""
    (a,) = sympy.symbols("a,")
    problem = sf.Problem(objective=sf.expression_objective(2 * a**2 - a**4 / 4, (a,)), theta0=["1/3"])
    run = sf.descend(problem, step_size=1, steps=300, dps=20)
    with mpmath.workdps(400):
        truth = 2 * mpmath.cos(mpmath.mpf(3) ** 300 * mpmath.acos(mpmath.mpf(1) / 6))
        assert abs(run.iterates[-1][0] - truth) <= run.error_estimate <= mpmath.mpf("2e-20")
    with pytest.raises(sf.ComputationError, match="20 digits of 3000 steps of descent could not be reached"):
        sf.descend(problem, step_size=1, steps=3_000, dps=20)


@pytest.mark.parametrize(
    ("problem", "step_size", "message"),
    [
        (network([1, 1, 1, 1], "1", ["1e-200"] * 3), "1e199", "the gradient must not underflow in float64, got -?0 "),
        (network([1, 1], "1e-200", ["0"]), "1", "numbers other than 0 must be at least 2.23e-308 in float64"),
        (network([1, 1], "1", ["1e-400"]), "1", "numbers other than 0 must be at least 2.23e-308 in float64"),
        (network([1, 1], "1e400", ["1"]), "1", "constants must be within float64"),
        (network([1, 1], "1", ["1"]), "1e400", "step_size must be within float64, got 1e308 or beyond"),
        (network([1, 1], "1", ["1"]), "1e-400", "step_size must be within float64, got 0 to within 1e-323"),
        (network([1, 1], "1", ["-800"], "exponential"), "1e-10", "diverges"),
    ],
)
def test_what_float64_cannot_hold_is_refused(problem: sf.Problem, step_size: str, message: str) -> None:
    with pytest.raises(sf.ComputationError, match=message):
        sf.descend(problem, step_size=step_size, steps=10)


@pytest.mark.parametrize(
    ("expression", "start", "message"),
    [
        ("sqrt(a)", "1/2", "the power -1/2 of .* is not a real number"),
        ("1/a", "0", "the power -2 of 0.0 is not a real number"),
        ("exp(-a)", "-1e9", "every value must be finite and have at most 16777216 bits"),
    ],
)
def test_leaving_the_domain_or_all_bounds_is_typed(expression: str, start: str, message: str) -> None:
    (a,) = sympy.symbols("a,")
    objective = sf.expression_objective(sympy.sympify(expression, {"a": a}), (a,))
    with pytest.raises(sf.ComputationError, match=message):
        sf.descend(sf.Problem(objective=objective, theta0=[start]), step_size=1, steps=3, dps=15)


@pytest.mark.parametrize("dps", [None, 30])
def test_divergence_is_an_error_and_not_a_nan(dps: int | None) -> None:
    problem = reference("linear-3-4-2")
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
    problem = reference("scalar-depth2")
    with pytest.raises(sf.ProblemError, match=message):
        sf.descend(problem, step_size="1/10", **arguments)


def test_the_caller_s_precision_is_left_alone() -> None:
    problem = reference("scalar-depth2")
    before = mpmath.mp.prec
    sf.descend(problem, step_size="1/10", steps=3, dps=30)
    sf.solve_flow(problem, horizon=1, dps=30)
    assert mpmath.mp.prec == before


def test_a_diverging_step_is_noticed_before_the_flow_is_solved(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = reference("linear-2-2-2-1")

    def solved(*args: object, **settings: object) -> None:
        raise AssertionError("the flow was solved first")

    monkeypatch.setattr("symflow.analysis.compared_flow.solve_flow", solved)
    with pytest.raises(sf.DescentDiverged, match="step size 50 diverges"):
        sf.deviation(problem, step_size=50, horizon=50_000)
    with pytest.raises(sf.ProblemError, match="steps are too many for multiprecision descent"):
        sf.deviation(problem, step_size="1e-9", horizon=10)
