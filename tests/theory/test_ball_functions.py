"""The elementary functions of balls enclose the true values, next to 0 too."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import pytest
from flint import arb

from symflow.numbers.balls import around, ball, ball_precision, from_mpf
from symflow.theory.functions import BALLS


@pytest.mark.parametrize("x", ["0", "1/1000000000000000000000", "-1/3", "5", "-40"])
@pytest.mark.parametrize("radius", ["0", "1/1000"])
def test_mean_exp_of_balls(x: str, radius: str) -> None:
    middle, wide = Fraction(x), Fraction(radius)
    with ball_precision(120):
        found = BALLS.mean_exp(around(ball(middle), ball(wide)))
        with mpmath.workdps(80):
            for at in (middle - wide, middle, middle + wide):
                value = mpmath.mpf(at.numerator) / at.denominator
                true = mpmath.expm1(value) / value if value else mpmath.mpf(1)
                assert found.contains(from_mpf(true)) or abs(found - from_mpf(true)) < arb(10) ** -30
        assert found.rad() < ball(wide) * 200 + arb(10) ** -20


def test_the_other_functions_of_balls() -> None:
    with ball_precision(100):
        x = around(ball(Fraction(2)), ball(Fraction(1, 10)))
        assert BALLS.exp(x).contains(arb(2).exp())
        assert BALLS.sqrt(x * x).overlaps(x)
        assert BALLS.sqrt(arb(-1, 2)).is_finite()
        assert BALLS.maximum(x, 1).contains(x)
        assert BALLS.maximum(-1, x - 5) < 0
