"""The polynomial in full precision: its values and signs in big integers, and its zeros by Newton's iteration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from gmpy2 import bincoef, mpz
from numpy.typing import NDArray

GUARD = 64
"""Bits below 2^-prec that big-integer evaluations carry."""


@dataclass(frozen=True)
class FixedPolynomial:
    """p(s) = 2^-prec sum_k coefficients[k] s^k, with what is derived from it once (lists of integers, bounds).

    Attributes:
        coefficients: the integers c_k 2^prec, lowest power first; the last is not zero.
        prec: bits after the binary point.
        noise: bound on the error of p on [0, 1], in units of 2^-prec.
        order: the degree with trailing zeros counted.
        total: sum_k |c_k|, in the same units.
    """

    coefficients: list[mpz]
    prec: int
    noise: int
    order: int
    total: mpz
    _weighted: dict[int, list[mpz]] = field(default_factory=dict, repr=False)
    _growth: dict[int, float] = field(default_factory=dict, repr=False)

    @property
    def degree(self) -> int:
        """The degree without trailing zeros."""
        return len(self.coefficients) - 1

    @cached_property
    def one(self) -> mpz:
        """s = 1 in fixed point."""
        return mpz(1) << self.prec

    @cached_property
    def derivative(self) -> list[mpz]:
        """The coefficients of p'."""
        return [k * c for k, c in enumerate(self.coefficients)][1:]

    @cached_property
    def second_derivative(self) -> list[mpz]:
        """The coefficients of p''."""
        return [k * c for k, c in enumerate(self.derivative)][1:]

    def sign(self, x: mpz) -> int:
        """sign p(x 2^-prec), or 0 within the noise; exact at x = 0 and x = 2^prec."""
        return sign_beyond(self.guarded(self.coefficients, x), self.noise)

    def slope(self, x: mpz, noise: int) -> int:
        """sign p'(x 2^-prec), or 0 within `noise`."""
        return sign_beyond(self.guarded(self.derivative, x), noise)

    def guarded(self, coefficients: list[mpz], x: mpz) -> mpz:
        """2^GUARD sum_k c_k (x 2^-prec)^k, to within two units."""
        guard = GUARD + 2 * len(coefficients).bit_length()  # every step of Horner's rule loses less than one unit
        return horner(coefficients, x, self.prec, guard) >> (guard - GUARD)

    def weighted(self, k: int) -> list[mpz]:
        """[C(i,k) c_i for i >= k]: their sum against a^{i-k} is p^{(k)}(a)/k!."""
        if k in self._weighted:
            return self._weighted[k]
        terms = [bincoef(i, k) * self.coefficients[i] for i in range(k, self.degree + 1)]
        if k < 16:
            self._weighted[k] = terms
        return terms

    @cached_property
    def _log_sizes(self) -> NDArray[np.float64]:
        """Upper bounds of log2 |c_i|."""
        return np.array([c.bit_length() if c else -np.inf for c in self.coefficients], dtype=np.float64)

    @cached_property
    def _log_factorials(self) -> NDArray[np.float64]:
        """log2 i! for i = 0, ..., at least the degree."""
        return np.concatenate([[0.0], np.cumsum(np.log2(np.arange(1.0, 1 << self.degree.bit_length())))])

    def growth(self, k: int) -> float:
        """log2 sum_{i>=k} C(i,k) |c_i|, rounded up: the Taylor remainder after w^{k-1} is at most w^k 2^growth."""
        if k not in self._growth:
            i, log_factorial = np.arange(k, self.degree + 1), self._log_factorials
            terms = self._log_sizes[k:] + log_factorial[i] - log_factorial[i - k] - log_factorial[k]
            top = float(np.max(terms))
            self._growth[k] = top + math.log2(float(np.sum(np.exp2(terms - top)))) + 0.01
        return self._growth[k]


def sign_beyond(value: mpz, noise: int) -> int:
    """sign(value 2^-GUARD), or 0 where |value| 2^-GUARD <= noise + 2^-32 (the rounding of an evaluation is less)."""
    if abs(value) <= (mpz(noise) << GUARD) + (1 << (GUARD // 2)):
        return 0
    return 1 if value > 0 else -1


def horner(coefficients: Sequence[mpz], x: mpz, prec: int, guard: int) -> mpz:
    """2^guard sum_k c_k (x 2^-prec)^k, less than one unit lost per coefficient; exact at x = 0 and x = 2^prec."""
    value = mpz(0)
    for c in reversed(coefficients):
        value = (value * x >> prec) + (c << guard)
    return value


def shifted(value: mpz, bits: int) -> mpz:
    """floor(value 2^bits) for a shift of either sign."""
    return value << bits if bits >= 0 else value >> -bits


def locate(coefficients: Sequence[mpz], prec: int, lo: mpz, hi: mpz, slope: int) -> mpz:
    """x in [lo, hi] with sum_k c_k (x 2^-prec)^k = 0, within a few units; it is monotone there with this slope.

    Newton's iteration kept in the bracket, first with few bits and then with twice as many each time, so that the
    whole costs about two evaluations in full precision. The bits of a value are so many that its error, divided by
    the slope, is below one unit of x.
    """
    ladder = [prec]
    while ladder[-1] > 160:
        ladder.append(ladder[-1] // 2 + 16)
    size = sum(map(abs, coefficients)).bit_length()
    spare = 2 * len(coefficients).bit_length() + 6
    loss = 4  # log2(sum |c| / |derivative at the zero|), as far as it is known
    x, x_prec = (lo + hi) >> 1, prec
    for q in reversed(ladder):
        drop = prec - q
        if q < prec and (hi - lo) >> drop < 64:  # the bracket is as good as a zero at this many bits
            continue
        left, right = lo >> drop, -(-hi >> drop)
        while True:
            bits = q + spare + loss - size
            scaled = [shifted(c, bits) for c in coefficients]
            x, steepness = _newton(scaled, q, left, right, shifted(x, q - x_prec), slope)
            x_prec = q
            seen = min(q + spare + loss - steepness.bit_length() + 1, 4 * prec + loss)
            if seen <= loss:
                break
            loss = seen + 2
            if q < prec or loss > 4 * prec:
                break
    return min(max(x, lo), hi)


def _newton(coefficients: list[mpz], prec: int, lo: mpz, hi: mpz, x: mpz, slope: int) -> tuple[mpz, mpz]:
    """(x, p'(x)): Newton's iteration from x in the bracket [lo, hi], halving it where Newton does not converge fast."""
    x = min(max(x, lo), hi)
    last = hi - lo
    while True:
        value = derivative = mpz(0)
        for c in reversed(coefficients):
            derivative = (derivative * x >> prec) + value
            value = (value * x >> prec) + c
        if value * slope > 0:
            hi = x
        elif value * slope < 0:
            lo = x
        if value == 0 or hi - lo <= 1:
            return x, derivative
        step = -(value << prec) // derivative if derivative * slope > 0 else last
        if not lo <= x + step <= hi or 2 * abs(step) > last:
            step = ((lo + hi) >> 1) - x
        last = abs(step)
        x += step
        if last <= 1:
            return x, derivative
