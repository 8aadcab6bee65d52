"""SymPy expressions as polynomials: gates are decided, exponentials and quotients become variables of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import sympy

from symflow.analysis.laws.polynomials import (
    Auxiliary,
    Polynomial,
    Ring,
    System,
    constant,
    polynomial_ring,
)
from symflow.errors import ProblemError, brief

Decide = Callable[[object, Polynomial], bool]
"""Whether the polynomial that a gate depends on is positive; the gate has a key."""
_SUPPORTED = "sums, products, integer powers, rational numbers, Max, Min, Abs, exp and tanh of polynomials, quotients"


def spare(expressions: tuple[sympy.Expr, ...]) -> int:
    """At most how many variables of their own the expressions need."""
    found = set()
    for e in expressions:
        found |= {x for x in sympy.preorder_traversal(e) if x.func in (sympy.exp, sympy.tanh) or _quotient(x)}
        found |= {x for x in sympy.preorder_traversal(e) if x is sympy.E or (x.is_Pow and x.base is sympy.E)}
    return 2 * len(found)


def gate_keys(expressions: tuple[sympy.Expr, ...]) -> list[object]:
    """The keys of all gates, inner ones first."""
    keys: dict[object, None] = {}
    for e in expressions:
        for x in sympy.postorder_traversal(e):
            if x.func in (sympy.Max, sympy.Min):
                keys.update(((x, i), None) for i in range(1, len(x.args)))
            elif x.func is sympy.Abs:
                keys[x, 0] = None
    return list(keys)


def _quotient(x: sympy.Basic) -> bool:
    return bool(x.is_Pow and x.exp.is_Integer and x.exp < 0 and not x.base.is_number)


class Reader:
    """Reads expressions into a polynomial ring.

    Args:
        count: P, the number of parameters.
        spares: how many further variables there may be.
        inputs: the number of inputs that are variables.
        decide: the value of gates.
    """

    def __init__(self, count: int, spares: int, inputs: int, decide: Decide) -> None:
        self.ring: Ring = polynomial_ring(count + spares + inputs)
        self.count, self.first_input, self.decide = count, count + spares, decide
        self.generators = self.ring.gens()
        self.auxiliary: list[Auxiliary] = []
        self._exponentials: dict[str, Polynomial] = {}
        self._reciprocals: dict[str, Polynomial] = {}

    @property
    def system(self) -> System:
        """Without potentials."""
        return System(self.ring, self.count, (), tuple(self.auxiliary))

    def read(self, e: sympy.Expr, values: Mapping[sympy.Symbol, Polynomial]) -> Polynomial:
        """An expression whose symbols have values."""
        memo: dict[sympy.Basic, Polynomial] = dict(values)
        for x in sympy.postorder_traversal(e):
            if x not in memo:
                memo[x] = self._made(x, memo)
        return memo[e]

    def _made(self, x: sympy.Basic, memo: Mapping[sympy.Basic, Polynomial]) -> Polynomial:
        if x.is_Rational or x.is_Float:
            q = sympy.Rational(x)
            return constant(self.ring, Fraction(int(q.p), int(q.q)))
        arguments = [memo[a] for a in x.args]
        if x.is_Add:
            return sum(arguments[1:], arguments[0])
        if x.is_Mul:
            total = arguments[0]
            for a in arguments[1:]:
                total = total * a
            return total
        if x.is_Pow and x.exp.is_Integer:
            base, power = arguments[0], int(x.exp)
            return base**power if power >= 0 else self._reciprocal(base) ** -power
        if x.func is sympy.exp:
            return self._exponential(arguments[0])
        if x.is_Pow and x.base is sympy.E:
            return self._exponential(arguments[1])
        if x.func is sympy.tanh:
            doubled = self._exponential(2 * arguments[0])
            return constant(self.ring, 1) - 2 * self._reciprocal(doubled + 1)
        if x.func in (sympy.Max, sympy.Min):
            return self._extreme(x, arguments)
        if x.func is sympy.Abs:
            a = arguments[0]
            return a if a == 0 or self.decide((x, 0), a) else -a
        if x is sympy.E:
            return self._exponential(constant(self.ring, 1))
        raise ProblemError(f"a parametric map may contain {_SUPPORTED}, got {brief(x)}; rewrite it")

    def _extreme(self, x: sympy.Basic, arguments: list[Polynomial]) -> Polynomial:
        best = arguments[0]
        for i, other in enumerate(arguments[1:], start=1):
            difference = other - best if x.func is sympy.Max else best - other
            if difference != 0 and self.decide((x, i), difference):
                best = other
        return best

    # Variables of their own -------------------------------------------------------------------------------------------

    def _has_auxiliary(self, polynomial: Polynomial, only_reciprocals: bool = False) -> bool:
        degrees = [int(d) for d in polynomial.degrees()]
        return any(
            degrees[self.count + i] > 0 and (y.reciprocal is not None or not only_reciprocals)
            for i, y in enumerate(self.auxiliary)
        )

    def _exponential(self, q: Polynomial) -> Polynomial:
        key = str(q)
        if (negative := str(-q)) in self._exponentials:
            return self._reciprocal(self._exponentials[negative])
        if key not in self._exponentials:
            if self._has_auxiliary(q):
                raise ProblemError("exponentials must be of polynomials, got one of an exponential or quotient")
            y = self.generators[self.count + len(self.auxiliary)]
            slopes = {p: y * d for p in range(self.count) if (d := q.derivative(p)) != 0}
            self.auxiliary.append(Auxiliary(slopes, exponent=q))
            self._exponentials[key] = y
        return self._exponentials[key]

    def _reciprocal(self, denominator: Polynomial) -> Polynomial:
        if denominator.is_constant() and denominator != 0:
            return constant(self.ring, 1) / denominator
        key = str(denominator)
        if key not in self._reciprocals:
            if denominator == 0 or self._has_auxiliary(denominator, only_reciprocals=True):
                raise ProblemError("a denominator must not be 0 nor contain a quotient; multiply out")
            slopes = self.system.gradient(denominator)
            y = self.generators[self.count + len(self.auxiliary)]
            found: dict[int, Any] = {p: -y * y * d for p, d in enumerate(slopes) if d != 0}
            self.auxiliary.append(Auxiliary(found, reciprocal=denominator))
            self._reciprocals[key] = y
        return self._reciprocals[key]
