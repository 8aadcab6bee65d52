"""Limits, collapsing steps and interruptions: typed, one line, and what was computed stays usable."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import mpmath
import pytest
import sympy
from cases import reference
from mpmath import mpf
from plain_flow import network_problem

import symflow as sf
from symflow.errors import FlowInterrupted, FlowStopped, ProblemError
from symflow.paths import solver
from symflow.paths.flow import solve_flow
from symflow.problem import Problem

LONG = """
[network]
widths = [2, 2, 2, 1]
activation = "linear"
[data]
x = [[1, "1/2"], ["-1/3", 1]]
y = [[1], ["-1/2"]]
[init]
theta = ["1/2", 0, "1/4", "-1/3", "1/2", "1/5", "1/7", "1/3", "1/2", "-1/5"]
[run]
horizon = 100000
dps = 60
"""
"""Takes tens of seconds."""


def oscillator() -> Problem:
    """Flows for as long as one likes: w' = -w."""
    return network_problem([1, 1], [[1]], [[0]], [1], 5000)


def usable(error: Any, tmp_path: Path, whole: Any) -> Any:
    """The trajectory of an error, called, compared with a whole one and saved."""
    part = error.trajectory
    assert part.horizon == error.time
    assert 0 < part.horizon < whole.horizon
    with mpmath.workdps(60):
        middle = part.horizon / 2
        assert max(abs(a - b) for a, b in zip(part(middle), whole(middle), strict=True)) < mpf(10) ** -30
        assert max(abs(a - b) for a, b in zip(part.at_end(), whole(part.horizon), strict=True)) < mpf(10) ** -30
    part.save(tmp_path / "part.json")
    again = sf.load_trajectory(tmp_path / "part.json", objective=part.objective)
    assert list(again.at_end()) == list(part.at_end())
    assert again.incomplete == part.incomplete != ""
    return part


def test_a_time_limit_leaves_the_part_that_was_reached(tmp_path: Path) -> None:
    problem = reference("linear-2-2-2-1")
    whole = solve_flow(problem, horizon=300, dps=40, estimate_error=False)
    started = time.perf_counter()
    with pytest.raises(FlowStopped, match=r"the time limit of 0.2 s was reached at t = \S+ of 5e\+04; allow") as caught:
        solve_flow(problem, horizon=50_000, dps=40, time_limit=0.2)
    assert 0.2 <= time.perf_counter() - started < 2
    assert caught.value.cause == "time-limit"
    part = caught.value.trajectory
    assert part.objective is problem.objective
    if part.horizon < 300:  # a slow machine: as far as it came
        usable(caught.value, tmp_path, whole)
    assert part.horizon == caught.value.time > 0
    assert "incomplete: the time limit of 0.2 s was reached" in repr(part)


def test_a_time_limit_in_the_second_run_leaves_the_whole_trajectory(monkeypatch: pytest.MonkeyPatch) -> None:
    original = solver.integrate
    runs = []

    def slow_second(*args: Any, limits: Any, **settings: Any) -> Any:
        from dataclasses import replace

        runs.append(1)
        return original(*args, limits=replace(limits, deadline=0.0) if len(runs) == 2 else limits, **settings)

    monkeypatch.setattr(solver, "integrate", slow_second)
    problem = reference("scalar-depth2")
    with pytest.raises(FlowStopped, match=r"while a second run estimated the error; the trajectory to t = 5") as caught:
        solve_flow(problem, dps=30, time_limit=1000, error="estimated")
    assert "error=None" in str(caught.value)
    part = caught.value.trajectory
    assert part.horizon == problem.horizon
    assert part.error_estimate is None
    assert part.incomplete == ""


def test_too_many_steps_and_collapsing_ones_leave_a_part(tmp_path: Path) -> None:
    problem = reference("linear-2-2-2-1")
    whole = solve_flow(problem, dps=40)
    with pytest.raises(FlowStopped, match=r"5 Taylor steps led only to .*; allow more steps") as caught:
        solve_flow(problem, dps=40, max_steps=5)
    assert caught.value.cause == "max-steps"
    usable(caught.value, tmp_path, whole)
    x = sympy.Symbol("x")
    growing = Problem(objective=sf.expression_objective(-(x**3) / 3, [x]), theta0=["1"], horizon="2", dps=30)
    with pytest.raises(FlowStopped, match="collapsed at t = 1; the flow blows up") as caught:
        solve_flow(growing)
    assert caught.value.cause == "step-size"
    with mpmath.workdps(60):
        part = caught.value.trajectory
        assert abs(part("1/2")[0] - 2) < mpf(10) ** -30
    part.save(tmp_path / "blow-up.json")


def test_a_horizon_out_of_reach_is_refused_at_once() -> None:
    problem = reference("linear-2-2-2-1")
    started = time.perf_counter()
    with pytest.raises(ProblemError, match="horizon must be at most 1e300, got 1e308 or beyond"):
        solve_flow(problem, horizon="1e10000", dps=20)
    assert time.perf_counter() - started < 0.5
    with pytest.raises(FlowStopped, match=r"after 500 Taylor steps .* about \S+ more of them are needed") as caught:
        solve_flow(problem, horizon="1e200", dps=20)
    assert caught.value.trajectory.horizon > 100
    # Steps that grow reach far: f = w^4 / 4 decays like t^(-1/2).
    x = sympy.Symbol("x")
    slow = Problem(objective=sf.expression_objective(x**4 / 4, [x]), theta0=["1"], horizon="1e9", dps=20)
    with mpmath.workdps(60):
        assert abs(solve_flow(slow).at_end()[0] - 1 / mpmath.sqrt(1 + 2 * mpf(10) ** 9)) < mpf(10) ** -20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_steps": 0}, "max_steps must be a positive whole number, got 0"),
        ({"max_steps": 2.5}, "max_steps must be a positive whole number, got 2.5"),
        ({"max_steps": True}, "max_steps must be a positive whole number, got true"),
        ({"time_limit": 0}, "time_limit must be a positive number of seconds below 1e9, got 0"),
        ({"time_limit": "soon"}, "time_limit must be a number"),
        ({"time_limit": float("inf")}, "time_limit must be a finite number"),
    ],
)
def test_wrong_limits(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        solve_flow(oscillator(), dps=20, **arguments)


def test_remedies_name_only_what_the_caller_can_set(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = reference("scalar-depth2")

    def limited(*args: Any, **settings: Any) -> Any:
        return solve_flow(*args, **settings, max_steps=3)

    monkeypatch.setattr("symflow.analysis.compared_flow.solve_flow", limited)
    with pytest.raises(FlowStopped, match="choose a shorter horizon or fewer digits") as caught:
        sf.deviation(problem, step_size="1/100", horizon=1, dps=50)
    assert "max_steps" not in str(caught.value)
    assert "3 Taylor steps led only to" in str(caught.value)


# ---- Ctrl-C -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", [1, 2])
def test_an_interruption_carries_what_was_computed(run: int, tmp_path: Path) -> None:
    problem = reference("linear-2-2-2-1")
    whole = solve_flow(problem, dps=40, error="estimated")

    def interrupt(done: float) -> None:
        if done > (0.2 if run == 1 else 0.6):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        solve_flow(problem, dps=40, progress=interrupt, error="estimated")
    error = caught.value
    assert isinstance(error, FlowInterrupted)
    assert not isinstance(error, Exception)  # what swallows errors does not swallow it
    if run == 1:
        assert usable(error, tmp_path, whole).incomplete == "interrupted"
    else:
        assert list(error.trajectory.at_end()) == list(whole.at_end())
        assert error.trajectory.error_estimate is None


@pytest.mark.parametrize(("step", "how"), [("_with_estimates", "estimated"), ("prove", "certified")])
def test_an_interruption_between_the_runs_keeps_the_first(step: str, how: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: Any, **settings: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(solver, step, interrupt)
    problem = reference("scalar-depth2")
    with pytest.raises(FlowInterrupted) as caught:
        solve_flow(problem, dps=30, error=how)
    assert caught.value.trajectory.horizon == caught.value.time == problem.horizon
    assert caught.value.trajectory.objective is problem.objective


@pytest.fixture
def long_problem(tmp_path: Path) -> Path:
    path = tmp_path / "long.toml"
    path.write_text(LONG, encoding="utf-8")
    return path


def interrupted(command: list[str], seconds: float) -> tuple[int, str, str]:
    """Sends SIGINT after a while; exit status and what was printed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "symflow.cli.app", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.skipif(os.name == "nt", reason="signals of a console")
def test_sigint_on_the_command_line_saves_the_part(long_problem: Path, tmp_path: Path) -> None:
    import json

    target = tmp_path / "part.json"
    command = ["flow", str(long_problem), "--save", str(target), "--json", "--horizon", "100000", "--at", "1"]
    for seconds in (1.2, 5, 40):  # on a busy machine the flow may not have begun
        status, out, err = interrupted(command, seconds)
        assert status == 130
        (line,) = err.splitlines()
        if target.exists() and sf.load_trajectory(target).horizon > 1:
            break
    assert line.startswith("symflow: interrupted at t = ")
    assert line.endswith(f"; the part computed so far is saved in {target}")
    found = json.loads(out)
    assert found["error"]["type"] == "KeyboardInterrupt"
    assert found["saved"] == str(target)
    part = sf.load_trajectory(target)
    assert part.incomplete == "interrupted"
    assert 1 < part.horizon < 100000
    whole = solve_flow(sf.load_problem(long_problem), horizon=1, dps=60)
    with mpmath.workdps(80):
        assert max(abs(a - b) for a, b in zip(part(1), whole(1), strict=True)) < mpf(10) ** -60
        assert max(abs(mpf(a) - b) for a, b in zip(found["theta"]["1"], whole(1), strict=True)) < mpf(10) ** -60


@pytest.mark.skipif(os.name == "nt", reason="signals of a console")
def test_sigint_in_python_gives_the_part(tmp_path: Path) -> None:
    program = (
        "import sys, threading, os, signal, symflow as sf\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background job ignores the signal
        "problem = sf.load_problem(sys.argv[1])\n"
        "calls = []\n"
        "def begin(done):\n"
        "    if done > 1e-4 and not calls:\n"
        "        calls.append(done)\n"
        "        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "try:\n"
        "    sf.solve_flow(problem, progress=begin)\n"
        "except KeyboardInterrupt as stop:\n"
        "    stop.trajectory.save(sys.argv[2])\n"
    )
    path, target = tmp_path / "long.toml", tmp_path / "part.json"
    path.write_text(LONG, encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", program, str(path), str(target)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    part = sf.load_trajectory(target)
    assert part.incomplete == "interrupted"
    assert 1 < part.horizon < 100000
