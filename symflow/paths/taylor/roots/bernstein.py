"""The polynomial on an interval in float64: its Bernstein form, with bounds on rounding and on the terms left out."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from symflow.paths.taylor.roots.newton import GUARD, FixedPolynomial, shifted

Floats: TypeAlias = NDArray[np.float64]

Tails: TypeAlias = tuple[float, float, float]

MAX_DEGREE = 160
"""Most terms of a float64 expansion; what is left out is bounded."""
EPSILON = 2.3e-16
"""Slightly more than float64's spacing at 1."""


class Frame(NamedTuple):
    """p(a + w u) 2^-exponent for u in [0, 1] to within tails[0], and its m-th derivative in u to within tails[m].

    Attributes:
        bernstein: the Bernstein coefficients.
        exponent: of the scale.
        error: bound on the rounding of the Bernstein coefficients.
        tails: bounds on the terms left out.
        exact: expanded by `local_frame`, in big integers.
    """

    bernstein: Floats
    exponent: int
    error: float
    tails: Tails
    exact: bool


def whole_frame(series: FixedPolynomial) -> Frame:
    """p on [0, 1], truncated where the rest is below float64's resolution of sum |c_k|."""
    degree, exponent = series.degree, series.total.bit_length()
    negligible = series.total >> (56 + degree.bit_length())
    rest, kept = series.total, 0
    for k, c in enumerate(series.coefficients):
        rest -= abs(c)
        kept = k + 1
        if kept > MAX_DEGREE or (kept > 3 and rest <= negligible):
            break
    tail = above(rest, exponent)
    tails = (tail, degree * tail, float(degree) ** 2 * tail)
    return _frame(series.coefficients[:kept], [0] * kept, exponent, tails, False)


def local_frame(series: FixedPolynomial, index: mpz, level: int) -> Frame:
    """p on [index, index + 1] 2^-level: u^k has the coefficient w^k p^{(k)}(a)/k! = w^k sum_i C(i,k) c_i a^{i-k}.

    The powers of a carry so many bits that their rounding changes p, p' and p'' (in u) by less than 2^-GUARD. Terms
    are added until Lagrange's remainder, w^k sum_i C(i,k) |c_i| at most, is below float64's resolution.
    """
    degree = series.degree
    spread = math.ceil(degree * math.log2(1.0 + 2.0**-level)) if level < 60 else 1
    bits = series.total.bit_length() + 3 * (degree + 1).bit_length() + spread + 2 + GUARD
    powers = [mpz(1) << bits]
    for _ in range(degree):
        powers.append(powers[-1] * index >> level)
    values: list[mpz] = []
    shifts: list[int] = []
    peak = -GUARD
    tail = -math.inf
    for k in range(degree + 1):
        value = sum(term * power for term, power in zip(series.weighted(k), powers, strict=False))
        values.append(value)
        shifts.append(bits + k * level)
        if value:
            peak = max(peak, value.bit_length() - shifts[-1])
        tail = series.growth(k + 1) - level * (k + 1) if k < degree else -math.inf
        if k >= MAX_DEGREE or (k >= 3 and tail <= max(peak - 60, -GUARD)):
            break
    dropped = 0.0 if tail == -math.inf else power_of_two(2.0 ** (tail - math.floor(tail)), math.floor(tail) - peak)
    rounding = power_of_two(1.0, -GUARD - peak)
    count = float(len(values))
    tails = (dropped + rounding, count * dropped + rounding, count**2 * dropped + rounding)
    return _frame(values, shifts, peak, tails, True)


def _frame(values: list[mpz], shifts: list[int], exponent: int, tails: Tails, exact: bool) -> Frame:
    """The Bernstein form of sum_k values[k] 2^-shifts[k] u^k, scaled by 2^-exponent to about 1."""
    powers = np.array(
        [
            math.ldexp(float(shifted(value, 70 - exponent - shift)), -70)
            for value, shift in zip(values, shifts, strict=True)
        ]
    )
    degree = len(values) - 1
    error = (degree + 8) * EPSILON * float(np.sum(np.abs(powers))) + (degree + 1) * 2.0**-69
    return Frame(_to_bernstein(degree) @ powers, exponent, error, tails, exact)


@lru_cache(maxsize=64)
def _to_bernstein(degree: int) -> Floats:
    """[C(j,i)/C(d,i)]_{ji}: power basis to Bernstein basis on [0, 1]."""
    rows = [[math.comb(j, i) / math.comb(degree, i) for i in range(degree + 1)] for j in range(degree + 1)]
    return np.array(rows)


@lru_cache(maxsize=64)
def halving(degree: int) -> Floats:
    """De Casteljau at 1/2 as a matrix: Bernstein coefficients on [0, 1/2], then those on [1/2, 1]."""
    rows = [[math.comb(j, i) / (1 << j) for i in range(degree + 1)] for j in range(degree + 1)]
    left = np.array(rows)
    return np.concatenate([left, left[::-1, ::-1]])


def above(value: mpz | int, exponent: int) -> float:
    """A float64 that is at least value 2^-exponent, for value >= 0."""
    extra = max(value.bit_length() - 50, 0)
    return power_of_two(float((value >> extra) + 1) if extra else float(value), extra - exponent)


def power_of_two(mantissa: float, exponent: int) -> float:
    """mantissa 2^exponent, at least the smallest positive float64 (where mantissa > 0) and infinite on overflow."""
    try:
        return max(math.ldexp(mantissa, exponent), 5e-324 if mantissa > 0 else 0.0)
    except OverflowError:
        return math.inf


def definite_sign(values: Floats, slack: float) -> int:
    """The sign that all values have beyond the slack, or 0."""
    if not values.size:
        return 0
    if values.min() > slack:
        return 1
    return -1 if values.max() < -slack else 0
