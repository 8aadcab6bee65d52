"""Norms and products keep digits; formulas are called in the arithmetic of their numbers."""

from __future__ import annotations

import math
from fractions import Fraction

import jax
import mpmath
import numpy as np
import pytest

import symflow as sf
from symflow.numbers.vectors import norms


def thirds() -> np.ndarray:
    """1/3 and 2/3 to 60 digits."""
    with mpmath.workdps(60):
        return np.array([mpmath.mpf(1) / 3, mpmath.mpf(2) / 3], dtype=object)


def test_norms_and_products_keep_the_digits_that_a_sum_drops() -> None:
    v = thirds()
    with mpmath.workdps(60):
        square = mpmath.mpf(5) / 9
    assert abs(sf.dot(v, v) - square) < mpmath.mpf(10) ** -58
    with mpmath.workdps(60):
        assert abs(sf.norm(v) ** 2 - square) < mpmath.mpf(10) ** -58
    assert abs(sum(x * x for x in v) - square) > mpmath.mpf(10) ** -30  # the control: 15 digits


@pytest.mark.parametrize("exponent", [-1060, -540, -480, -470, 0, 499, 505, 700, 1021])
def test_norms_whose_squares_are_no_float64_numbers(exponent: int) -> None:
    rows = np.ldexp(np.array([[3.0, 4.0, 0.0], [-1.0, 2.0, 2.0], [0.0, 0.0, 0.0]]), exponent)
    assert norms(rows).tolist() == [math.ldexp(5.0, exponent), math.ldexp(3.0, exponent), 0.0]
    assert sf.norm(rows[0]) == math.ldexp(5.0, exponent)
    plain = np.random.default_rng(0).normal(size=(4, 2, 7))
    np.testing.assert_array_equal(norms(plain), np.linalg.norm(plain, axis=-1))


def test_norms_of_what_is_not_finite() -> None:
    rows = np.array([[np.inf, 1.0], [np.nan, 1.0], [1.7e308, 1.7e308], [1e-200, np.inf]])
    np.testing.assert_array_equal(norms(rows), [np.inf, np.nan, np.inf, np.inf])
    assert norms(np.zeros((2, 0))).tolist() == [0.0, 0.0]


def test_norms_of_other_numbers() -> None:
    assert sf.norm([3, 4]) == 5.0
    assert isinstance(sf.norm(np.array([3.0, 4.0])), float)
    assert sf.norm(np.array([Fraction(3), Fraction(4)], dtype=object)) == 5
    assert sf.norm(thirds().reshape(1, 2)) == sf.norm(thirds())
    assert sf.dot(np.array([thirds()]), thirds()).shape == (1,)
    for wrong in ("ab", ["a"], [], None):
        with pytest.raises(sf.ProblemError, match="must be an array of numbers"):
            sf.norm(wrong)
    with pytest.raises(sf.ProblemError, match="shapes that fit"):
        sf.dot(thirds(), [1, 2, 3])


def test_a_formula_is_called_in_the_arithmetic_of_its_numbers() -> None:
    objective = sf.network_objective(sf.FullyConnected((1, 1, 1)), [1], [1])  # f = (ab - 1)^2/2
    loss, gradient = sf.loss(objective), sf.gradient(objective)
    assert loss(["1/2", "1/3"]) == Fraction(25, 72)
    assert loss(np.array([0.5, 0.25])) == 0.5 * (0.125 - 1) ** 2
    assert loss([0.5, 0.25]) == 0.5 * (0.125 - 1) ** 2
    a, b = thirds()
    with mpmath.workdps(60):
        assert abs(loss([a, b]) - (a * b - 1) ** 2 / 2) < mpmath.mpf(10) ** -55
    assert list(gradient([Fraction(1, 2), 1])) == [Fraction(-1, 2), Fraction(-1, 4)]
    assert sf.hessian_form(objective)([1, 1], [1, -1]) == 0 + 2 * 1 - 2 * (2 - 1)  # b^2 + a^2 - 2(2ab - 1)
    with jax.enable_x64(True):
        assert list(jax.grad(loss)(jax.numpy.array([0.5, 1.0]))) == [-0.5, -0.25]
