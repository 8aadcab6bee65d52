"""Numbers: what text and Python's types mean, exactly, and what is refused before memory is taken."""

import contextlib
from decimal import Decimal
from fractions import Fraction

import gmpy2
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from symflow.errors import ProblemError
from symflow.numbers.arguments import whole
from symflow.numbers.rational import entry, rational, rational_array, text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("3", Fraction(3)),
        ("-3/10", Fraction(-3, 10)),
        (" +6 / 4 ", Fraction(3, 2)),
        ("0.7", Fraction(7, 10)),
        (".5", Fraction(1, 2)),
        ("2.", Fraction(2)),
        ("1e-3", Fraction(1, 1000)),
        ("-1.25E+2", Fraction(-125)),
        ("1e0010", Fraction(10**10)),
        (3, Fraction(3)),
        (0.1, Fraction(1, 10)),
        (Fraction(1, 3), Fraction(1, 3)),
        (Decimal("0.1"), Fraction(1, 10)),
        (Decimal("1E+3"), Fraction(1000)),
        (np.float64(0.1), Fraction(1, 10)),
        (np.float32(0.1), Fraction(1, 10)),
        (np.float16(0.5), Fraction(1, 2)),
        (np.longdouble(0.25), Fraction(1, 4)),
        (np.int8(-3), Fraction(-3)),
        (np.uint64(2**64 - 1), Fraction(2**64 - 1)),
        (sympy.Integer(4), Fraction(4)),
        (sympy.Rational(2, 7), Fraction(2, 7)),
        (sympy.Float(0.1), Fraction(0.1)),
        (sympy.Float("-0.375", 40), Fraction(-3, 8)),
        (mpmath.mpf("-1.5"), Fraction(-3, 2)),
        (mpmath.mpf(0), Fraction(0)),
        (mpmath.mpf(0.1), Fraction(0.1)),
        (gmpy2.mpq(1, 3), Fraction(1, 3)),
        (gmpy2.mpz(7), Fraction(7)),
    ],
)
def test_meaning(value: object, expected: Fraction) -> None:
    result = rational(value, "here")
    assert result == expected
    assert type(result) is Fraction
    assert type(result.numerator) is int


def test_mpf_keeps_all_its_digits() -> None:
    with mpmath.workdps(200):
        value = mpmath.mpf(1) / 3
        assert abs(rational(value, "here") - Fraction(1, 3)) < Fraction(1, 10**200)
        assert rational(value, "here") != Fraction(1, 3)


@pytest.mark.parametrize(
    ("value", "phrase"),
    [
        ("", "a number such as"),
        ("one", "got 'one'"),
        ("1/0", "denominator is not zero"),
        ("1/-2", "a number such as"),
        ("1.5/2", "a number such as"),
        ("1_000", "a number such as"),
        ("0x10", "a number such as"),
        ("1e", "a number such as"),
        ("١", "a number such as"),
        ("2**3", "a number such as"),
        ("__import__('os')", "a number such as"),
        ("nan", "finite"),
        ("-inf", "finite"),
        ("1e10001", "exponent is within"),
        ("1e-999999999999999999999", "exponent is within"),
        pytest.param("1" * 50_001, "at most 50000 characters", id="long text"),
        pytest.param("1" * 20_001, "at most 20000 digits", id="long integer"),
        pytest.param("1/" + "7" * 20_001, "at most 20000 digits", id="long denominator"),
        (float("nan"), "finite"),
        (float("inf"), "finite"),
        (np.float32("inf"), "finite"),
        (Decimal("NaN"), "finite"),
        (Decimal("1e999999"), "exponent is within"),
        pytest.param(10**20_001, "got an integer of about 20002 digits", id="huge int"),
        (Fraction(1, 10**20_001), "at most 20000 digits"),
        (True, "got true"),
        (np.True_, "a number such as"),
        (None, "got nothing"),
        (1j, "a number such as"),
        ([1], "got [1]"),
        (b"1", "a number such as"),
        (sympy.pi, "rational"),
        (sympy.sqrt(2), "rational"),
        (sympy.nan, "rational"),
        (sympy.oo, "rational"),
        (sympy.Symbol("x"), "rational"),
        (mpmath.pi, "rational"),
        (mpmath.inf, "finite"),
        (mpmath.nan, "finite"),
        pytest.param(mpmath.ldexp(1, 10**9), "20000 digits", id="huge mpf"),
        (mpmath.mpc(1, 1), "a number such as"),
    ],
)
def test_refused(value: object, phrase: str) -> None:
    with pytest.raises(ProblemError) as caught:
        rational(value, "file.toml: run.horizon")
    message = str(caught.value)
    assert message.startswith("file.toml: run.horizon must be ")
    assert phrase in message
    assert "\n" not in message
    assert len(message) < 250


@given(st.fractions())
def test_text_reads_back(value: Fraction) -> None:
    assert rational(text(value), "here") == value


@pytest.mark.parametrize(
    "value", [Fraction(1 - 10**20_000, 3**40_000), Fraction(7**20_000), Fraction(1, 9 * 10**10_000)]
)
def test_text_reads_back_beyond_the_limit_of_int(value: Fraction) -> None:
    assert rational(text(value), "here") == value


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_decimals_mean_themselves(value: Decimal) -> None:
    assert rational(value, "here") == Fraction(value) == rational(str(value), "here")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_means_its_shortest_decimal_as_a_setting_and_its_binary_value_as_an_entry(value: float) -> None:
    assert rational(value, "here") == Fraction(repr(value))
    assert entry(value, "here") == Fraction(value)
    assert rational_array([value], "here", ndim=1)[0] == Fraction(value)


@pytest.mark.parametrize(
    "value",
    [0.1, np.float64(0.1), np.float32(0.1), np.float16(0.1), np.longdouble("0.1"), np.array(0.1), jnp.asarray(0.1)],
    ids=lambda value: type(value).__name__,
)
def test_settings_of_every_float_type_are_read_as_they_are_printed(value: object) -> None:
    assert rational(value, "here") == Fraction(1, 10)
    assert entry(value, "here") != Fraction(1, 10)


@pytest.mark.parametrize("value", [mpmath.mpf(0.1), sympy.Float(0.1)])
def test_multiprecision_numbers_mean_themselves(value: object) -> None:
    assert rational(value, "here") == Fraction(0.1)


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3), np.array(3), jnp.asarray(3)])
def test_whole_numbers_of_every_type(value: object) -> None:
    found = whole(value, "steps", 1, 5)
    assert (found, type(found)) == (3, int)


@pytest.mark.parametrize(
    ("value", "low", "high", "said"),
    [
        (True, 1, 5, "steps must be a whole number from 1 to 5, got true"),
        (0, 1, None, "steps must be a positive whole number, got 0"),
        (-1, 0, None, "steps must be a whole number of at least 0, got -1"),
        (6, 1, 5, "steps must be a whole number from 1 to 5, got 6"),
        (3.0, 1, 5, "steps must be a whole number from 1 to 5, got 3.0"),
        ("3", 1, 5, "steps must be a whole number from 1 to 5, got '3'"),
        (None, 1, 5, "steps must be a whole number from 1 to 5, got nothing"),
    ],
)
def test_whole_numbers_refused(value: object, low: int, high: int | None, said: str) -> None:
    with pytest.raises(ProblemError) as caught:
        whole(value, "steps", low, high)
    assert str(caught.value) == said


@given(st.text(max_size=30))
def test_no_text_raises_anything_else(written: str) -> None:
    with contextlib.suppress(ProblemError):
        rational(written, "here")


@pytest.mark.parametrize(
    "values",
    [
        [["1/2", 2], [0.25, Decimal("0.1")]],
        ((Fraction(1, 2), 2), (Fraction(1, 4), "1/10")),
        np.array([["1/2", "2"], ["1/4", "0.1"]]),
        np.array([[Fraction(1, 2), 2], [Fraction(1, 4), Decimal("0.1")]], dtype=object),
        [np.array([0.5, 2.0]), ["0.25", "1e-1"]],
        sympy.Matrix([[sympy.Rational(1, 2), 2], [sympy.Rational(1, 4), sympy.Rational(1, 10)]]),
    ],
)
def test_arrays(values: object) -> None:
    array = rational_array(values, "x")
    assert array.shape == (2, 2)
    assert array.dtype == object
    assert array.tolist() == [[Fraction(1, 2), 2], [Fraction(1, 4), Fraction(1, 10)]]
    assert all(type(value) is Fraction for value in array.flat)
    with pytest.raises(ValueError, match="read-only"):
        array[0, 0] = Fraction(0)


def test_vector() -> None:
    assert rational_array(np.array([0.5, 1.0], dtype=np.float32), "theta", ndim=1).tolist() == [Fraction(1, 2), 1]


@pytest.mark.parametrize(
    ("values", "ndim", "phrase"),
    [
        ("12", 2, "x must be a list of rows, each a list of numbers, got '12'"),
        ({"a": 1}, 2, "got a table of 1 keys"),
        (3, 1, "x must be a list of numbers, got 3"),
        (None, 2, "got nothing"),
        ([], 2, "x must not be empty, got []"),
        ([[]], 2, "x[0] must have at least one number"),
        ([["1"], "2"], 2, "x[1] must be a list of numbers (one row per sample), got '2'"),
        ([1, 2], 2, "x[0] must be a list of numbers (one row per sample), got 1"),
        ([[1, 2], [3, 4], [5]], 2, "x[2] must have 2 numbers as x[0] has, got 1"),
        ([[1, 2], [3, "a"]], 2, "x[1][1] must be a number such as 3"),
        ([1, True], 1, "x[1] must be a number such as"),
        ([[1]], 1, "x[0] must be a number such as"),
        (
            [np.eye(2), np.ones((1, 2))],
            1,
            "x must be one flat list of numbers, got 2 arrays of which the first has the",
        ),
        (np.zeros((1, 1, 1)), 2, "x[0][0] must be a number such as"),
        (np.zeros((), dtype=float), 1, "x must be a list of numbers"),
        (np.array([np.nan]), 1, "x[0] must be a finite number, got nan"),
        (np.ma.array([1.0, 2.0], mask=[0, 1]), 1, "x[1]"),
    ],
)
def test_arrays_refused(values: object, ndim: int, phrase: str) -> None:
    with pytest.raises(ProblemError) as caught:
        rational_array(values, "x", ndim)
    assert phrase in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_digits_of_one_array_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symflow.numbers.rational.MAX_ARRAY_BITS", 1000)
    assert rational_array([[1] * 100], "x").shape == (1, 100)
    with pytest.raises(ProblemError, match=r"x\[0\]\[1\] makes the numbers exceed 1000 bits"):
        rational_array([["1e200", "1e200"]], "x")
