"""Laws and rotations that a search found, with their formulas."""

from __future__ import annotations

from fractions import Fraction

import sympy

from symflow.analysis.laws.families import Rotation
from symflow.analysis.laws.law import Law
from symflow.analysis.laws.terms import Terms, evaluate_terms


def _rational(q: Fraction) -> sympy.Rational:
    return sympy.Rational(q.numerator, q.denominator)


def named_law(name: str, terms: Terms, symbols: tuple[sympy.Symbol, ...]) -> Law:
    """A polynomial as a law."""
    expression = evaluate_terms([(product, _rational(c)) for product, c in terms], symbols)
    return Law(name, terms, len(symbols), sympy.latex(expression), symbols)


def named_rotation(
    name: str, terms: tuple[tuple[int, int, Fraction], ...], symbols: tuple[sympy.Symbol, ...]
) -> Rotation:
    """An antisymmetric matrix as a rotation."""
    dots = [sympy.Symbol(rf"\dot{{{sympy.latex(s)}}}") for s in symbols]
    bracket = sympy.Add(*(_rational(c) * (symbols[p] * dots[q] - symbols[q] * dots[p]) for p, q, c in terms))
    return Rotation(name, terms, rf"\left({sympy.latex(bracket)}\right)")
