"""SymPy expressions as nodes, entry by entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

import sympy

from symflow.errors import ProblemError
from symflow.programs.exponential_sums import fraction, needs_care, stable_node
from symflow.programs.nodes import FUNCTIONS, Const, Node, add, apply, hadamard, power, scale


def sympy_functions() -> dict[type[sympy.Function], str]:
    """The functions of SymPy that are elementwise functions here, and their names."""
    return {u.sympy: name for name, u in FUNCTIONS.items() if isinstance(u.sympy, sympy.FunctionClass)}


def _tangent(x: Node) -> Node:
    return hadamard(apply("sin", x), power(apply("cos", x), -1))


def _half_exponentials(x: Node, sign: int) -> Node:
    """(e^x + sign e^-x)/2."""
    half = Fraction(1, 2)
    return add([(half, apply("exp", x)), (sign * half, apply("exp", scale(-1, x)))])


REWRITTEN: Mapping[type[sympy.Function], Callable[[Node], Node]] = {
    sympy.tan: _tangent,
    sympy.sinh: lambda x: _half_exponentials(x, -1),
    sympy.cosh: lambda x: _half_exponentials(x, 1),
}
"""Functions of SymPy that are read as formulas in others."""


def readable_functions() -> dict[str, type[sympy.Function]]:
    """The functions of SymPy that can be read, by name."""
    return {name: f for f, name in sympy_functions().items()} | {f.__name__: f for f in REWRITTEN}


class _Reader:
    """Turns expressions into nodes, shared subexpressions into one."""

    def __init__(self, values: Mapping[sympy.Symbol, Node]) -> None:
        self.axes = next((x.axes for x in values.values()), ())
        self.memo: dict[sympy.Expr, Node] = dict(values)

    def node(self, e: sympy.Expr) -> Node:
        if e not in self.memo:
            self.memo[e] = self.made(e)
        return self.memo[e]

    def constant(self, q: Fraction) -> Node:
        return Const(q, self.axes)

    def made(self, e: sympy.Expr) -> Node:
        stable = stable_node(e, self.node) if needs_care(e) else None
        if stable is not None:
            return stable
        if e.is_Rational or e.is_Float:
            return self.constant(fraction(sympy.Rational(e)))
        if e is sympy.E:
            return apply("exp", self.constant(Fraction(1)))
        if e is sympy.pi:
            return scale(4, apply("atan", self.constant(Fraction(1))))
        if e.is_Add:
            return add([(1, self.node(a)) for a in e.args])
        if e.is_Mul and e.as_coeff_Mul()[0].is_finite:
            return self.product(e)
        if e.is_Pow:
            if e.exp.is_Rational:
                return power(self.node(e.base), fraction(e.exp))
            return apply("exp", hadamard(self.node(e.exp), apply("log", self.node(e.base))))
        if e.func in (known := sympy_functions()):
            return apply(known[e.func], self.node(e.args[0]))
        if e.func in REWRITTEN:
            return REWRITTEN[e.func](self.node(e.args[0]))
        raise ProblemError(
            f"cannot turn {e} into a program: sums, products, powers, {', '.join(readable_functions())} are supported"
        )

    def product(self, e: sympy.Mul) -> Node:
        number, rest = e.as_coeff_Mul()
        node = self.constant(Fraction(1))
        for a in sympy.Mul.make_args(rest):
            node = hadamard(node, self.node(a))
        return scale(fraction(sympy.Rational(number)), node)


def expression_node(expression: sympy.Expr, values: Mapping[sympy.Symbol, Node]) -> Node:
    """The node of a SymPy expression whose symbols stand for arrays of equal axes, applied entry by entry.

    Supported: sums, products, powers, exp, log, sin, cos, tan, atan, sinh, cosh, tanh, erf, rational numbers (floats
    mean their binary value), e and pi. Quotients, powers and logarithms of sums of exponentials, such as
    1/(1 + exp(-x)), are read as functions that do not overflow where these do not (`exponential_sums`). A power whose
    exponent is not a rational number is exp(exponent log(base)), so that its base must be positive.

    Raises:
        ValueError: another function, or a number that is not real.
    """
    return _Reader(values).node(expression)
