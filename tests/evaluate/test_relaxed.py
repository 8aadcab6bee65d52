"""Online products give what coefficient-by-coefficient convolution gives, bit for bit."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath
import pytest
from cases import expression_flow, reference_flow
from gmpy2 import mpz
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mpf
from mpseries import MpmathSeries

from symflow.evaluate import fixed_point as fixed
from symflow.evaluate import relaxed_products as relaxed
from symflow.evaluate import series
from symflow.evaluate.fixed_point import FixedSeries, newest_coefficient, relaxed_products_pay
from symflow.evaluate.relaxed_products import Mirror, online_product
from symflow.evaluate.series import Recurrence, compile_recurrence
from symflow.numbers.fixed_point import from_fraction, to_mpf
from symflow.paths.taylor.kinks.gates import initial_gates
from symflow.paths.taylor.limits import Precision


@pytest.fixture(autouse=True)
def _in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """The products of this file are those of Python's arithmetic."""
    monkeypatch.setattr(series, "native_expansion", lambda *arguments: None)


coefficients = st.one_of(st.just(0), st.integers(-9, 9), st.integers(-(2**130), 2**130))


@st.composite
def sums(draw: Any) -> tuple[int, list[list[int]], list[tuple[int, int]]]:
    """An order, complete series, and the factors of a sum of products as positions among them."""
    order = draw(st.integers(0, 70))
    # Few drawn coefficients, repeated with a drawn period: long series stay cheap to draw and to shrink.
    patterns = draw(st.lists(st.lists(coefficients, min_size=1, max_size=9), min_size=1, max_size=3))
    series = [[p[k % len(p)] * (k % 7 - 2) for k in range(order + 1)] for p in patterns]
    index = st.integers(0, len(series) - 1)
    return order, series, draw(st.lists(st.tuples(index, index), max_size=4))


@given(sums(), st.integers(1, 20))
def test_every_coefficient_is_the_full_sum(drawn: tuple[int, list, list], block: int) -> None:
    order, complete, factors = drawn
    grown: list[list[Any]] = [[] for _ in complete]
    products = online_product([(grown[i], grown[j]) for i, j in factors], order, {}, block)
    for n in range(order + 1):
        for known, values in zip(grown, complete, strict=True):
            known.append(mpz(values[n]))
        expected = sum(complete[i][m] * complete[j][n - m] for i, j in factors for m in range(n + 1))
        assert newest_coefficient([(grown[i], grown[j]) for i, j in factors]) == expected
        assert next(products) == expected
    assert next(products, None) is None


@pytest.mark.parametrize("block", [1, 2, 3, 8])
def test_one_coefficient_that_is_not_zero(block: int) -> None:
    """a = s^i, b = s^j: each pair of indices is met exactly once, and in time."""
    order = 40
    for i in range(order + 1):
        for j in range(order + 1 - i):
            a: list[Any] = []
            b: list[Any] = []
            products = online_product([(a, b)], order, {}, block)
            result = []
            for n in range(order + 1):
                a.append(mpz(n == i))
                b.append(mpz(n == j))
                result.append(next(products))
            assert result == [n == i + j for n in range(order + 1)]


def test_products_of_one_expansion_share_their_mirrors() -> None:
    mirrors: dict[int, Mirror] = {}
    a, b = [], []
    products = [online_product(pairs, 60, mirrors, 4) for pairs in ([(a, b)], [(a, a)], [(b, a), (b, b)])]
    for n in range(61):
        a.append(mpz(3) ** n)
        b.append(mpz(-n))
        assert [next(p) for p in products] == [newest_coefficient(p) for p in ([(a, b)], [(a, a)], [(b, a), (b, b)])]
    assert set(mirrors) == {id(a), id(b)}
    for factor in (a, b):
        copy = mirrors[id(factor)].copy
        assert 40 < len(copy) <= 60
        assert [int(c) for c in copy] == factor[: len(copy)]


PROGRAMS = {
    "linear": lambda: reference_flow("linear-2-2-2-1"),
    "wide linear": lambda: reference_flow("linear-3-4-2"),
    "ReLU": lambda: reference_flow("relu-2-3-1"),
    "exp and log": lambda: expression_flow("log(1 + exp(-x*y)) + x**4*y"),
    "powers": lambda: expression_flow("(1 + x**2)**(-5/2)*y**3 + x**3*y/7"),
}


def expansion(recurrence: Recurrence, values: list[Any], order: int, tau: int) -> list[list[Any]]:
    recurrence.expand(values, order, tau)
    return [list(c) for c in recurrence.state]


@pytest.mark.parametrize("program", list(PROGRAMS))
def test_expansions_are_the_same_bit_for_bit(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where one recurrence is expanded again and again, to other orders and from other values."""
    field, theta = PROGRAMS[program]()
    gates, _ = initial_gates(field, theta[: field.objective.parameter_count])
    bits = 300
    recurrence = compile_recurrence(field, gates, FixedSeries(bits))
    runs = [(Fraction(0), 70, 0), (Fraction(1, 7), 33, -3), (Fraction(0), 96, -2), (Fraction(1, 9), 5, 1)]
    both: list[list[Any]] = []
    for choice in (True, False):
        monkeypatch.setattr(fixed, "relaxed_products_pay", lambda order, bits, choice=choice: choice)
        both.append(
            [
                expansion(recurrence, [from_fraction(q + more, bits) for q in theta], order, tau)
                for more, order, tau in runs
            ]
        )
    assert both[0] == both[1]


@pytest.mark.parametrize(("program", "order"), [("linear", 100), ("ReLU", 60), ("exp and log", 40), ("powers", 40)])
def test_against_plain_mpmath_series(program: str, order: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixed, "relaxed_products_pay", lambda order, bits: True)
    field, theta = PROGRAMS[program]()
    gates, _ = initial_gates(field, theta[: field.objective.parameter_count])
    bits = 500
    with mpmath.workprec(bits):
        mine = compile_recurrence(field, gates, FixedSeries(bits))
        plain = compile_recurrence(field, gates, MpmathSeries())
        mine.expand([from_fraction(q, bits) for q in theta], order, -2)
        plain.expand([mpf(q.numerator) / q.denominator for q in theta], order, -2)
        for a, b in zip(mine.state, plain.state, strict=True):
            assert len(a) == len(b) == order + 1
            size = max(1, *map(abs, b))
            assert max(abs(to_mpf(p, bits) - q) for p, q in zip(a, b, strict=True)) < size * mpf(2) ** (20 - bits)


def test_blocks_are_used_from_150_digits_on() -> None:
    for dps in (16, 30, 100, 130):
        p = Precision.for_digits(dps, 6)
        assert not relaxed_products_pay(p.order, p.bits)
    for dps in (150, 170, 200, 500, 1000):
        p = Precision.for_digits(dps, 6)
        assert relaxed_products_pay(p.order, p.bits)
    assert not relaxed_products_pay(8, 10**6), "expansions of low order have no blocks to multiply"


def test_a_wrong_product_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: leaving out the polynomial products changes coefficients from 2 B + ... on."""
    monkeypatch.setattr(relaxed, "_completed", lambda doubles, count, block, length: relaxed.fmpz_poly())
    a: list[Any] = []
    products = online_product([(a, a)], 20, {}, 4)
    wrong = []
    for n in range(21):
        a.append(mpz(1))
        wrong.append(next(products) != n + 1)
    assert wrong == [n >= 8 for n in range(21)]
