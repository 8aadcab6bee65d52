r"""erf, the distribution function Phi of the normal law, and their slopes, which are bells.

    y(x) = sqrt(q/pi) e^{-c x^2/2},   y' = -c x y:   c = 1, q = 1/2 for phi = Phi',   c = 2, q = 4 for erf'.

Phi has a record of its own since 1 + erf(x/sqrt 2) has no digits left where x is far below 0.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import mpmath
import numpy as np
import sympy

from symflow.programs.rules.add import scale
from symflow.programs.rules.einsum import hadamard
from symflow.programs.rules.elementwise import (
    THIN,
    Elementwise,
    Interval,
    Printed,
    apply,
    between_ends,
    monotone_error,
)
from symflow.programs.rules.series_bounds import SMALL, Expanded, growth, integrated

if TYPE_CHECKING:
    from types import ModuleType

    from flint import arb

    from symflow.numbers.types import JaxArray, Mpf

ROOT_HALF = 0.5**0.5
ERFC = '''\
def erfc(x, xp):
    """1 - erf(x): the midpoint rule for its integral, and the residue that it misses (Hunter, Regan 1972)."""
    z = xp.abs(x)
    points = [(k + 0.5) ** 2 / 4 for k in range(14)]
    rule = sum(math.exp(-q) / (z * z + q) for q in points) * z * xp.exp(-z * z) / math.pi
    value = rule + 2 / (1 + xp.exp(xp.minimum(4 * math.pi * z, 700.0))) * (z < 6)
    return xp.where(x < 0, 2 - value, value)
'''


class Bell:
    """y(x) = sqrt(q/pi) e^{-c x^2/2} in the arithmetics."""

    def __init__(self, rate: int, square: Fraction) -> None:
        self.rate, self.square = rate, square
        self.height = float(np.sqrt(float(square) / np.pi))

    def mpmath(self, x: Mpf) -> Mpf:
        """y(x)."""
        square = mpmath.mpf(self.square.numerator) / self.square.denominator
        return mpmath.sqrt(square / mpmath.pi) * mpmath.exp(-self.rate * x * x / 2)

    def numpy(self, x: np.ndarray) -> np.ndarray:
        """y(x); beyond float64, x^2 is infinite and y is 0."""
        with np.errstate(over="ignore", under="ignore"):
            return np.asarray(self.height * np.exp(-0.5 * self.rate * x * x))

    def jax(self, jax: ModuleType, x: JaxArray) -> JaxArray:
        """y(x), with the exponential that XLA computes for erf and Phi at the same x."""
        scaled = x if self.rate == 2 else -x * ROOT_HALF
        return self.height * jax.numpy.exp(-(scaled * scaled))

    def sympy(self, x: sympy.Expr) -> sympy.Expr:
        """y(x)."""
        square = sympy.Rational(self.square.numerator, self.square.denominator)
        return sympy.sqrt(square / sympy.pi) * sympy.exp(-self.rate * x**2 / 2)

    def ball(self, x: arb) -> arb:
        """It falls with |x|."""
        import flint

        def at(v: arb) -> arb:
            square = flint.arb(self.square.numerator) / self.square.denominator
            return (square / flint.arb.pi()).sqrt() * (-self.rate * v * v / 2).exp()

        return at(x) if x.rad() < THIN else at(x.abs_lower()).union(at(x.abs_upper()))

    def error(self, u: Interval) -> np.ndarray:
        """At the ends it moves most, or at 0; the rounding of x^2 is that many times larger in y."""
        error = np.maximum(np.abs(u.at(u.low) - u.value), np.abs(u.at(u.high) - u.value))
        error = np.where((u.low < 0) & (u.high > 0), np.maximum(error, self.height - u.value), error)
        nearest = np.maximum(np.abs(u.x) - u.error, 0.0)
        return np.asarray(error + u.ulps * (1 + self.rate * nearest * nearest) * u.at(nearest))

    def hidden(self, first: np.ndarray, spread: np.ndarray) -> np.ndarray:
        """log |y| on |z - z_0| <= D up to the height, from Re z^2 >= z_0^2 - 2 |z_0| D - D^2."""
        return np.asarray(self.rate * (-first * first / 2 + np.abs(first) * spread + spread * spread / 2))

    def remainder(self, u: Expanded) -> float:
        """By (2) with d(x, y) = -c x y, whose Lipschitz constant in y is c ||x^||; d^ has one rounding and one tail.

        What ||x - x^|| adds: v(tau) = y(x^ + tau xi) has |v'| <= c ||xi|| (||x^|| + ||xi||) |v|, so that
        ||v(1) - v(0)|| <= (e^a - 1) ||v(0)|| <= 2 a ||v(0)|| with a = c ||xi|| (||x^|| + ||xi||) < 1.
        """
        c = self.rate
        slope_error = c * (u.spread + u.tail(u.x.largest, u.y.largest))
        own = growth(c * u.x.norm * u.x.rest) * (u.own + u.x.rest * slope_error)
        reach = c * (u.x.norm + u.moved * u.ulp)
        if not (own * u.ulp < SMALL and u.moved * u.ulp * reach < SMALL):
            return float("inf")
        return own + 2 * u.moved * reach * (u.y.norm + own * u.ulp)


def _bell(name: str, rate: int, square: Fraction, source: str, printed: str, note: str | None) -> Elementwise:
    """The record of one."""
    bell = Bell(rate, square)

    def latex(x: Printed) -> str:
        return rf"{printed}({x.text})"

    return Elementwise(
        name,
        derivative=lambda x, y: scale(-rate, hadamard(x, y)),
        mpmath=bell.mpmath,
        numpy=bell.numpy,
        jax=bell.jax,
        sympy=bell.sympy,
        source=source,
        saturates=bell.hidden,
        remainder=bell.remainder,
        ball=bell.ball,
        error=bell.error,
        latex=latex,
        symbols=(printed,) if note is None else (),
        note=note,
    )


def _erf(x: np.ndarray) -> np.ndarray:
    from scipy.special import erf

    return np.asarray(erf(x))


def _phi(x: np.ndarray) -> np.ndarray:
    from scipy.special import ndtr

    return np.asarray(ndtr(x))


def _phi_ball(x: arb) -> arb:
    """erfc(-x/sqrt 2)/2 of a number, or what remains of 1."""
    import flint

    root = flint.arb(2).sqrt()
    return (-x / root).erfc() / 2 if x <= 0 else 1 - (x / root).erfc() / 2


ERF_SLOPE = _bell(
    "erf_slope",
    2,
    Fraction(4),
    "1.1283791670955126 * xp.exp(-{0} * {0})",
    r"\operatorname{erf}'",
    r"\operatorname{erf}'(z) := 2 e^{-z^2}/\sqrt{\pi}",
)
ERF = Elementwise(
    "erf",
    derivative=lambda x, y: apply("erf_slope", x),
    mpmath=mpmath.erf,
    numpy=_erf,
    jax=lambda jax, x: jax.scipy.special.erf(x),
    sympy=sympy.erf,
    source="1 - erfc({0}, xp)",
    preamble=ERFC,
    constant=lambda q: None if q else Fraction(0),
    transition=4.0,
    remainder=integrated,
    ball=between_ends(lambda x: x.erf()),
    error=monotone_error,
    latex=lambda x: rf"\operatorname{{erf}}({x.text})",
    symbols=(r"\operatorname{erf}",),
)
NORMAL_DENSITY = _bell(
    "normal_density",
    1,
    Fraction(1, 2),
    "0.3989422804014327 * xp.exp(-0.5 * {0} * {0})",
    r"\varphi",
    r"\varphi(z) := e^{-z^2/2}/\sqrt{2\pi}",
)
NORMAL_CDF = Elementwise(
    "normal_cdf",
    derivative=lambda x, y: apply("normal_density", x),
    mpmath=mpmath.ncdf,
    numpy=_phi,
    # as erfc, which is accurate in the left tail
    jax=lambda jax, x: 0.5 * jax.lax.erfc(-x * ROOT_HALF),
    sympy=lambda x: (1 + sympy.erf(x / sympy.sqrt(2))) / 2,
    source="0.5 * erfc(-0.7071067811865476 * {0}, xp)",
    preamble=ERFC,
    constant=lambda q: None if q else Fraction(1, 2),
    transition=4.0,
    remainder=integrated,
    ball=between_ends(_phi_ball),
    error=monotone_error,
    latex=lambda x: rf"\Phi({x.text})",
    symbols=(),
    note=r"\Phi(z) := (1 + \operatorname{erf}(z/\sqrt 2))/2",
)
