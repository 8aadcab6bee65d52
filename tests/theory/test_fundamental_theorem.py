"""R3 as one function: against its closed form and quadrature, in several arithmetics, beyond the range of float64."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np
import pytest

from symflow.numbers.outward import OUTWARD, above, float_range, interval
from symflow.theory.functions import MPMATH
from symflow.theory.r03_fundamental_theorem import constant_rate, fold

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


def by_quadrature(start: Any) -> Any:
    """e^{M(T)} (rho + sum of e^{-M} jumps + int e^{-M} delta), M by summing the cells, the integral by mpmath."""
    times = [mpmath.mpf(t) for t in TIMES]
    exponents = [mpmath.mpf(0)]
    total = start
    for (a, b), m, d, j in zip(pairwise(times), RATES, DEFECTS, JUMPS, strict=True):
        before, rate = exponents[-1], mpmath.mpf(m)
        total += mpmath.exp(-before) * mpmath.mpf(j)
        total += mpmath.mpf(d) * mpmath.quad(lambda s, a=a, q=before, r=rate: mpmath.exp(-q - r * (s - a)), [a, b])
        exponents.append(before + rate * (b - a))
    return mpmath.exp(exponents[-1]) * total


def test_the_fold_is_the_integral() -> None:
    with mpmath.workdps(40):
        rho = mpmath.mpf("0.1")
        *_, found = fold(cells(mpmath.mpf), rho)
        assert abs(found / by_quadrature(rho) - 1) < mpmath.mpf(10) ** -35
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
        exact = by_quadrature(mpmath.mpf("0.1"))
    assert found.a <= exact <= found.b
    assert float(found.delta) < 1e-13


def test_what_overflows_is_infinite_and_no_error_does_not_grow() -> None:
    growth, integral = constant_rate(1000.0, 1.0)
    assert list(fold([(growth, 0.0, 1.0), (growth, 1.0, integral)])) == [0.0, np.inf]
    assert constant_rate(np.inf, 1.0)[1] == np.inf
