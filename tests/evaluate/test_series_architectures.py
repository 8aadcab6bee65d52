"""Taylor coefficients of the flow of all losses and architectures: fast integers against the mpmath reference."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mpf
from mpseries import MpmathSeries
from plain_networks import LOSSES, Case

import symflow as sf
from symflow.dynamics.vector_field import gradient_flow_field
from symflow.evaluate.fixed_point import FixedSeries
from symflow.evaluate.series import compile_recurrence
from symflow.numbers.fixed_point import from_fraction, to_mpf
from symflow.paths.taylor.kinks.gates import initial_gates

BITS = 400
ORDER = 14

NETWORKS: dict[str, Any] = {
    "dense": lambda outputs: sf.FullyConnected((2, 3, outputs), Fraction(1), Fraction(0)),
    "length": lambda outputs: sf.Convolutional(
        (2, 5),
        (sf.Convolution(2, (2,), (2,), (1,)), sf.Pool("max", (3,), (1,)), sf.Dense(outputs)),
        Fraction(1),
        Fraction(1, 5),
    ),
    "image": lambda outputs: sf.Convolutional(
        (1, 3, 4),
        (sf.Convolution(2, (2, 2), (1, 1), (0, 1)), sf.Pool("average", (2, 2), (1, 2)), sf.Dense(2), sf.Dense(outputs)),
        Fraction(1),
        Fraction(0),
    ),
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_coefficients_in_both_arithmetics(name: str, loss: str) -> None:
    case = Case(NETWORKS[name](1 if loss in ("logistic", "exponential") else 2), loss, 2, 11)
    objective, field = case.objective, gradient_flow_field(case.objective)
    theta = [Fraction(float(v)) for v in case.arrays[2]]
    gates, _ = initial_gates(field, theta)
    fixed = compile_recurrence(field, gates, FixedSeries(BITS))
    exact = compile_recurrence(field, gates, MpmathSeries())
    with mpmath.workdps(120):
        fixed.expand([from_fraction(q, BITS) for q in theta], ORDER, -4)
        fixed.read(fixed.series)
        exact.expand([mpf(q.numerator) / q.denominator for q in theta], ORDER, -4)
        for a, b in zip(fixed.state, exact.state, strict=True):
            assert len(a) == len(b) == ORDER + 1
            size = max(1, *(abs(v) for v in b))
            assert max(abs(to_mpf(x, BITS) - y) for x, y in zip(a, b, strict=True)) <= size * mpf(10) ** -100
        # the first coefficient is the field, which another interpreter evaluates: theta_1 = -g(theta) 2^tau
        g = sf.evaluate_mpmath(sf.gradient(objective), theta, dps=110)
        for series, slope in zip(fixed.state, g, strict=True):
            assert abs(to_mpf(series[1], BITS) + slope / 16) <= mpf(10) ** -100


@pytest.mark.parametrize("loss", ["logistic", "exponential", "cross-entropy", "quartic"])
def test_flow_of_every_loss_is_what_descent_tends_to(loss: str) -> None:
    """Richardson: the distance to descent halves with the step, and extrapolates to zero."""
    case = Case(sf.FullyConnected((2, 2, 2 if loss == "cross-entropy" else 1)), loss, 3, 4)
    problem = sf.Problem(objective=case.objective, theta0=case.arrays[2] / 2, horizon=1, dps=25)
    flow = sf.solve_flow(problem)
    assert flow.error_estimate < mpf(10) ** -25
    end = np.array([float(v) for v in flow.at_end()])
    runs = [sf.descend(problem, step_size=Fraction(1, n), steps=n).iterates[-1] for n in (400, 800, 1600)]
    errors = [np.linalg.norm(run - end) for run in runs]
    assert errors[0] / errors[1] == pytest.approx(2, abs=0.05)
    extrapolated = (runs[0] - 6 * runs[1] + 8 * runs[2]) / 3
    assert np.linalg.norm(extrapolated - end) < 1e-3 * errors[2]


def test_equal_samples_share_their_series() -> None:
    """What cancels by symmetry is zero by structure: two equal samples cost no more than one."""
    network = sf.FullyConnected((2, 2, 1), Fraction(1), Fraction(0))
    theta = [Fraction(1, 2)] * 6
    counts = []
    for copies in (1, 2):
        objective = sf.network_objective(network, np.array([[1, 2]] * copies), np.array([[1]] * copies))
        field = gradient_flow_field(objective)
        gates, _ = initial_gates(field, theta)
        counts.append(len(compile_recurrence(field, gates, FixedSeries(64)).steps))
    assert counts[1] <= counts[0] + 2
