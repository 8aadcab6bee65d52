"""Flows whose series say nothing of what comes (lost exponentials, gaps, barriers, tiny numbers), and their checks."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import log
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy
from gmpy2 import mpz
from mpmath import mpf
from plain_flow import network_problem
from scipy.integrate import solve_ivp

import symflow as sf
from symflow.dynamics.vector_field import gradient_flow_field
from symflow.errors import ComputationError, FlowStopped, KinkError
from symflow.evaluate.fixed_point import FixedSeries
from symflow.evaluate.series import Function, compile_recurrence
from symflow.numbers.fixed_point import from_fraction, to_float
from symflow.paths.identities import balancedness_drift, energy_defect
from symflow.paths.scale import needed_digits
from symflow.paths.taylor.defect import ALLOWED, log2_local_error
from symflow.paths.taylor.resolved import log2_resolved

a, b = sympy.symbols("a b")


def own(expression: sympy.Expr, start: list[Any], horizon: Any, dps: int) -> sf.Problem:
    """A problem without a network."""
    variables = sorted(expression.free_symbols, key=str)
    return sf.Problem(objective=sf.expression_objective(expression, variables), theta0=start, horizon=horizon, dps=dps)


def logistic(x: Any, start: Any, horizon: Any, dps: int) -> sf.Problem:
    """One weight, one sample with the label 1."""
    return sf.Problem(
        network={"widths": [1, 1], "activation": "linear"},
        loss={"kind": "logistic"},
        data={"x": [[x]], "y": [[1]]},
        init={"theta": [start]},
        run={"horizon": horizon, "dps": dps},
    )


def logistic_truth(x: str, start: str, time: str) -> Any:
    """theta of z + e^z = z_0 + e^(z_0) + x^2 t, z = x theta: z' = x^2 / (1 + e^z)."""
    size, z0 = mpf(x), mpf(x) * mpf(start)
    goal = z0 + mpmath.exp(z0) + size**2 * mpf(time)
    return mpmath.findroot(lambda z: z + mpmath.exp(z) - goal, mpmath.log(goal) if goal > 1 else goal - 1) / size


def right(values: Any, truth: Any, dps: int) -> bool:
    """|error| <= 10^-dps max(1, |value|) in each component."""
    with mpmath.workdps(dps + 30):
        return all(abs(v - t) <= mpf(10) ** -dps * max(1, abs(t)) for v, t in zip(values, truth, strict=True))


@pytest.mark.parametrize(
    ("x", "start", "time", "dps"),
    [("1", "-1500", "2000", 50), ("1", "-300", "400", 50), ("1", "-150", "200", 15), ("1e-40", "0", "1e42", 15)],
)
def test_a_saturated_loss_wakes_up(x: str, start: str, time: str, dps: int) -> None:
    flow = sf.solve_flow(logistic(x, start, time, dps))
    with mpmath.workdps(dps + 60):
        truth = logistic_truth(x, start, time)
    assert right(flow.at_end(), [truth], dps)
    assert flow.error_estimate <= mpf(10) ** -dps * max(1, abs(truth))


def test_a_condition_behind_a_saturated_loss() -> None:
    """theta = 20 at t = 20 + e^20 + 1500 - e^-1500."""
    flow = sf.solve_flow(logistic(1, -1500, "1e10", 15), stop=sf.stop_when(lambda w: w[0][0, 0], 20))
    with mpmath.workdps(40):
        assert abs(flow.stopped.time - (1520 + mpmath.exp(20))) < mpf(10) ** -15 * flow.stopped.time


def test_a_condition_on_a_quantity_whose_series_has_gaps() -> None:
    """theta = t reaches theta^90 = 1/10, though the coefficients of theta^90 vanish up to the 89th."""
    flow = sf.solve_flow(own(-a, ["0"], 5, 15), stop=sf.stop_when(a**90, "1/10"))
    with mpmath.workdps(40):
        assert abs(flow.stopped.time - mpf("0.1") ** (mpf(1) / 90)) < mpf(10) ** -15


@pytest.mark.parametrize("dps", [15, 45, 50])
def test_a_series_with_gaps(dps: int) -> None:
    """theta' = 1 - 60 theta^59: the coefficients 2 to 59 vanish. The time is the integral of 1 / theta'."""
    end = sf.solve_flow(own(a**60 - a, ["0"], 1, dps)).at_end()[0]
    assert abs(end - mpf("0.93273728624423")) < mpf(10) ** -14
    with mpmath.workdps(dps + 15):
        time = mpmath.quad(lambda x: 1 / (1 - 60 * x**59), [0, 0.5, 0.7, 0.8, 0.85, 0.9, 0.92, end])
        assert abs(time - 1) < mpf(10) ** -dps


@pytest.mark.parametrize("sharpness", [1000, 10**8])
def test_a_barrier_narrower_than_the_steps(sharpness: int) -> None:
    """f = -a + 10 exp(-c (a - 100)^2): from 0 the flow moves at speed 1 and comes to rest where f' = 0."""
    flow = sf.solve_flow(own(-a + 10 * sympy.exp(-sharpness * (a - 100) ** 2), ["0"], "100.002", 20))
    with mpmath.workdps(40):
        width = 1 / mpmath.sqrt(2 * sharpness)
        rest = 100 - mpmath.findroot(lambda d: mpmath.log(20 * sharpness * d) - sharpness * d**2, 4 * width)
    if sharpness == 10**8:  # there within the time
        assert abs(flow.at_end()[0] - rest) < mpf(10) ** -12
    assert flow.at_end()[0] < rest + mpf(10) ** -12


@pytest.mark.parametrize("dps", [15, 50])
def test_tiny_weights_grow(dps: int) -> None:
    """w = 1e-40 for both weights, target 1: u = w^2 obeys u' = 2 u (1 - u)."""
    problem = network_problem([1, 1, 1], [[1]], [[1]], ["1e-40", "1e-40"], 120)
    flow = sf.solve_flow(problem, dps=dps)
    for time in ("1", "92", "120"):
        with mpmath.workdps(120):
            u0 = mpf(10) ** -80
            truth = mpmath.sqrt(u0 / (u0 + (1 - u0) * mpmath.exp(-2 * mpf(time))))
        assert right(flow(time), [truth, truth], dps)
        assert abs(flow(time)[0] / truth - 1) < mpf(10) ** -dps


def test_what_falls_below_the_last_place_and_grows_again() -> None:
    """a' = a (b - 1) - a^3, b' = a^2 / 2 + 1/10 from (1/1000, -7/2): a falls to 1e-47 and is of size 1 later.

    Truth by SciPy in the logarithm of a.
    """
    problem = own(a**2 / 2 * (1 - b) + a**4 / 4 - b / 10, ["1/1000", "-7/2"], 92, 15)
    flow = sf.solve_flow(problem)

    def slope(t: float, y: np.ndarray) -> list[float]:
        square = np.exp(min(2 * y[0], 50))
        return [y[1] - 1 - square, square / 2 + 0.1]

    truth = solve_ivp(slope, (0, 92), [log(1e-3), -3.5], "Radau", rtol=1e-10, atol=1e-10).y[:, -1]
    assert np.allclose([float(v) for v in flow.at_end()], [np.exp(truth[0]), truth[1]], rtol=1e-6)


@pytest.mark.parametrize("weights", [["1e-25", "1"], ["1", "-0.9999999999999999999999999", "1"]])
def test_a_start_beside_a_repelling_kink(weights: list[str]) -> None:
    """The pre-activation is 1e-25 or 1e-25 / 2 and grows: w_2 relu(z) goes to the target 1."""
    x = [[1]] if len(weights) == 2 else [["1/2", "1/2"]]
    problem = network_problem([len(weights) - 1, 1, 1], x, [[1]], weights, 250, (1, 0))
    end = sf.solve_flow(problem, dps=15).at_end()
    with mpmath.workdps(30):
        inputs = [mpf(1)] if len(weights) == 2 else [mpf(1) / 2] * 2
        assert abs(sum(w * v for w, v in zip(end[:-1], inputs, strict=True)) * end[-1] - 1) < mpf(10) ** -14


def test_events_of_a_tiny_sample_are_known_to_the_digits() -> None:
    """A sample of size 1e-18 does not move the flow, but its kink is crossed where w is orthogonal to it."""
    x, y = [[1, 0], [Fraction(-3, 10**18), Fraction(1, 10**18)]], [[2], [0]]
    problem = network_problem([2, 1, 1], x, y, ["1/10", "1", "1"], 6, (1, 0))
    flow = sf.solve_flow(problem, dps=30)
    alone = sf.solve_flow(network_problem([2, 1, 1], x[:1], y[:1], ["1/10", "1", "1"], 3, (1, 0)), dps=45)
    (event,) = flow.events
    assert (event.sample, event.kind) == (1, "crossing")
    with mpmath.workdps(50):
        crossing = mpmath.findroot(lambda t: alone(t)[1] - 3 * alone(t)[0], event.time / 2)
        assert abs(event.time - 2 * crossing) < mpf(10) ** -29  # the mean over two samples halves the speed


def test_huge_exponentials_are_refused_in_words() -> None:
    with pytest.raises(FlowStopped, match=r"exp\(1e\+09\) is too large") as stopped:
        sf.solve_flow(own(sympy.exp(-a), ["-1e9"], 1, 20))
    assert stopped.value.cause == "domain"


def test_a_flow_that_blows_up_is_not_tried_for_ever() -> None:
    with pytest.raises(FlowStopped) as stopped:
        sf.solve_flow(own(-(a**4) / 4, ["1"], 1, 20))  # a' = a^3 ends at t = 1/2
    assert stopped.value.cause == "step-size"
    assert abs(stopped.value.time - mpf("0.5")) < mpf(10) ** -6


def test_at_a_kink_at_the_start_no_earlier_horizon_is_advised() -> None:
    problem = network_problem([1, 1, 1], [[1]], [[1]], ["0", "1"], 1, (1, 0))
    with pytest.raises(KinkError, match="; choose another initial point") as stopped:
        sf.solve_flow(problem, dps=20)
    assert stopped.value.cause == "repelling"


# What checks the flows, seen to fail.


def test_the_defect_sees_what_the_coefficients_do_not() -> None:
    """theta = s solves theta' = 1 - 60 theta^59 to order 58; at s the field is off by 60 s^59."""
    field = gradient_flow_field(own(a**60 - a, ["0"], 1, 20).objective)
    bits, order = 120, 30
    recurrence = compile_recurrence(field, {}, FixedSeries(bits))
    line = [[mpz(0), mpz(1) << bits, *[mpz(0)] * (order - 1)]]
    for s, expected in ((Fraction(1), 60.0), (Fraction(1, 2), 60 * 0.5**59)):
        values, error = log2_local_error(recurrence, line, from_fraction(s, bits), 0)
        assert values == [from_fraction(s, bits)]
        assert error == pytest.approx(log(float(s) * expected / (order + 1), 2) + bits, abs=0.01)
    assert ALLOWED < 10


@pytest.mark.parametrize("name", ["exp", "sigmoid"])
def test_a_lost_exponential_limits_the_step(name: str) -> None:
    """z = -1000 + c s: harmless where it stays below log eps on the step, else the step ends before."""
    bits = 200
    one = mpz(1) << bits

    def series(z: list[mpz]) -> np.ndarray:
        return np.array([[to_float(c, bits) for c in z]])

    for speed, harmless in ((1, True), (700, True), (990, False), (3000, False)):
        z = [-1000 * one, speed * one, *[mpz(0)] * 40]
        lost = Function([mpz(0)] * 42, name, None, z)
        found = log2_resolved([lost], series(z), bits, 0.0, -170.0, 40, 0)
        assert (found == 0) is harmless
        assert -1000 + speed * 2.0**found < -170 * log(2)
    wave = [-130 * one, mpz(0), -8000 * one, mpz(0), 32000 * one, *[mpz(0)] * 40]
    hidden = Function([], name, None, wave)
    assert (
        log2_resolved([hidden], series(wave), bits, 0.0, -170.0, 40, 0) < -3
    )  # e^z is of size 1 at s = 1/2 and small at both ends


def test_identities_see_a_wrong_step() -> None:
    """A weight that moves by 1e-20 at a joint: R1 and R10 are off by about as much."""
    problem = network_problem([2, 2, 1], [[1, 2], [2, -1]], [[1], [-1]], ["1/2", "1/3", "-1/4", "1/5", "1", "-1/2"], 2)
    flow = sf.solve_flow(problem, dps=30)
    assert energy_defect(flow) < mpf(10) ** -30
    assert balancedness_drift(flow) < mpf(10) ** -30
    steps: Any = flow.dense
    moved = from_fraction(Fraction(1, 10**20), steps.bits)
    last = steps.segments[-1]
    shifted = ([last.coefficients[0][0] + moved, *last.coefficients[0][1:]], *last.coefficients[1:])
    wrong = replace(flow, dense=replace(steps, segments=(*steps.segments[:-1], replace(last, coefficients=shifted))))
    assert mpf(10) ** -23 < energy_defect(wrong) < mpf(10) ** -19
    assert mpf(10) ** -22 < balancedness_drift(wrong) < mpf(10) ** -19


def test_digits_follow_the_smallest_number() -> None:
    def digits(start: list[str], dps: int = 15, x: Any = 1) -> int:
        problem = network_problem([1, 1, 1], [[x]], [[1]], start, 1, (1, 0))
        return needed_digits(problem.objective, problem.theta0, dps)

    assert digits(["1", "1"]) == 16
    assert digits(["1", "1"], 50) == 50
    assert digits(["1e-3", "1"], 50) == 50
    assert digits(["1e-40", "1"]) == 56
    assert digits(["1e-40", "0"], 50) == 90
    assert digits(["1", "1"], 15, "1e-30") == 46
    with pytest.raises(ComputationError, match="scale the problem"):
        digits(["1e-9999", "1"], 9999)
