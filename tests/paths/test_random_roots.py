"""Zeros of random fixed-point polynomials against Sturm's count and mpmath; expansions, budgets, arguments."""

from fractions import Fraction
from math import comb, perm

import mpmath
import pytest
import sympy
from gmpy2 import mpz
from hypothesis import assume, given
from hypothesis import strategies as st

from symflow.paths.taylor.roots import Root, Unresolved, isolate
from symflow.paths.taylor.roots.bernstein import local_frame, whole_frame
from symflow.paths.taylor.roots.isolate import CLUSTERED, EXHAUSTED, FLAT
from symflow.paths.taylor.roots.newton import FixedPolynomial
from tests.paths.polynomials import assert_simple, covers, fixed, integral, zeros


@given(
    st.lists(st.integers(-(2**40), 2**40), min_size=2, max_size=8).filter(any),
    st.integers(0, 2**34),
    st.lists(st.fractions(-1, 1), min_size=8, max_size=8),
)
def test_zeros_of_perturbed_polynomials_are_answered_for(integers, noise, directions):
    """Coefficients moved by at most the noise in total: every zero is near a Root or inside an Unresolved."""
    prec, extra = 120, 40
    coefficients = [mpz(c) for c in integers]
    assume(sum(map(abs, coefficients)) > noise)
    weight = sum(map(abs, directions)) or Fraction(1)
    moved = [
        (int(c) << extra) + int(d / weight * (noise << extra)) for c, d in zip(coefficients, directions, strict=False)
    ]
    found = zeros(coefficients, prec, noise)
    x = sympy.Symbol("x")
    polynomial = sympy.Poly(moved[::-1], x)
    claimed = 0
    for (lo, hi), _ in polynomial.intervals(eps=sympy.Rational(1, 2**60)) if polynomial.degree() > 0 else []:
        left, right = Fraction(int(lo.p), int(lo.q)), Fraction(int(hi.p), int(hi.q))
        if right < 0 or left > 1 or (not (left >= 0 and right <= 1)):
            continue
        claimed += 1
        assert any(
            (isinstance(item, Unresolved) and item.lo <= right and left <= item.hi)
            or (isinstance(item, Root) and _same_component(coefficients, noise, item.position, left, prec))
            for item in found
        ), (found, left)
    if not any(isinstance(item, Unresolved) for item in found):
        ends = (abs(coefficients[0]) <= noise) + (abs(sum(coefficients)) <= noise)
        assert len(found) - ends <= claimed <= len(found)


def _same_component(coefficients, noise, position, zero, prec):
    """|p| ≤ noise + 1/1000 (both places are rounded) at 33 points from the root to the other zero."""
    start = Fraction(int(position), 2**prec)
    points = [start + (zero - start) * Fraction(k, 32) for k in range(33)]
    return all(abs(sum(int(c) * s**k for k, c in enumerate(coefficients))) <= noise + Fraction(1, 1000) for s in points)


def test_intervals_left_at_the_end_of_the_budget_are_unresolved(monkeypatch):
    monkeypatch.setattr(isolate, "MAX_INTERVALS", 20)
    expected = [Fraction(k, 31) for k in range(1, 31)]
    found = zeros(integral(*expected), 400, 0)
    assert found[-1].reason == EXHAUSTED
    assert all(any(covers(item, zero, 400) for item in found) for zero in expected)


def test_a_zero_just_before_the_end_of_the_budget_stays_visible(monkeypatch):
    """The zero at 1/2 − 1e−17 is too close to the border 1/2 for float64 to see the sign of p there."""
    monkeypatch.setattr(isolate, "MAX_INTERVALS", 2)
    prec, zero = 300, Fraction(1, 2) - Fraction(1, 10**17)
    found = zeros([c << 100 for c in integral(zero, Fraction(9, 10), Fraction(19, 20))], prec, 0)
    assert [type(item) for item in found] == [Root, Unresolved]
    assert covers(found[0], zero, prec)
    assert covers(found[1], Fraction(9, 10), prec)


def bernstein(power: list[Fraction], degree: int) -> list[Fraction]:
    return [sum(Fraction(comb(j, i), comb(degree, i)) * power[i] for i in range(j + 1)) for j in range(degree + 1)]


@pytest.mark.parametrize(("index", "level"), [(0, 0), (0, 1), (1, 1), (5, 4), (2**70 // 3, 70)])
def test_expansion_about_an_interval_against_exact_fractions(index, level):
    degree = 120
    coefficients = [mpz((-1) ** (k // 2) * 3 ** (90 + k % 7)) // 5**k + 10**20 for k in range(degree + 1)]
    series = FixedPolynomial(coefficients, 200, 0, degree, sum(map(abs, coefficients)))
    frame = local_frame(series, mpz(index), level) if level else whole_frame(series)
    a, w = Fraction(index, 2**level), Fraction(1, 2**level)
    exact = [
        w**k * sum(comb(i, k) * int(coefficients[i]) * a ** (i - k) for i in range(k, degree + 1))
        for k in range(degree + 1)
    ]
    scaled = [c / Fraction(2) ** frame.exponent for c in exact]
    kept = frame.bernstein.size - 1
    assert kept < degree  # so that something is left out
    for mine, value in zip(frame.bernstein, bernstein(scaled[: kept + 1], kept), strict=True):
        assert abs(Fraction(float(mine)) - value) <= frame.error
    rest = list(enumerate(scaled))[kept + 1 :]
    for order, tail in enumerate(frame.tails):
        assert abs(sum(c * perm(k, order) for k, c in rest)) <= tail  # the derivatives at u = 1
        assert tail < 1e-12  # and the bound is worth something


# --- random polynomials ----------------------------------------------------------------------------------------------

rational_zeros = st.builds(Fraction, st.integers(-30, 60), st.integers(1, 40))


@given(st.lists(rational_zeros, min_size=1, max_size=9), st.sampled_from([120, 200, 700]))
def test_random_rational_zeros(factors, prec):
    found = zeros([c << prec // 2 for c in integral(*factors)], prec, 0)
    inside = sorted({r for r in factors if 0 <= r <= 1})
    assert len(found) == len(inside)
    for item, zero in zip(found, inside, strict=True):
        assert covers(item, zero, prec)
        assert isinstance(item, Root) == (factors.count(zero) == 1)
        if isinstance(item, Root):
            above = sum(r > zero for r in factors)
            assert item.slope == (-1) ** above


@given(st.lists(st.integers(-30, 30), min_size=2, max_size=10).filter(lambda c: any(c[1:])))
def test_random_integer_polynomials_against_sturm(integers):
    found = zeros([mpz(c) << 100 for c in integers], 200, 0)
    parts = sympy.Poly(integers[::-1], sympy.Symbol("x")).sqf_list()[1]
    simple = sum(part.count_roots(0, 1) for part, multiplicity in parts if multiplicity == 1)
    multiple = sum(part.count_roots(0, 1) for part, multiplicity in parts if multiplicity > 1)
    assert sum(isinstance(item, Root) for item in found) == simple
    assert sum(isinstance(item, Unresolved) for item in found) == multiple


@given(st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=3, max_size=9).filter(lambda c: abs(c[-1]) > 1e-3))
def test_random_real_polynomials_against_polyroots(values):
    prec = 300
    with mpmath.workdps(60):
        try:
            complex_zeros = mpmath.polyroots([mpmath.mpf(v) for v in values[::-1]], maxsteps=300, extraprec=600)
        except mpmath.libmp.NoConvergence:
            assume(False)
        distances = [abs(a - b) for i, a in enumerate(complex_zeros) for b in complex_zeros[:i]]
        assume(not distances or min(distances) > 1e-8)  # the reference must tell its own zeros apart
        real = sorted(mpmath.re(z) for z in complex_zeros if abs(mpmath.im(z)) < 1e-30)
        assume(all(min(abs(x), abs(x - 1)) > 1e-20 for x in real))
        expected = [Fraction(int(x * 2**prec), 2**prec) for x in real if 0 < x < 1]
    coefficients = fixed([Fraction(v) for v in values], prec)
    assert_simple(zeros(coefficients, prec, 16), expected, prec, Fraction(1, 10**40))


# --- the checks themselves -------------------------------------------------------------------------------------------


def test_the_checks_refute_wrong_answers():
    prec = 200
    expected = [Fraction(1, 3), Fraction(6, 7)]
    right = zeros([c << 100 for c in integral(*expected)], prec, 0)
    first, second = right
    assert_simple(right, expected, prec)
    for wrong in (
        [first],
        [first, Root(second.position + 10, second.slope)],
        [first, Root(second.position, -second.slope)],
        [first, Unresolved(0.8, 0.9, CLUSTERED)],
        [second, first],
        [first, second, second],
    ):
        with pytest.raises(AssertionError):
            assert_simple(wrong, expected, prec)
    assert not covers(Unresolved(0.4, 0.5, FLAT), Fraction(1, 3), prec)
