"""Truncated power series over mpmath numbers: a slow reference, written from the definitions.

Nothing in it is shared with `fixed.py`: products are plain sums, and u(x) is composed from the derivatives of u at x_0
instead of a recurrence.  The tests compare the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
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

    def function(self, name: str, exponent: Fraction | None, x: list[Any], known: tuple[list[Any], ...]) -> Any:
        """The newest coefficient of u(x) = sum over n of u^(n)(x_0) / n! (x - x_0)^n."""
        k = len(x) - 1
        power = [mpf(1)] + [mpf(0)] * k
        total = mpf(0)
        for n in range(k + 1):
            total += self._derivative(name, exponent, n, x[0]) / mpmath.factorial(n) * power[k]
            power = [mpmath.fsum(power[i] * x[j - i] for i in range(j)) for j in range(k + 1)]
        return total

    def _derivative(self, name: str, exponent: Fraction | None, n: int, at: Any) -> Any:
        """u^(n) at a number."""
        if name == "exp":
            return mpmath.exp(at)
        if name in ("sin", "cos"):
            return mpmath.sin(at + (n + (name == "cos")) * mpmath.pi / 2)
        if name == "log":
            return mpmath.log(at) if n == 0 else (-1) ** (n - 1) * mpmath.factorial(n - 1) / at**n
        assert exponent is not None
        e = self.lift(exponent)
        return mpmath.ff(e, n) * at ** (e - n)

    def horner(self, coefficients: list[Any], s: Any) -> Any:
        """The value at s."""
        return mpmath.polyval(coefficients[::-1], s)
