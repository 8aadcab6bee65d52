"""Advice on step sizes: against exact solutions, between what is certified and what is tolerated."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import pytest
import sympy
from cases import reference

import symflow as sf
from symflow.analysis.advice import StepAdvice


def parabola(coefficient: int) -> sf.Problem:
    x = sympy.Symbol("x")
    return sf.Problem(objective=sf.expression_objective(sympy.Rational(coefficient, 2) * x**2, [x]), theta0=["1"])


@pytest.fixture(scope="module")
def advice() -> StepAdvice:
    return sf.max_step_size(reference("linear-2-2-2-1"), "1e-3", 3)


def largest(rate: float, eta: Fraction, horizon: int) -> float:
    """max_k |(1 - eta rate)^k - e^{-k eta rate}|, the deviation on a parabola."""
    step = float(eta)
    return max(abs((1 - step * rate) ** k - math.exp(-k * step * rate)) for k in range(int(horizon / eta) + 1))


def test_what_descent_tolerates_on_a_parabola() -> None:
    found = sf.max_step_size(parabola(2), "1/100", 4)
    assert found.tolerated is not None
    assert largest(2, found.tolerated, 4) < 0.01 <= largest(2, found.tolerated * Fraction(103, 100), 4)
    assert abs(found.tolerated_deviation - largest(2, found.tolerated, 4)) < 1e-9
    best = found.certified
    assert best is not None
    assert best.step_size is not None
    assert largest(2, best.step_size, 4) < 0.01
    assert best.step_size > found.tolerated / 20


def test_certified_step_sizes_lie_below_the_necessary_one_of_r6() -> None:
    """On -(m/2) theta^2, eta <= 2L/(m^2 t - 4mL/3), L = -log(1 - eps e^{-mt}/|theta_0|), is necessary."""
    m, t, eps = 2, 2, mpmath.mpf("0.01")
    logarithm = -mpmath.log(1 - eps * mpmath.exp(-m * t))
    necessary = 2 * logarithm / (m**2 * t - 4 * m * logarithm / 3)
    sufficient = 2 * logarithm / (m**2 * t - m * logarithm)
    found = sf.max_step_size(parabola(-2), "1/100", t)
    for g in found.guarantees:
        if g.status == "certified on a box":
            assert float(g.step_size) <= necessary
    # k eta <= t excludes the last part of a step, so that a little more than the necessary one may be tolerated.
    assert found.tolerated is not None
    assert float(found.tolerated) >= sufficient * 0.98
    tube_free = found["R22(tube-free)"]
    assert tube_free.step_size is not None
    assert float(tube_free.step_size) > 0.5 * necessary


def test_guarantees_keep_their_promise(advice: StepAdvice) -> None:
    problem = reference("linear-2-2-2-1")
    assert advice.tolerated is not None
    for g in advice.guarantees:
        assert g.step_size is not None
        assert g.value < 1e-3
        assert abs(g.share - float(g.step_size / advice.tolerated)) < 1e-12
        if g.kind == "bound":
            dev = sf.deviation(problem, step_size=g.step_size, horizon=3, dps=20, bounds=())
            assert dev.max < 1e-3
            assert g.step_size <= advice.tolerated
    best = advice.certified
    assert best is not None
    assert best.status == "certified on a box"
    assert best.share > 0.02


def test_one_percent_more_is_no_longer_guaranteed(advice: StepAdvice) -> None:
    problem = reference("linear-2-2-2-1")
    bounds = {b.name: b for b in sf.known_bounds()}
    for name in ("R4(tube)", "R5", "R22(tube-free)"):
        eta = advice[name].step_size * Fraction(104, 100)
        dev = sf.deviation(problem, step_size=eta, horizon=3, dps=20, bounds=[bounds[name]])
        values = dev.bounds[name].values
        assert any(v is None for v in values) or max(values) >= 1e-3


def test_smaller_distances_need_smaller_steps() -> None:
    problem = reference("scalar-depth2")
    chosen = [b for b in sf.known_bounds() if b.name in ("R4(tube)", "R22(tube-free)")]
    coarse, fine = (sf.max_step_size(problem, eps, 2, bounds=chosen) for eps in ("1e-2", "1e-3"))
    for name in ("R4(tube)", "R22(tube-free)"):
        assert 5 < coarse[name].step_size / fine[name].step_size < 20
    assert coarse.tolerated > 5 * fine.tolerated


def test_a_kink_in_the_way_is_a_reason() -> None:
    found = sf.max_step_size(reference("relu-2-3-1"), "1e-2", 4)
    assert found.certified is None
    assert found.tolerated is not None
    for g in found.guarantees:
        assert g.status == "not applicable"
        assert "kink" in g.reason


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("0", 1), "at least 1e-10"),
        (("-1", 1), "at least 1e-10"),
        (("text", 1), "epsilon"),
        (("1e-2", 0), "positive"),
        (("1e-2", None), "final time"),
    ],
)
def test_wrong_numbers(arguments: tuple[object, object], message: str) -> None:
    with pytest.raises(sf.ProblemError, match=message) as caught:
        sf.max_step_size(parabola(1), *arguments)
    assert "\n" not in str(caught.value)
