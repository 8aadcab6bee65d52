"""sin and cos."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import sympy

from symflow.programs.rules.add import scale
from symflow.programs.rules.elementwise import Elementwise, Interval, apply
from symflow.programs.rules.series_bounds import Expanded, SeriesBound, self_referring


def _remainder(u: Expanded) -> float:
    """Sine and cosine are each other's slopes: the rule holds for the larger of their errors, with L = 1."""
    beyond = u._replace(slope=SeriesBound(u.slope.norm, u.slope.rest, max(u.slope.largest, u.y.largest)))
    return self_referring(beyond, 1.0, 0.0)


def _error(u: Interval) -> np.ndarray:
    return np.asarray(np.minimum(u.error, 2.0) + u.ulps)


SIN = Elementwise(
    "sin",
    derivative=lambda x, y: apply("cos", x),
    mpmath=mpmath.sin,
    numpy=np.sin,
    jax=lambda jax, x: jax.numpy.sin(x),
    sympy=sympy.sin,
    source="xp.sin({0})",
    constant=lambda q: None if q else Fraction(0),
    remainder=_remainder,
    ball=lambda x: x.sin(),
    error=_error,
)
COS = Elementwise(
    "cos",
    derivative=lambda x, y: scale(-1, apply("sin", x)),
    mpmath=mpmath.cos,
    numpy=np.cos,
    jax=lambda jax, x: jax.numpy.cos(x),
    sympy=sympy.cos,
    source="xp.cos({0})",
    constant=lambda q: None if q else Fraction(1),
    remainder=_remainder,
    ball=lambda x: x.cos(),
    error=_error,
)
