"""sigmoid(x) = 1 / (1 + e^-x) and softplus(x) = log(1 + e^x), whose derivative it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mpmath
import numpy as np
import sympy

from symflow.programs.rules.add import add
from symflow.programs.rules.einsum import hadamard
from symflow.programs.rules.elementwise import Elementwise, apply, between_ends, monotone_error
from symflow.programs.rules.functions.exp import power_of_e
from symflow.programs.rules.series_bounds import Expanded, integrated, self_referring

if TYPE_CHECKING:
    from flint import arb

    from symflow.numbers.types import Mpf

LOG2 = float(np.log(2))


def softplus(x: Mpf) -> Mpf:
    """log(1 + e^x), without overflow or cancellation."""
    return mpmath.log1p(mpmath.exp(x)) if x <= 0 else x + mpmath.log1p(mpmath.exp(-x))


def sigmoid(x: Mpf) -> Mpf:
    """1 / (1 + e^-x)."""
    return 1 / (1 + mpmath.exp(-x)) if x >= 0 else mpmath.exp(x) / (1 + mpmath.exp(x))


def softplus_ball(x: arb) -> arb:
    """log(1 + e^x) of a number."""
    return x.exp().log1p() if x <= 0 else x + (-x).exp().log1p()


def sigmoid_ball(x: arb) -> arb:
    """1 / (1 + e^-x) of a number."""
    return 1 / (1 + (-x).exp()) if x >= 0 else x.exp() / (1 + x.exp())


def log_distance(first: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """log of a bound on how far sigmoid(z) is from the nearer limit, on |z - z_0| <= D.

    With B = e^{-|z_0| + D} < 1/2 it is at most B/(1 - B), and at most 1/sin(max(D, pi/2)) where D < pi, which keeps z
    from the poles at odd multiples of i pi.
    """
    exponent = spread - np.abs(first)
    saturated = exponent - np.log(-np.expm1(np.minimum(exponent, -LOG2)))
    near = np.where(spread < np.pi, -np.log(np.sin(np.clip(spread, np.pi / 2, np.pi))), np.inf)
    return np.where(exponent < -LOG2, saturated, near)


def _remainder(u: Expanded) -> float:
    """d(y) = y - y^2, computed with one rounding in the square."""
    return self_referring(u, 1 + 2 * u.y.norm, u.spread + u.tail(u.y.largest, u.y.largest))


SOFTPLUS = Elementwise(
    "softplus",
    derivative=lambda x, y: apply("sigmoid", x),
    mpmath=softplus,
    numpy=lambda x: np.logaddexp(0.0, x),
    jax=lambda jax, x: jax.nn.softplus(x),
    sympy=lambda x: sympy.log(1 + sympy.exp(x)),
    source="xp.logaddexp(0, {0})",
    transition=1.0,
    remainder=integrated,
    ball=between_ends(softplus_ball),
    error=monotone_error,
    latex=lambda x: rf"\log(1 + {power_of_e(x)})",
    symbols=(r"\log", r"e^{\cdot}"),
)
SIGMOID = Elementwise(
    "sigmoid",
    derivative=lambda x, y: add([(1, y), (-1, hadamard(y, y))]),
    mpmath=sigmoid,
    numpy=lambda x: np.exp(-np.logaddexp(0.0, -x)),
    jax=lambda jax, x: jax.nn.sigmoid(x),
    sympy=lambda x: 1 / (1 + sympy.exp(-x)),
    source="xp.exp(-xp.logaddexp(0, -{0}))",
    saturates=log_distance,
    transition=1.0,
    remainder=_remainder,
    ball=between_ends(sigmoid_ball),
    error=monotone_error,
    latex=lambda x: rf"\varsigma({x.text})",
    symbols=(),
    note=r"\varsigma(z) := 1/(1 + e^{-z})",
)
