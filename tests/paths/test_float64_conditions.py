"""Stop conditions, limits, interruptions and files of the float64 flow, against closed forms and the flow at 30 digits.

Each runs on one of a few objectives that are made once, so that each is compiled once.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction
from functools import cache
from math import exp, log, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy
from cases import reference
from plain_flow import network_problem

import symflow as sf
from symflow.dynamics.modified.leading_order import leading_order_field
from symflow.errors import FlowInterrupted
from symflow.paths.float64 import Float64Stats, RungeKuttaSteps, steps


@cache
def decaying() -> sf.Problem:
    """w' = -w, so that f = w^2 / 2 = e^(-2t) / 2 and ||theta'|| = e^(-t)."""
    return network_problem([1, 1], [[1]], [[0]], [1], 50)


@cache
def turning() -> sf.Problem:
    """theta = (e^(-t), 2 - t); y^2 has a minimum at t = 2."""
    x, y = sympy.symbols("x y")
    return sf.Problem(objective=sf.expression_objective(x**2 / 2 + y, [x, y]), theta0=["1", "2"], horizon=4)


def met(flow: sf.Trajectory, time: float, accuracy: float) -> None:
    """That it ends where a condition is met, with an error estimate that holds and is no excuse."""
    assert flow.stopped is not None
    assert flow.stopped.time == flow.horizon
    error = abs(float(flow.stopped.time) - time)
    assert error <= flow.stopped.error_estimate
    assert flow.stopped.error_estimate < accuracy


@pytest.mark.parametrize(
    ("stop", "time"),
    [
        (sf.stop_at_loss("1/8"), log(2)),
        (sf.stop_at_gradient_norm("1/3"), log(3)),
        (sf.stop_when(lambda w: w[0][0, 0] ** 3, "1/64", "falls"), log(4)),
        ([sf.stop_at_loss("1/200"), sf.stop_at_gradient_norm("1/2")], log(2)),
    ],
)
def test_conditions_are_met_where_the_closed_form_says(stop: Any, time: float) -> None:
    flow = sf.solve_flow_float64(decaying(), stop=stop)
    met(flow, time, 1e-8)
    assert flow.at_end()[0] == pytest.approx(np.exp(-time), abs=float(flow.error_estimate))
    assert flow.error_estimate < 1e-8
    assert flow.conditions == tuple(str(s) for s in (stop if isinstance(stop, list) else [stop]))
    assert f"stopped where the {flow.stopped and flow.stopped.condition}" in repr(flow)
    assert flow.grid(3)[-1] == flow.end < 50


def test_the_derived_loss_of_the_problem_is_the_loss() -> None:
    problem = reference("linear-2-2-2-1")
    value = "57/500"
    stops = (sf.stop_at_loss(value), sf.stop_when(sf.loss(problem.objective), value, "falls"))
    truth = sf.solve_flow(problem, dps=30, stop=stops[0])
    assert truth.stopped is not None
    for stop in stops:
        met(sf.solve_flow_float64(problem, stop=stop), float(truth.stopped.time), 1e-7)


def test_two_crossings_within_one_step_are_found() -> None:
    """y^2 is below 1e-6 for 0.002 only, within a step that is much longer."""
    flow = sf.solve_flow_float64(turning(), stop=sf.stop_when(sympy.Symbol("y") ** 2, "1e-6", "falls"))
    met(flow, 2 - 1e-3, 1e-8)
    assert isinstance(flow.dense, RungeKuttaSteps)
    whole = sf.solve_flow_float64(turning())
    assert isinstance(whole.dense, RungeKuttaSteps)
    assert np.diff(whole.dense.knots).max() > 0.1


def test_a_quantity_that_turns_before_its_value_is_not_met() -> None:
    y = sympy.Symbol("y")
    flow = sf.solve_flow_float64(turning(), stop=sf.stop_when(y**2, "-1e-9"))
    assert flow.stopped is None
    assert flow.horizon == 4
    assert "not met: y**2 crosses -1e-9" in repr(flow)
    met(sf.solve_flow_float64(turning(), stop=sf.stop_when(-(y**2), -3)), 2 - sqrt(3), 1e-8)


def test_a_quantity_that_leaves_its_domain_is_an_error_and_not_missed() -> None:
    y = sympy.Symbol("y")
    met(sf.solve_flow_float64(turning(), stop=sf.stop_when(sympy.log(y), -1)), 2 - exp(-1), 1e-8)
    with pytest.raises(
        sf.ComputationError, match=r"log\(y\) crosses -100 cannot be told after t = 1\.\d+: .* not a real number"
    ):
        sf.solve_flow_float64(turning(), stop=sf.stop_when(sympy.log(y), -100))


def test_a_condition_that_only_one_of_two_runs_meets_is_not_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    original, runs = steps.first_met, []

    def only_first(*args: Any) -> Any:
        runs.append(1)
        return original(*args) if len(runs) == 1 else None

    monkeypatch.setattr(steps, "first_met", only_first)
    with pytest.raises(sf.FlowStopped, match=r"end at t = 0\.693\d* and t = 50 by different conditions") as caught:
        sf.solve_flow_float64(decaying(), stop=sf.stop_at_loss("1/8"))
    assert caught.value.cause == "quantity"
    assert float(caught.value.trajectory.horizon) == pytest.approx(log(2))


def test_conditions_at_the_start() -> None:
    """theta0 = 1/3 is no float64: 9 w^2 = 1 holds exactly there all the same."""
    w = sympy.Symbol("w")
    problem = sf.Problem(objective=sf.expression_objective(w**2 / 2, [w]), theta0=["1/3"], horizon=5)
    for stop in (sf.stop_when(9 * w**2, 1), sf.stop_when(w, "1/2", "falls"), sf.stop_when(w, "1/4", "rises")):
        flow = sf.solve_flow_float64(problem, stop=stop)
        met(flow, 0, 1e-300)
        assert flow.horizon == 0
        assert flow(0)[0] == 1 / 3
        assert flow.error_estimate < 1e-15
    flow = sf.solve_flow_float64(problem, stop=sf.stop_when(w, "0.3333333333333333333333333", "falls"))
    met(flow, 0, 1e-12)  # it starts above, by less than a unit in the last place
    with pytest.raises(sf.FlowStopped, match="starts within rounding") as caught:
        sf.solve_flow_float64(problem, stop=sf.stop_when(sympy.log(w**2) - 2 * sympy.log(w), 0))
    assert caught.value.cause == "quantity"
    assert caught.value.trajectory.horizon == caught.value.time == 0
    assert caught.value.trajectory.incomplete != ""


@pytest.mark.thorough
def test_a_condition_at_crossings_of_kinks() -> None:
    """The gradient norm jumps where the flow crosses a kink; there it may pass its value."""
    problem = reference("relu-2-3-1")
    for stop in (sf.stop_at_gradient_norm("1/10"), sf.stop_at_loss("1/5")):
        truth = sf.solve_flow(problem, dps=30, stop=stop)
        flow = sf.solve_flow_float64(problem, stop=stop)
        assert (truth.stopped is None) == (flow.stopped is None)
        if truth.stopped is not None:
            met(flow, float(truth.stopped.time), 1e-5)


def test_gradients_have_no_meaning_while_steps_zigzag() -> None:
    problem = reference("slide-leaky-2-2-2-1")
    (event,) = sf.solve_flow(problem, dps=20).events
    later = float(event.time) + 0.1
    coarse: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-6, "horizon": later}
    with pytest.raises(sf.FlowStopped, match=r"that the gradient norm falls to .* has no meaning") as caught:
        sf.solve_flow_float64(problem, stop=sf.stop_at_gradient_norm("1e-3"), **coarse)
    assert caught.value.cause == "sliding"
    assert "solve_flow" in str(caught.value)
    assert caught.value.trajectory.horizon == pytest.approx(later)


@pytest.mark.parametrize("stop", ["loss", 5, [sf.stop_at_loss(1), None], sf.stop_when(sympy.Symbol("v"), 1)])
def test_wrong_conditions(stop: Any) -> None:
    for solve in (sf.solve_flow_float64, sf.solve_flow):
        with pytest.raises(sf.ProblemError) as caught:
            solve(turning(), stop=stop)
        assert "\n" not in str(caught.value)


# ---- Files --------------------------------------------------------------------------------------------------------


def test_round_trip(tmp_path: Path) -> None:
    flow = sf.solve_flow_float64(reference("relu-2-3-1"), horizon=4, stop=sf.stop_at_loss("1e-30"))
    flow.save(tmp_path / "flow.json")
    again = sf.load_trajectory(tmp_path / "flow.json")
    assert isinstance(again, sf.Trajectory)
    assert repr(again) == repr(flow)
    assert (again.stats, again.error_estimate, again.conditions) == (flow.stats, flow.error_estimate, flow.conditions)
    assert isinstance(again.stats, Float64Stats)
    assert isinstance(flow.dense, RungeKuttaSteps)
    assert isinstance(again.dense, RungeKuttaSteps)
    np.testing.assert_array_equal(again.dense.knots, flow.dense.knots)
    np.testing.assert_array_equal(again.dense.states, flow.dense.states)
    np.testing.assert_allclose(again("7/5"), flow("7/5"), rtol=1e-15)
    assert [p.name for p in tmp_path.iterdir()] == ["flow.json"]


def test_damaged_files(tmp_path: Path) -> None:
    flow = sf.solve_flow_float64(turning(), stop=sf.stop_when(sympy.Symbol("y"), 1), horizon=3)
    flow.save(tmp_path / "flow.json")
    again = sf.load_trajectory(tmp_path / "flow.json", turning().objective)
    assert again.stopped == flow.stopped
    text = (tmp_path / "flow.json").read_text()
    other = sf.expression_objective(sympy.Symbol("x") ** 2, [sympy.Symbol("x")])
    for broken, objective in [
        (text.replace('"float64": "', '"float64": "*'), turning().objective),
        (text.replace('"shape": [', '"shape": [7, '), turning().objective),
        (text.replace('"solver": "dopri8"', '"solver": "euler"', 1), turning().objective),
        (text, other),
        (text, None),
    ]:
        (tmp_path / "flow.json").write_text(broken)
        with pytest.raises(sf.ProblemError, match=r"flow\.json") as caught:
            sf.load_trajectory(tmp_path / "flow.json", objective)
        assert "\n" not in str(caught.value)


def test_the_present_form_of_files_of_solve_flow_is_the_old_one(tmp_path: Path) -> None:
    """w' = -w in one step of order 1 from 1 to 1/2, as it was written before there were others."""
    (tmp_path / "old.json").write_text(
        '{"format": "symflow trajectory 1", "network": null, "bits": 8, "clock": 8, "dps": 15, "error_estimate": null,'
        ' "stats": {"steps": 1, "order": 1, "bits": 8, "local_tolerance_digits": 1, "seconds": 0.5,'
        ' "check_seconds": 0.0}, "conditions": [], "stopped": null, "incomplete": "", "events": [],'
        ' "segments": [["0", "80", 0, [["100", "-100"]]]]}'
    )
    w = sympy.Symbol("w")
    old = sf.load_trajectory(tmp_path / "old.json", sf.expression_objective(w**2 / 2, [w]))
    assert [old(0)[0], old("1/4")[0], old.at_end()[0]] == [1, 0.75, 0.5]
    old.save(tmp_path / "new.json")
    import json

    assert json.loads((tmp_path / "new.json").read_text()) == json.loads((tmp_path / "old.json").read_text())


# ---- Limits and Ctrl-C --------------------------------------------------------------------------------------------


@cache
def whole() -> sf.Trajectory:
    return sf.solve_flow_float64(reference("linear-2-2-2-1"), rtol=1e-12, atol=1e-14)


def usable(error: Any, tmp_path: Path) -> sf.Trajectory:
    """The trajectory of an error, called, compared with the whole one and saved."""
    part = error.trajectory
    assert part.horizon == error.time
    times = np.linspace(0, float(part.horizon), 7)
    np.testing.assert_allclose(part.numpy(times), whole().numpy(times), rtol=0, atol=1e-9)
    part.save(tmp_path / "part.json")
    again = sf.load_trajectory(tmp_path / "part.json")
    np.testing.assert_array_equal(again.at_end(), part.at_end())
    assert again.incomplete == part.incomplete
    assert isinstance(part, sf.Trajectory)
    return part


def test_an_interruption_before_the_first_step_and_after_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: Any) -> None:
        if args in ((), (1.0,)) or len(args) > 1:
            raise KeyboardInterrupt

    problem = decaying()
    with pytest.raises(FlowInterrupted) as caught:
        sf.solve_flow_float64(problem, progress=interrupt)
    assert caught.value.trajectory.error_estimate is not None
    monkeypatch.setattr("symflow.paths.float64.solve.watch", interrupt)
    with pytest.raises(FlowInterrupted) as caught:
        sf.solve_flow_float64(problem, stop=sf.stop_at_loss("1/8"))
    part = caught.value.trajectory
    assert (part.horizon, part.incomplete, part(0)[0]) == (0, "interrupted", 1)


@pytest.mark.parametrize("run", [1, 2])
def test_an_interruption_keeps_the_part(run: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "CHUNK", 4)
    done = []

    def interrupt(fraction: float) -> None:
        done.append(fraction)
        if fraction > (0.01 if run == 1 else 0.5):
            raise KeyboardInterrupt

    with pytest.raises(FlowInterrupted) as caught:
        sf.solve_flow_float64(reference("linear-2-2-2-1"), progress=interrupt)
    assert done == sorted(done)
    assert not isinstance(caught.value, Exception)
    part = usable(caught.value, tmp_path)
    if run == 1:
        assert 0 < part.horizon < whole().horizon
        assert part.incomplete == "interrupted"
    else:
        assert part.horizon == whole().horizon
        assert (part.error_estimate, part.incomplete) == (None, "")


def test_time_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "CHUNK", 4)
    problem = reference("linear-2-2-2-1")
    with pytest.raises(sf.FlowStopped, match=r"the time limit of 0.4 s was reached at t = \S+ of 10; allow") as caught:
        sf.solve_flow_float64(problem, time_limit=0.4, progress=lambda done: time.sleep(0.4))
    assert caught.value.cause == "time-limit"
    assert usable(caught.value, tmp_path).incomplete.startswith("the time limit")
    original, runs = steps.run_steps, []

    def slow_second(course: Any, *rest: Any) -> Any:
        runs.append(1)
        return original(replace(course, limits=replace(course.limits, deadline=0.0)), *rest)

    monkeypatch.setattr("symflow.paths.float64.estimate.run_steps", slow_second)
    with pytest.raises(sf.FlowStopped, match="while a second run estimated the error") as caught:
        sf.solve_flow_float64(problem, time_limit=1000)
    monkeypatch.undo()
    part = usable(caught.value, tmp_path)
    assert part.horizon == problem.horizon
    assert (runs, part.error_estimate, part.incomplete) == ([1], None, "")


def test_chunks_of_large_problems_are_short_and_a_chunk_of_rejected_steps_is_no_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    large = sf.network_objective(sf.FullyConnected((64, 50, 50, 10)), np.zeros((300, 64)), np.zeros((300, 10)))
    assert steps.chunk_size(reference("linear-2-2-2-1").objective) == steps.CHUNK
    assert steps.chunk_size(large) == steps.LEAST_CHUNK
    expected = sf.solve_flow_float64(reference("relu-2-3-1"), estimate_error=False)
    monkeypatch.setattr(steps, "LEAST_CHUNK", 8)  # a crossing rejects more steps than these
    monkeypatch.setattr(steps, "CHUNK_WORK", 0)
    flow = sf.solve_flow_float64(reference("relu-2-3-1"), estimate_error=False)
    assert flow.horizon == expected.horizon
    np.testing.assert_allclose(flow.at_end(), expected.at_end(), rtol=0, atol=1e-7)


@pytest.mark.thorough
@pytest.mark.skipif(os.name == "nt", reason="signals of a console")
def test_sigint_in_python_gives_the_part(tmp_path: Path) -> None:
    program = (
        "import sys, threading, os, signal, symflow as sf\n"
        "problem = sf.load_problem(sys.argv[1])\n"
        "def kill(done):\n"
        "    if done: os.kill(os.getpid(), signal.SIGINT)\n"
        "try:\n"
        "    sf.solve_flow_float64(problem, horizon=1e7, progress=kill, max_steps=10**9)\n"
        "except KeyboardInterrupt as stop:\n"
        "    stop.trajectory.save(sys.argv[2])\n"
    )
    source, target = Path(__file__).parents[1] / "problem" / "reference" / "linear-2-2-2-1.json", tmp_path / "part.json"
    done = subprocess.run([sys.executable, "-c", program, str(source), str(target)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    part = sf.load_trajectory(target)
    assert part.incomplete == "interrupted"
    assert 0 < part.horizon < 1e7


# ---- Where all trajectories go ------------------------------------------------------------------------------------


def test_what_needs_digits_or_kinks_refuses_it_in_one_line() -> None:
    problem = reference("linear-2-2-2-1")
    flow = whole()
    digits = "dps goes with digits, got dps=10 for a comparison in float64; leave one out"
    for refused, message in (
        (lambda: sf.deviation(problem, step_size="1/10", dps=10, flow=flow), digits),
        (lambda: sf.tightness(problem, step_size="1/10", dps=10, flow=flow), digits),
        (lambda: sf.check_flow(problem, flow), r"float64.*solve it with sf\.solve_flow"),
    ):
        with pytest.raises(sf.ProblemError, match=message) as caught:
            refused()
        assert "\n" not in str(caught.value)
    unknown = sf.solve_flow(problem, dps=16, estimate_error=False)
    with pytest.raises(sf.ProblemError, match="flow must have an error estimate"):
        sf.deviation(problem, step_size="1/10", dps=10, flow=unknown)


def test_reports_tables_and_plots_take_it() -> None:
    from symflow.report.report import flow_report
    from symflow.report.terminal import flow_tables

    flow = whole()
    found = flow_report(flow, {"1": Fraction(1)})
    assert [float(v) for v in found["theta"]["1"]] == flow(1).tolist()
    assert (found["solver"], found["dps"], found["steps"]) == ("dopri8", None, flow.stats.steps)
    assert len(flow_tables(flow, {"1": Fraction(1)}, 0.5)) == 2
    for drawn in (flow, sf.solve_flow(reference("relu-2-3-1"), dps=20)):
        ax = drawn.plot()
        lines = [line for line in ax.get_lines() if len(line.get_xdata()) > 2]
        assert len(lines) == drawn.objective.parameter_count
        shown = np.array([line.get_ydata() for line in lines]).T
        np.testing.assert_allclose(shown[[0, -1]], drawn.numpy([0, drawn.horizon]), rtol=0, atol=1e-15)
        assert len(ax.get_lines()) - len(lines) == len(drawn.events)


def test_plots_of_many_parameters_of_none_and_of_other_states() -> None:
    network = {"widths": [3, 3, 2], "activation": "linear"}
    data = {"x": [[1, 0, 1], [0, 1, 1]], "y": [[1, 0], [0, 1]]}
    many = sf.solve_flow(
        sf.Problem(network=network, data=data, init={"scheme": "xavier", "seed": 1}), horizon=1, dps=15
    )
    lines = many.plot().get_lines()
    norms = [np.linalg.norm(w.astype(float)) for w in many.weights(1)]
    np.testing.assert_allclose([line.get_ydata()[-1] for line in lines], norms, rtol=1e-14)
    at_once = sf.solve_flow(decaying(), dps=15, stop=sf.stop_at_loss(1))
    assert [len(line.get_xdata()) for line in at_once.plot().get_lines()] == [1]
    field = leading_order_field(decaying().objective)
    doubled = sf.solve_field(field, [Fraction(1), Fraction(0)], horizon=1, dps=15)
    assert len(doubled.plot().get_lines()) == 1
