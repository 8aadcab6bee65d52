"""R3 as one function: against its closed form and the printed integral, in several arithmetics, beyond float64."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy

from symflow.numbers.outward import OUTWARD, above, float_range, interval
from symflow.theory.cells import constant_rate, fold
from symflow.theory.functions import MPMATH
from symflow.theory.r03_fundamental_theorem import FUNDAMENTAL_THEOREM
from symflow.theory.terms import Formula

RATES, DEFECTS, JUMPS = (2, -3, 0, "0.5"), ("0.3", 2, "0.1", 1), (0, "0.05", 0, "0.2")
TIMES = (0, "0.5", "1.25", 2, "2.2")


def cells(number: Any, functions: Any = MPMATH) -> list[tuple[Any, ...]]:
    """Four cells of constant rate and defect, some with a jump at their beginning."""
    lengths = [number(b) - number(a) for a, b in pairwise(TIMES)]
    found = []
    for m, h, d, j in zip(RATES, lengths, DEFECTS, JUMPS, strict=True):
        growth, integral = constant_rate(number(m), h, functions)
        found.append((growth, number(d), integral, number(j)))
    return found


def stated(start: Any) -> Any:
    """The printed formula at all times, cell by cell: SymPy puts M(t) = m t and delta in and integrates exactly."""
    t, s = sympy.symbols("t s", real=True)
    right = FUNDAMENTAL_THEOREM.main.claim("at all times").right
    assert isinstance(right, Formula)
    error = sympy.sympify(start)
    lengths = [sympy.Rational(str(b)) - sympy.Rational(str(a)) for a, b in pairwise(TIMES)]
    for length, *given in zip(lengths, RATES, DEFECTS, JUMPS, strict=True):
        m, d, j = (sympy.Rational(str(value)) for value in given)
        values = {"M(t)": m * t, "M(s)": m * s, r"\delta(s)": d, "rho": error + j}
        error = right.expression.subs({x: values[x.name] for x in right.expression.free_symbols if x.name in values})
        error = error.doit().subs(t, length)
    return mpmath.mpf(str(sympy.N(error, mpmath.mp.dps + 5)))


def test_the_fold_is_the_integral() -> None:
    with mpmath.workdps(40):
        rho = mpmath.mpf("0.1")
        *_, found = fold(cells(mpmath.mpf), rho)
        assert abs(found / stated("1/10") - 1) < mpmath.mpf(10) ** -35
        late = [(g, d, i, 0) for g, d, i, _ in cells(mpmath.mpf)]  # the negative control: without the jumps
        *_, wrong = fold(late, rho)
        assert wrong < found * mpmath.mpf("0.99")


@pytest.mark.parametrize("rate", [-3, -1e-9, 0, 1e-13, 1, 4])
def test_one_cell_is_the_closed_form(rate: float) -> None:
    """rho e^{m t} + delta (e^{m t} - 1)/m, in float64 rounded outwards."""
    with mpmath.workdps(40):
        m, t = mpmath.mpf(rate), mpmath.mpf("0.7")
        exact = mpmath.mpf("0.25") * mpmath.exp(m * t) + 3 * (mpmath.expm1(m * t) / m if m else t)
        growth, integral = constant_rate(interval(rate), float_range(Fraction("0.7")), OUTWARD)
        (found,) = fold([(float(growth.high), 3.0, float(integral.high))], 0.25, above)
        assert 0 <= found / exact - 1 < 3e-13


def test_intervals_enclose() -> None:
    """Any ordered arithmetic: here mpmath's intervals, with what they enclose computed in 40 digits."""
    iv = mpmath.iv

    class Intervals:
        @staticmethod
        def exp(x: Any) -> Any:
            return iv.exp(x)

        @staticmethod
        def mean_exp(x: Any) -> Any:
            return (iv.exp(x) - 1) / x if 0 not in x else iv.mpf([iv.mpf(1).a, iv.exp(iv.mpf(x.b)).b])

    *_, found = fold(cells(iv.mpf, Intervals()), iv.mpf("0.1"))
    with mpmath.workdps(40):
        exact = stated("1/10")
    assert found.a <= exact <= found.b
    assert float(found.delta) < 1e-13


def test_what_overflows_is_infinite_and_no_error_does_not_grow() -> None:
    growth, integral = constant_rate(1000.0, 1.0)
    assert list(fold([(growth, 0.0, 1.0), (growth, 1.0, integral)])) == [0.0, np.inf]
    assert constant_rate(np.inf, 1.0)[1] == np.inf
