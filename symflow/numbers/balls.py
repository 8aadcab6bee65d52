"""Balls: real numbers known to lie in [midpoint - radius, midpoint + radius], as python-flint's `arb` computes them.

FLINT has one working precision for the whole process, seen by every thread. `ball_precision` owns it: it sets it,
keeps other threads out of their own blocks until it ends, and restores it. The precision decides how wide results are,
never whether they are true: balls computed outside a block are wider or narrower and enclose all the same.

A ball that is not finite says nothing; comparisons with it are false. FLINT reads and writes decimal text with rounding
of its own, so that conversions go through integers.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from math import inf, nextafter
from threading import RLock
from typing import Any, TypeAlias

import flint
from flint import arb, fmpq, fmpz
from mpmath import mp
from mpmath.libmp import from_man_exp

from symflow.errors import ComputationError
from symflow.numbers.types import Mpf

Ball: TypeAlias = arb
"""A ball of python-flint."""

_LOCK = RLock()
FLOAT64_BITS = 53
RADIUS_BITS = 30
"""FLINT's radii have a mantissa of this length, rounded up."""


def _unlocked() -> None:
    """A child process starts with a lock of its own: the thread that held its parent's is not there."""
    global _LOCK
    _LOCK = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlocked)


@contextmanager
def ball_precision(bits: int) -> Iterator[None]:
    """In the block balls are computed with `bits` bits, and no other thread is in such a block."""
    with _LOCK:
        before = flint.ctx.prec
        flint.ctx.prec = max(2, bits)
        try:
            yield
        finally:
            flint.ctx.prec = before


# To balls -----------------------------------------------------------------------------------------------------------


def ball(q: Fraction | int) -> Ball:
    """A ball that contains q: q itself where its denominator is a power of 2, of any length."""
    numerator, denominator = int(q.numerator), int(q.denominator)
    if denominator & (denominator - 1):
        return arb(fmpq(numerator, denominator))
    return arb(fmpz(numerator)) if denominator == 1 else arb((numerator, 1 - denominator.bit_length()))


def from_fixed(value: Any, bits: int) -> Ball:
    """The fixed-point number value 2^-bits, exactly."""
    return arb((int(value), -bits))


def from_mpf(value: Mpf) -> Ball:
    """An mpmath number, exactly.

    Raises:
        ComputationError: it is infinite or no number.
    """
    sign, mantissa, exponent, _ = value._mpf_
    if not mantissa and exponent:
        raise ComputationError(f"balls are around finite numbers, got {value}; start elsewhere")
    return arb((-int(mantissa) if sign else int(mantissa), int(exponent)))


def around(center: Ball, radius: Ball | float) -> Ball:
    """The ball's numbers and all within `radius` >= 0 of them."""
    return center + arb(0, radius.upper() if isinstance(radius, arb) else radius)


def distance(x: Iterable[Ball], y: Iterable[Ball]) -> Ball:
    """||x - y|| of two vectors of balls."""
    return sum(((a - b) ** 2 for a, b in zip(x, y, strict=True)), arb(0)).nonnegative_part().sqrt()


# From balls ---------------------------------------------------------------------------------------------------------


def is_exact(x: Ball) -> bool:
    """Whether the ball is one finite number."""
    return bool(x.is_exact() and x.is_finite())  # "not a number" has no radius either


def exact_mpf(x: Ball) -> Mpf:
    """An exact ball as an mpmath number, exactly; infinite where the ball is not finite."""
    if not x.is_finite():
        return mp.inf
    mantissa, exponent = x.man_exp()
    return mp.make_mpf(from_man_exp(int(mantissa), int(exponent)))


def exact_fraction(x: Ball) -> Fraction:
    """An exact ball as a fraction.

    Raises:
        ValueError: the ball is not one finite number.
    """
    mantissa, exponent = (int(v) for v in x.man_exp())
    return Fraction(mantissa << exponent) if exponent >= 0 else Fraction(mantissa, 1 << -exponent)


def midpoint(x: Ball) -> Mpf:
    """The midpoint, exactly; infinite where the ball is not finite."""
    return exact_mpf(x.mid())


def radius(x: Ball) -> Mpf:
    """The radius, exactly; infinite where the ball is not finite."""
    return exact_mpf(x.rad())


def upper(x: Ball) -> Mpf:
    """A number not below the ball, with the bits of the working precision."""
    return exact_mpf(x.upper()) if x.is_finite() else exact_mpf(x)


def lower(x: Ball) -> Mpf:
    """A number not above the ball, with the bits of the working precision."""
    return exact_mpf(x.lower()) if x.is_finite() else -exact_mpf(x)


def magnitude(x: Ball) -> Mpf:
    """A number not below the absolute values of the ball."""
    return exact_mpf(x.abs_upper()) if x.is_finite() else exact_mpf(x)


def float_above(x: Ball) -> float:
    """The least float64 number not below the ball."""
    end = x.upper() if x.is_finite() else arb(inf)
    found = float(end)
    return found if arb(found) >= end else nextafter(found, inf)
