"""C3: two balanced layers with one output and whitened data: R15 with n = 2, where the angle is linear in time."""

from __future__ import annotations

from typing import TypeAlias

import sympy

from symflow.theory.functions import SYMBOLS
from symflow.theory.hypotheses import Hypothesis
from symflow.theory.r15_convergence_time import SETTING
from symflow.theory.result import OURS, Result
from symflow.theory.statement import equation

Angle: TypeAlias = tuple[sympy.Expr, sympy.Expr]
"""cosh^2 and sinh 2 of an angle."""


def norm(angle: Angle, start: Angle, w0: sympy.Expr, target: sympy.Expr, time: sympy.Expr) -> sympy.Expr:
    """w = cosh^2 theta / (cosh^2 a/w(0) + t + [sinh 2 theta - sinh 2a]/(2 lambda))."""
    return angle[0] / (start[0] / w0 + time + (angle[1] - start[1]) / (2 * target))


def _angle(x: sympy.Expr) -> Angle:
    return SYMBOLS.cosh(x) ** 2, SYMBOLS.sinh(2 * x)


_theta, _a, _t = sympy.symbols("vartheta a t", real=True)
_w0, _lam = sympy.symbols("w(0) lambda", positive=True)
ONE_OUTPUT = Result(
    "C3",
    "one-output",
    "two balanced layers, one output",
    "closed form: two balanced layers with one output",
    OURS,
    SETTING,
    (
        equation("angle", _theta, _lam * _t + _a),
        equation("alignment", "nu", sympy.tanh(_theta)),
        equation("norm", "w", norm(_angle(_theta), _angle(_a), _w0, _lam, _t)),
    ),
    (Hypothesis("", r"$n = 2$; $a = \operatorname{artanh}\nu(0)$"),),
    derivations=("c03_one_output",),
)
