"""Numbers of a certificate: [m, e] for m 2^e."""

from __future__ import annotations

from fractions import Fraction
from math import frexp
from typing import Any, TypeAlias

from flint import arb

Table: TypeAlias = dict[str, Any]
"""A JSON object of a certificate."""
SHORT = 24
"""Bits of a claimed bound."""


def number(value: arb) -> list[int]:
    """The midpoint of a ball."""
    m, e = value.mid().man_exp()
    return [int(m), int(e)]


def dyadic(value: Fraction) -> list[int]:
    """A fraction whose denominator is a power of two."""
    return [value.numerator, 1 - value.denominator.bit_length()]


def rounded_up(value: arb, factor: Fraction = Fraction(17, 16)) -> list[int]:
    """A nonnegative bound with few digits, a little larger than the ball times `factor`."""
    v = (value.abs_upper() * arb(factor.numerator) / factor.denominator).abs_upper()
    if v == 0:
        return [1, -2000]
    m, e = number(v)
    drop = max(0, m.bit_length() - SHORT)
    return [(m >> drop) + 1, e + drop]


def floor_bits(value: float) -> list[int]:
    """A positive float rounded down to few digits."""
    m, e = frexp(value)
    return [int(m * 2**SHORT), e - SHORT]
