"""Float64 flows whose steps could jump over what they do not see, or lose tiny starts: against closed forms."""

from __future__ import annotations

from typing import Any

import jax
import mpmath
import numpy as np
import pytest
import sympy

import symflow as sf
from symflow.paths.float64.ranges import _arguments, first_cut

A = sympy.Symbol("a")


def network(widths: list[int], x: list[str], y: list[list[str]], theta: list[str], loss: str = "square") -> sf.Problem:
    """A linear network with samples of one number."""
    return sf.Problem(
        network={"widths": widths, "activation": "linear"},
        loss={"kind": loss},
        data={"x": [[v] for v in x], "y": y},
        init={"theta": theta},
    )


def own(expression: Any, start: str = "0") -> sf.Problem:
    return sf.Problem(objective=sf.expression_objective(expression, (A,)), theta0=[start])


def grown(start: str, growth: str) -> Any:
    """u with u + e^u = u_0 + e^u_0 + growth: how margins grow under the logistic loss."""
    with mpmath.workdps(40):
        total = mpmath.mpf(start) + mpmath.exp(mpmath.mpf(start)) + mpmath.mpf(growth)
        return mpmath.findroot(lambda u: mpmath.log(total - u) - u, mpmath.log(total))


def at_rest(velocity: Any, low: str, high: str) -> float:
    """Where a velocity changes its sign, by halving."""
    with mpmath.workdps(40):
        a, b = mpmath.mpf(low), mpmath.mpf(high)
        positive = velocity(a) > 0
        assert positive != (velocity(b) > 0)
        for _ in range(120):
            middle = (a + b) / 2
            a, b = (middle, b) if (velocity(middle) > 0) == positive else (a, middle)
        return float(a)


BARRIERS = {
    "exponential": (
        -A + 10 * sympy.exp(-1000 * (A - 100) ** 2),
        at_rest(lambda v: mpmath.log(20_000 * (100 - v)) - 1000 * (v - 100) ** 2, "99.5", "99.97"),
    ),
    "rational": (
        -A + 10 / (1 + 10**4 * (A - 100) ** 2),
        at_rest(lambda v: 2 * 10**5 * (100 - v) - (1 + 10**4 * (v - 100) ** 2) ** 2, "99.7", "99.97"),
    ),
}


@pytest.mark.parametrize("name", ["exponential", pytest.param("rational", marks=pytest.mark.thorough)])
def test_no_step_jumps_over_a_barrier(name: str) -> None:
    expression, rest = BARRIERS[name]
    problem = own(expression)
    flow = sf.solve_flow_float64(problem, horizon=102)
    assert flow.error_estimate is not None
    assert abs(flow.at_end()[0] - rest) <= flow.error_estimate < 1e-6


@pytest.mark.thorough
def test_no_row_of_a_sweep_jumps_over_a_barrier() -> None:
    expression, rest = BARRIERS["exponential"]
    rows = sf.sweep_flow_float64(own(expression), [[0], [50], [101]], [20, 102])[:, :, 0]
    np.testing.assert_allclose(rows, [[20, rest], [70, rest], [121, 203]], rtol=0, atol=1e-6)


@pytest.mark.thorough
def test_a_saturated_start_is_left_when_its_time_comes() -> None:
    """theta runs from -1500 at speed 1 and slows down within a few units of 0, then grows like log t."""
    problem = network([1, 1], ["1"], [["1"]], ["-1500"], "logistic")
    flow = sf.solve_flow_float64(problem, horizon=2000)
    assert flow.error_estimate is not None
    truth = float(grown("-1500", "2000"))
    assert abs(flow.at_end()[0] - truth) <= flow.error_estimate < 1e-8


@pytest.mark.thorough
def test_sweeps_and_conditions_see_when_a_saturated_start_is_left() -> None:
    problem = network([1, 1], ["1"], [["1"]], ["-1500"], "logistic")
    truth = float(grown("-1500", "2000"))
    rows = sf.sweep_flow_float64(problem, [[-1500], [-1]], [2000])[:, 0, 0]
    np.testing.assert_allclose(rows, [truth, float(grown("-1", "2000"))], rtol=0, atol=1e-8)
    stopped = sf.solve_flow_float64(problem, horizon=1e9, stop=sf.stop_when(lambda w: w[0][0, 0], 20)).stopped
    assert stopped is not None
    assert float(stopped.time) == pytest.approx(1520 + float(mpmath.exp(20)), rel=1e-9)


SATURATED = {
    "samples of very different size": (
        network([1, 1], ["1/1000", "-20000"], [["1"], ["1"]], ["-1"], "logistic"),
        "4100",
        [
            at_rest(
                lambda v: mpmath.mpf("1e-3") / (1 + mpmath.exp(v / 1000)) - 2e4 / (1 + mpmath.exp(-2e4 * v)),
                "-2e-3",
                "-1e-5",
            )
        ],
    ),
    "cross-entropy": (
        network([1, 2], ["1"], [["1", "0"]], ["-1000", "1000"], "cross-entropy"),
        "4000",
        [float(grown("-2000", "8000")) / 2, -float(grown("-2000", "8000")) / 2],
    ),
    "exponential": (network([1, 1], ["1"], [["1"]], ["-300"], "exponential"), "1", [0.0]),
    "data of 1e-40": (network([1, 1], ["1e-40"], [["1"]], ["0"], "logistic"), "1e42", [50.0]),
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", SATURATED)
def test_saturated_and_exploding_losses(name: str) -> None:
    problem, horizon, truth = SATURATED[name]
    flow = sf.solve_flow_float64(problem, horizon=horizon)
    assert flow.error_estimate is not None
    assert np.abs(flow.at_end() - truth).max() <= flow.error_estimate < 1e-6


@pytest.mark.parametrize("sweep", [False, pytest.param(True, marks=pytest.mark.thorough)])
def test_a_start_of_1e_40_grows(sweep: bool) -> None:
    """w_1 = w_2 = w: w' = w (1 - w^2), so w^2 is logistic."""
    problem = network([1, 1, 1], ["1"], [["1"]], ["1e-40", "1e-40"])
    with mpmath.workdps(60):
        grow = mpmath.mpf(10) ** -80 * mpmath.exp(186)
        truth = float(mpmath.sqrt(grow / (1 + grow)))
    if sweep:
        rows = sf.sweep_flow_float64(problem, [[1e-40, 1e-40], [0.1, 0.1]], [93])[:, 0]
        np.testing.assert_allclose(rows[0], truth, rtol=0, atol=1e-8)
        return
    flow = sf.solve_flow_float64(problem, horizon=93)
    assert flow.error_estimate is not None
    assert np.abs(flow.at_end() - truth).max() <= flow.error_estimate < 1e-8


def test_what_underflows_is_refused() -> None:
    problem = network([1, 1, 1, 1], ["1"], [["1"]], ["1e-200"] * 3)
    with pytest.raises(sf.ComputationError, match=r"the gradient must not underflow .* got -?0 for"):
        sf.solve_flow_float64(problem, horizon="1e200")
    with pytest.raises(sf.ComputationError, match="the gradient must not underflow in float64"):
        sf.sweep_flow_float64(problem, [[1, 1, 1], [1e-200, 1e-200, 1e-200]], ["1e200"])
    with pytest.raises(sf.ComputationError, match=r"at least 2.23e-308 in float64"):
        sf.solve_flow_float64(network([1, 1], ["1e-200"], [["1"]], ["1"]), horizon=1)


def objectives() -> dict[str, sf.Problem]:
    """One of each function, and a network of each loss that has one."""
    b = sympy.Symbol("b")
    mixed = sympy.exp(A * b) + sympy.log(2 + A) * sympy.sin(b) + sympy.cos(A - b) / (3 + b) + sympy.sqrt(4 + A * b)
    found = {"mixed": sf.Problem(objective=sf.expression_objective(mixed, (A, b)), theta0=[0, 0])}
    for loss, y in (("logistic", [["1"], ["-1"]]), ("cross-entropy", [["1", "0"], ["0", "1"]])):
        widths = [2, 3, len(y[0])]
        found[loss] = sf.Problem(
            network={"widths": widths, "activation": "leaky-relu", "slope": "1/5"},
            loss={"kind": loss},
            data={"x": [["1", "-2"], ["1/3", "3"]], "y": y},
            init={"theta": [0] * (widths[0] * 3 + 3 * widths[2])},
        )
    return found


@pytest.mark.parametrize("name", ["mixed", "logistic", "cross-entropy"])
def test_ranges_hold_every_argument(name: str) -> None:
    """The arguments at 200 random points of 20 random boxes lie within those of the box."""
    objective, rng = objectives()[name].objective, np.random.default_rng(1)
    middle, radius = rng.uniform(-1, 1, (20, objective.parameter_count)), rng.uniform(0, 0.5, (20, 1))
    for theta, size in zip(middle, radius, strict=True):
        box = _arguments(objective, (theta - size)[None], (theta + size)[None])
        points = theta + size * rng.uniform(-1, 1, (200, len(theta)))
        there = _arguments(objective, points, points)
        assert len(box) == len(there) > 0
        for (_, low, high), (_, value, same) in zip(box, there, strict=True):
            np.testing.assert_array_equal(value, same)
            assert (value >= low - 1e-12).all()
            assert (value <= high + 1e-12).all()


def test_only_steps_past_something_unseen_are_cut() -> None:
    """A step from 90 to 150 past the barrier at 100, which is seen from 99.14 on, is cut before; others are not."""
    objective = own(BARRIERS["exponential"][0]).objective

    def cut(*states: float) -> Any:
        path = np.array(states, dtype=np.float64)
        with jax.enable_x64(True):
            return first_cut(objective, path - path[0], path[:, None])

    assert cut(0, 90) is None
    assert cut(110, 1000) is None
    found = cut(0, 90, 150)
    assert found.step == 1
    assert 8 <= found.size <= 10 - np.sqrt(0.74)
    assert 0 < found.next < 1
