"""Fixed-point numbers: v is stored as the big integer round(v 2^bits)."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from gmpy2 import mpz


def from_fraction(q: Fraction, bits: int) -> mpz:
    """q 2^bits rounded to the nearest integer."""
    numerator, denominator = q.numerator << (bits + 1), q.denominator
    return mpz((numerator // denominator + 1) >> 1)


def to_mpf(value: Any, bits: int) -> Any:
    """The mpmath number value 2^-bits, exactly (whatever mpmath's precision is)."""
    from mpmath import mp
    from mpmath.libmp import from_man_exp

    return mp.make_mpf(from_man_exp(mpz(value), -bits))


def from_mpf(value: Any, bits: int) -> mpz:
    """An mpmath number rounded to fixed point."""
    sign, mantissa, exponent, _ = value._mpf_
    shift = exponent + bits
    m = mpz(mantissa)
    m = m << shift if shift >= 0 else ((m >> (-shift - 1)) + 1) >> 1
    return -m if sign else m
