"""The elementary functions of an arithmetic: a formula is a function of numbers and of one of these.

Called with `MPMATH`, `FLOAT64` or `BALLS` it is evaluated, with `SYMBOLS` on SymPy symbols it is what is printed.
"""

from __future__ import annotations

from typing import Protocol

import flint
import mpmath
import numpy as np
import sympy

from symflow.numbers.types import Scalar


class Functions(Protocol):
    """What formulas ask of an arithmetic."""

    def exp(self, x: Scalar, /) -> Scalar: ...
    def sqrt(self, x: Scalar, /) -> Scalar: ...
    def maximum(self, x: Scalar, y: Scalar, /) -> Scalar: ...
    def mean_exp(self, x: Scalar, /) -> Scalar: ...


class AllFunctions(Functions, Protocol):
    """What formulas ask of mpmath and of SymPy alone."""

    @property
    def pi(self) -> Scalar: ...
    def log(self, x: Scalar, /) -> Scalar: ...
    def gamma(self, x: Scalar, /) -> Scalar: ...
    def root(self, x: Scalar, n: Scalar, /) -> Scalar: ...
    def rational(self, p: Scalar, q: Scalar, /) -> Scalar: ...


class _Float64:
    """NumPy arrays; what is beyond float64 is infinite."""

    sqrt, maximum = staticmethod(np.sqrt), staticmethod(np.maximum)

    @staticmethod
    def exp(x: Scalar) -> np.ndarray:
        """e^x."""
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(x))

    @staticmethod
    def mean_exp(x: Scalar) -> np.ndarray:
        """int_0^1 e^{x s} ds = (e^x - 1)/x, which is 1 at 0; not below it for |x| < 1e-12."""
        x = np.asarray(x, dtype=float)
        small = np.abs(x) < 1e-12
        with np.errstate(over="ignore", invalid="ignore"):
            found = np.where(small, 1 + np.abs(x), np.expm1(x) / np.where(small, 1.0, x))
        return np.asarray(np.where(np.isnan(found), np.inf, found))


class _Balls:
    """Balls (`flint.arb`) at their working precision: what is computed encloses the true value."""

    @staticmethod
    def exp(x: Scalar) -> Scalar:
        """e^x."""
        return x.exp()

    @staticmethod
    def sqrt(x: Scalar) -> Scalar:
        """The square root of a number >= 0, whatever part of the ball lies below 0."""
        return x.nonnegative_part().sqrt()

    @staticmethod
    def maximum(x: Scalar, y: Scalar) -> Scalar:
        """The larger one."""
        return flint.arb(x).max(flint.arb(y))

    @staticmethod
    def mean_exp(x: Scalar) -> Scalar:
        """(e^x - 1)/x, which grows with x: between its values at the ends."""

        def at(end: Scalar) -> Scalar:
            return flint.arb(1) if end == 0 else end.expm1() / end

        return at(x.lower()).union(at(x.upper()))


class _Mpmath:
    """mpmath at the working precision."""

    exp, log, sqrt, root = (staticmethod(f) for f in (mpmath.exp, mpmath.log, mpmath.sqrt, mpmath.root))
    cosh, sinh, tanh, gamma = (staticmethod(f) for f in (mpmath.cosh, mpmath.sinh, mpmath.tanh, mpmath.gamma))
    maximum = staticmethod(max)

    @property
    def pi(self) -> Scalar:
        """pi."""
        return +mpmath.pi

    @staticmethod
    def rational(p: Scalar, q: Scalar) -> Scalar:
        """p/q for whole numbers."""
        return mpmath.mpf(p) / q

    @staticmethod
    def mean_exp(x: Scalar) -> Scalar:
        """(e^x - 1)/x."""
        return mpmath.expm1(x) / x if x else mpmath.mpf(1)


class _Sympy:
    """SymPy expressions, for what is printed."""

    exp, log, sqrt, maximum = (staticmethod(f) for f in (sympy.exp, sympy.log, sympy.sqrt, sympy.Max))
    cosh, sinh, tanh, gamma = (staticmethod(f) for f in (sympy.cosh, sympy.sinh, sympy.tanh, sympy.gamma))
    pi = sympy.pi

    @staticmethod
    def root(x: Scalar, n: Scalar) -> Scalar:
        """x^(1/n)."""
        return x ** (1 / sympy.sympify(n))

    @staticmethod
    def rational(p: Scalar, q: Scalar) -> Scalar:
        """p/q."""
        return sympy.sympify(p) / q

    @staticmethod
    def mean_exp(x: Scalar) -> Scalar:
        """(e^x - 1)/x."""
        return (sympy.exp(x) - 1) / x


FLOAT64, MPMATH, SYMBOLS, BALLS = _Float64(), _Mpmath(), _Sympy(), _Balls()
