"""Descent methods: heavy ball in rationals and in closed form, and a method of one's own in one file."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import mpmath
import numpy as np
import pytest
import sympy
from cases import REFERENCE

import symflow as sf
from symflow.dynamics.method import Arrays, times
from symflow.programs.nodes import Node, add, hadamard, power

X, Y = sympy.symbols("x y")
BETA, ETA = Fraction(9, 10), Fraction(1, 7)


def quadratic(curvature: str = "3/2") -> sf.Problem:
    return sf.Problem(objective=sf.expression_objective(sympy.Rational(curvature) * X**2 / 2, [X]), theta0=["7/5"])


def cubic() -> sf.Problem:
    objective = sf.expression_objective(X**2 * Y / 2 + Y**2 - X / 3, [X, Y])
    return sf.Problem(objective=objective, theta0=["1/2", "-1/3"])


def rational_heavy_ball(steps: int) -> tuple[list[list[Fraction]], list[list[Fraction]]]:
    """theta_k and v_k on `cubic`, the gradient written out."""
    x, y = Fraction(1, 2), Fraction(-1, 3)
    v = w = Fraction(0)
    thetas, velocities = [[x, y]], [[v, w]]
    for _ in range(steps):
        v, w = BETA * v - ETA * (x * y - Fraction(1, 3)), BETA * w - ETA * (x * x / 2 + 2 * y)
        x, y = x + v, y + w
        thetas.append([x, y])
        velocities.append([v, w])
    return thetas, velocities


@pytest.mark.parametrize("dps", [None, 40])
def test_heavy_ball_against_rationals(dps: int | None) -> None:
    run = sf.descend(cubic(), step_size=ETA, steps=6, dps=dps, method=sf.HeavyBall(0.9))
    assert run.method == sf.HeavyBall("9/10")
    with mpmath.workdps(60):
        for found, exact in zip((run.iterates, run.velocity), rational_heavy_ball(6), strict=True):
            wanted = np.array([[mpmath.mpf(q.numerator) / q.denominator for q in row] for row in exact])
            assert np.abs(found - wanted).max() < (1e-15 if dps is None else mpmath.mpf(10) ** -40)
    assert (run.error is None) == (dps is None)
    if run.error is not None:
        assert run.error.how == "certified"
        assert run.error.value == run.error_estimate < mpmath.mpf(10) ** -40


@pytest.mark.parametrize("dps", [None, 40])
def test_nesterov_against_rationals(dps: int | None) -> None:
    """y = theta_k + beta (theta_k - theta_{k-1}), theta_{k+1} = y - eta g(y): without velocities, as he wrote it."""
    here = before = [Fraction(1, 2), Fraction(-1, 3)]
    exact = [here]
    for _ in range(6):
        x, y = (a + BETA * (a - b) for a, b in zip(here, before, strict=True))
        here, before = [x - ETA * (x * y - Fraction(1, 3)), y - ETA * (x * x / 2 + 2 * y)], here
        exact.append(here)
    run = sf.descend(cubic(), step_size=ETA, steps=6, dps=dps, method=sf.Nesterov("9/10"))
    with mpmath.workdps(60):
        wanted = np.array([[mpmath.mpf(q.numerator) / q.denominator for q in row] for row in exact])
        assert np.abs(run.iterates - wanted).max() < (1e-15 if dps is None else mpmath.mpf(10) ** -40)
        assert np.abs(run.velocity[1:] - (wanted[1:] - wanted[:-1])).max() < (1e-15 if dps is None else 1e-39)
        heavy = sf.descend(cubic(), step_size=ETA, steps=6, dps=dps, method=sf.HeavyBall("9/10"))
        assert (heavy.iterates[1] == run.iterates[1]).all()
        assert np.abs(heavy.iterates[2] - run.iterates[2]).max() > 1e-3
    assert run.error is None or run.error.how == "certified"


@pytest.mark.parametrize(("eta", "kind"), [("1/2000", "real"), ("1/3", "complex")])
def test_heavy_ball_on_a_quadratic(eta: str, kind: str) -> None:
    """theta_k = c_1 mu_1^k + c_2 mu_2^k with mu^2 - (1 + beta - eta h) mu + beta = 0 and theta_{-1} = theta_0."""
    steps = 50
    run = sf.descend(quadratic(), step_size=eta, steps=steps, dps=40, method=sf.HeavyBall(BETA))
    with mpmath.workdps(60):
        beta, step, h, start = mpmath.mpf(9) / 10, mpmath.mpf(sympy.Rational(eta)), mpmath.mpf(3) / 2, mpmath.mpf(7) / 5
        root = mpmath.sqrt((1 + beta - step * h) ** 2 - 4 * beta)
        assert (mpmath.im(root) != 0) == (kind == "complex")
        one, two = ((1 + beta - step * h + s * root) / 2 for s in (1, -1))
        first = start * (1 - step * h)
        c = (first - start * two) / (one - two)
        exact = c * one**steps + (start - c) * two**steps
        assert abs(run.iterates[-1][0] - exact) < mpmath.mpf(10) ** -40


@pytest.mark.parametrize("dps", [None, 25])
def test_the_first_step_of_heavy_ball_is_that_of_gradient_descent(dps: int | None) -> None:
    problem = sf.load_problem(REFERENCE / "relu-2-3-1.json")
    plain, heavy = (sf.descend(problem, step_size="1/9", steps=2, dps=dps, method=m) for m in (None, sf.HeavyBall(0.5)))
    assert (plain.iterates[1] == heavy.iterates[1]).all()
    assert (plain.iterates[2] != heavy.iterates[2]).any()


def test_gradient_descent_is_what_is_left_out() -> None:
    run = sf.descend(cubic(), step_size="1/10", steps=1)
    assert run.method == sf.GradientDescent()
    with pytest.raises(AttributeError, match="gradient descent has no velocity"):
        _ = run.velocity
    with pytest.raises(AttributeError, match="a flow has no iterates"):
        _ = sf.solve_flow(cubic(), horizon=1, dps=15).iterates
    with pytest.raises(sf.ProblemError, match="method must be a Method such as"):
        sf.descend(cubic(), step_size="1/10", steps=1, method="adam")  # type: ignore[arg-type]


@pytest.mark.parametrize("momentum", [1, -0.1, "1.5", "a", True])
def test_a_wrong_momentum_is_refused(momentum: object) -> None:
    with pytest.raises(sf.ProblemError, match="momentum must be"):
        sf.HeavyBall(momentum)
    with pytest.raises(sf.ProblemError, match="momentum must be"):
        sf.Nesterov(momentum)


@dataclass(frozen=True)
class LookAhead(sf.Method):
    """A method of one's own: Nesterov's point, and each component divided by sqrt(s + 1), s the mean square slope."""

    momentum: Fraction
    name: ClassVar[str] = "look ahead"
    carries: ClassVar[tuple[str, ...]] = ("velocity", "square")

    def point(self, now: Arrays) -> Node:
        return add([(1, now["theta"]), (self.momentum, now["velocity"])])

    def step(self, now: Arrays, gradient: Node, step_size: Node) -> Arrays:
        square = add([(Fraction(3, 4), now["square"]), (Fraction(1, 4), hadamard(gradient, gradient))])
        ones = power(now["theta"], 0)
        scaled = hadamard(gradient, power(add([(1, square), (1, ones)]), Fraction(-1, 2)))
        velocity = add([(self.momentum, now["velocity"]), (-1, times(step_size, scaled))])
        return {"theta": add([(1, now["theta"]), (1, velocity)]), "velocity": velocity, "square": square}


@pytest.mark.parametrize("dps", [None, 30])
def test_a_method_of_one_s_own_is_one_class(dps: int | None) -> None:
    run = sf.descend(cubic(), step_size=ETA, steps=8, dps=dps, method=LookAhead(Fraction(1, 2)))
    with mpmath.workdps(50):
        eta, beta = mpmath.mpf(1) / 7, mpmath.mpf(1) / 2
        theta, v, s = [mpmath.mpf(1) / 2, -mpmath.mpf(1) / 3], [mpmath.mpf(0)] * 2, [mpmath.mpf(0)] * 2
        for _ in range(8):
            x, y = (a + beta * b for a, b in zip(theta, v, strict=True))
            g = [x * y - mpmath.mpf(1) / 3, x * x / 2 + 2 * y]
            s = [3 * a / 4 + b * b / 4 for a, b in zip(s, g, strict=True)]
            v = [beta * a - eta * b / mpmath.sqrt(c + 1) for a, b, c in zip(v, g, s, strict=True)]
            theta = [a + b for a, b in zip(theta, v, strict=True)]
        for found, wanted in zip((run.iterates, run.velocity, run.steps.carried["square"]), (theta, v, s), strict=True):
            error = max(abs(a - b) for a, b in zip(found[-1], wanted, strict=True))
            assert error < (1e-15 if dps is None else mpmath.mpf(10) ** -30)
    with pytest.raises(sf.ProblemError, match="look ahead carries velocity, square; modified equations by trees"):
        sf.deviation(cubic(), step_size=ETA, horizon=1, dps=15, method=LookAhead(Fraction(1, 2)))


def test_the_flow_of_heavy_ball_is_saved_with_its_rate(tmp_path: Path) -> None:
    problem = sf.load_problem(REFERENCE / "linear-2-2-2-1.json")
    dev = sf.deviation(problem, step_size="1/20", horizon="1/5", dps=15, bounds=[], method=sf.HeavyBall("1/3"))
    dev.flow.save(tmp_path / "flow.json")
    loaded = sf.load_trajectory(tmp_path / "flow.json")
    assert loaded.objective.loss is dev.flow.objective.loss is not problem.objective.loss
    plain = sf.solve_flow(problem, horizon="3/10", dps=15)
    assert all(abs(a - b) < 1e-14 for a, b in zip(dev.flow("1/5"), plain("3/10"), strict=True))


def test_heavy_ball_is_compared_with_its_own_flow() -> None:
    """theta' = -h theta / (1 - beta) on a quadratic; the distance is that of the two closed forms."""
    dev = sf.deviation(quadratic(), step_size="1/50", horizon=1, dps=30, method=sf.HeavyBall("1/2"))
    assert dev.compared_with == "theta' = -2 grad f(theta), heavy ball to order 0"
    with mpmath.workdps(40):
        flow, theta, v = mpmath.mpf(7) / 5 * mpmath.exp(-3), mpmath.mpf(7) / 5, mpmath.mpf(0)
        for _ in range(50):
            v = v / 2 - mpmath.mpf(3) / 100 * theta
            theta += v
        assert abs(dev.flow(1)[0] - flow) < mpmath.mpf(10) ** -30
        assert abs(dev.values[-1] - abs(theta - flow)) < mpmath.mpf(10) ** -29
    assert all(dev.bounds[n].status == "not applicable" for n in ("R4", "R22"))
    assert all("one of heavy ball" in (dev.bounds[n].reason or "") for n in ("R4", "R22"))
    assert abs(dev.bounds["R18"].values[-1] / dev.values[-1] - 1) < 0.2
    assert dev.rounding is not None
    assert max(dev.rounding) < 1e-14
    with pytest.raises(sf.ProblemError, match=r"flow must be a trajectory of sf\.solve_flow"):
        sf.deviation(quadratic(), step_size="1/50", horizon=1, dps=30, flow=dev.run)
    plain = sf.deviation(quadratic(), step_size="1/50", horizon=1, dps=30)
    assert plain.compared_with == "gradient flow"
    assert plain.bounds["R22"].status == "sampled"
