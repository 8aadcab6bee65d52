"""tanh."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import sympy

from symflow.programs.rules.add import add
from symflow.programs.rules.einsum import hadamard
from symflow.programs.rules.elementwise import Elementwise, between_ends, monotone_error
from symflow.programs.rules.functions.sigmoid import log_distance
from symflow.programs.rules.leaves import Const
from symflow.programs.rules.series_bounds import Expanded, self_referring


def _remainder(u: Expanded) -> float:
    """d(y) = 1 - y^2, computed with one rounding in the square; |d(y) - d(v)| <= |y + v| |y - v|."""
    return self_referring(u, 2 * u.y.norm, u.spread + u.tail(u.y.largest, u.y.largest))


TANH = Elementwise(
    "tanh",
    derivative=lambda x, y: add([(1, Const(Fraction(1), y.axes)), (-1, hadamard(y, y))]),
    mpmath=mpmath.tanh,
    numpy=np.tanh,
    jax=lambda jax, x: jax.numpy.tanh(x),
    sympy=sympy.tanh,
    source="xp.tanh({0})",
    constant=lambda q: None if q else Fraction(0),
    # tanh z = 2 sigmoid(2z) - 1
    saturates=lambda first, spread: log_distance(2 * first, 2 * spread),
    transition=2.0,
    remainder=_remainder,
    ball=between_ends(lambda x: x.tanh()),
    error=monotone_error,
)
