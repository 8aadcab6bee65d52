"""float64 with outward rounding, against exact rationals and 60 digits."""

from __future__ import annotations

from fractions import Fraction
from math import isinf, ldexp

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symflow.numbers import outward
from symflow.numbers.outward import OUTWARD, Interval, above, float_range, geometric, interval

FLOATS = st.floats(-1e150, 1e150, allow_subnormal=True)
MODERATE = st.floats(-1e5, 1e5)


def contains(found: Interval, exact: Fraction) -> bool:
    low, high = float(found.low), float(found.high)
    return (isinf(low) or Fraction(low) <= exact) and (isinf(high) or exact <= Fraction(high))


@given(FLOATS, FLOATS, FLOATS)
def test_operations_contain_the_exact_results(x: float, y: float, z: float) -> None:
    a, b, c = interval(x), interval(y), interval(z)
    p, q, r = Fraction(x), Fraction(y), Fraction(z)
    assert contains(a + b * c, p + q * r)
    assert contains(1.0 - a, 1 - p)
    assert contains((a - c) * (b - 2.0), (p - r) * (q - 2))
    assert contains(a**3, p**3)
    assert contains((a + b) ** 2, (p + q) ** 2)
    if z:
        assert contains((a + b) / c, (p + q) / r)


def test_one_third_is_not_a_float() -> None:
    third = float_range(Fraction(1, 3))
    assert Fraction(float(third.low)) < Fraction(1, 3) < Fraction(float(third.high))
    exact = float_range(Fraction(3, 4))
    assert exact.low == exact.high == 0.75
    assert float_range(Fraction(10) ** 400).high == np.inf
    with pytest.raises(ZeroDivisionError):
        interval(1.0) / Interval(np.array(-1.0), np.array(1.0))


def test_what_is_not_known_is_infinite() -> None:
    unknown = interval(0.0) * np.inf
    assert (unknown.low, unknown.high) == (-np.inf, np.inf)
    assert (interval(1e300) * 1e300).high == np.inf
    assert (interval(1e300) * 1e300).low > 1e308


@given(st.one_of(MODERATE, st.floats(-750, 750), st.floats(-1, 1), st.sampled_from([0.0, 0.5, -0.5, 1e-300, -1e-20])))
def test_exponentials_are_enclosed_and_close(x: float) -> None:
    e, mean = OUTWARD.exp(x), OUTWARD.mean_exp(x)
    with mpmath.workdps(60):
        t = mpmath.mpf(x)
        for found, exact in ((e, mpmath.exp(t)), (mean, mpmath.expm1(t) / t if x else mpmath.mpf(1))):
            assert mpmath.mpf(float(found.low)) <= exact <= mpmath.mpf(float(found.high))
            if 1e-300 < exact < 1e300:
                assert float(found.high) / float(found.low) < 1 + 1e-12


def test_exponentials_of_what_is_beyond() -> None:
    assert OUTWARD.exp(np.inf).high == np.inf
    assert OUTWARD.exp(-np.inf).low == 0
    assert OUTWARD.mean_exp(np.inf).high == np.inf
    assert OUTWARD.mean_exp(-np.inf).low >= 0
    assert OUTWARD.exp(np.nan).high == np.inf
    assert OUTWARD.mean_exp(1e6).high == np.inf


def test_the_argument_on_the_exponential_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its margin the polynomial is on the wrong side somewhere."""
    monkeypatch.setattr(outward, "RELATIVE", 0.0)
    monkeypatch.setattr(outward, "up", np.asarray)
    wrong = 0
    with mpmath.workdps(40):
        for x in np.linspace(-3, 3, 500):
            wrong += mpmath.mpf(float(OUTWARD.exp(x).high)) < mpmath.exp(mpmath.mpf(float(x)))
    assert wrong > 50


@given(st.floats(0, 3), st.integers(1, 3000))
def test_geometric_sums_are_bounded(q: float, n: int) -> None:
    power, total = (float(v) for v in geometric(np.array(q), np.array(n)))
    with mpmath.workdps(60):
        exact = mpmath.mpf(q) ** n
        summed = (exact - 1) / (mpmath.mpf(q) - 1) if q != 1 else mpmath.mpf(n)
        assert exact <= power
        assert summed <= total * (1 + mpmath.mpf(10) ** -40)
        if 1e-200 < exact < 1e300:
            assert power <= exact * (1 + 1e-11)
            assert total <= summed * (1 + 1e-11)


@given(st.lists(st.floats(0, 1e100), min_size=1, max_size=6), st.floats(0, 1e100))
def test_above_bounds_a_few_operations(terms: list[float], factor: float) -> None:
    exact = sum((Fraction(t) * Fraction(factor) for t in terms), Fraction(0))
    computed = 0.0
    for t in terms:
        computed += t * factor
    assert Fraction(above(computed, 2 * len(terms))) >= exact


def test_underflow_is_counted() -> None:
    tiny = ldexp(1.0, -1074)
    assert above(tiny * 0.25) > 0
    assert float((interval(tiny) * 0.25).high) > 0
