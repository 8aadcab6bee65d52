"""(Leaky) ReLU flows against independent integrators in float64, where kinks are as awkward as they can be.

Never silently wrong: a problem either agrees with the oracle or stops with a typed error.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import Any, get_args

import mpmath
import numpy as np
import pytest
from cases import reference
from mpmath import mpf
from plain_flow import Case, expected_error, network_problem, random_case

from symflow.dynamics.vector_field import VectorField, gradient_flow_field
from symflow.errors import KinkCause, KinkError
from symflow.paths.flow import solve_field, solve_flow
from symflow.paths.trajectory import Trajectory
from symflow.problem import Problem
from symflow.programs.nodes import Input, add
from symflow.programs.program import Program

CAUSES = set(get_args(KinkCause))
HELD = {"sliding", "leaving"}
"""Kinds of events after which the flow is, or was, held on a kink."""


def outcome(case: Case, dps: int = 20) -> tuple[str, Trajectory]:
    """ "done", or the cause of the stop; with all that was computed."""
    try:
        return "done", solve_flow(case.problem, dps=dps)
    except KinkError as error:
        known = error.cause in CAUSES and 0 <= error.time <= float(case.horizon)
        where = error.sample < len(case.x) and 0 < error.layer < len(case.widths) - 1
        if not (known and where and error.unit < case.widths[error.layer]):
            raise
        return error.cause, error.trajectory


def disagreement(case: Case, trajectory: Trajectory) -> float:
    """How far the end of a trajectory is from the oracle's, over what the oracle's method allows."""
    end = float(trajectory.horizon)
    if end == 0:
        return 0.0
    value = trajectory.numpy([trajectory.horizon])[0]
    if HELD.isdisjoint(e.kind for e in trajectory.events):
        return float(np.abs(case.endpoint(end) - value).max()) / 1e-7
    near, far = (float(np.abs(case.smoothed_endpoint(end, width) - value).max()) for width in (1e-6, 1e-4))
    return near / max(2e-5, 0.2 * far)


@pytest.mark.parametrize(
    ("kind", "least_done"), [("", 0.9), ("tied", 0.9), ("kink", 0.5), ("zeros", 0.5), ("coarse", 0.5)]
)
@pytest.mark.parametrize("seeds", [5, pytest.param(40, marks=pytest.mark.thorough)])
def test_random_problems_agree_or_stop(kind: str, least_done: float, seeds: int) -> None:
    causes: Counter[str] = Counter()
    for seed in range(seeds):
        case = random_case(seed, kind)
        cause, trajectory = outcome(case)
        causes[cause] += 1
        assert disagreement(case, trajectory) < 1, (kind, seed)
    assert causes["done"] >= least_done * seeds, causes


@pytest.mark.parametrize("seed", [6, 17, 30, 34])
def test_gradient_descent_with_tiny_steps_agrees(seed: int) -> None:
    case = replace(random_case(seed, "descent"), horizon=Fraction(2))
    cause, trajectory = outcome(case)
    assert cause == "done"
    assert {e.kind for e in trajectory.events} == {"crossing"}
    value = trajectory.numpy([2])[0]
    coarse, fine = (float(np.abs(v - value).max()) for v in case.descents((1e-2, 2.5e-4), 2))
    assert fine < 1e-4
    assert fine < coarse / 15


def explicit_case(widths: tuple[int, ...], slopes: Any, x: Any, y: Any, theta: Any, horizon: int) -> Case:
    def exact(rows: Any) -> Any:
        return [[Fraction(v) for v in row] for row in rows]

    return Case(widths, tuple(map(Fraction, slopes)), exact(x), exact(y), exact([theta])[0], Fraction(horizon))


def test_gates_of_two_layers_start_on_their_kinks_together() -> None:
    """Both first-layer units of sample 0, and the second layer, whose input vanishes with them: this is not tried."""
    theta = ["1/10", "1/20", "-1/10", "-1/20", "9/10", "-4/5", "-2/5", "3/5", "-1/10", "4/5"]
    x, y = [["1/2", "-1"], ["-1/2", "-3/5"], ["2/5", "9/10"]], [["-1"], ["0"], ["-1/10"]]
    case = explicit_case((2, 2, 2, 1), (1, 0), x, y, theta, 1)
    cause, trajectory = outcome(case)
    assert disagreement(case, trajectory) < 1
    assert cause == "coincident"
    assert trajectory.horizon == 0


def test_a_layer_of_one_unit_crosses_with_all_that_is_deeper() -> None:
    case = explicit_case((1, 1, 2, 1), (1, Fraction(1, 100)), [[-2], [1]], [[4], [-4]], ["1/2", 1, "-3/4", 1, "1/2"], 2)
    cause, trajectory = outcome(case)
    assert cause == "done"
    assert disagreement(case, trajectory) < 1
    assert {e.layer for e in trajectory.events} == {1, 2}
    assert {e.gate_after for e in trajectory.events} == {Fraction(1), Fraction(1, 100)}


def test_deeper_gates_that_die_with_a_unit_are_no_second_flow() -> None:
    """h = v relu(u relu(w)) is pulled down to w = 0, where it rests; by R10 u^2 - w^2 and v^2 - u^2 are conserved."""
    case = explicit_case((1, 1, 1, 1), (1, 0), [[1]], [[-1]], ["1/10", 1, 1], 3)
    trajectory = solve_flow(case.problem, dps=30)
    assert [(e.kind, e.layer) for e in trajectory.events] == [("sliding", 1), ("inert", 2)]
    with mpmath.workdps(40):
        rest = [mpf(0), mpmath.sqrt(1 - mpf(1) / 100), mpmath.sqrt(1 - mpf(1) / 100)]
    assert expected_error(trajectory(3), rest) < mpf(10) ** -30


@pytest.mark.parametrize(
    ("x", "y", "theta"),
    [
        (
            [[1, 0], ["-0.54", "0.95"], ["-0.92", "0.08"], ["-0.57", "-0.14"]],
            [["-20.3172"], ["-3.8"], ["0.51"], ["1.28"]],
            ["0.001", "1.1", "-0.56", "0.74", "-0.11", "0.97", "0.73", "-0.4", "-1.01", "0.27"],
        ),
        (
            [[1, 0], ["0.19", "0.48"], ["0.68", "0.02"], ["0.02", "0.51"]],
            [["-2.5936"], ["-1.2"], ["1.32"], ["-1.48"]],
            ["0.001", "0.8", "-0.88", "1.47", "-0.15", "0.47", "0.3", "-0.19", "-1.5", "0.53"],
        ),
    ],
)
def test_deeper_gates_turn_while_the_one_they_live_by_slides(x: Any, y: Any, theta: Any) -> None:
    """While the gate of sample 0 slides, a weight from its unit to the next layer rises through zero.

    The gate behind it would then be on beside the kink, which makes the kink repel earlier than it would otherwise.
    """
    case = explicit_case((2, 2, 2, 1), (1, 0), x, y, theta, 3)
    cause, trajectory = outcome(case)
    assert cause == "done"
    slide, leave = (next(e for e in trajectory.events if e.kind == kind) for kind in ("sliding", "leaving"))
    assert (slide.sample, slide.layer, slide.unit) == (leave.sample, leave.layer, leave.unit) == (0, 1, 0)
    before, after = (trajectory.numpy([e.time])[0][4] for e in (slide, leave))
    assert before < 0 < after
    end = trajectory.numpy([3])[0]
    coarse, fine = (float(np.abs(v - end).max()) for v in case.descents((1e-3, 1e-4), 3))
    assert fine < min(1e-3, coarse / 5)


def heavy_ball(problem: Problem) -> VectorField:
    """theta' = v, v' = -grad f(theta) - v / 5."""
    flow = gradient_flow_field(problem.objective)
    velocities = {w.name: Input(f"v_{w.name}", w.axes, "state", f"v_{w.name}") for w in flow.state}
    outputs: dict[str, Any] = dict(velocities)
    for name, v in velocities.items():
        outputs[v.name] = add([(1, flow.program.outputs[name]), (Fraction(-1, 5), v)])
    inputs = (*flow.program.inputs, *velocities.values())
    return VectorField(Program(inputs, outputs), (*flow.state, *velocities.values()), problem.objective)


def test_several_kinks_at_once_of_a_flow_with_further_state() -> None:
    """Two equal samples cross together, and give the flow of one."""
    ends = []
    for copies in (1, 2):
        problem = network_problem((1, 1, 1), [[1]] * copies, [[-1]] * copies, ["1/2", 1], 3, (1, 0))
        trajectory = solve_field(heavy_ball(problem), [*problem.theta0, Fraction(0), Fraction(0)], horizon=3, dps=30)
        assert [e.kind for e in trajectory.events] == ["crossing"] * copies
        ends.append(trajectory(3))
    with mpmath.workdps(40):
        assert expected_error(*ends) < mpf(10) ** -30


def beside(name: str, sample: int, shift: Fraction) -> Problem:
    """A reference problem with one more sample, a shifted copy of a given one."""
    problem = reference(name)
    x, y = [list(row) for row in problem.x], [list(row) for row in problem.y]
    x.append([x[sample][0] + shift, *x[sample][1:]])
    y.append(y[sample])
    slopes = problem.network.alpha, problem.network.alpha_bar
    return network_problem(problem.network.widths, x, y, problem.theta0, 4, slopes)


@pytest.mark.parametrize(
    ("name", "digits"),
    [
        *(("relu-2-3-1", digits) for digits in (17, 29, 30, 31, 33, 36, None)),
        *(("leaky-2-2-2-1", digits) for digits in (30, 33)),
    ],
)
def test_two_crossings_any_distance_apart(name: str, digits: int | None) -> None:
    """At 30 digits: crossings told apart, not told apart, and everything between; the estimate stays honest."""
    problem = beside(name, 1, Fraction(0) if digits is None else Fraction(3, 10**digits))
    trajectory = solve_flow(problem, dps=30)
    truth = solve_flow(problem, dps=60, estimate_error=False)
    with mpmath.workdps(70):
        error = max(max(abs(a - b) for a, b in zip(trajectory(t), truth(t), strict=True)) for t in (3, "3.7", 4))
    assert error <= trajectory.error_estimate <= mpf(10) ** -30
    assert len(trajectory.events) == len(truth.events) >= 2
    shared = [e for e in trajectory.events if e.sample in (1, len(problem.x) - 1)]
    assert Counter((e.layer, e.unit) for e in shared if e.sample == 1) == Counter(
        (e.layer, e.unit) for e in shared if e.sample != 1
    )


def test_near_tangency() -> None:
    """Two crossings merge and vanish as theta_1(0) moves: counted right, and undecided where they merge."""
    first = ["39/100", "12/25", "-47/50", "-9/100", "37/100", "4/25"]
    second = ["-11/100", "11/100", "-4/25", "17/20", "-1/100", "9/25"]
    x, y = list(zip(first, second, strict=True)), ["-2/5", "53/100", "-87/100", "3/50", "41/50", "81/100"]
    problem = network_problem([2, 1, 1], x, [[v] for v in y], ["7/25", "22/25", "-51/100"], 5, (2, Fraction(1, 2)))
    theta = problem.theta0

    def crossings(shift: Fraction) -> int | None:
        moved = problem.replace(theta0=[theta[0] + shift, *theta[1:]])
        try:
            return len(solve_flow(moved, dps=16, estimate_error=False).events)
        except KinkError as error:
            return {"tangency": None}[error.cause]

    assert (crossings(Fraction(0)), crossings(Fraction(1, 20))) == (2, 0)
    crossing, clear = Fraction("0.044654"), Fraction("0.044655")  # by halving
    assert (crossings(crossing), crossings(clear)) == (2, 0)
    while True:
        middle = (crossing + clear) / 2
        found = crossings(middle)
        if found is None:
            break
        assert found in (0, 2)
        crossing, clear = (middle, clear) if found == 2 else (crossing, middle)
    assert clear - crossing < Fraction(1, 10**12)


@cache
def finer(digits: int) -> Trajectory:
    """The flow of a reference problem with kinks, to more digits than it is compared at."""
    return solve_flow(reference("relu-2-3-1"), dps=digits, estimate_error=False)


@pytest.mark.parametrize("shift", [Fraction(s, 10**d) for d in (20, 45, 60) for s in (-1, 1)] + [Fraction(0)])
def test_crossing_at_the_horizon(shift: Fraction) -> None:
    problem = reference("relu-2-3-1")
    long = finer(40)
    man, exponent = long.events[0].time.man_exp
    crossing = Fraction(int(man)) * Fraction(2) ** exponent
    trajectory = solve_flow(problem, horizon=crossing + shift, dps=30)
    if abs(shift) == Fraction(1, 10**20):
        assert len(trajectory.events) == (shift > 0)
    with mpmath.workdps(60):
        assert expected_error(trajectory(trajectory.horizon), long(trajectory.horizon)) < mpf(10) ** -30


@pytest.mark.parametrize(
    ("theta", "x", "y"),
    [
        (["0", "1", "0", "1", "1", "1"], [["1", "0"]], [["1"]]),  # on the active side away, on the other at rest
        (["0", "1", "0", "1", "-1", "1"], [["1", "0"], ["-1", "1"]], [["1"], ["1/2"]]),
    ],
)
def test_stops_at_the_start_leave_a_usable_trajectory(theta: list[str], x: Any, y: Any) -> None:
    problem = network_problem([2, 2, 1], x, y, theta, 1, (1, 0))
    with pytest.raises(KinkError, match="the flow stops at t = 0 on a kink") as caught:
        solve_flow(problem, dps=20)
    error = caught.value
    assert error.time == 0
    assert list(error.trajectory(0)) == [mpf(v) for v in theta]
    assert error.trajectory.horizon == 0
    assert error.trajectory.events == ()
    assert "0 events" in repr(error.trajectory)


def test_inert_units_do_not_matter() -> None:
    """Dead units, zero samples, a whole dead network and one of zeros."""
    still = solve_flow(network_problem([2, 2, 1], [[1, 0]], [[1]], [0] * 6, 3, (1, 0)), dps=20)
    assert list(still(3)) == [0] * 6
    dead = solve_flow(network_problem([1, 2, 1], [[1]], [[1]], [-1, -2, 1, 1], 3, (1, 0)), dps=20)
    assert list(dead(3)) == [-1, -2, 1, 1]
    assert dead.events == ()
    x, y = [[1, "1/2"], [0, 0], ["1/3", -1]], [[1], [5], ["-1/2"]]
    theta = ["1/2", 1, "1/3", "-1/4", 1, "-1/2"]
    full = solve_flow(network_problem([2, 2, 1], x, y, theta, 2, (1, 0)), dps=30)
    # A zero sample only lengthens the mean: time runs 3/2 times as fast without it.
    short = solve_flow(network_problem([2, 2, 1], x[::2], y[::2], theta, "4/3", (1, 0)), dps=30)
    with mpmath.workdps(40):
        assert expected_error(full(2), short("4/3")) < mpf(10) ** -29


@pytest.mark.parametrize("factor", ["1000000", "1000000000000", "1/1000000000"])
def test_scaled_data_give_the_same_path_at_another_speed(factor: str) -> None:
    """x, y -> c x, c y multiplies f by c^2, so that theta_c(t) = theta(c^2 t), crossings included."""
    problem = reference("relu-2-3-1")
    c = Fraction(factor)
    x, y = ([[c * v for v in row] for row in rows] for rows in (problem.x, problem.y))
    scaled = network_problem(problem.network.widths, x, y, problem.theta0, Fraction(8) / c**2, (1, 0))
    trajectory, plain = solve_flow(scaled, dps=30), finer(45)
    assert [(e.sample, e.unit) for e in trajectory.events] == [(e.sample, e.unit) for e in plain.events]
    with mpmath.workdps(60):
        speed = mpf(c.numerator) ** 2 / c.denominator**2
        for a, b in zip(trajectory.events, plain.events, strict=True):
            assert abs(a.time * speed - b.time) < mpf(10) ** -27
        for time in ["1", "3.05", "8"]:
            value = trajectory(Fraction(time) / c**2)
            exact = plain(time)
            assert expected_error(value, exact) < mpf(10) ** -30
            assert max(abs(p - q) for p, q in zip(value, exact, strict=True)) <= trajectory.error_estimate


@pytest.mark.parametrize("factor", ["1000", "1/1000"])
def test_scaled_weights(factor: str) -> None:
    """Depth 2: theta(0) -> c theta(0) and y -> c^2 y give c theta(c^2 t)."""
    problem = reference("relu-2-3-1")
    c = Fraction(factor)
    y = [[c**2 * v for v in row] for row in problem.y]
    theta = [c * v for v in problem.theta0]
    scaled = network_problem(problem.network.widths, problem.x, y, theta, Fraction(6) / c**2, (1, 0))
    trajectory, plain = solve_flow(scaled, dps=30), finer(45)
    with mpmath.workdps(60):
        exact = [v * c.numerator / c.denominator for v in plain(6)]
        assert expected_error(trajectory(Fraction(6) / c**2), exact) < mpf(10) ** -30
