"""Zeros of fixed-point polynomials against exactly known ones, and the meaning of the noise."""

from fractions import Fraction
from math import comb

import mpmath
import pytest
from gmpy2 import mpz
from hypothesis import given
from hypothesis import strategies as st

from symflow.paths.taylor.roots import Root, Unresolved, excludes_zero, first_zero
from symflow.paths.taylor.roots.extremum import TANGENT
from symflow.paths.taylor.roots.isolate import CLUSTERED, FLAT
from tests.paths.polynomials import assert_simple, chebyshev, cosine, covers, fixed, integral, product, zeros

THIRD = Fraction(1, 3)
TINY = Fraction(1, 10**20)


# --- known zeros -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prec", [200, 700])
@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        ([THIRD], [Fraction(3)]),
        ([THIRD, Fraction(1, 2), Fraction(7, 9)], [Fraction(-1, 5)]),
        ([Fraction(k, 11) for k in range(1, 11)], []),
        ([Fraction(1, 4), Fraction(1, 2), Fraction(3, 4)], [Fraction(5, 4), Fraction(-1)]),  # at interval borders
        ([], [Fraction(-1), Fraction(11, 10), Fraction(2)]),
        ([THIRD, THIRD + TINY], [Fraction(7)]),
        ([Fraction(1, 2), Fraction(1, 2) + TINY], [Fraction(7)]),
        ([Fraction(1, 2) - TINY, Fraction(1, 2)], [Fraction(-7)]),
        ([THIRD, THIRD + TINY / 100, THIRD + TINY], []),
    ],
)
def test_products_of_linear_factors(inside, outside, prec):
    coefficients = [c << prec // 2 for c in integral(*inside, *outside)]
    assert_simple(zeros(coefficients, prec, 0), inside, prec)
    assert first_zero(coefficients, prec, 0) == next(iter(zeros(coefficients, prec, 0)), None)


@pytest.mark.parametrize("prec", [200, 700])
@pytest.mark.parametrize("inside", [[THIRD, Fraction(7, 9)], [THIRD, THIRD + TINY]])
def test_rounded_coefficients_move_zeros_by_noise_over_slope(inside, prec):
    coefficients = fixed(product(*inside, Fraction(5, 2)), prec)
    noise = len(coefficients)
    slope = abs(inside[0] - inside[1])
    assert_simple(zeros(coefficients, prec, noise), inside, prec, (noise / slope + 4) / 2**prec)


@pytest.mark.parametrize("degree", [5, 20, 45, 90])
def test_chebyshev_polynomials_have_all_their_zeros_inside(degree):
    prec = 300
    found = zeros(chebyshev(degree), prec, 0)
    with mpmath.workprec(prec + 50):
        expected = [(1 + mpmath.cos(mpmath.pi * (2 * k + 1) / (2 * degree))) / 2 for k in range(degree)]
        exact = sorted(Fraction(int(mpmath.floor(x * 2 ** (prec + 20))), 2 ** (prec + 20)) for x in expected)
    assert_simple(found, exact, prec)


@pytest.mark.parametrize(("frequency", "prec"), [(3, 100), (30, 400), (100, 1000)])
def test_series_of_the_cosine(frequency, prec):
    coefficients = cosine(frequency, prec)
    noise = len(coefficients)
    with mpmath.workprec(prec + 50):
        count = int(mpmath.floor(frequency / mpmath.pi + mpmath.mpf(1) / 2))
        expected = [
            Fraction(int((k + mpmath.mpf(1) / 2) * mpmath.pi / frequency * 2**prec), 2**prec) for k in range(count)
        ]
    found = zeros(coefficients, prec, noise)
    assert_simple(found, expected, prec, Fraction(noise + 8, 2**prec))
    assert found[0].slope == -1


def test_many_terms_and_digits():
    """cos(3s)·Σ_k (s/7)^k to degree 900 in 2000 bits: a positive factor adds no zero."""
    prec = 2000
    factor = [(mpz(1) << prec) // 7**k for k in range(500)]
    other = cosine(3, prec)
    coefficients = [mpz(0)] * (len(factor) + len(other) - 1)
    for i, a in enumerate(other):
        if a:
            for j, b in enumerate(factor):
                coefficients[i + j] += a * b >> prec
    with mpmath.workprec(prec + 50):
        expected = Fraction(int(mpmath.pi / 6 * 2 ** (prec + 20)), 2 ** (prec + 20))
    noise = 2 * len(coefficients) * len(other)
    assert_simple(zeros(coefficients, prec, noise), [expected], prec, Fraction(noise, 2**prec))


# --- multiple zeros and tangencies -----------------------------------------------------------------------------------


@pytest.mark.parametrize("prec", [200, 700])
@pytest.mark.parametrize("noise", [0, 50])
@pytest.mark.parametrize("multiplicity", [2, 3, 4, 5])
@pytest.mark.parametrize("at", [THIRD, Fraction(1, 2), Fraction(0), Fraction(1)])
def test_multiple_zeros_are_unresolved(at, multiplicity, noise, prec):
    simple = Fraction(7, 9)
    coefficients = [c << prec - 40 for c in integral(*[at] * multiplicity, simple)]
    found = zeros(coefficients, prec, noise)
    assert len(found) == 2
    (multiple,) = [item for item in found if isinstance(item, Unresolved)]
    (root,) = [item for item in found if isinstance(item, Root)]
    assert covers(multiple, at, prec)
    assert 0 <= multiple.lo <= multiple.hi <= 1
    assert multiple.hi - multiple.lo < 1e-7
    assert multiple.reason in (TANGENT, FLAT, CLUSTERED)
    assert covers(root, simple, prec, Fraction(noise * 10**5 + 4, 2**prec))


@pytest.mark.parametrize("at", [THIRD, Fraction(1, 2), Fraction(0), Fraction(1)])
def test_near_tangency_is_resolved_to_the_working_precision(at):
    prec, noise = 200, 8
    parabola = product(at, at)
    height = Fraction(1, 10**30)
    above = fixed([parabola[0] + height, *parabola[1:]], prec)
    below = fixed([parabola[0] - height, *parabola[1:]], prec)
    assert zeros(above, prec, noise) == []
    gap = Fraction(1, 10**15)
    expected = [x for x in (at - gap, at + gap) if 0 <= x <= 1]
    assert_simple(zeros(below, prec, noise), expected, prec, Fraction(noise, 2**prec) / gap)
    # Negative control: with ten bits less than the height needs, neither answer may be given.
    coarse = [fixed([parabola[0] + h, *parabola[1:]], 90) for h in (height, -height)]
    for coefficients in coarse:
        (found,) = zeros(coefficients, 90, noise)
        assert isinstance(found, Unresolved)
        assert covers(found, at, 90)


def test_a_minimum_far_below_the_position_unit_is_not_missed():
    """Zeros at 0 and at 1e−37, closer than the unit 2^−100 of positions, where p is steep: both must stay visible."""
    coefficients = [mpz(0), mpz(1035575703635446490), mpz(-88282373) * 10**47, mpz(0), mpz(10) ** 23]
    (found,) = zeros(coefficients, 100, 0)
    assert covers(found, Fraction(0), 100)
    assert covers(found, Fraction(1, 10**37), 100)


def test_zeros_closer_than_half_the_digits():
    prec = 100
    found = zeros([c << 60 for c in integral(THIRD, THIRD + TINY, THIRD + 2 * TINY)], prec, 10)
    assert all(any(covers(item, THIRD + k * TINY, prec) for item in found) for k in range(3))
    assert any(isinstance(item, Unresolved) for item in found)


# --- the noise -------------------------------------------------------------------------------------------------------


def test_height_of_a_minimum_against_the_noise():
    prec, noise = 200, 10**6
    parabola = fixed(product(THIRD, THIRD), prec)
    for height, count in ((noise + 9, 0), (noise - 9, 1), (0, 1), (9 - noise, 1), (-8 * noise, 2)):
        found = zeros([parabola[0] + height, *parabola[1:]], prec, noise)
        assert len(found) == count, height
        assert all(isinstance(item, Unresolved) == (count == 1) for item in found)


@pytest.mark.parametrize(("end", "slope"), [(0, 1), (0, -1), (1, 1), (1, -1)])
@pytest.mark.parametrize("offset", [-10, -5, 0, 5, 10])
def test_zero_at_an_end(end, slope, offset):
    """p = ±(s − end) + offset units: a zero at the end within a noise of 7, and inside or outside beyond it."""
    prec, noise = 200, 7
    unit = mpz(1) << prec
    coefficients = [-slope * end * unit + offset, slope * unit]
    exact = Fraction(end) - Fraction(slope * offset, 2**prec)
    found = zeros(coefficients, prec, noise)
    if abs(offset) > noise and not 0 <= exact <= 1:
        assert found == []
    else:
        (root,) = found
        assert isinstance(root, Root)
        assert root.slope == slope
        assert 0 <= root.position <= unit
        assert covers(root, min(max(exact, Fraction(0)), Fraction(1)), prec)


def test_exact_zeros_at_both_ends():
    prec = 200
    coefficients = [c << 150 for c in integral(Fraction(0), Fraction(1), THIRD)]
    assert_simple(zeros(coefficients, prec, 0), [Fraction(0), THIRD, Fraction(1)], prec)
    assert [item.position for item in zeros(coefficients, prec, 0)][::2] == [0, mpz(1) << prec]


def test_flat_at_an_end():
    prec, noise = 200, 2**20
    (found,) = zeros([mpz(0)] * 50 + [mpz(1) << prec], prec, noise)
    assert isinstance(found, Unresolved)
    edge = 2.0 ** (-(prec - 20) / 50)  # where s^50 meets the noise
    assert found.lo == 0
    assert edge <= found.hi < edge * 1.1


@pytest.mark.parametrize(("steepness", "terms", "kind"), [(8, 2, Root), (8, 11, Unresolved), (12, 11, Root)])
def test_a_slope_must_exceed_what_the_noise_can_do_to_it(steepness, terms, kind):
    """p' = steepness·noise against (terms − 1)·noise: noise·s^10 has a slope of 10·noise."""
    prec, noise = 200, 2**60
    coefficients = [mpz(-steepness * noise // 2), mpz(steepness * noise)] + [mpz(0)] * (terms - 2)
    (found,) = zeros(coefficients, prec, noise)
    assert isinstance(found, kind)
    assert covers(found, Fraction(1, 2), prec)
    assert kind is Root or found.reason == FLAT  # and not the end of the budget


@pytest.mark.parametrize(("terms", "kind"), [(3, Root), (40001, Unresolved)])
def test_slopes_of_a_pair_must_exceed_what_the_noise_can_do_to_them(terms, kind):
    """p = 10⁸ν(s − 1/3)² − 1.5ν: where |p| ≤ ν the slope is 14142ν at least, more than 2ν and less than 40000ν."""
    prec, noise = 200, 18 * 2**57
    parabola = [int(10**8 * noise * c) for c in product(THIRD, THIRD)]
    coefficients = [mpz(parabola[0] - 3 * noise // 2), *map(mpz, parabola[1:])] + [mpz(0)] * (terms - 3)
    found = zeros(coefficients, prec, noise)
    assert found
    assert all(isinstance(item, kind) for item in found)
    for side in (-1, 1):
        zero = THIRD + side * Fraction("0.000122474")  # sqrt(1.5e−8)
        assert any(covers(item, zero, prec, Fraction(1, 10**8)) for item in found)


def test_an_unresolved_interval_contains_all_of_the_component_and_little_more():
    prec, noise = 200, 2**140
    (found,) = zeros(fixed(product(THIRD, THIRD), prec), prec, noise)
    assert isinstance(found, Unresolved)
    width = Fraction(1, 2**30)  # (s − 1/3)² ≤ 2^−60
    assert THIRD - width * Fraction(11, 10) <= found.lo <= THIRD - width
    assert THIRD + width <= found.hi <= THIRD + width * Fraction(11, 10)


def test_identically_zero_within_the_noise():
    prec = 200
    bernstein = [(-1) ** k * comb(12, k) * mpz(3) for k in range(13)]  # 3(1 − s)^12: at most 3, and Σ|c_k| is large
    for coefficients, noise in (
        ([], 0),
        ([mpz(0)], 0),
        ([mpz(0)] * 30, 0),
        ([mpz(5)], 5),
        ([mpz(-2), mpz(1), mpz(1)], 4),
        ([mpz(-3), mpz(6)], 4),  # monotone
        (bernstein, 4),
    ):
        assert zeros(coefficients, prec, noise) == [Unresolved(0.0, 1.0, "identically zero within the rounding noise")]
        assert first_zero(coefficients, prec, noise) == zeros(coefficients, prec, noise)[0]


# --- scale, degenerate inputs, the small functions -------------------------------------------------------------------


@pytest.mark.parametrize("shift", [-150, -100, 0, 3000])
def test_scale_of_the_coefficients_is_immaterial(shift):
    prec = 500
    expected = [THIRD, THIRD + TINY, Fraction(6, 7)]
    coefficients = [c << 300 + shift for c in integral(*expected)]
    assert_simple(zeros(coefficients, prec, 0), expected, prec)


@given(st.integers(2, 40), st.integers(0, 60))
def test_integers_of_a_few_bits_at_any_precision(prec, extra):
    (root,) = zeros([mpz(-1), mpz(3)], prec + extra, 0)
    assert covers(root, THIRD, prec + extra)


def test_constants_and_trailing_zeros():
    assert zeros([mpz(7)], 100, 6) == []
    assert zeros([mpz(-7), mpz(0), mpz(0)], 100, 6) == []
    unit = mpz(1) << 100
    assert_simple(zeros([-unit, 2 * unit, mpz(0), mpz(0)], 100, 3), [Fraction(1, 2)], 100)


def test_plain_integers_are_accepted():
    assert_simple(zeros([-(1 << 100), 3 << 100], 100, 0), [THIRD], 100)


@pytest.mark.parametrize(("prec", "noise"), [(0, 1), (-5, 1), (100, -1)])
def test_wrong_arguments_are_refused(prec, noise):
    with pytest.raises(ValueError, match="must"):
        zeros([mpz(5), mpz(1)], prec, noise)
    with pytest.raises(ValueError, match="must"):
        first_zero([mpz(5), mpz(1)], prec, noise)


def test_cheap_exclusion():
    assert excludes_zero([mpz(-10), mpz(4), mpz(-4)], 1)
    assert not excludes_zero([mpz(-10), mpz(4), mpz(-4)], 2)
    assert not excludes_zero([], 0)
    assert not excludes_zero([mpz(0)], 0)


def test_deflated_polynomial_has_the_other_zeros():
    prec = 200
    coefficients = [c << 150 for c in integral(Fraction(0), THIRD, Fraction(6, 7))]
    assert_simple(zeros(coefficients[1:], prec, 0), [THIRD, Fraction(6, 7)], prec)
