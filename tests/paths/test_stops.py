"""Conditions that end a flow: hitting times known in closed form, jumps at kinks, what is undecided or refused."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import mpmath
import pytest
import sympy
from cases import reference
from mpmath import mpf
from plain_flow import network_problem, random_case

import symflow as sf
from symflow.derivatives.derived import Derived
from symflow.dynamics.modified.leading_order import leading_order_field
from symflow.errors import FlowStopped, KinkError, ProblemError
from symflow.paths import solver
from symflow.paths.agreement import ATTEMPTS
from symflow.paths.flow import solve_field, solve_flow
from symflow.paths.taylor.limits import Limits
from symflow.problem import Problem
from symflow.programs.nodes import Const, add, inner
from symflow.programs.program import Program


def decay(horizon: Any = 100) -> Problem:
    """theta' = -theta, theta(0) = 1, f = theta^2 / 2."""
    return network_problem([1, 1], [[1]], [[0]], [1], horizon)


def balanced(target: Any = 2) -> Problem:
    """w_1 = w_2 = 1/2: u = w_1 w_2 follows u' = 2 u (target - u), f = (u - target)^2 / 2."""
    return network_problem([1, 1, 1], [[1]], [[target]], ["1/2", "1/2"], 20)


def logistic_time(u: Any, u0: Any, target: Any) -> Any:
    """When u' = 2 u (target - u) gets from u0 to u."""
    return mpmath.log(u * (target - u0) / (u0 * (target - u))) / (2 * target)


def expression(text: str, start: list[Any], horizon: Any = 10) -> Problem:
    variables = sympy.symbols("x y")[: len(start)]
    objective = sf.expression_objective(sympy.sympify(text), variables)
    return Problem(objective=objective, theta0=start, horizon=horizon)


@pytest.mark.parametrize("dps", [5, 50])
@pytest.mark.parametrize(
    ("stop", "time"),
    [
        (sf.stop_at_loss("1e-6"), lambda: 3 * mpmath.log(10) - mpmath.log(2) / 2),
        (sf.stop_at_loss("1e-80"), lambda: 40 * mpmath.log(10) - mpmath.log(2) / 2),
        (sf.stop_at_gradient_norm("1e-8"), lambda: 8 * mpmath.log(10)),
        (sf.stop_when(lambda w: w[0][0, 0], "1/3"), lambda: mpmath.log(3)),
        (sf.stop_when(sympy.Symbol("W1_11") ** 2, "1/3", "falls"), lambda: mpmath.log(3) / 2),
        (sf.stop_when(lambda w: 1 / w[0][0, 0], 7, "rises"), lambda: mpmath.log(7)),
        # log w is -t itself: of a series that is linear no step size knows; the quantity limits the steps
        (sf.stop_when(lambda w: sympy.log(w[0][0, 0]), "-5/3"), lambda: mpf(5) / 3),
    ],
)
def test_exponential_decay(stop: sf.Stop, time: Any, dps: int) -> None:
    trajectory = solve_flow(decay(), dps=dps, stop=stop)
    assert trajectory.stopped is not None
    with mpmath.workdps(120):
        exact = time()
        error = abs(trajectory.stopped.time - exact)
        assert error <= trajectory.stopped.error_estimate <= mpf(10) ** -dps * max(1, exact)
        state, late = trajectory.at_end()[0], trajectory.stopped.time
        assert abs(state - mpmath.exp(-late)) <= trajectory.error.value <= mpf(10) ** -dps
        assert abs(state - mpmath.exp(-exact)) <= trajectory.error.value + trajectory.stopped.error_estimate  # |w'| < 1
    assert trajectory.horizon == trajectory.stopped.time
    assert trajectory.stopped.condition == str(stop)


def test_scalar_depth_two_at_fifty_digits() -> None:
    with mpmath.workdps(80):
        crossings: dict[Any, Any] = {
            sf.stop_at_loss("1/200"): mpf(2) - mpf(1) / 10,
            sf.stop_when(lambda w: w[1].dot(w[0])[0, 0], "3/2"): mpf(3) / 2,
            sf.stop_when(lambda w: w[0][0, 0], "5/4"): mpf(25) / 16,
        }
        for stop, u in crossings.items():
            trajectory = solve_flow(balanced(), dps=50, stop=stop)
            assert trajectory.stopped is not None
            error = abs(trajectory.stopped.time - logistic_time(u, mpf(1) / 4, 2))
            assert error <= trajectory.stopped.error_estimate <= mpf(10) ** -50
            assert abs(trajectory.at_end()[0] - mpmath.sqrt(u)) <= mpf(10) ** -50


def test_matrix_quantities_of_a_deep_network_against_the_trajectory() -> None:
    """The loss of the samples equals that of the moments; both are met where the whole trajectory has the value."""
    problem = reference("linear-2-2-2-1")
    whole = solve_flow(problem, dps=40)
    loss, gradient = sf.loss(problem.objective), sf.gradient(problem.objective)
    value = sf.evaluate_mpmath(loss, list(whole("5/2")), dps=60)
    norm = mpmath.sqrt(sum(float(v) ** 2 for v in sf.evaluate_mpmath(gradient, list(whole(3)), dps=60)))
    of_samples = replace(loss, kind="loss of the samples")  # not replaced by its moments, as `loss` is
    for quantity in (loss, of_samples):
        trajectory = solve_flow(problem, dps=40, stop=sf.stop_when(quantity, value))
        assert abs(trajectory.horizon - mpf("2.5")) < mpf(10) ** -15  # as good as mpmath's default for the value
        with mpmath.workdps(60):
            assert abs(sf.evaluate_mpmath(loss, list(trajectory.at_end()), dps=60) - value) < mpf(10) ** -40
            assert max(abs(a - b) for a, b in zip(trajectory(2), whole(2), strict=True)) < mpf(10) ** -40
    trajectory = solve_flow(problem, dps=30, stop=sf.stop_at_gradient_norm(norm))
    assert abs(trajectory.horizon - 3) < 1e-13


@pytest.mark.parametrize("name", ["relu-2-3-1", "slide-relu-3-3-1", "slide-leaky-2-2-2-1"])
def test_across_and_along_kinks(name: str) -> None:
    """The loss is continuous at kinks and while gates slide; its value at the end is the one asked for."""
    problem = reference(name)
    whole = solve_flow(problem, dps=30)
    loss = sf.loss(problem.objective)
    late = (whole.events[-1].time + whole.horizon) / 2
    value = sf.evaluate_mpmath(loss, list(whole(late)), dps=60)
    for stop in (sf.stop_at_loss(value), sf.stop_when(loss, value)):
        trajectory = solve_flow(problem, dps=30, stop=stop)
        assert [e.kind for e in trajectory.events] == [e.kind for e in whole.events]
        with mpmath.workdps(60):
            assert abs(sf.evaluate_mpmath(loss, list(trajectory.at_end()), dps=60) - value) < mpf(10) ** -30
            speed = abs(late - trajectory.horizon)
            assert speed < mpf(10) ** -13  # the value was rounded to mpmath's default precision on the way


def leaky_unit(horizon: Any = 10) -> Problem:
    """h(1) = w_2 sigma(w_1) goes from 1/2 to -1: sigma' falls from 1 to 1/5 where w_1 changes sign."""
    return network_problem([1, 1, 1], [[1]], [[-1]], ["1/2", "1"], horizon, (1, "1/5"))


def test_a_gradient_that_jumps_at_a_kink_stops_the_flow_there() -> None:
    """||grad f|| = |w_2 sigma'| |h + 1| at w_1 = 0, so it falls to a fifth there; the value lies within the jump."""
    problem = leaky_unit()
    whole = solve_flow(problem, dps=30)
    first = whole.events[0]
    gradient = sf.gradient(problem.objective)

    def norm(shift: Any) -> Any:
        values = sf.evaluate_mpmath(gradient, list(whole(first.time + shift)), dps=40)
        return mpmath.sqrt(sum(v * v for v in values))

    before, after = norm(mpf("-1e-9")), norm(mpf("1e-9"))
    assert before > 4.9 * after
    trajectory = solve_flow(problem, dps=30, stop=sf.stop_at_gradient_norm((before + after) / 2))
    assert trajectory.stopped is not None
    assert abs(trajectory.horizon - first.time) < mpf(10) ** -30
    assert [e.kind for e in trajectory.events] == [e.kind for e in whole.events if e.time == first.time]


def test_a_condition_at_the_time_of_a_kink() -> None:
    """w_1 = 0 is the kink itself; the condition ends the flow before anything happens there."""
    problem = leaky_unit()
    first = solve_flow(problem, dps=30).events[0]
    trajectory = solve_flow(problem, dps=30, stop=sf.stop_when(lambda w: w[0][0, 0], 0))
    assert trajectory.stopped is not None
    assert abs(trajectory.horizon - first.time) < mpf(10) ** -30
    assert trajectory.events == ()


def test_slopes_have_no_meaning_where_a_gate_slides() -> None:
    """A quantity with derivatives is refused from the first sliding gate on; the gradient norm is that of the flow."""
    problem = reference("slide-relu-3-3-1")
    whole = solve_flow(problem, dps=30)
    slide = next(e for e in whole.events if e.kind == "sliding")
    gradient = sf.gradient(problem.objective)
    squared = _square(gradient)
    with pytest.raises(FlowStopped, match=r"slides along a kink from t = 4\.03889.*depends on the slope") as caught:
        solve_flow(problem, dps=30, stop=sf.stop_when(squared, "1e-9"))
    assert caught.value.cause == "sliding"
    assert abs(caught.value.trajectory.horizon - slide.time) < mpf(10) ** -30
    # R1 along the slide: d/dt f = -||theta'||^2, so the norm asked for is had where f falls at that rate.
    loss = sf.loss(problem.objective)
    with mpmath.workdps(60):
        t, h = mpf(6), mpf(10) ** -8
        values = [sf.evaluate_mpmath(loss, list(whole(t + s)), dps=60) for s in (-h, h)]
        norm = mpmath.sqrt((values[0] - values[1]) / (2 * h))
    trajectory = solve_flow(problem, dps=30, stop=sf.stop_when("gradient norm", norm, "falls"))
    assert abs(trajectory.horizon - 6) < mpf(10) ** -12


def _square(gradient: Any) -> Any:
    """||grad f||^2 as a derived scalar."""
    node = add([(1, inner(g, g)) for g in gradient.program.outputs.values()])
    return Derived("squared gradient", gradient.objective, Program(gradient.program.inputs, {"q": node}), "scalar")


def test_a_condition_that_holds_at_the_start_ends_the_flow_there() -> None:
    """The hitting time of a condition is 0 where it holds at 0, also where it holds there by equality."""
    for stop in (
        sf.stop_at_loss(1),
        sf.stop_at_loss("1/2"),
        sf.stop_at_gradient_norm(1),
        sf.stop_when(lambda w: w[0][0, 0], 1),
        sf.stop_when(lambda w: w[0][0, 0], "1/2", "rises"),
    ):
        trajectory = solve_flow(decay(), dps=30, stop=stop)
        assert trajectory.stopped is not None
        assert trajectory.horizon == trajectory.stopped.time == 0
        assert list(trajectory(0)) == [1]
    # A hair more than the start is not met there, though 30 digits cannot tell: more are taken.
    nearly = Fraction(1) - Fraction(1, 10**60)
    trajectory = solve_flow(decay(), dps=30, stop=sf.stop_when(lambda w: w[0][0, 0], nearly))
    assert trajectory.stopped is not None
    with mpmath.workdps(80):
        assert abs(trajectory.horizon - mpf(10) ** -60) <= trajectory.stopped.error_estimate


def test_a_condition_that_is_not_met_is_said_so() -> None:
    trajectory = solve_flow(decay(2), dps=30, stop=[sf.stop_at_loss("1e-6"), sf.stop_when(lambda w: w[0][0, 0], 2)])
    assert trajectory.stopped is None
    assert trajectory.horizon == 2
    assert trajectory.conditions == ("loss falls to 1e-6", "quantity crosses 2")
    assert "not met: loss falls to 1e-6; quantity crosses 2" in repr(trajectory)
    assert list(trajectory(2)) == list(solve_flow(decay(2), dps=30)(2)) or trajectory.error_estimate < mpf(10) ** -30
    plain = solve_flow(decay(2), dps=30)
    assert plain.conditions == ()
    assert "met" not in repr(plain)


def test_the_first_of_several_conditions_counts() -> None:
    early, late = sf.stop_at_loss("1e-2"), sf.stop_at_loss("1e-4")
    for order in ([early, late], [late, early]):
        trajectory = solve_flow(decay(), dps=30, stop=order)
        assert trajectory.stopped is not None
        assert trajectory.stopped.condition == "loss falls to 0.01"
    assert "stopped where the loss falls to 0.01" in repr(trajectory)


def test_a_condition_at_the_horizon_and_just_beyond() -> None:
    with mpmath.workdps(60):
        time = 3 * mpmath.log(10) - mpmath.log(2) / 2
        short, enough = ((time + sign * mpf(10) ** -25) for sign in (-1, 1))
    assert solve_flow(decay(short), dps=30, stop=sf.stop_at_loss("1e-6")).stopped is None
    assert solve_flow(decay(enough), dps=30, stop=sf.stop_at_loss("1e-6")).stopped is not None


def test_an_extremum_that_touches_the_value_is_undecided_and_one_that_does_not_is_told() -> None:
    """q = y - x with x' = -x, y' = -3y from (1, 2): it falls, has its least value and rises to 0."""
    problem = expression("x**2/2 + 3*y**2/2", [1, 2])
    x, y = sympy.symbols("x y")
    with mpmath.workdps(80):
        turn = mpmath.log(6) / 2
        least = 2 * mpmath.exp(-3 * turn) - mpmath.exp(-turn)
        above, below = least + mpf(10) ** -36, least - mpf(10) ** -36
    trajectory = solve_flow(problem, dps=20, stop=sf.stop_when(y - x, above))
    assert trajectory.stopped is not None
    # q falls to the value shortly before the turn: (t - turn)^2 q''/2 = 1e-36
    with mpmath.workdps(80):
        bend = 18 * mpmath.exp(-3 * turn) - mpmath.exp(-turn)
        exact = turn - mpmath.sqrt(2 * mpf(10) ** -36 / bend)
        assert turn - exact > mpf(10) ** -19
        assert abs(trajectory.horizon - exact) < mpf(10) ** -35  # the next term of the parabola
    assert solve_flow(problem, dps=20, stop=sf.stop_when(y - x, below)).stopped is None
    # the square of a quantity only touches 0
    with pytest.raises(
        FlowStopped, match=r"whether .* crosses 0 at t = .* cannot be decided .*; ask for more"
    ) as caught:
        solve_flow(problem, dps=20, stop=sf.stop_when((x - 2 * y) ** 2, 0))
    assert caught.value.cause == "quantity"
    assert caught.value.trajectory.horizon < mpmath.log(4) / 2


def test_the_first_of_two_crossings_within_one_step() -> None:
    """q = y - x = 2 e^(-3t) - e^(-t) falls through -1/10 at t = 0.395 and rises through it again at t = 2.287."""
    problem = expression("x**2/2 + 3*y**2/2", [1, 2], 4)
    x, y = sympy.symbols("x y")
    trajectory = solve_flow(problem, dps=50, stop=sf.stop_when(y - x, "-1/10"))
    with mpmath.workdps(80):
        first, second = (
            mpmath.findroot(lambda t: 2 * mpmath.exp(-3 * t) - mpmath.exp(-t) + mpf(1) / 10, near)
            for near in ("0.4", "2.3")
        )
        assert second - first > 1
        assert trajectory.stopped is not None
        assert abs(trajectory.horizon - first) <= trajectory.stopped.error_estimate <= mpf(10) ** -50
    # from above only the second crossing exists
    late = Problem(objective=problem.objective, theta0=["1/2", "1/50"], horizon=4)
    rising = solve_flow(late, dps=20, stop=sf.stop_when(y - x, "-1/10", "rises"))
    assert rising.horizon > 1


@pytest.mark.parametrize("seed", range(7))
def test_random_networks_fall_to_the_loss_they_have_at_a_time(seed: int) -> None:
    """Loss falls strictly, so it has its value at t_0 only there; with gates, without, across and along kinks."""
    case = random_case(seed, "stops")
    at = case.horizon * Fraction(seed + 3, 20)
    try:
        whole = solve_flow(case.problem, dps=30)
    except KinkError:
        pytest.skip("an ambiguous kink")
    loss = sf.loss(case.problem.objective)
    with mpmath.workdps(45):
        value = sf.evaluate_mpmath(loss, list(whole(at)), dps=45)
        stopped = solve_flow(case.problem, dps=20, stop=sf.stop_at_loss(value))
        h = mpf(10) ** -8
        speed = (value - sf.evaluate_mpmath(loss, list(whole(at + Fraction(1, 10**8))), dps=45)) / h
        if speed < mpf(10) ** -6:
            return  # at rest
        assert stopped.stopped is not None
        assert abs(stopped.horizon - mpf(at.numerator) / at.denominator) * min(1, speed) < mpf(10) ** -20
        # the negative control: a value that is off by 1e-18 is met at another time
        other = solve_flow(case.problem, dps=20, stop=sf.stop_at_loss(value - mpf(10) ** -18 * speed))
        assert abs(other.horizon - stopped.horizon - mpf(10) ** -18) < mpf(10) ** -19


def test_a_second_run_that_crosses_elsewhere_shows_in_the_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    """The estimate is made of two crossings: a value that is wrong by 1e-20 in one run is noticed."""
    original = solver.integrate
    calls = 0

    def second_is_off(*args: Any, conditions: Any, **settings: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls % 2 == 0:
            node = conditions[0].node
            off = add([(1, node), (Fraction(1, 10**20), Const(Fraction(1), ()))])
            conditions = [replace(conditions[0], node=off)]
        return original(*args, conditions=conditions, **settings)

    monkeypatch.setattr(solver, "integrate", second_is_off)
    with pytest.raises(sf.ComputationError, match="30 digits could not be reached"):
        solve_flow(decay(), dps=30, stop=sf.stop_when(lambda w: w[0][0, 0], "1/3"))
    assert calls == 2 * ATTEMPTS


def test_a_stop_by_another_condition_in_the_second_run_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    original = solver.integrate
    calls = 0

    def second_sees_nothing(*args: Any, conditions: Any, **settings: Any) -> Any:
        nonlocal calls
        calls += 1
        return original(*args, conditions=() if calls % 2 == 0 else conditions, **settings)

    monkeypatch.setattr(solver, "integrate", second_sees_nothing)
    with pytest.raises(FlowStopped, match=r"two runs .* different conditions \(the loss falls to 0.01 and none\)"):
        solve_flow(decay(5), dps=30, stop=sf.stop_at_loss("1e-2"))


def test_without_an_error_estimate_and_for_any_field() -> None:
    trajectory = solve_flow(decay(), dps=30, stop=sf.stop_at_loss("1e-6"), estimate_error=False)
    assert trajectory.stopped is not None
    assert trajectory.stopped.error_estimate is None
    # R18's field: theta' = -theta, e' = -e - theta/2, so e = -t exp(-t) / 2
    problem = decay()
    field = leading_order_field(problem.objective)
    found = solve_field(field, [Fraction(1), Fraction(0)], horizon=9, dps=30, stop=sf.stop_at_gradient_norm("1/10"))
    with mpmath.workdps(50):
        assert abs(found.horizon - mpmath.log(10)) < mpf(10) ** -30
        assert abs(found.at_end()[1] + mpmath.log(10) / 20) < mpf(10) ** -30


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: sf.stop_at_loss("soon"), "the value of a stop must be a number"),
        (lambda p: sf.stop_at_gradient_norm(0), "a gradient norm at which a flow stops must be positive, got 0"),
        (lambda p: sf.stop_when("W1_11", 1), "got the text 'W1_11'; text is never evaluated"),
        (lambda p: sf.stop_when(sympy.Symbol("W1_11"), 1, "up"), 'direction must be "falls", "rises" or "crosses"'),
        (lambda p: sf.stop_when(sympy.Symbol("q"), 1), "only the given variables, got q"),
        (lambda p: sf.stop_when(3, 1), "scalar SymPy expression, got 3"),
        (lambda p: sf.stop_when(lambda w: w[7], 1), "it fails with IndexError"),
        (lambda p: sf.stop_when(lambda w: w[0], 1), "scalar SymPy expression, got"),
        (lambda p: sf.stop_when(sf.gradient(p.objective), 1), "must be a scalar of theta alone"),
        (lambda p: sf.stop_when(sf.hessian_form(p.objective), 1), "must be a scalar of theta alone"),
        (lambda p: sf.stop_when(sf.loss(balanced().objective), 1), "derive it from the objective of the problem"),
        (lambda p: "loss", "stop must be a Stop or a list of them"),
    ],
)
def test_wrong_conditions(make: Any, message: str) -> None:
    problem = decay()
    with pytest.raises(ProblemError, match=message.replace("(", r"\(")) as caught:
        solve_flow(problem, stop=make(problem))
    assert "\n" not in str(caught.value)


def test_data_of_another_problem_are_refused() -> None:
    problem = reference("relu-2-3-1")
    other = Problem(
        network={"widths": [2, 3, 1], "activation": "relu"},
        data={"x": (problem.x + 1).tolist(), "y": problem.y.tolist()},
        init={"theta": problem.theta0},
    )
    with pytest.raises(ProblemError, match="has other data"):
        solve_flow(problem, dps=20, stop=sf.stop_when(sf.loss(other.objective), 1))


def test_limits_are_the_same_with_a_condition() -> None:
    assert Limits().max_steps == 100_000
    with pytest.raises(FlowStopped) as caught:
        solve_flow(decay(), dps=30, stop=sf.stop_at_loss("1e-60"), max_steps=3)
    assert caught.value.cause == "max-steps"
    assert caught.value.trajectory.conditions == ("loss falls to 1e-60",)
