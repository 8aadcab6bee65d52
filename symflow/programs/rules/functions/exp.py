"""exp."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import sympy

from symflow.programs.rules.elementwise import Elementwise, Printed, between_ends, monotone_error
from symflow.programs.rules.series_bounds import self_referring

MAX_EXPONENT = 90_000
"""Largest argument in series: e^z then has some 130,000 bits before the point, and its series many times as many."""


def power_of_e(x: Printed) -> str:
    """e^x where x is small enough for an exponent."""
    return f"e^{{{x.text}}}" if x.raised else rf"\exp({x.text})"


EXP = Elementwise(
    "exp",
    derivative=lambda x, y: y,
    mpmath=mpmath.exp,
    numpy=np.exp,
    jax=lambda jax, x: jax.numpy.exp(x),
    sympy=sympy.exp,
    source="xp.exp({0})",
    constant=lambda q: None if q else Fraction(1),
    largest=MAX_EXPONENT,
    saturates=lambda first, spread: first + spread,
    remainder=lambda u: self_referring(u, 1.0, 0.0),
    ball=between_ends(lambda x: x.exp()),
    error=monotone_error,
    latex=lambda x: power_of_e(x._replace(raised=x.raised and not x.array)),
)
