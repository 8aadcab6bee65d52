"""Exact checks: expressions that SymPy rewrites to 0, and signs that can be read off a polynomial."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import sympy

from symflow.proofs.outcome import Outcome

Reach: TypeAlias = Literal["proved", "checked exactly"]
"""Whether an exact check is as strong as its step, or about the case or ingredient that its scope names."""
SHORT = 40
"""Differences of at most this many characters are shown."""
_NAME = re.compile(r"[A-Za-z]+(_?[A-Za-z0-9]+)?")
"""Names of symbols that print as what they mean."""


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


def _refuted(number: int, difference: sympy.Expr | sympy.MatrixBase) -> Outcome:
    """The outcome for a difference that is not 0; it is shown whole or not at all."""
    found = sympy.expand(difference)
    text = str(found)
    if len(text) > SHORT or not all(map(_NAME.fullmatch, (s.name for s in found.free_symbols))):
        return Outcome(False, f"difference {number} is not 0")
    return Outcome(
        False, f"difference {number} is {text}, not 0", f"difference {number} is ${sympy.latex(found)}$, not 0"
    )


@dataclass(frozen=True)
class SymbolicZero:
    """Expressions that are 0 identically in their symbols.

    Attributes:
        scope: what the symbols stand for, LaTeX text.
        expressions: makes the differences of the two sides.
        kind: "checked exactly" where this is less than the step.
    """

    scope: str
    expressions: Callable[[], Iterable[sympy.Expr]]
    kind: Reach = "proved"

    def run(self) -> Outcome:
        """Rewrites every expression; fails at the first that SymPy does not reduce to 0."""
        count = 0
        for expression in self.expressions():
            count += 1
            if not vanishes(expression):
                return _refuted(count, expression)
        return Outcome(count > 0, f"differences reduced to 0: {count}")


@dataclass(frozen=True)
class NonnegativeCoefficients:
    """Polynomials without a negative coefficient, hence >= 0 where all their variables are >= 0.

    Attributes:
        scope: what they are, LaTeX text.
        polynomials: makes pairs of a polynomial and its variables.
        kind: "checked exactly" where this is less than the step.
    """

    scope: str
    polynomials: Callable[[], Iterable[tuple[sympy.Expr, tuple[sympy.Symbol, ...]]]]
    kind: Reach = "proved"

    def run(self) -> Outcome:
        """Expands every polynomial and looks at its coefficients."""
        count = 0
        for expression, variables in self.polynomials():
            count += 1
            if any(not c.is_nonnegative for c in sympy.Poly(sympy.expand(expression), *variables).coeffs()):
                return Outcome(False, f"polynomial {count} has a negative coefficient")
        return Outcome(count > 0, f"polynomials without a negative coefficient: {count}")
