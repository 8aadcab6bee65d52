"""The sharpness at which methods lose stability on quadratics, against formulas and iterates written by hand."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
import sympy

import symflow as sf
from symflow.dynamics.method import Arrays, times
from symflow.programs.nodes import Node, add, einsum


@pytest.mark.parametrize("beta", ["0", "1/2", "9/10", "99/100"])
@pytest.mark.parametrize("eta", ["1", "3/1000"])
def test_known_thresholds(beta: str, eta: str) -> None:
    """2/eta, 2(1 + beta)/eta and 2(1 + beta)/((1 + 2 beta) eta) (Cohen et al. 2021)."""
    b, step = sympy.Rational(beta), sympy.Rational(eta)
    assert sf.stability_threshold(step_size=eta) == 2 / step
    assert sf.stability_threshold(sf.HeavyBall(beta), eta) == 2 * (1 + b) / step
    assert sf.stability_threshold(sf.Nesterov(beta), eta) == 2 * (1 + b) / ((1 + 2 * b) * step)


def heavy_ball_radius(sharpness: float, beta: float) -> float:
    """The spectral radius of x_{k+1} = (1 - lambda + beta) x_k - beta x_{k-1}."""
    return float(np.abs(np.roots([1, -(1 - sharpness + beta), beta])).max())


def test_the_iterates_decay_below_and_grow_above() -> None:
    """From the recursion in two terms, written here."""
    limit = float(sf.stability_threshold(sf.HeavyBall("3/4")))
    assert heavy_ball_radius(limit * 0.999, 0.75) < 1 < heavy_ball_radius(limit * 1.001, 0.75)


@dataclass(frozen=True)
class TwoGradientsBack(sf.Method):
    """theta_{k+1} = theta_k - eta (g_k + g_{k-1} + g_{k-2})/3: a pair of complex eigenvalues leaves the disk."""

    name = "mean of three gradients"
    carries = ("last", "before")

    def step(self, now: Arrays, gradient: Node, step_size: Node) -> Arrays:
        third = Fraction(1, 3)
        mean = add([(third, gradient), (third, now["last"]), (third, now["before"])])
        return {
            "theta": add([(1, now["theta"]), (-1, times(step_size, mean))]),
            "last": gradient,
            "before": now["last"],
        }


def test_a_method_of_ones_own_with_complex_eigenvalues() -> None:
    """z^3 - z^2 + (lambda/3)(z^2 + z + 1): the first sharpness at which a root has modulus one, from its roots."""
    found = sf.stability_threshold(TwoGradientsBack())

    def radius(x: float) -> float:
        return float(np.abs(np.roots([1, -1 + x / 3, x / 3, x / 3])).max())

    limit = float(found)
    assert all(radius(x) < 1 for x in np.linspace(0.001, 0.999, 50) * limit)
    assert radius(1.001 * limit) > 1
    assert found.is_algebraic


@dataclass(frozen=True)
class Ascent(sf.Method):
    """theta_{k+1} = theta_k + eta g: unstable for every sharpness."""

    name = "ascent"

    def step(self, now: Arrays, gradient: Node, step_size: Node) -> Arrays:
        return {"theta": add([(1, now["theta"]), (1, times(step_size, gradient))])}


@dataclass(frozen=True)
class Squared(sf.Method):
    """theta_{k+1} = theta_k - eta g^2: not linear on quadratics."""

    name = "squares"

    def step(self, now: Arrays, gradient: Node, step_size: Node) -> Arrays:
        square = einsum((gradient, gradient), ((0,), (0,)), (0,))
        return {"theta": add([(1, now["theta"]), (-1, times(step_size, square))])}


@pytest.mark.parametrize(("method", "said"), [(Ascent(), "unstable"), (Squared(), "linear on quadratics")])
def test_what_has_no_threshold(method: sf.Method, said: str) -> None:
    with pytest.raises(sf.ProblemError, match=said):
        sf.stability_threshold(method)
