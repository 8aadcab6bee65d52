"""Fixed-point arithmetic on big integers: a number v is stored as round(v 2^bits).

Two interpreters share it: arrays (descent, field values at a point) and truncated power series (`series.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from math import lcm
from typing import TYPE_CHECKING, Any

import numpy as np
from gmpy2 import mpz

from symflow.evaluate.elementary_series import fixed_log_sum_exp, function_series, log_sum_exp_series
from symflow.evaluate.moved_arrays import ObjectArrays, along_axis
from symflow.evaluate.products import Coefficients, Pairs, Scaled, newest_coefficient
from symflow.evaluate.series_steps import Following, Function
from symflow.numbers.fixed_point import from_fraction, from_mpf, to_mpf
from symflow.programs.rules.elementwise import elementwise

if TYPE_CHECKING:
    from symflow.evaluate.relaxed_products import Mirror


LEAST_ORDER = 100
LEAST_SIZE = 95_000
"""Least order, and least order times bits, for which relaxed products pay. Time of going coefficient by coefficient
over theirs at 100 digits (order 124, 374 bits), 150 (181, 540): 0.74, 1.04 on linear 2-2-2-1; 0.81, 0.99 on 2-3-3-2;
0.88, 1.48 on 4-5-5-4; 0.92, 1.59 on 6-6-6. At 500 digits they are three times as fast."""


def relaxed_products_pay(order: int, bits: int) -> bool:
    """Whether `relaxed_products` pay in an expansion to this order with numbers of `bits` bits."""
    return order >= LEAST_ORDER and order * bits >= LEAST_SIZE


@dataclass(frozen=True)
class FixedSeries:
    """Truncated power series over fixed-point integers, coefficient by coefficient.

    The variable is s = t / 2^tau, so that coefficients shrink instead of growing.
    """

    bits: int

    def lift(self, q: Fraction) -> mpz:
        """A rational as a fixed-point number."""
        return from_fraction(q, self.bits)

    def convolve(self, pairs: Pairs, scaled: Scaled) -> mpz:
        """The newest coefficient of sum a_i b_i + sum c_i x_i, for series a, b, x of equal length and numbers c."""
        total = newest_coefficient(pairs)
        for c, x in scaled:
            total += c * x[-1]
        return total >> self.bits

    def expansion(self, order: int) -> FixedExpansion:
        """What computes one expansion up to `order`."""
        return FixedExpansion(self, order)

    def combine(self, terms: Sequence[tuple[int, Coefficients]], denominator: int) -> mpz:
        """The newest coefficient of sum n_i x_i / denominator with integers n_i."""
        total: mpz = 0
        for n, x in terms:
            total += n * x[-1]
        return total if denominator == 1 else total // denominator

    def integrate(self, coefficient: mpz, order: int, tau: int) -> mpz:
        """The coefficient of s^(order+1) of the integral, from that of s^order of the derivative with respect to t."""
        scaled = coefficient << tau if tau >= 0 else coefficient >> -tau
        return scaled // (order + 1)

    def horner(self, coefficients: Coefficients, s: mpz) -> mpz:
        """The value at s (fixed point)."""
        total: mpz = mpz(0)
        bits = self.bits
        for c in reversed(coefficients):
            total = ((total * s) >> bits) + c
        return total


class FixedExpansion:
    """One expansion up to an order: what gives the next coefficient of a product or a function, and the next one.

    Products share the conversions that fast multiplication needs, and take it where it pays.
    """

    def __init__(self, arithmetic: FixedSeries, order: int) -> None:
        self._arithmetic, self._order = arithmetic, order
        self._relaxed = relaxed_products_pay(order, arithmetic.bits)
        self._mirrors: dict[int, Mirror] = {}

    def product(self, pairs: Pairs) -> Iterator[mpz]:
        """The coefficients of sum a b, unshifted, for series that grow meanwhile."""
        if not self._relaxed:
            return iter(partial(newest_coefficient, pairs), None)
        from symflow.evaluate.relaxed_products import online_product  # loads FLINT

        return online_product(pairs, self._order, self._mirrors)

    def convolver(self, pairs: Pairs, scaled: Scaled) -> Callable[[], mpz]:
        """The next coefficient of sum a_i b_i + sum c_i x_i at each call."""
        if not self._relaxed:
            return partial(self._arithmetic.convolve, pairs, scaled)
        products, bits = self.product(pairs), self._arithmetic.bits
        return lambda: (next(products) + sum(c * x[-1] for c, x in scaled)) >> bits

    def function(self, step: Function) -> Following:
        """The next coefficient of u(x) at each call."""
        return function_series(step, self._arithmetic.bits, self.product).__next__

    def log_sum_exp(self, xs: Sequence[Coefficients], shares: Sequence[Coefficients]) -> Callable[[], mpz]:
        """The next coefficient of log(sum_i e^{x_i}) at each call."""
        return log_sum_exp_series(xs, shares, self._arithmetic.bits, self.product).__next__


def common_denominator(coefficients: Sequence[Fraction]) -> tuple[int, list[int]]:
    """Rationals as integers over their least common denominator, which comes first."""
    denominator = lcm(*(c.denominator for c in coefficients))
    return denominator, [c.numerator * (denominator // c.denominator) for c in coefficients]


@dataclass(frozen=True)
class FixedArrays(ObjectArrays):
    """Whole-array arithmetic for `interpret`, over object arrays of fixed-point integers."""

    bits: int

    def lift(self, array: np.ndarray) -> np.ndarray:
        """Rationals to fixed point."""
        return np.asarray(np.frompyfunc(lambda q: from_fraction(q, self.bits), 1, 1)(array), dtype=object)

    def number(self, q: Fraction) -> mpz:
        return from_fraction(q, self.bits)

    def combine(self, coefficients: Sequence[Fraction], arrays: Sequence[np.ndarray]) -> np.ndarray:
        denominator, numerators = common_denominator(coefficients)
        total: Any = 0
        for n, x in zip(numerators, arrays, strict=True):
            total = total + x * mpz(n)
        return np.asarray(total if denominator == 1 else total // denominator, dtype=object)

    def einsum(self, subscripts: str, arrays: Sequence[np.ndarray]) -> np.ndarray:
        product: np.ndarray = np.einsum(subscripts, *arrays)
        return np.asarray(product >> (self.bits * (len(arrays) - 1)), dtype=object)

    def gate(self, z: np.ndarray, alpha: Fraction, alpha_bar: Fraction) -> np.ndarray:
        on, off = from_fraction(alpha, self.bits), from_fraction(alpha_bar, self.bits)
        array = np.empty(z.shape, dtype=object)
        array[...] = off
        array[np.asarray(z >= 0, dtype=bool)] = on
        return array

    def function(self, name: str, x: np.ndarray, exponent: Fraction | None) -> np.ndarray:
        from mpmath import workprec

        u = elementwise(name, exponent).known("mpmath", "fixed point")

        def one(v: mpz) -> mpz:
            with workprec(self.bits + 32):
                number = to_mpf(v, self.bits)
                return from_mpf(u(number), self.bits)

        return np.asarray(np.frompyfunc(one, 1, 1)(x), dtype=object)

    def log_sum_exp(self, x: np.ndarray, position: int) -> np.ndarray:
        return along_axis(lambda values: fixed_log_sum_exp(values, self.bits), x, position)

    def maximum(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        return along_axis(max, np.stack(arrays, axis=-1), -1)
