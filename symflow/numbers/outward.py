r"""float64 arithmetic that rounds outwards: bounds stay bounds.

IEEE 754 rounds each of +, -, *, / and sqrt to a neighbour of the exact result: the next number beyond is on the other
side. `Interval` does that after every operation, at both ends. `above` does it once for several operations on numbers
>= 0: each loses at most u = 2^-53 of its result, or 2^-1075 where it underflows, so that n of them give at least
(1 - u)^n of the exact value, up to underflow.

e^x is made of these operations. With k the whole number next to x / log 2 and r = x - k log 2, |r| <= 0.36, it is
2^k e^r. log 2 is cut into a part of 33 bits, whose product with k is exact, and the rest: r is known to 4 u. The Taylor
polynomial of degree 14 has the remainder 0.36^15/15! e^0.36 < u, and its evaluation by Horner loses at most 30 u of
e^0.36. All together is less than 64 u of e^r, and RELATIVE is four times that. (e^x - 1)/x for |x| <= 1/2: degree 17,
remainder below u, at most 36 u times sum |x|^k/(k+1)! < 1.3, over a value of at least 0.78.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import factorial
from typing import TypeAlias

import numpy as np

UNIT = 2.0**-53
"""Rounding of one operation, relative."""
TINY = 2.0**-1022
"""Rounding where results underflow, absolute."""
RELATIVE = 256 * UNIT
"""At most how far the exponential functions below are from the true ones, relative."""
LN2_HIGH = float.fromhex("0x1.62e42fefp-1")
LN2_LOW = float.fromhex("0x1.473de6af278edp-34")
"""log 2 = HIGH + LOW, HIGH with 33 bits."""
LARGEST_EXPONENT = 800.0
FACTORIALS = [1 / factorial(k) for k in range(19)]


def up(x: np.ndarray | float) -> np.ndarray:
    """The next number above: at least the exact result of one operation."""
    with np.errstate(over="ignore"):
        return np.asarray(np.nextafter(x, np.inf))


def down(x: np.ndarray | float) -> np.ndarray:
    """The next number below."""
    with np.errstate(over="ignore"):
        return np.asarray(np.nextafter(x, -np.inf))


def above(x: float, operations: int = 8) -> float:
    """At least the exact result of so many sums and products of numbers >= 0 that gave x."""
    return x * (1 + 2 * operations * UNIT) + TINY


def float_range(q: Fraction) -> Interval:
    """A number that float64 may not have."""
    try:
        value = float(q)
    except OverflowError:
        value = np.inf if q > 0 else -np.inf
    if np.isfinite(value) and Fraction(value) == q:
        return Interval(np.asarray(value), np.asarray(value))
    return Interval(down(value), up(value))


@dataclass(frozen=True, eq=False)
class Interval:
    """Arrays of numbers between low and high; what is not known is infinite."""

    low: np.ndarray
    high: np.ndarray

    # NumPy's arrays leave operations with intervals to these.
    __array_ufunc__ = None

    def __add__(self, other: Known) -> Interval:
        y = interval(other)
        with np.errstate(all="ignore"):
            return _known(down(self.low + y.low), up(self.high + y.high))

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low)

    def __sub__(self, other: Known) -> Interval:
        return self + (-interval(other))

    def __rsub__(self, other: Known) -> Interval:
        return interval(other) + (-self)

    def __mul__(self, other: Known) -> Interval:
        y = interval(other)
        with np.errstate(all="ignore"):
            ends = [a * b for a in (self.low, self.high) for b in (y.low, y.high)]
            return _known(down(np.minimum.reduce(ends)), up(np.maximum.reduce(ends)))

    def __truediv__(self, other: Known) -> Interval:
        y = interval(other)
        if not ((y.low > 0) | (y.high < 0)).all():
            raise ZeroDivisionError("an interval that contains 0 divides nothing")
        with np.errstate(all="ignore"):
            ends = [a / b for a in (self.low, self.high) for b in (y.low, y.high)]
            return _known(down(np.minimum.reduce(ends)), up(np.maximum.reduce(ends)))

    def __pow__(self, exponent: int) -> Interval:
        """A natural power."""
        found = self
        for _ in range(exponent - 1):
            found = found * self
        return found if exponent % 2 else Interval(np.maximum(found.low, 0.0), found.high)

    __radd__, __rmul__ = __add__, __mul__


Known: TypeAlias = "Interval | np.ndarray | float"
"""An interval, or exact numbers."""


def interval(x: Known) -> Interval:
    """Exact numbers as intervals."""
    if isinstance(x, Interval):
        return x
    exact = np.asarray(x, dtype=np.float64)
    return Interval(exact, exact)


def _known(low: np.ndarray, high: np.ndarray) -> Interval:
    """An interval whose undefined ends are infinite."""
    return Interval(np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high))


class Outward:
    """What formulas ask of an arithmetic (`symflow.theory.functions`), for intervals."""

    @staticmethod
    def exp(x: Known) -> Interval:
        """e^x."""
        y = interval(x)
        return Interval(_exp(y.low)[0], _exp(y.high)[1])

    @staticmethod
    def mean_exp(x: Known) -> Interval:
        """(e^x - 1)/x, which grows with x."""
        y = interval(x)
        return Interval(_mean_exp(y.low)[0], _mean_exp(y.high)[1])

    @staticmethod
    def sqrt(x: Known) -> Interval:
        """The root of numbers of which those below 0 are rounding."""
        y = interval(x)
        low, high = (np.sqrt(np.maximum(end, 0.0)) for end in (y.low, y.high))
        return Interval(np.maximum(down(low), 0.0), up(high))

    @staticmethod
    def maximum(x: Known, y: Known) -> Interval:
        """The larger one."""
        a, b = interval(x), interval(y)
        return Interval(np.maximum(a.low, b.low), np.maximum(a.high, b.high))


OUTWARD = Outward()


def _exp(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers below and above e^x."""
    with np.errstate(all="ignore"):
        clipped = np.clip(np.nan_to_num(x, nan=0.0), -LARGEST_EXPONENT, LARGEST_EXPONENT)
        k = np.rint(clipped / (LN2_HIGH + LN2_LOW))
        r = (clipped - k * LN2_HIGH) - k * LN2_LOW
        value = np.zeros_like(r)
        for c in reversed(FACTORIALS[:15]):
            value = value * r + c
        low, high = (np.ldexp(value * (1 + s * RELATIVE), k.astype(int)) for s in (-1, 1))
        low, high = np.maximum(down(low), 0.0), up(high)
        low = np.where(np.isnan(x) | (x < -LARGEST_EXPONENT), 0.0, low)
        high = np.where(np.isnan(x) | (x > LARGEST_EXPONENT), np.inf, high)
    return low, high


def _mean_exp(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers below and above (e^x - 1)/x."""
    x = np.asarray(x, dtype=np.float64)
    near = np.abs(x) <= 0.5
    with np.errstate(all="ignore"):
        small = np.where(near, x, 0.0)
        value = np.zeros_like(small)
        for c in reversed(FACTORIALS[1:]):
            value = value * small + c
        far = interval(np.where(near | ~np.isfinite(x), 1.0, x))
        quotient = (Interval(*_exp(far.low)) - 1.0) / far
        low = np.where(near, value * (1 - RELATIVE), quotient.low)
        high = np.where(near, value * (1 + RELATIVE), quotient.high)
    low = np.where(np.isnan(x) | (x == -np.inf), 0.0, np.where(x == np.inf, np.finfo(float).max, low))
    high = np.where(np.isnan(x) | (x == np.inf), np.inf, np.where(x == -np.inf, TINY, high))
    return np.maximum(low, 0.0), high


def geometric(growth: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At least q^n and 1 + q + ... + q^(n-1) for q = `growth` >= 0 and n = `count` >= 1: by doubling, rounded up."""
    growth, count = np.broadcast_arrays(np.asarray(growth, dtype=np.float64), np.asarray(count, dtype=np.int64))
    power, total = np.ones_like(growth), np.zeros_like(growth)
    with np.errstate(all="ignore"):
        for bit in reversed(range(int(count.max(initial=1)).bit_length())):
            total = np.where(total > 0, up(total * up(1.0 + power)), 0.0)
            power = np.where(power == 1.0, 1.0, up(power * power))
            odd = (count >> bit) & 1 == 1
            total = np.where(odd, np.where(total > 0, up(1.0 + up(growth * total)), 1.0), total)
            power = np.where(odd, np.where(power == 1.0, growth, up(power * growth)), power)
    return np.where(np.isnan(power), np.inf, power), np.where(np.isnan(total), np.inf, total)
