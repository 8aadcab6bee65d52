"""arctan."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import sympy

from symflow.programs.rules.add import add
from symflow.programs.rules.einsum import hadamard
from symflow.programs.rules.elementwise import Elementwise, monotone_error, power
from symflow.programs.rules.leaves import Const
from symflow.programs.rules.series_bounds import integrated

ATAN = Elementwise(
    "atan",
    derivative=lambda x, y: power(add([(1, hadamard(x, x)), (1, Const(Fraction(1), x.axes))]), -1),
    mpmath=mpmath.atan,
    numpy=np.arctan,
    jax=lambda jax, x: jax.numpy.arctan(x),
    sympy=sympy.atan,
    source="xp.arctan({0})",
    constant=lambda q: None if q else Fraction(0),
    remainder=integrated,
    ball=lambda x: x.atan(),
    error=monotone_error,
    latex=lambda x: rf"\arctan({x.text})",
    symbols=(r"\arctan",),
)
