"""Sums of elementary differentials as formulas of a statement: what the modified equations R17, R25 and R26 print."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import sympy

from symflow.dynamics.modified.coefficients import Number
from symflow.dynamics.modified.notation import differential_latex, ordered
from symflow.dynamics.modified.trees import Tree

BETA, NU, ETA = sympy.Symbol("beta"), sympy.Symbol("nu"), sympy.Symbol("eta", positive=True)
"""The momentum, 1 - beta, and the step size."""


def differential_sum(series: Mapping[Tree, Number], power: int = 0) -> sympy.Expr:
    """A sum of elementary differentials, each a symbol.

    Args:
        series: the coefficients, rational numbers or rational functions of beta.
        power: of 1 - beta, which is printed as nu in the denominator.
    """
    return sympy.Add(*(_coefficient(c, power) * sympy.Symbol(differential_latex(t)) for t, c in ordered(series)))


def _coefficient(c: Number, power: int) -> sympy.Expr:
    if isinstance(c, Fraction):
        return sympy.Rational(c.numerator, c.denominator)
    return sympy.factor(sympy.cancel(c * (1 - BETA) ** power)) / NU**power
