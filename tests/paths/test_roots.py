"""Zeros of fixed-point polynomials against exactly known ones, Sturm's count, mpmath and the meaning of the noise."""

from fractions import Fraction
from itertools import pairwise
from math import comb, factorial, perm

import mpmath
import pytest
import sympy
from gmpy2 import mpz
from hypothesis import assume, given
from hypothesis import strategies as st

from symflow.paths.taylor.roots import Root, Unresolved, components, excludes_zero, first_zero, isolate
from symflow.paths.taylor.roots.bernstein import local_frame, whole_frame
from symflow.paths.taylor.roots.extremum import TANGENT
from symflow.paths.taylor.roots.isolate import CLUSTERED, EXHAUSTED, FLAT
from symflow.paths.taylor.roots.newton import FixedPolynomial

THIRD = Fraction(1, 3)
TINY = Fraction(1, 10**20)


def zeros(coefficients: list[mpz], prec: int, noise: int) -> list[Root | Unresolved]:
    """All components of the set where |p| is within the noise."""
    return list(components(coefficients, prec, noise))


def product(*factors: Fraction | int) -> list[Fraction]:
    """Coefficients of Π (s − r), lowest power first."""
    coefficients = [Fraction(1)]
    for r in factors:
        shifted = [Fraction(0), *coefficients]
        coefficients = [a - r * b for a, b in zip(shifted, [*coefficients, Fraction(0)], strict=True)]
    return coefficients


def fixed(coefficients: list[Fraction], prec: int) -> list[mpz]:
    """The coefficients rounded to multiples of 2^−prec."""
    return [mpz(round(c * 2**prec)) for c in coefficients]


def integral(*factors: Fraction) -> list[mpz]:
    """The product of the factors (d s − n) for zeros n/d: integers, so nothing is rounded."""
    coefficients = product(*factors)
    for r in factors:
        coefficients = [c * r.denominator for c in coefficients]
    return [mpz(c.numerator) for c in coefficients]


def covers(found: Root | Unresolved, zero: Fraction, prec: int, error: Fraction | None = None) -> bool:
    """Whether the item answers for this zero: a Root within the error (four units), an Unresolved around it."""
    if isinstance(found, Root):
        return abs(Fraction(int(found.position), 2**prec) - zero) <= (error or Fraction(4, 2**prec))
    return found.lo <= zero <= found.hi


def assert_simple(found: list[Root | Unresolved], expected: list[Fraction], prec: int, error: Fraction | None = None):
    """Roots only, at the expected places, with alternating slopes."""
    assert all(isinstance(item, Root) for item in found), found
    assert len(found) == len(expected)
    assert all(covers(item, zero, prec, error) for item, zero in zip(found, expected, strict=True))
    assert all(a.slope == -b.slope for a, b in pairwise(found))


def chebyshev(degree: int) -> list[mpz]:
    """T_d(2s − 1): its d zeros are simple and in (0, 1)."""
    a, b = [1], [-1, 2]
    for _ in range(degree - 1):
        twice = [2 * (2 * (b[k - 1] if k else 0) - (b[k] if k < len(b) else 0)) for k in range(len(b) + 1)]
        a, b = b, [c - (a[k] if k < len(a) else 0) for k, c in enumerate(twice)]
    return [mpz(c) for c in b]


def cosine(frequency: int, prec: int) -> list[mpz]:
    """The Taylor series of cos(ωs), to the last term that matters."""
    coefficients, k = [], 0
    while not coefficients or k < frequency or coefficients[-2]:
        coefficients += [(mpz(-1) ** (k // 2) * frequency**k << prec) // factorial(k), mpz(0)]
        k += 2
    return coefficients


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
    expected = [THIRD, Fraction(6, 7)]
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
    assert not covers(Unresolved(0.4, 0.5, FLAT), THIRD, prec)
