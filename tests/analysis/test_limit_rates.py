"""The rate mu of R24 on balls: it holds there, and no larger one does."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest

import symflow as sf
from symflow.analysis.limit.boxes import LARGE, box, least_eigenvalue
from symflow.analysis.limit.interpolating import Interpolating, interpolating
from symflow.analysis.limit.linear import least_squares
from symflow.numbers.balls import ball, ball_precision, from_mpf
from tests.analysis.test_limit import drawn, scalars

# mu -------------------------------------------------------------------------------------------------------------------


def ratios(problem: sf.Problem, center: list[Fraction], radius: float, least: Fraction, seed: int) -> list[float]:
    """||g||^2/(2 (f - f*)) at random points of a ball."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(200):
        step = rng.normal(size=len(center))
        step *= radius * rng.uniform() ** 0.3 / np.linalg.norm(step)
        at = [c + Fraction(float(s)) for c, s in zip(center, step, strict=True)]
        slope = sf.evaluate_exact(sf.gradient(problem.objective), at)
        loss = sf.evaluate_exact(sf.loss(problem.objective), at)
        found.append(float(sum(v * v for v in slope) / (2 * (loss - least))))
    return found


@pytest.mark.parametrize("kind", ["interpolating", "linear"])
def test_the_rate_holds_on_the_ball_and_no_larger_one_does(kind: str) -> None:
    """One sample or weights of one direction, so that ||g||^2 = 2 mu (f - f*) with mu the eigenvalue itself."""
    problem = scalars("1", "1/2", "2")
    objective = problem.objective
    with ball_precision(100):
        route: Any = interpolating(objective)
        if kind == "linear":
            from symflow.analysis.limit.linear import linear

            route = linear(objective)
        for radius in (Fraction(1, 1000), Fraction(1, 10)):
            mu = float(route.rate(box([ball(v) for v in problem.theta0], ball(radius))).lower())
            found = ratios(problem, list(problem.theta0), float(radius), Fraction(0), 0)
            assert min(found) >= mu
            if radius < Fraction(1, 100):
                assert min(found) < 1.01 * mu  # inflated by one percent it is refuted


@pytest.mark.parametrize("seed", range(3))
def test_the_rate_of_linear_networks_with_a_singular_moment(seed: int) -> None:
    """N < d_0: Sigma has rank 2 in 3 dimensions, f* = 0, and both cases of R24 are bounds of the same inequality."""
    problem = drawn((3, 3, 1), 2, seed)
    found = least_squares(problem.objective)
    assert found is not None
    assert found[1].value == 0
    assert found[1].basis.shape == (3, 2)
    from symflow.analysis.limit.linear import linear

    with ball_precision(100):
        where = box([ball(v) for v in problem.theta0], ball(Fraction(1, 100)))
        rates = [float(r.rate(where).lower()) for r in (interpolating(problem.objective), linear(problem.objective))]
    sampled = min(ratios(problem, list(problem.theta0), 0.01, Fraction(0), seed))
    assert all(rate <= sampled for rate in rates)
    assert max(rates) > 0


@pytest.mark.parametrize("samples", [2, 30])
def test_the_moment_is_that_of_its_eigenvalues(samples: int) -> None:
    problem = drawn((4, 2, 1), samples, 1)
    from symflow.analysis.limit.linear import linear

    with ball_precision(100):
        found = float(linear(problem.objective)._moment.mid())
    x = np.array(problem.x, dtype=float).T
    values = np.linalg.eigvalsh(x @ x.T / samples)
    assert found == pytest.approx(values[values > 1e-10].min(), rel=1e-9)


def test_the_jacobian_is_that_of_the_outputs() -> None:
    """By differences of exact outputs, which are quadratic in each weight: second-order central ones are exact."""
    problem = drawn((2, 2, 2), 2, 4)
    objective = problem.objective
    route = interpolating(objective)
    assert isinstance(route, Interpolating)
    with ball_precision(100):
        found = route.jacobian(box([ball(v) for v in problem.theta0], ball(0)))

    def outputs(theta: list[Fraction]) -> np.ndarray:
        w1, w2 = (np.array(theta[a:b], dtype=object).reshape(2, 2) for a, b in ((0, 4), (4, 8)))
        return np.array(w2.dot(w1).dot(problem.x.T).T.reshape(-1))

    for p in range(8):
        up, down = list(problem.theta0), list(problem.theta0)
        up[p] += 1
        down[p] -= 1
        column = (outputs(up) - outputs(down)) / 2
        assert all(abs(float(found[i, p].mid()) - float(v)) < 1e-12 for i, v in enumerate(column))


def test_large_matrices_in_float64_balls() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(LARGE, LARGE))
    a = a @ a.T + np.eye(LARGE)
    with ball_precision(80):
        found = least_eigenvalue(np.array([[from_mpf(mpmath.mpf(v)) for v in row] for row in a], dtype=object))
    assert float(found.lower()) <= np.linalg.eigvalsh(a)[0] + 1e-12
    assert float(found.lower()) > 0.99
