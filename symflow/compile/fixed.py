"""Fixed-point arithmetic on big integers: a number v is stored as round(v 2^bits).

Two interpreters share it: arrays (descent, field values at a point) and truncated power series (`series.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from operator import mul
from typing import Any

import gmpy2
import numpy as np
from gmpy2 import mpz

from symflow.compile.objects import along_axis, gathered, log_sum_exp, scattered, sigmoid, softplus
from symflow.errors import ComputationError
from symflow.symbolic.nodes import Table

Coefficients = list[Any]
"""Coefficients c_0, ..., c_k of one truncated series, in fixed point."""
Pairs = Sequence[tuple[Coefficients, Coefficients]]
"""Factors a, b in a sum of products a b of series; both may be the same list."""
Scaled = Sequence[tuple[Any, Coefficients]]
"""Factors c, x in a sum of products c x of a number and a series."""
LEAST_ORDER = 100
LEAST_SIZE = 130_000
"""Least order, and least order times bits, for which relaxed products pay.  On the linear 2-2-2-1 network they take a
quarter longer than going coefficient by coefficient at 100 digits (order 124 and 374 bits), as long at 150 (181 and
540), four fifths of the time at 200 and under a third at 500."""


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


def newest_coefficient(pairs: Pairs) -> Any:
    """Coefficient n of sum a b for series known up to n: sum over the pairs and over i + j = n of a_i b_j."""
    total: Any = 0
    for a, b in pairs:
        if a is b:
            n = len(a)
            half = n >> 1
            total += 2 * sum(map(mul, a[:half], reversed(a)))
            if n & 1:
                total += a[half] * a[half]
        else:
            total += sum(map(mul, a, reversed(b)))
    return total


def relaxed_products_pay(order: int, bits: int) -> bool:
    """Whether to multiply series as `relaxed.py` does in an expansion to this order with numbers of so many bits."""
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

    def convolve(self, pairs: Pairs, scaled: Scaled) -> Any:
        """The newest coefficient of sum a_i b_i + sum c_i x_i, for series a, b, x of equal length and numbers c."""
        total = newest_coefficient(pairs)
        for c, x in scaled:
            total += c * x[-1]
        return total >> self.bits

    def convolvers(self, sums: Sequence[tuple[Pairs, Scaled]], order: int) -> list[Callable[[], Any]]:
        """For each sum what gives its next coefficient, the same as `convolve`, in an expansion up to `order`."""
        if not relaxed_products_pay(order, self.bits):
            return [partial(self.convolve, pairs, scaled) for pairs, scaled in sums]
        from symflow.compile.relaxed import Mirror, online_product  # loads FLINT

        mirrors: dict[int, Mirror] = {}
        return [self._convolver(online_product(pairs, order, mirrors), scaled) for pairs, scaled in sums]

    def _convolver(self, products: Iterator[Any], scaled: Scaled) -> Callable[[], Any]:
        return lambda: (next(products) + sum(c * x[-1] for c, x in scaled)) >> self.bits

    def combine(self, terms: Sequence[tuple[int, Coefficients]], denominator: int) -> Any:
        """The newest coefficient of sum n_i x_i / denominator with integers n_i."""
        total: Any = 0
        for n, x in terms:
            total += n * x[-1]
        return total if denominator == 1 else total // denominator

    def integrate(self, coefficient: Any, order: int, tau: int) -> Any:
        """The coefficient of s^(order+1) of the integral, from that of s^order of the derivative with respect to t."""
        scaled = coefficient << tau if tau >= 0 else coefficient >> -tau
        return scaled // (order + 1)

    def function(self, name: str, exponent: Fraction | None, x: Coefficients, known: tuple[Coefficients, ...]) -> Any:
        """The next coefficient of y = u(x), from those of x and the earlier ones of y (and of sine's or cosine's mate).

        k y_k = sum j x_j y_{k-j} for exp;  k y_k = +-sum j x_j mate_{k-j} for sin, cos, sigmoid (its mate is
        y - y^2) and softplus (its mate is the sigmoid);
        y_k x_0 = x_k - (1/k) sum_{j<k} j y_j x_{k-j} for log;
        k x_0 y_k = sum_{j>=1} (e j - (k - j)) x_j y_{k-j} for x^e.

        Raises:
            ComputationError: log or a power outside its domain.
        """
        y = known[0]
        k = len(y)
        if k == 0:
            return self._value(name, exponent, x[0])
        if name in ("exp", "sin", "cos", "sigmoid", "softplus"):
            mate = known[-1]
            total = sum(j * x[j] * mate[k - j] for j in range(1, k + 1))
            return ((-total if name == "cos" else total) >> self.bits) // k
        if name == "log":
            total = sum(j * y[j] * x[k - j] for j in range(1, k))
            return ((x[k] << self.bits) - total // k) // x[0]
        assert exponent is not None
        p, q = exponent.numerator, exponent.denominator
        total = sum(((p + q) * j - q * k) * x[j] * y[k - j] for j in range(1, k + 1))
        return total // (q * k * x[0])

    def log_sum_exp(self, xs: Sequence[Coefficients], shares: Sequence[Coefficients]) -> Any:
        """The next coefficient of l = log(sum_i e^{x_i}) from the earlier ones of s_i = e^{x_i - l}.

        k l_k = sum_i sum_{j>=1} j x_{i,j} s_{i,k-j}.
        """
        k = len(shares[0])
        if k == 0:
            return fixed_log_sum_exp((x[0] for x in xs), self.bits)
        total = sum(j * x[j] * s[k - j] for x, s in zip(xs, shares, strict=True) for j in range(1, k + 1))
        return (total >> self.bits) // k

    def _value(self, name: str, exponent: Fraction | None, x: Any) -> mpz:
        from mpmath import mp, workprec

        integer = exponent is not None and exponent.denominator == 1
        if ((name == "log" or (exponent is not None and not integer)) and x <= 0) or (exponent is not None and x == 0):
            raise ComputationError(
                f"{name if exponent is None else f'the power {exponent}'} of {float(to_mpf(x, self.bits)):.6g} has no "
                "Taylor series; the flow leaves the domain of the objective, choose a shorter horizon"
            )
        with workprec(self.bits + 32):
            number = to_mpf(x, self.bits)
            if exponent is None:
                return from_mpf(_elementary(name)(number), self.bits)
            return from_mpf(number ** (mp.mpf(exponent.numerator) / exponent.denominator), self.bits)

    def horner(self, coefficients: Coefficients, s: Any) -> Any:
        """The value at s (fixed point)."""
        total: Any = mpz(0)
        bits = self.bits
        for c in reversed(coefficients):
            total = ((total * s) >> bits) + c
        return total


@dataclass(frozen=True)
class FixedArrays:
    """Whole-array arithmetic for `interpret`, over object arrays of fixed-point integers."""

    bits: int

    def lift(self, array: np.ndarray) -> np.ndarray:
        """Rationals to fixed point."""
        return np.asarray(np.frompyfunc(lambda q: from_fraction(q, self.bits), 1, 1)(array), dtype=object)

    def constant(self, value: Fraction, shape: tuple[int, ...]) -> np.ndarray:
        array = np.empty(shape, dtype=object)
        array[...] = from_fraction(value, self.bits)
        return array

    def identity(self, size: int) -> np.ndarray:
        array = np.full((size, size), mpz(0), dtype=object)
        np.fill_diagonal(array, mpz(1) << self.bits)
        return array

    def combine(self, coefficients: Sequence[Fraction], arrays: Sequence[np.ndarray]) -> np.ndarray:
        denominator = 1
        for c in coefficients:
            denominator = denominator * c.denominator // int(gmpy2.gcd(denominator, c.denominator))
        total: Any = 0
        for c, x in zip(coefficients, arrays, strict=True):
            total = total + x * mpz(c.numerator * (denominator // c.denominator))
        return np.asarray(total if denominator == 1 else total // denominator, dtype=object)

    def einsum(self, subscripts: str, arrays: Sequence[np.ndarray]) -> np.ndarray:
        product: Any = np.einsum(subscripts, *arrays)
        return np.asarray(product >> (self.bits * (len(arrays) - 1)), dtype=object)

    def broadcast(self, array: np.ndarray, positions: Sequence[int], shape: tuple[int, ...]) -> np.ndarray:
        return np.broadcast_to(np.expand_dims(array, tuple(positions)), shape)

    def gate(self, z: np.ndarray, alpha: Fraction, alpha_bar: Fraction) -> np.ndarray:
        on, off = from_fraction(alpha, self.bits), from_fraction(alpha_bar, self.bits)
        array = np.empty(z.shape, dtype=object)
        array[...] = off
        array[np.asarray(z >= 0, dtype=bool)] = on
        return array

    def function(self, name: str, x: np.ndarray, exponent: Fraction | None) -> np.ndarray:
        from mpmath import mpf, workprec

        def one(v: Any) -> mpz:
            with workprec(self.bits + 32):
                number = to_mpf(v, self.bits)
                value = _elementary(name)(number) if exponent is None else _power(number, exponent, mpf)
                return from_mpf(value, self.bits)

        return np.asarray(np.frompyfunc(one, 1, 1)(x), dtype=object)

    def gather(self, x: np.ndarray, table: Table, position: int) -> np.ndarray:
        return gathered(x, table, position, mpz(0))

    def scatter_add(self, x: np.ndarray, table: Table, position: int) -> np.ndarray:
        return scattered(x, table, position, mpz(0))

    def log_sum_exp(self, x: np.ndarray, position: int) -> np.ndarray:
        return along_axis(lambda values: fixed_log_sum_exp(values, self.bits), x, position)

    def stack(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack(arrays, axis=-1)

    def maximum(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        return along_axis(max, np.stack(arrays, axis=-1), -1)

    def spectral_norm(self, x: np.ndarray) -> np.ndarray:
        raise TypeError("norms of matrices have no fixed-point form; use mpmath or JAX")

    def matrix_power(self, x: np.ndarray, exponent: Fraction) -> np.ndarray:
        raise TypeError("powers of matrices have no fixed-point form; use mpmath or JAX")

    largest_eigenvalue = spectral_norm


def fixed_log_sum_exp(values: Iterable[Any], bits: int) -> mpz:
    """log(sum(exp(v))) of fixed-point numbers."""
    from mpmath import workprec

    with workprec(bits + 32):
        return from_mpf(log_sum_exp([to_mpf(v, bits) for v in values]), bits)


def _elementary(name: str) -> Callable[[Any], Any]:
    """A function of the table on mpmath numbers."""
    from mpmath import mp

    own: dict[str, Callable[[Any], Any]] = {"softplus": softplus, "sigmoid": sigmoid}
    found: Callable[[Any], Any] = own.get(name) or getattr(mp, name)
    return found


def _power(x: Any, exponent: Fraction, mpf: Any) -> Any:
    return x**exponent.numerator if exponent.denominator == 1 else x ** (mpf(exponent.numerator) / exponent.denominator)
