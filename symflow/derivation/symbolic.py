"""Exact checks: expressions that SymPy rewrites to 0, and signs that can be read off a polynomial."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

import sympy

from symflow.derivation.outcome import Kind, Outcome


def vanishes(expression: sympy.Expr | sympy.MatrixBase) -> bool:
    """Whether SymPy rewrites an expression (or every entry of a matrix) to 0, without evaluating numerically.

    Products of noncommutative symbols, which stand for matrices of any size, are only expanded.
    """
    if isinstance(expression, sympy.MatrixBase):
        return all(vanishes(entry) for entry in expression)
    expanded = sympy.expand(expression)
    if expanded == 0:
        return True
    return bool(expanded.is_commutative and sympy.simplify(expanded) == 0)


@dataclass(frozen=True)
class SymbolicZero:
    """Expressions that are 0 identically in their symbols.

    Attributes:
        scope: what the symbols stand for, LaTeX text.
        expressions: makes the differences of the two sides.
    """

    scope: str
    expressions: Callable[[], Iterable[sympy.Expr]]
    kind: ClassVar[Kind] = "proved"

    def run(self) -> Outcome:
        """Rewrites every expression; fails at the first that SymPy does not reduce to 0."""
        count = 0
        for expression in self.expressions():
            count += 1
            if not vanishes(expression):
                return Outcome(False, f"difference {count} is not 0: {str(expression)[:80]}")
        return Outcome(count > 0, f"differences reduced to 0: {count}")


@dataclass(frozen=True)
class NonnegativeCoefficients:
    """Polynomials without a negative coefficient, hence >= 0 where all their variables are >= 0.

    Attributes:
        scope: what they are, LaTeX text.
        polynomials: makes pairs of a polynomial and its variables.
    """

    scope: str
    polynomials: Callable[[], Iterable[tuple[sympy.Expr, tuple[sympy.Symbol, ...]]]]
    kind: ClassVar[Kind] = "proved"

    def run(self) -> Outcome:
        """Expands every polynomial and looks at its coefficients."""
        count = 0
        for expression, variables in self.polynomials():
            count += 1
            if any(not c.is_nonnegative for c in sympy.Poly(sympy.expand(expression), *variables).coeffs()):
                return Outcome(False, f"polynomial {count} has a negative coefficient")
        return Outcome(count > 0, f"polynomials without a negative coefficient: {count}")
