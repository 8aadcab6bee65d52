"""Powers x^e with a rational exponent e."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

import mpmath
import numpy as np
import sympy

from symflow.errors import ComputationError
from symflow.numbers.fixed_point import from_mpf, to_mpf
from symflow.numbers.types import Scalar
from symflow.programs.rules.add import scale
from symflow.programs.rules.elementwise import (
    Coefficients,
    Elementwise,
    Interval,
    Printed,
    Product,
    between_ends,
    power,
)
from symflow.programs.rules.series_bounds import Expanded, perturbed, power_norm

if TYPE_CHECKING:
    from flint import arb
    from gmpy2 import mpz

    from symflow.numbers.types import Mpf


def reciprocal_series(x: Coefficients, slope: Coefficients, bits: int, product: Product) -> Iterator[mpz]:
    """r = 1/x by r' = -r^2 x'; `slope` holds the coefficients k x_k, to which the caller appends."""
    with mpmath.workprec(bits + 32):
        r: Coefficients = [from_mpf(1 / to_mpf(x[0], bits), bits)]
    squares: Coefficients = []
    square, change = product([(r, r)]), product([(squares, slope)])
    yield r[0]
    k = 1
    while True:
        squares.append(next(square) >> bits)
        r.append(-(next(change) >> bits) // k)
        yield r[k]
        k += 1


class Power:
    """x^e in the arithmetics, for one exponent."""

    def __init__(self, exponent: Fraction) -> None:
        self.exponent = exponent
        self.whole = exponent.denominator == 1

    def mpmath(self, x: Mpf) -> Mpf:
        """x^e.

        Raises:
            ComputationError: a negative power of 0, or a fractional one of a negative number.
        """
        if (x == 0 and self.exponent < 0) or (x < 0 and not self.whole):
            raise ComputationError(
                f"the power {self.exponent} of {mpmath.nstr(x, 6)} is not a real number; theta is outside the loss's "
                "domain"
            )
        if self.whole:
            return x**self.exponent.numerator
        return x ** (mpmath.mpf(self.exponent.numerator) / self.exponent.denominator)

    def exact(self, x: Fraction) -> Fraction:
        """x^e.

        Raises:
            TypeError: a fractional power.
            ComputationError: a negative power of 0.
        """
        if not self.whole:
            raise TypeError(f"x^({self.exponent}) is irrational in general; use mpmath or JAX")
        if x == 0 and self.exponent < 0:
            raise ComputationError(f"the power {self.exponent} of 0 does not exist; theta is outside the loss's domain")
        return x**self.exponent.numerator

    def floats(self, x: Scalar) -> Scalar:
        """x^e of arrays."""
        return x**self.exponent.numerator if self.whole else x ** float(self.exponent)

    def constant(self, q: Fraction) -> Fraction | None:
        """q^e of a whole exponent."""
        return q**self.exponent.numerator if self.whole and (q or self.exponent > 0) else None

    def series(self, first: mpz, x: Coefficients, y: Coefficients, bits: int, product: Product) -> Iterator[mpz]:
        """y' = e (r x') y with r = 1/x."""
        yield first
        slope: Coefficients = []
        r: Coefficients = []
        relative: Coefficients = []
        known: Coefficients = []
        reciprocal, rates = reciprocal_series(x, slope, bits, product), product([(slope, r)])
        products = product([(relative, known)])
        p, q = self.exponent.numerator, self.exponent.denominator
        k = 1
        while True:
            r.append(next(reciprocal))
            slope.append(k * x[k])
            relative.append(next(rates) >> bits)
            known.append(y[k - 1])
            yield p * (next(products) >> bits) // (q * k)
            k += 1

    def remainder(self, u: Expanded) -> float:
        """With r = q x^ y^' - p y^ x^', e = p/q: y^ = x^^e ((y^/x^^e)_0 + int r x^^(-e-1) / q)."""
        e, p, q = float(self.exponent), self.exponent.numerator, self.exponent.denominator
        start = u.initial * power_norm(u._replace(x=u.x._replace(rest=0.0)), -e)
        return power_norm(u, e) * (start + u.residual(q, p, 0) * power_norm(u, -e - 1) / q) + perturbed(u, e, e - 1)

    def ball(self, x: arb) -> arb:
        """x^e; whole powers are monotone on either side of 0."""
        import flint

        if not self.whole:
            return between_ends(lambda v: v ** flint.fmpq(self.exponent.numerator, self.exponent.denominator))(x)
        n = self.exponent.numerator
        found = between_ends(lambda v: v**n)(x)
        if not x.contains(0):
            return found
        return found.union(flint.arb(0)) if n > 0 else flint.arb.nan()

    def error(self, u: Interval) -> np.ndarray:
        """Monotone on either side of 0, where a power is smallest or has a pole."""
        ends = [u.at(u.low), u.at(u.high)]
        error = np.maximum(np.abs(ends[0] - u.value), np.abs(ends[1] - u.value))
        across = (u.low < 0) & (u.high > 0)
        if self.exponent < 0:
            error = np.where(across, np.inf, error)
        else:
            error = np.where(across, np.maximum(error, np.abs(u.value)), error)
        beyond = 0.0 if self.whole else np.where(u.low < 0, u.at(np.abs(u.high)), 0.0)
        size = abs(float(self.exponent)) + 1
        return np.asarray(np.fmax(error, beyond) + u.ulps * size * np.abs(u.value))

    def latex(self, x: Printed) -> str:
        """x^e, entry by entry for arrays; the root of a squared norm is the norm."""
        if self.exponent == Fraction(1, 2) and re.fullmatch(r"\\\|[^|]*\\\|_F\^2", x.text):
            return x.text.removesuffix("^2")
        simple = re.fullmatch(r"(\\?[A-Za-z]+|\\[a-z]+\{[A-Za-z]\})(_\{[^{}]*\})?", x.text)
        base = x.text if simple else f"({x.text})"
        entrywise = r"\odot " if x.array else ""
        return f"{base}^{{{entrywise}{self.exponent}}}"


@lru_cache(maxsize=64)
def rational_power(exponent: Fraction) -> Elementwise:
    """The record of one exponent."""
    u = Power(exponent)
    p, q = exponent.numerator, exponent.denominator
    return Elementwise(
        f"the power {exponent}",
        derivative=lambda x, y: scale(exponent, power(x, exponent - 1)),
        mpmath=u.mpmath,
        exact=u.exact,
        numpy=lambda x: np.asarray(u.floats(x)),
        jax=lambda jax, x: u.floats(x),
        sympy=lambda x: x ** sympy.Rational(p, q),
        source=f"{{0}} ** ({p if q == 1 else f'{p} / {q}'})",
        recurrence=u.series,
        constant=u.constant,
        domain="nonzero" if u.whole else "positive",
        remainder=u.remainder,
        ball=u.ball,
        error=u.error,
        latex=u.latex,
        symbols=(),
    )
