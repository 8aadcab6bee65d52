"""solve_flow against closed forms, conservation laws and mpmath's own integrator, to all digits."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np
import pytest
from cases import reference
from mpmath import mpf
from plain_flow import expected_error, network_problem, plain_loss_and_speed, plain_matrices

from symflow.networks.objective import expression_objective
from symflow.paths.flow import solve_flow
from symflow.paths.trajectory import Trajectory
from symflow.problem import Problem

DPS = 50
TIMES = ["1/1000", "0.3", "1", "17/7", "3"]
WHITE = [[1, 1], [1, -1], [-1, 1], [-1, -1]]
"""Inputs with Sigma_xx = I."""


@pytest.fixture(autouse=True)
def digits() -> Any:
    with mpmath.workdps(DPS + 20):
        yield


def number(q: Any) -> Any:
    q = Fraction(q)
    return mpf(q.numerator) / q.denominator


def accurate(trajectory: Trajectory, time: Any, expected: Any) -> None:
    """Asserts that all digits are right and that the estimated error is no smaller than the true one."""
    value = trajectory(time)
    assert expected_error(value, expected) <= mpf(10) ** -DPS
    assert max(abs(a - b) for a, b in zip(value, expected, strict=True)) <= trajectory.error_estimate


@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_depth_one_is_a_matrix_exponential(activation: str) -> None:
    x = [["1/2", "-3/10", "2"], ["7/10", "1", "-1"], ["1/5", "3/5", "1/3"], ["-1", "2", "1"]]
    y = [["1", "2"], ["-1/4", "0"], ["3", "1/7"], ["1/2", "-2"]]
    theta = ["1/10", "-1/5", "3/10", "2/5", "-1/2", "3/5"]
    problem = network_problem([3, 2], x, y, theta, 3, (1, 1) if activation == "linear" else (1, 0))
    trajectory = solve_flow(problem, dps=DPS)
    inputs = mpmath.matrix([[number(v) for v in row] for row in x]).T
    targets = mpmath.matrix([[number(v) for v in row] for row in y]).T
    sigma, cross = inputs * inputs.T / 4, targets * inputs.T / 4
    for time in TIMES:
        expected = []
        for row in range(2):  # w' = -Sigma w + lambda, as a linear system in (w, 1)
            system = mpmath.zeros(4, 4)
            system[:3, :3] = -sigma
            for i in range(3):
                system[i, 3] = cross[row, i]
            start = mpmath.matrix([*(number(v) for v in theta[3 * row : 3 * row + 3]), 1])
            expected += list(mpmath.expm(system * number(time)) * start)[:3]
        accurate(trajectory, time, expected)


def depth_two_scalar(target: Any, u0: Any, c: Any, t: Any) -> Any:
    """u = w_1 w_2 at time t for c = |w_1^2 - w_2^2| > 0."""
    kappa = mpmath.sqrt(4 * target**2 + c**2)
    plus, minus = (2 * target + kappa) / c, (2 * target - kappa) / c
    q0 = (2 * u0 + mpmath.sqrt(c**2 + 4 * u0**2)) / c
    k = (q0 - plus) / (q0 - minus)
    e = k * mpmath.exp(-kappa * t)
    q = (plus - minus * e) / (1 - e)
    return c / 4 * (q - 1 / q)


@pytest.mark.parametrize(
    ("w1", "w2", "target"),
    [("1/2", "1/2", 1), ("3/5", "-3/5", 2), ("1", "-1/3", "3/2"), ("-2", "1/7", 1), ("2", "1", -1)],
)
def test_scalar_depth_two(w1: str, w2: str, target: Any) -> None:
    trajectory = solve_flow(network_problem([1, 1, 1], [[1]], [[target]], [w1, w2], 3), dps=DPS)
    a, b, goal = number(w1), number(w2), number(target)
    for time in TIMES:
        t, product = number(time), mpmath.fprod(trajectory(time))
        difference = a**2 - b**2
        if a == b:  # u' = 2u(goal - u)
            u = goal / (1 + (goal / (a * b) - 1) * mpmath.exp(-2 * goal * t))
        elif a == -b:  # u' = -2u(goal - u) until u = 0, which it never reaches
            u = goal / (1 + (goal / (a * b) - 1) * mpmath.exp(2 * goal * t))
        else:
            u = depth_two_scalar(goal, a * b, abs(difference), t)
        assert abs(product - u) <= mpf(10) ** -DPS * max(1, abs(u))
        # w_1^2 - w_2^2 is conserved, so both weights follow from u (a larger one never changes its sign).
        root = mpmath.sqrt(difference**2 + 4 * u**2)
        first, second = mpmath.sqrt((root + difference) / 2), mpmath.sqrt((root - difference) / 2)
        if abs(a) >= abs(b):
            first *= mpmath.sign(a)
            second = u / first
        else:
            second *= mpmath.sign(b)
            first = u / second
        accurate(trajectory, time, [first, second])


def whitened_balanced(depth: int, scale: Fraction) -> tuple[Problem, Any, Any, Any]:
    """A balanced linear 2-...-2-1 network on whitened data, with w(0), lambda and the cosine nu(0) between them."""
    u, v, goal = (Fraction(3, 5), Fraction(4, 5)), (Fraction(-5, 13), Fraction(12, 13)), (Fraction(3, 2), Fraction(2))
    y = [[sum(g * c for g, c in zip(goal, row, strict=True))] for row in WHITE]
    first = [scale * a * b for a in u for b in v]
    middle = [scale * a * b for a in u for b in u]
    theta = first + middle * (depth - 2) + [scale * a for a in u]
    problem = network_problem([2] * depth + [1], WHITE, y, theta, 3)
    nu = sum(g * c for g, c in zip(goal, v, strict=True)) / Fraction(5, 2)
    return problem, number(scale**depth), mpf(5) / 2, number(nu)


def norm_and_cosine(trajectory: Trajectory, time: Any) -> tuple[Any, Any]:
    row = trajectory.end_to_end(time)[0]
    norm = mpmath.sqrt(mpmath.fdot(row, row))
    return norm, mpmath.fdot(row, [mpf(3) / 5, mpf(4) / 5]) / norm


def test_whitened_balanced_depth_two() -> None:
    problem, w0, goal, nu0 = whitened_balanced(2, Fraction(1, 2))
    trajectory = solve_flow(problem, dps=DPS)
    a = mpmath.atanh(nu0)
    for time in TIMES:
        t = number(time)
        angle = goal * t + a
        expected_norm = mpmath.cosh(angle) ** 2 / (
            mpmath.cosh(a) ** 2 / w0 + t + (mpmath.sinh(2 * angle) - mpmath.sinh(2 * a)) / (2 * goal)
        )
        norm, cosine = norm_and_cosine(trajectory, time)
        assert abs(cosine - mpmath.tanh(angle)) < mpf(10) ** -DPS
        assert abs(norm - expected_norm) < mpf(10) ** (1 - DPS)


def test_whitened_balanced_depth_three_by_quadrature() -> None:
    problem, w0, goal, nu0 = whitened_balanced(3, Fraction(4, 5))
    trajectory = solve_flow(problem, dps=DPS)
    a = mpmath.atanh(nu0)

    def primitive(angle: Any) -> Any:  # of cosh^3
        s = mpmath.sinh(angle)
        return s + s**3 / 3

    def norm_at(angle: Any) -> Any:
        return mpmath.cosh(angle) ** 3 / (mpmath.cosh(a) ** 3 / w0 + 3 / goal * (primitive(angle) - primitive(a)))

    for time in ["0.3", "1"]:
        norm, cosine = norm_and_cosine(trajectory, time)
        angle = mpmath.atanh(cosine)
        assert abs(norm - norm_at(angle)) < mpf(10) ** -45
        elapsed = mpmath.quad(lambda s: norm_at(s) ** (-mpf(1) / 3) / goal, mpmath.linspace(a, angle, 4))
        assert abs(elapsed - number(time)) < mpf(10) ** -45


@pytest.mark.parametrize("name", ["linear-2-2-2-1", "relu-2-3-1", "leaky-2-2-2-1"])
def test_energy_identity(name: str) -> None:
    """R1: f(theta(0)) - f(theta(T)) is the integral of ||grad f||^2, across kinks too."""
    problem = reference(name)
    trajectory = solve_flow(problem, dps=DPS, horizon=3, estimate_error=False)
    network = problem.network
    arguments = (network.widths, problem.x, problem.y, (network.alpha, network.alpha_bar))
    points = sorted([*mpmath.linspace(0, 3, 9), *(e.time for e in trajectory.events)])
    with mpmath.workdps(48):
        integral = mpmath.quad(
            lambda t: plain_loss_and_speed(trajectory(t), *arguments)[1], points, method="gauss-legendre", maxdegree=5
        )
        start, end = (plain_loss_and_speed(trajectory(t), *arguments)[0] for t in (0, 3))
        assert abs(start - end - integral) < mpf(10) ** -45
        assert abs(start - end) > 0.001


def test_balancedness_of_linear_networks() -> None:
    """R10: W_{j+1}^T W_{j+1} - W_j W_j^T is conserved."""
    problem = reference("linear-3-4-2")
    trajectory = solve_flow(problem, dps=DPS)

    def balancedness(time: Any) -> list[Any]:
        weights = plain_matrices(trajectory(time), problem.network.widths)
        return [v for a, b in pairwise(weights) for v in b.T * b - a * a.T]

    start = balancedness(0)
    for time in ["0.01", "5/3", "6"]:
        assert max(abs(a - b) for a, b in zip(balancedness(time), start, strict=True)) < mpf(10) ** -DPS
    assert max(abs(a - b) for a, b in zip(trajectory(0), trajectory(6), strict=True)) > 0.1


@pytest.mark.parametrize("name", ["relu-2-3-1", "leaky-2-2-2-1"])
def test_balancedness_of_every_neuron_across_crossings(name: str) -> None:
    """R10: squared norm of a unit's outgoing weights minus that of its incoming ones is conserved."""
    problem = reference(name)
    trajectory = solve_flow(problem, dps=DPS)
    assert len(trajectory.events) >= 3

    def differences(time: Any) -> list[Any]:
        weights = plain_matrices(trajectory(time), problem.network.widths)
        return [
            mpmath.norm(b[:, r]) ** 2 - mpmath.norm(a[r, :]) ** 2 for a, b in pairwise(weights) for r in range(a.rows)
        ]

    start = differences(0)
    for time in [e.time + mpf(1) / 1000 for e in trajectory.events] + [8]:
        assert max(abs(a - b) for a, b in zip(differences(time), start, strict=True)) < mpf(10) ** -DPS


def test_dense_output_equals_runs_that_end_there() -> None:
    problem = reference("relu-2-3-1")
    trajectory = solve_flow(problem, dps=DPS)
    for time in ["1e-40", "0.1", "8/3", "2.7", "7.999"]:
        accurate(trajectory, time, solve_flow(problem, horizon=time, dps=DPS + 15, estimate_error=False)(time))
    for event in trajectory.events:  # continuous across every crossing
        before, after = (trajectory(event.time + s * mpf(10) ** -58) for s in (-1, 1))
        assert max(abs(p - q) for p, q in zip(before, after, strict=True)) < mpf(10) ** -56


def test_times_mean_what_their_types_say() -> None:
    trajectory = solve_flow(network_problem([1, 1], [[1]], [[0]], [1], "3"), dps=DPS)
    fifth_half = trajectory("5/2")[0]
    assert abs(fifth_half - mpmath.exp(mpf(-5) / 2)) < mpf(10) ** -DPS
    assert [trajectory(t)[0] for t in (2.5, Fraction(5, 2), mpf(5) / 2, np.float64(2.5))] == [fifth_half] * 4
    assert abs(trajectory("0.1")[0] - mpmath.exp(-mpf(1) / 10)) < mpf(10) ** -DPS
    assert trajectory(0.1)[0] == trajectory("0.1")[0]  # a float is its shortest decimal
    assert trajectory(mpf(0.1))[0] != trajectory("0.1")[0]  # an mpmath number is itself
    assert abs(trajectory(mpf(0.1))[0] - mpmath.exp(-mpf(0.1))) < mpf(10) ** -DPS
    assert trajectory(trajectory.horizon)[0] == trajectory(3)[0]
    np.testing.assert_allclose(trajectory.numpy([0, "1/3", 1.5])[:, 0], np.exp([0, -1 / 3, -1.5]), rtol=1e-15)
    for outside in (-1, "3.0001"):
        with pytest.raises(ValueError, match=r"time must lie in \[0, 3\]"):
            trajectory(outside)


def test_matches_mpmath_odefun() -> None:
    problem = network_problem([1, 2, 1], [[1], ["1/2"]], [[2], [-1]], ["1/2", "1/3", "-1/4", "2"], 2)
    sigma, cross = mpf(5) / 8, mpf(3) / 4

    def field(_: Any, w: Any) -> list[Any]:
        error = cross - sigma * (w[0] * w[2] + w[1] * w[3])
        return [error * w[2], error * w[3], error * w[0], error * w[1]]

    trajectory = solve_flow(problem, dps=30)
    with mpmath.workdps(20):
        solution = mpmath.odefun(field, 0, [number(q) for q in problem.theta0])
        assert expected_error(trajectory(2), solution(2)) < mpf(10) ** -18


@pytest.mark.parametrize(
    ("text", "start", "solution"),
    [
        ("x", ["1"], lambda t: [1 - t]),
        ("3", ["1"], lambda t: [mpf(1)]),
        ("-x**2/2", ["1"], lambda t: [mpmath.exp(t)]),
        ("-x**3/3", ["1"], lambda t: [1 / (1 - t)]),
        ("x**2/2 + y", ["1", "2"], lambda t: [mpmath.exp(-t), 2 - t]),
    ],
)
def test_stand_alone_objectives(text: str, start: list[str], solution: Any) -> None:
    import sympy

    variables = sympy.symbols("x y")[: len(start)]
    objective = expression_objective(sympy.sympify(text), list(variables))
    trajectory = solve_flow(Problem(objective=objective, theta0=start, horizon="9/10", dps=DPS))
    for time in ["0.001", "1/2", "9/10"]:
        accurate(trajectory, time, solution(number(time)))
