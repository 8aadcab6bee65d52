"""Fixed-point numbers: v is stored as the big integer round(v 2^bits)."""

from __future__ import annotations

from fractions import Fraction
from math import inf, ldexp
from typing import Any

from gmpy2 import mpz
from mpmath import mp
from mpmath.libmp import from_man_exp

from symflow.errors import ComputationError

MAX_BITS = 1 << 24
"""Longest fixed-point number, about 5 million digits: what exceeds it explodes, and would exhaust memory next."""


def from_fraction(q: Fraction, bits: int) -> mpz:
    """q 2^bits rounded to the nearest integer."""
    numerator, denominator = q.numerator << (bits + 1), q.denominator
    return mpz((numerator // denominator + 1) >> 1)


def to_mpf(value: Any, bits: int) -> Any:
    """The mpmath number value 2^-bits, exactly (whatever mpmath's precision is)."""
    return mp.make_mpf(from_man_exp(mpz(value), -bits))


def to_float(value: mpz, bits: int) -> float:
    """value 2^-bits, to 1 part in 2^50; infinite beyond float64."""
    length = value.bit_length()
    shift = max(0, length - 60)
    try:
        return ldexp(float(value >> shift), shift - bits)
    except OverflowError:
        return inf if value > 0 else -inf


def from_mpf(value: Any, bits: int) -> mpz:
    """An mpmath number rounded to fixed point.

    Raises:
        ComputationError: it is complex, infinite, no number, or longer than `MAX_BITS`.
    """
    if not hasattr(value, "_mpf_"):
        raise _refused("real", value)
    sign, mantissa, exponent, length = value._mpf_
    shift = exponent + bits
    m = mpz(mantissa)
    if (not m and exponent) or shift + length > MAX_BITS:
        raise _refused(f"finite and have at most {MAX_BITS} bits in fixed point", value)
    if shift + length < 0:  # also where the shift exceeds a machine word
        return mpz(0)
    m = m << shift if shift >= 0 else ((m >> (-shift - 1)) + 1) >> 1
    return -m if sign else m


def _refused(rule: str, value: Any) -> ComputationError:
    from mpmath import nstr

    return ComputationError(
        f"every value must be {rule}, got {nstr(value, 5)}; start elsewhere, or choose a shorter horizon or a smaller "
        "step size"
    )
