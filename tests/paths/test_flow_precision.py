"""Accuracy promised and estimated, at few and many digits, short and long times, and how flows end early."""

from __future__ import annotations

import random
import re
from fractions import Fraction
from statistics import median
from typing import Any

import mpmath
import pytest
from cases import reference, reference_tables
from mpmath import mpf
from plain_flow import Case, expected_error, network_problem, random_case

from symflow.errors import ComputationError, FlowStopped, KinkError, ProblemError
from symflow.networks.objective import expression_objective
from symflow.paths.flow import solve_flow
from symflow.paths.solver import MAX_DPS
from symflow.paths.taylor.step_size import log2_step
from symflow.problem import Problem


def decay(horizon: Any, rate: int = 1) -> Problem:
    """theta' = -rate^2 theta, theta(0) = 1."""
    return network_problem([1, 1], [[rate]], [[0]], [1], horizon)


@pytest.mark.parametrize("seeds", [10, pytest.param(60, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("kind", ["linear", "kinks", "short"])
def test_error_estimate_is_honest_and_sharp(kind: str, seeds: int) -> None:
    """Never below the true error (from a run with 25 digits more), and within a factor of 100 of it in the median."""
    ratios = []
    for seed in range(seeds):
        case = random_case(seed, "estimate")
        if kind == "linear":
            case = Case(case.widths, (Fraction(1), Fraction(1)), case.x, case.y, case.theta, case.horizon)
        if kind == "short":  # rounding rather than truncation
            case = Case(case.widths, case.slopes, case.x, case.y, case.theta, Fraction(1, 1000))
        try:
            trajectory = solve_flow(case.problem, dps=20, error="estimated")
        except KinkError:
            continue
        truth = solve_flow(case.problem, dps=45, estimate_error=False)
        rng = random.Random(seed)
        times = [case.horizon * Fraction(rng.randint(0, 10**6), 10**6) for _ in range(12)] + [case.horizon]
        with mpmath.workdps(60):
            errors = [max(abs(a - b) for a, b in zip(trajectory(t), truth(t), strict=True)) for t in times]
        assert max(errors) <= trajectory.error_estimate <= mpf(10) ** -20
        if max(errors):
            ratios.append(trajectory.error_estimate / max(errors))
    assert len(ratios) >= 0.75 * seeds
    assert median(ratios) < 100


def test_error_estimate_shrinks_with_the_digits() -> None:
    problem = reference("scalar-depth2")
    estimates = [solve_flow(problem, dps=dps).error_estimate for dps in (20, 40, 60)]
    for dps, estimate in zip((20, 40, 60), estimates, strict=True):
        assert mpf(10) ** (-dps - 12) < estimate <= mpf(10) ** -dps


@pytest.mark.parametrize("name", ["linear-2-2-2-1", "relu-2-3-1"])
@pytest.mark.parametrize("dps", [1, 2, 3, 5, 8, 15])
def test_few_digits(name: str, dps: int) -> None:
    problem, tables = reference(name), reference_tables(name)
    trajectory = solve_flow(problem, dps=dps)
    assert len(trajectory.events) == tables["kink_events"]
    for time, expected in tables["theta"].items():
        assert expected_error(trajectory(time), [mpf(v) for v in expected]) <= mpf(10) ** -dps


def test_five_hundred_digits() -> None:
    trajectory = solve_flow(decay("5"), dps=500)
    with mpmath.workdps(520):
        for time in ["1/3", "5"]:
            t = mpf(Fraction(time).numerator) / Fraction(time).denominator
            assert abs(trajectory(time)[0] - mpmath.exp(-t)) <= mpf(10) ** -500
        assert trajectory.error_estimate <= mpf(10) ** -500
    assert re.search(r"500 digits, certified error \d\.\de-5\d\d, 0 events", repr(trajectory))


@pytest.mark.parametrize("rate", [10**6, 10**9, 10**15])
@pytest.mark.parametrize("time", ["1/3", "1/70", "3"])
def test_fast_flows_keep_their_digits(rate: int, time: str) -> None:
    """Times far below 10^-dps: the clock must be finer than the values."""
    trajectory = solve_flow(decay(Fraction(5, rate**2), rate), dps=30)
    with mpmath.workdps(60):
        t = Fraction(time)
        error = abs(trajectory(t / rate**2)[0] - mpmath.exp(-mpf(t.numerator) / t.denominator))
        assert error <= trajectory.error_estimate <= mpf(10) ** -30


@pytest.mark.parametrize("power", [3, 30, 60, 100, 1000])
def test_short_horizons(power: int) -> None:
    trajectory = solve_flow(decay(f"1e-{power}"), dps=50)
    with mpmath.workdps(1100):
        assert trajectory.horizon == 0 or abs(trajectory.horizon * mpf(10) ** power - 1) < mpf(10) ** -15
        assert abs(trajectory(f"1e-{power}")[0] - mpmath.exp(-(mpf(10) ** -power))) <= trajectory.error_estimate


def test_long_horizons() -> None:
    problem = reference("linear-2-2-2-1")
    trajectory = solve_flow(problem, dps=30, horizon=1000)
    weights = trajectory.end_to_end(1000)
    x, y = problem.x.T, problem.y.T
    residual = [sum((weights[0][k] * x[k][i] for k in range(2)), -y[0][i]) for i in range(len(problem.x))]
    for k in range(2):  # the end of the flow is a least-squares solution
        assert abs(float(sum(r * x[k][i] for i, r in enumerate(residual)))) < 1e-12
    slow = solve_flow(network_problem([1, 1], [["1e-15"]], [[1]], ["1/2"], "7e30"), dps=30)
    with mpmath.workdps(90):
        exact = mpf(10) ** 15 * (1 - mpmath.exp(-7)) + mpmath.exp(-7) / 2
        assert abs(slow("7e30")[0] - exact) <= slow.error_estimate


def test_amplified_errors_are_met_by_more_guard_digits() -> None:
    """theta'' = theta grows by e^40: the first attempt misses the digits, the estimate notices."""
    import sympy

    x, y = sympy.symbols("x y")
    problem = Problem(objective=expression_objective(-x * y, [x, y]), theta0=["1", "-1"], horizon="60", dps=30)
    trajectory = solve_flow(problem)
    assert trajectory.stats.local_tolerance_digits > 36
    with mpmath.workdps(60):
        exact = mpmath.exp(-60)  # an unstable path
        assert abs(trajectory(60)[0] - exact) <= trajectory.error_estimate <= mpf(10) ** -30


def test_too_many_steps() -> None:
    problem = reference("scalar-depth2")
    steps = solve_flow(problem, dps=50).stats.steps
    with pytest.raises(FlowStopped, match=r"3 Taylor steps led only to t = \S+ of 5; allow more steps") as caught:
        solve_flow(problem, dps=50, max_steps=3)
    partial = caught.value.trajectory
    assert partial.horizon == caught.value.time < 5
    assert partial.stats.steps == 3
    with mpmath.workdps(60):
        assert expected_error(partial("1/5"), solve_flow(problem, dps=50)("1/5")) < mpf(10) ** -50
    # Whichever of the two runs meets the limit, what is left is a trajectory.
    for most in range(steps - 2, steps + 3):
        try:
            trajectory = solve_flow(problem, dps=50, max_steps=most)
        except FlowStopped as error:
            trajectory = error.trajectory
        assert trajectory.stats.steps <= most
        assert list(trajectory(0)) == [mpf("0.5"), mpf("0.5")]


def test_blow_up_is_a_collapsed_step() -> None:
    import sympy

    x = sympy.Symbol("x")
    problem = Problem(objective=expression_objective(-(x**3) / 3, [x]), theta0=["1"], horizon="2", dps=30)
    with pytest.raises(
        FlowStopped, match="the step size collapsed at t = 1; the flow blows up or is too stiff"
    ) as caught:
        solve_flow(problem)
    partial = caught.value.trajectory
    assert 0 <= 1 - partial.horizon < 1e-15
    assert abs(partial("9/10")[0] - 10) < mpf(10) ** -30


def test_wrong_arguments() -> None:
    problem = decay("1")
    for dps in (0, -3, True, 2.5, MAX_DPS + 1):
        with pytest.raises(ProblemError, match="dps must be a whole number from 1 to 10000, got"):
            solve_flow(problem, dps=dps)
    for horizon in (0, "-1/2"):
        with pytest.raises(ProblemError, match="horizon must be positive, got"):
            solve_flow(problem, horizon=horizon)
    with pytest.raises(ProblemError, match="horizon must be a finite number"):
        solve_flow(problem, horizon=float("inf"))
    without = Problem(
        network={"widths": [1, 1], "activation": "linear"}, data={"x": [[1]], "y": [[1]]}, init={"theta": [1]}
    )
    with pytest.raises(ProblemError, match=r"run.horizon: a flow needs a final time"):
        solve_flow(without)
    assert issubclass(FlowStopped, ComputationError)


def test_without_an_error_estimate() -> None:
    problem = reference("scalar-depth2")
    trajectory = solve_flow(problem, estimate_error=False)
    assert trajectory.error_estimate is None
    assert trajectory.stats.check_seconds == 0
    assert "no error estimate" in repr(trajectory)
    assert list(trajectory(2)) == list(solve_flow(problem)(2))


def test_progress_runs_from_nothing_to_everything() -> None:
    problem = reference("relu-2-3-1")
    seen: list[float] = []
    solve_flow(problem, dps=20, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[0] > 0
    assert seen[-1] == 1


def test_caller_precision_is_left_alone_and_irrelevant() -> None:
    problem = reference("relu-2-3-1")
    with mpmath.workdps(7):
        low = solve_flow(problem, dps=30)
        assert mpmath.mp.dps == 7
        value, estimate = low("5/2"), low.error_estimate
    high = solve_flow(problem, dps=30)
    assert list(value) == list(high("5/2"))
    assert estimate == high.error_estimate


def step_of(series: list[list[int]]) -> float:
    return log2_step([c[4] for c in series], [c[3] for c in series], 4, 20.0)


def test_taylor_step_size() -> None:
    """min over the last two orders of (eps / |c_j|)^(1/j), in powers of two."""
    assert step_of([[1, 1, 1, 2**10, 2**12]]) == pytest.approx(min(8 / 4, 10 / 3))
    assert step_of([[1, 1, 1, 2**14, 2**12]]) == pytest.approx(min(8 / 4, 6 / 3))
    assert step_of([[1, 0, 0, 2**14, 0]]) == pytest.approx(2)  # an odd series
    assert step_of([[5, 2**90, 0, 0, 0]]) == float("inf")  # a line, or a series with gaps
    assert step_of([[5, 0, 0, 0, 0]]) == float("inf")
    assert step_of([[0, 0, 0, 1, 2], [0, 0, 0, -(2**8), -(2**16)]]) == pytest.approx(1)
