"""Truncated power series over mpmath numbers: a slow reference, written from the definitions.

Nothing in it is shared with `fixed.py`: products are plain sums, and u(x) is composed from the derivatives of u at x_0
instead of a recurrence. The tests compare the two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import mpmath
from mpmath import mpf


@dataclass(frozen=True)
class MpmathSeries:
    """The operations of `FixedSeries` at mpmath's current precision; coefficients and numbers are mpf."""

    def lift(self, q: Fraction) -> Any:
        """A rational as a number."""
        return mpf(q.numerator) / q.denominator

    def convolve(self, pairs: Sequence[tuple[list[Any], list[Any]]], scaled: Sequence[tuple[Any, list[Any]]]) -> Any:
        """The newest coefficient of sum a_i b_i + sum c_i x_i, for series a, b, x of equal length and numbers c."""
        products = [a[i] * b[len(a) - 1 - i] for a, b in pairs for i in range(len(a))]
        return mpmath.fsum(products + [c * x[-1] for c, x in scaled])

    def combine(self, terms: Sequence[tuple[int, list[Any]]], denominator: int) -> Any:
        """The newest coefficient of sum n_i x_i / denominator with integers n_i."""
        return mpmath.fsum(n * x[-1] for n, x in terms) / denominator

    def integrate(self, coefficient: Any, order: int, tau: int) -> Any:
        """The coefficient of s^(order+1) of the integral over t = 2^tau s, from that of s^order of the integrand."""
        return coefficient * mpf(2) ** tau / (order + 1)

    def expansion(self, order: int) -> _MpmathExpansion:
        """What computes one expansion."""
        return _MpmathExpansion(self)

    def function(self, name: str, exponent: Fraction | None, x: list[Any]) -> Any:
        """The newest coefficient of u(x) = sum over n of u^(n)(x_0) / n! (x - x_0)^n."""
        k = len(x) - 1
        power = [mpf(1)] + [mpf(0)] * k
        total = mpf(0)
        for n in range(k + 1):
            total += self._derivative(name, exponent, n, x[0]) / mpmath.factorial(n) * power[k]
            power = [mpmath.fsum(power[i] * x[j - i] for i in range(j)) for j in range(k + 1)]
        return total

    def log_sum_exp(self, xs: Sequence[list[Any]], shares: Sequence[list[Any]]) -> Any:
        """The newest coefficient of log(sum_i e^{x_i}) = x_1 + log(sum_i e^{x_i - x_1}), by exp and log of series."""
        k = len(shares[0])
        total = [mpf(0)] * (k + 1)
        for x in xs:
            shifted = [a - b for a, b in zip(x, xs[0], strict=True)]
            for n in range(k + 1):
                total[n] += self.function("exp", None, shifted[: n + 1])
        return xs[0][k] + self.function("log", None, total)

    def _derivative(self, name: str, exponent: Fraction | None, n: int, at: Any) -> Any:
        """u^(n) at a number."""
        if name == "exp":
            return mpmath.exp(at)
        if name in ("sin", "cos"):
            return mpmath.sin(at + (n + (name == "cos")) * mpmath.pi / 2)
        if name in ("sigmoid", "softplus"):
            value = 1 / (1 + mpmath.exp(-at))
            if name == "softplus" and n == 0:
                return -mpmath.log(1 - value)
            # d/dx p(s) = p'(s) (s - s^2) for polynomials p in s = sigmoid(x), lowest coefficient first.
            p = [mpf(0), mpf(1)]
            for _ in range(n - (name == "softplus")):
                slope = [i * c for i, c in enumerate(p)][1:]
                p = [a - b for a, b in zip([mpf(0), *slope, mpf(0)], [mpf(0), mpf(0), *slope], strict=True)]
            return mpmath.polyval(p[::-1], value)
        if name == "log":
            return mpmath.log(at) if n == 0 else (-1) ** (n - 1) * mpmath.factorial(n - 1) / at**n
        assert exponent is not None
        e = self.lift(exponent)
        return mpmath.ff(e, n) * at ** (e - n)

    def horner(self, coefficients: list[Any], s: Any) -> Any:
        """The value at s."""
        return mpmath.polyval(coefficients[::-1], s)


@dataclass(frozen=True)
class _MpmathExpansion:
    """The reference computes each coefficient anew."""

    arithmetic: MpmathSeries

    def convolver(self, pairs: Any, scaled: Any) -> Callable[[], Any]:
        return partial(self.arithmetic.convolve, pairs, scaled)

    def function(self, step: Any) -> Callable[[], Any]:
        return partial(self.arithmetic.function, step.name, step.exponent, step.x)

    def log_sum_exp(self, xs: Sequence[list[Any]], shares: Sequence[list[Any]]) -> Callable[[], Any]:
        return partial(self.arithmetic.log_sum_exp, xs, shares)
