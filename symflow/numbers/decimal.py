"""Numbers as decimal text: with all their digits for files, or with a few for people."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import ceil, floor, log10
from typing import Any

from symflow.numbers.types import Mpf

MAX_DECIMALS = 1_000
"""Most places of a decimal that is written out where a fraction would do."""


def decimal(value: Any, digits: int = 17) -> str:
    """A number as a decimal string that loses nothing.

    A float64 is written with the fewest digits that give it back. An mpmath number is written with at least as many
    digits as its mantissa needs to be read back exactly at its own precision, and three more.

    Args:
        value: an mpmath number, a float64 or an integer.
        digits: write at least this many significant digits (zeros at the end are left out).
    """
    if not hasattr(value, "_mpf_"):
        return repr(int(value)) if isinstance(value, int) else repr(float(value))
    import mpmath

    if not mpmath.isfinite(value):
        return str(float(value))
    mantissa = int(value._mpf_[1]).bit_length()
    return str(mpmath.nstr(value, max(digits, ceil(mantissa * log10(2))) + 3))


def ending_decimal(value: Fraction) -> str | None:
    """The number as a decimal, exactly; None where its decimals do not end within `MAX_DECIMALS`."""
    twos = (value.denominator & -value.denominator).bit_length() - 1
    rest, fives = value.denominator >> twos, 0
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    places = max(twos, fives)
    if rest != 1 or places > MAX_DECIMALS:
        return None
    # digit by digit: a Decimal that is scaled is rounded to the digits of its context
    digits = str(Decimal(abs(value.numerator) * 10**places // value.denominator)).rjust(places + 1, "0")
    point = len(digits) - places
    return f"{'-' if value < 0 else ''}{digits[:point]}{'.' if places else ''}{digits[point:]}"


def exact_decimal(value: Fraction, digits: int) -> str:
    """A rational as a decimal string: exactly where that ends, otherwise to `digits` digits."""
    import mpmath

    found = ending_decimal(value)
    if found is not None:
        return found
    with mpmath.workdps(digits + 5):
        return str(mpmath.nstr(mpmath.mpf(value.numerator) / value.denominator, digits))


def short(value: Any, digits: int = 4) -> str:
    """A few significant digits of a number; "-" for None."""
    if value is None:
        return "-"
    import mpmath

    return str(mpmath.nstr(mpmath.mpf(value), digits, strip_zeros=False, min_fixed=-3, max_fixed=7)).rstrip(".")


def figures(value: Any, count: int) -> str:
    """A number to so many significant digits, without zeros at the end: 496, where mpmath prints 496.0."""
    import mpmath

    return str(mpmath.nstr(value, count)).removesuffix(".0")


def brief_time(value: Any) -> str:
    """Six significant digits of a time, such as 40, 5.62 or 1.25e-7."""
    return figures(value, 6)


def rounded_down(value: Mpf, digits: int) -> Fraction:
    """The largest number of `digits` significant digits that is not above a positive one."""
    import mpmath

    exponent = int(mpmath.floor(mpmath.log10(value))) - digits + 1
    return floor(value / mpmath.mpf(10) ** exponent) * Fraction(10) ** exponent


def counted(count: int, noun: str, several: str = "") -> str:
    """1 step, 2 steps; `several` is the plural where it is not the noun with an s."""
    return f"{count} {noun if count == 1 else several or noun + 's'}"
