"""Float64 flow through diffrax, against the flow at 30 digits, closed forms and itself at other tolerances."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import jax
import numpy as np
import pytest
import sympy
from cases import reference
from plain_flow import network_problem

import symflow as sf
from symflow.paths.float64 import Float64Stats, RungeKuttaSteps
from symflow.paths.float64.kinks import CHATTER
from symflow.paths.float64.methods import SOLVERS
from symflow.paths.trajectory import Trajectory


@cache
def exact(name: str) -> Trajectory:
    return sf.solve_flow(reference(name), dps=30)


def dense(flow: Trajectory) -> RungeKuttaSteps:
    assert isinstance(flow.dense, RungeKuttaSteps)
    return flow.dense


def stats(flow: Trajectory) -> Float64Stats:
    assert isinstance(flow.stats, Float64Stats)
    return flow.stats


def true_error(name: str, flow: Trajectory, count: int = 300) -> float:
    """The largest error at evenly spaced times and at step ends (thinned)."""
    knots = dense(flow).knots
    times = [*np.linspace(0, float(flow.horizon), count), *knots[:: 1 + len(knots) // count]]
    return float(np.abs(flow.numpy(times) - exact(name).numpy(times)).max())


@pytest.mark.parametrize(
    ("name", "solver"),
    [
        ("linear-2-2-2-1", "dopri8"),
        ("scalar-depth2", "dopri5"),
        *(pytest.param(name, "dopri8", marks=pytest.mark.thorough) for name in ("scalar-depth2", "linear-3-4-2")),
        pytest.param("linear-3-4-2", "tsit5", marks=pytest.mark.thorough),
    ],
)
def test_error_follows_the_tolerance_and_the_estimate_bounds_it(name: str, solver: str) -> None:
    errors, ratios = [], []
    for rtol in (1e-4, 1e-6, 1e-8, 1e-10, 1e-12, 1e-13):
        flow = sf.solve_flow_float64(reference(name), rtol=rtol, atol=rtol / 100, solver=solver)
        assert flow.error_estimate is not None
        errors.append(true_error(name, flow))
        ratios.append(float(flow.error_estimate) / errors[-1])
        assert errors[-1] < 10 * rtol
        found = stats(flow)
        assert found.check_rtol is not None
        assert found.check_rtol <= 0.011 * rtol
        assert (found.gate_changes, found.kink_steps, found.note, flow.events) == (0, 0, "", ())
    assert all(a > 10 * b for a, b in pairwise(errors[:5]))
    assert min(ratios) >= 1
    assert np.median(ratios) <= 4


def test_linear_regression_follows_the_matrix_exponential() -> None:
    x = [["1", "1/2"], ["-1/3", "2"], ["3/2", "1/5"]]
    y = [["1"], ["-1/2"], ["2"]]
    problem = network_problem([2, 1], x, y, ["1/2", "-3/4"], horizon=20)
    a, b = (np.array([[float(sympy.Rational(v)) for v in row] for row in rows]) for rows in (x, y))
    values, vectors = np.linalg.eigh(a.T @ a / 3)
    limit = np.linalg.solve(a.T @ a, a.T @ b)[:, 0]
    times = np.linspace(0, 20, 41)
    decay = np.exp(-np.outer(times, values)) * (vectors.T @ (np.array([0.5, -0.75]) - limit))
    flow = sf.solve_flow_float64(problem, times=times)
    values = flow.numpy(times)
    error = np.abs(values - (limit + decay @ vectors.T)).max()
    assert values.shape == (41, 2)
    assert flow.error_estimate is not None
    assert error < 1e-11
    assert error <= flow.error_estimate


def test_it_is_a_trajectory() -> None:
    problem, truth = reference("linear-2-2-2-1"), exact("linear-2-2-2-1")
    flow = sf.solve_flow_float64(problem)
    assert isinstance(flow, sf.Trajectory)
    assert flow.horizon == flow.end == problem.horizon
    assert flow.grid(5) == truth.grid(5)
    assert flow.grid(3, "log", "1/100") == truth.grid(3, "log", "1/100")
    np.testing.assert_allclose(flow.at_end(), truth.numpy([truth.horizon])[0], rtol=0, atol=1e-11)
    assert [w.shape for w in flow.weights_of(flow.at_end())] == [w.shape for w in truth.weights(0)]
    assert (flow.dps, flow.events, flow.stopped, flow.conditions, flow.incomplete) == (None, (), None, (), "")
    assert flow("5/2").dtype == np.float64
    for time in ("0", "5/2", flow.horizon):
        np.testing.assert_allclose(flow(time), truth.numpy([time])[0], rtol=0, atol=1e-11)
        for ours, theirs in zip(flow.weights(time), truth.weights(time), strict=True):
            np.testing.assert_allclose(ours, theirs.astype(float), rtol=0, atol=1e-11)
        np.testing.assert_allclose(flow.end_to_end(time), truth.end_to_end(time).astype(float), rtol=0, atol=1e-11)
    np.testing.assert_array_equal(flow.numpy(dense(flow).knots), dense(flow).states)
    for wrong in (flow.horizon * 1.001, "1e400", "-1e-3"):
        with pytest.raises(ValueError, match="later horizon"):
            flow(wrong)
        with pytest.raises(ValueError, match="later horizon"):
            truth(wrong)
    with pytest.raises(ValueError, match="read-only"):
        dense(flow).states[0] = 0
    flow.at_end()[0] = 0  # a copy
    assert repr(flow).startswith(f"<Trajectory to t={float(problem.horizon):g}, float64, estimated error ")
    assert f"0 events, {stats(flow).accepted} steps" in repr(flow)


def test_times_set_the_horizon_and_another_start_may_be_given() -> None:
    problem = reference("linear-2-2-2-1")
    whole = sf.solve_flow_float64(problem, estimate_error=False)
    later = sf.solve_flow_float64(problem, theta0=whole(1), times=["3/2", 1], estimate_error=False)
    assert later.horizon == 1.5
    assert later.error_estimate is None
    np.testing.assert_allclose(later.numpy(["3/2", 1]), whole.numpy([2.5, 2]), rtol=0, atol=1e-11)


@pytest.mark.thorough
@pytest.mark.parametrize("solver", ["dopri8", "tsit5"])
def test_crossings_cost_accuracy_and_are_reported(solver: str) -> None:
    name = "relu-2-3-1"
    crossings = len(exact(name).events)
    errors = []
    for rtol in (1e-6, 1e-8, 1e-10, 1e-12):
        flow = sf.solve_flow_float64(reference(name), rtol=rtol, atol=rtol / 100, solver=solver)
        assert flow.error_estimate is not None
        errors.append(true_error(name, flow))
        assert errors[-1] <= flow.error_estimate
        assert stats(flow).gate_changes == crossings
        assert stats(flow).kink_steps < CHATTER
        assert f"{crossings} gate changes were stepped over and not located" in stats(flow).note
        assert f"{crossings} gate changes not located" in repr(flow)
        assert flow.events == ()
        # Measured: 2 to 110 times rtol; the smooth linear flows leave a hundredth of it.
        assert errors[-1] < 500 * rtol
    assert errors[-1] < 1e-4 * errors[0]


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["slide-relu-3-3-1", "slide-leaky-2-2-2-1"])
def test_sliding_is_chattered_through_in_steps_as_small_as_the_tolerance(name: str) -> None:
    steps, errors = [], []
    for rtol in (1e-4, 1e-5):
        flow = sf.solve_flow_float64(reference(name), rtol=rtol, atol=rtol / 100)
        assert flow.error_estimate is not None
        found = stats(flow)
        assert found.check_rtol is not None
        assert found.check_rtol > rtol
        errors.append(true_error(name, flow))
        steps.append(found.accepted)
        assert errors[-1] <= flow.error_estimate
        assert found.kink_steps > found.accepted / 3
        assert "slides" in found.note
    assert 5 < steps[1] / steps[0] < 20
    assert errors[1] < 2e-4


def test_sliding_at_tight_tolerances_stops_and_says_what_to_take() -> None:
    name = "slide-leaky-2-2-2-1"
    with pytest.raises(sf.FlowStopped, match=r"slides along it: take .* or solve_flow, which hold it there") as caught:
        sf.solve_flow_float64(reference(name), max_steps=5000)
    (event,) = exact(name).events
    partial = caught.value.trajectory
    assert event.kind == "sliding"
    assert partial.horizon == caught.value.time
    assert float(partial.horizon) == pytest.approx(float(event.time), abs=1e-3)
    assert true_error(name, partial) < 1e-8


def test_too_many_steps_leave_a_usable_part() -> None:
    problem = reference("linear-2-2-2-1")
    with pytest.raises(sf.FlowStopped, match="7 steps led only to") as caught:
        sf.solve_flow_float64(problem, max_steps=7, times=[0, 1, problem.horizon])
    partial = caught.value.trajectory
    assert 0 < partial.horizon == caught.value.time < float(problem.horizon)
    assert partial.stats.accepted + partial.stats.rejected == 7
    assert partial.error_estimate is None
    assert partial.incomplete.startswith("7 steps led only to")
    assert true_error("linear-2-2-2-1", partial) < 1e-9
    assert "\n" not in str(caught.value)


def test_several_chunks_continue_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symflow.paths.float64.steps.CHUNK", 16)
    flow = sf.solve_flow_float64(reference("scalar-depth2"), rtol=1e-12, atol=1e-14, solver="dopri5")
    assert stats(flow).accepted > 50
    assert len(dense(flow).knots) == stats(flow).accepted + 1
    assert np.all(np.diff(dense(flow).knots) > 0)
    assert true_error("scalar-depth2", flow) < 1e-12


@cache
def explosive() -> sf.Problem:
    w, v = sympy.symbols("w v")
    return sf.Problem(objective=sf.expression_objective(-(w**4) / 4 + v**2 / 2, [w, v]), theta0=["1", "1"], horizon=2)


def test_a_flow_that_blows_up_stops_where_it_does() -> None:
    with pytest.raises(sf.FlowStopped, match=r"collapsed at t = 0\.5") as caught:
        sf.solve_flow_float64(explosive())
    partial = caught.value.trajectory
    assert float(partial.horizon) == pytest.approx(0.5, abs=1e-8)
    assert np.isfinite(dense(partial).states).all()
    assert np.all(np.diff(dense(partial).knots) > 0)
    np.testing.assert_allclose(partial("3/8"), [2, np.exp(-3 / 8)], rtol=1e-9)
    with pytest.raises(sf.FlowStopped, match="gradient at theta0 is not finite") as caught:
        sf.solve_flow_float64(explosive(), theta0=["1e200", 0])
    assert caught.value.trajectory.horizon == 0
    assert caught.value.trajectory(0)[0] == 1e200


@pytest.mark.thorough
def test_a_sweep_keeps_the_starts_that_arrive() -> None:
    starts = [[0.1, 1.0], [1.0, 1.0], [1e200, 1.0], [0.2, 0.5]]
    with pytest.raises(
        sf.FlowStopped, match="2 of 4 starts did not get to the last time; the first is row 1"
    ) as caught:
        sf.sweep_flow_float64(explosive(), starts, [0, "3/8", 1])
    found = caught.value.trajectory
    arrived = np.isfinite(found).all(axis=2)
    assert arrived.tolist() == [[True] * 3, [True, True, False], [True, False, False], [True] * 3]
    assert caught.value.time == 0.375
    time, start = np.array([0.0, 0.375, 1.0]), np.array(starts)
    first = start[:, :1] / np.sqrt(np.maximum(1 - 2 * time * np.minimum(start[:, :1], 2) ** 2, 1e-9))
    np.testing.assert_allclose(found[..., 0][arrived], first[arrived], rtol=1e-9)
    np.testing.assert_allclose(found[..., 1][arrived], (start[:, 1:] * np.exp(-time))[arrived], rtol=1e-9)


@pytest.mark.parametrize("name", ["linear-2-2-2-1", pytest.param("relu-2-3-1", marks=pytest.mark.thorough)])
def test_a_batch_equals_single_runs(name: str) -> None:
    problem, rng = reference(name), np.random.default_rng(5)
    centre = np.array([float(v) for v in problem.theta0])
    starts = centre + 0.1 * rng.standard_normal((5, len(centre)))
    times = [2, 0, "1/2", 1, 1]
    batch = sf.sweep_flow_float64(problem, starts, times)
    assert batch.shape == (5, 5, len(centre))
    assert batch.dtype == np.float64
    np.testing.assert_array_equal(batch[:, 1], starts)
    for start, row in zip(starts, batch, strict=True):
        single = sf.solve_flow_float64(problem, theta0=start, times=times)
        assert single.error_estimate is not None
        # At crossings (measured: up to 50 rtol) either run may be the lucky one.
        limit = 10 * single.error_estimate if name == "linear-2-2-2-1" else 1e-8
        assert np.abs(row - single.numpy(times)).max() <= limit
        assert single.error_estimate < 1e-7


@pytest.mark.thorough
def test_gradient_evaluations_are_those_that_happen() -> None:
    import diffrax

    for solver in SOLVERS:
        calls = []

        def velocity(_: Any, theta: Any, __: Any, calls: list[int] = calls) -> Any:
            jax.debug.callback(lambda: calls.append(1))
            return -(theta**3)

        with jax.enable_x64(True):
            solution = diffrax.diffeqsolve(
                diffrax.ODETerm(velocity),
                getattr(diffrax, SOLVERS[solver][0])(),
                t0=0.0,
                t1=3.0,
                dt0=0.01,  # ours, as 0.01 ||theta|| / ||g||
                y0=np.ones(1),
                stepsize_controller=diffrax.PIDController(rtol=1e-8, atol=1e-10),
                adjoint=diffrax.ForwardMode(),
            )
            jax.effects_barrier()
        theta = sympy.Symbol("theta")
        problem = sf.Problem(objective=sf.expression_objective(theta**4 / 4, [theta]), theta0=[1], horizon=3)
        found = stats(sf.solve_flow_float64(problem, rtol=1e-8, atol=1e-10, solver=solver, estimate_error=False))
        assert (found.accepted, found.rejected) == (
            int(solution.stats["num_accepted_steps"]),
            int(solution.stats["num_rejected_steps"]),
        )
        assert found.evaluations == len(calls) + 1  # one at theta0, which chooses the first step


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"horizon": 0}, "positive"),
        ({"horizon": "1e400"}, "within float64"),
        ({"horizon": 1, "times": [2]}, "lie in"),
        ({"times": [-1]}, "negative"),
        ({"times": [0]}, "positive"),
        ({"times": []}, "not be empty"),
        ({"times": ["soon"]}, "times"),
        ({"rtol": 1e-15}, "rtol"),
        ({"rtol": 0.5}, "rtol"),
        ({"rtol": "1e-8"}, "rtol"),
        ({"atol": 0.0}, "atol"),
        ({"solver": "euler"}, "dopri8, tsit5, dopri5"),
        ({"solver": ["tsit5"]}, "solver"),
        ({"max_steps": 0}, "max_steps"),
        ({"max_steps": 2.5}, "max_steps"),
        ({"theta0": [1]}, "must have 2 numbers"),
        ({"theta0": [1, float("nan")]}, "finite"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(sf.ProblemError, match=match) as caught:
        sf.solve_flow_float64(reference("scalar-depth2"), **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("theta0s", "times"),
    [
        ([1.0, 2.0], [1]),
        (np.ones((2, 3)), [1]),
        (np.zeros((0, 2)), [1]),
        ([[1, np.nan]], [1]),
        ([["a", 1]], [1]),
        ([[1j, 1]], [1]),
        ([[1.0, 2.0]], [0]),
        ([[1.0, 2.0]], []),
        ([[1.0, 2.0]], [-1]),
    ],
)
def test_wrong_sweeps(theta0s: Any, times: Any) -> None:
    with pytest.raises(sf.ProblemError):
        sf.sweep_flow_float64(reference("scalar-depth2"), theta0s, times)


def test_a_flow_needs_a_horizon_and_numbers_within_float64() -> None:
    w = sympy.Symbol("w")
    problem = sf.Problem(objective=sf.expression_objective(w**2, [w]), theta0=["1e400"])
    with pytest.raises(sf.ProblemError, match="final time"):
        sf.solve_flow_float64(problem)
    with pytest.raises(sf.ComputationError, match="beyond float64"):
        sf.solve_flow_float64(problem, horizon=1)
    huge = network_problem([1, 1], [["1e400"]], [["1"]], ["1"])
    with pytest.raises(sf.ComputationError, match="data are beyond float64"):
        sf.solve_flow_float64(huge)


def test_the_global_setting_is_left_alone_and_the_import_is_light() -> None:
    before = jax.config.jax_enable_x64
    assert sf.solve_flow_float64(reference("scalar-depth2"), horizon="1/3")("1/4").dtype == np.float64
    assert jax.config.jax_enable_x64 == before
    program = "import sys, symflow.paths.float64 as f; print({'jax', 'diffrax'} & set(sys.modules))"
    completed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert completed.stdout.strip() == "set()"


NEXT = np.nextafter(1.0, 2.0) - 1


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    "times", [1 + NEXT * np.arange(40), 1 + 30 * NEXT * np.arange(4), [0.5, 1, 1 + 90 * NEXT], [5e-324, 1e-310, 1.0]]
)
def test_a_batch_gets_to_times_next_to_each_other(
    solver: str, times: Sequence[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also to times too short for compiled code; no row of the batch is run again alone."""
    monkeypatch.setattr("symflow.paths.float64.sweep.run_steps", None)
    problem = network_problem([1, 1, 1], [[1]], [[1]], ["1/2", "7/10"], 1)
    starts = np.array([[0.5, 0.7], [1.0, -0.3]])
    found = sf.sweep_flow_float64(problem, starts, times, solver=solver)
    for row, start in zip(found, starts, strict=True):
        flow = sf.solve_flow(problem.replace(theta0=start.tolist()), horizon=1, dps=17)
        exact = flow.numpy([min(time, 1) for time in times])  # 1e-14 later it is the same
        np.testing.assert_allclose(row, exact, rtol=0, atol=1e-9)
