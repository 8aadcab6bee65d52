"""SymPy expressions as nodes, entry by entry."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import sympy

from symflow.programs.nodes import FUNCTIONS, Const, Node, add, apply, hadamard, power, scale


def _fraction(q: sympy.Rational) -> Fraction:
    return Fraction(int(q.p), int(q.q))


def _is_softplus(e: sympy.Expr) -> sympy.Expr | None:
    """x where e is log(1 + exp(x)), so that it is evaluated without overflow."""
    if e.func is sympy.log and e.args[0].is_Add and len(e.args[0].args) == 2:
        one, other = e.args[0].args
        if one == 1 and other.func is sympy.exp:
            return other.args[0]
    return None


def sympy_functions() -> dict[type[sympy.Function], str]:
    """The functions of SymPy that are elementwise functions here, and their names."""
    return {u.sympy: name for name, u in FUNCTIONS.items() if isinstance(u.sympy, sympy.FunctionClass)}


def expression_node(expression: sympy.Expr, values: Mapping[sympy.Symbol, Node]) -> Node:
    """The node of a SymPy expression whose symbols stand for arrays of equal axes, applied entry by entry.

    Supported: sums, products, rational powers, exp, log, sin, cos and rational numbers (floats mean their binary
    value); log(1 + exp(x)) becomes the softplus.

    Raises:
        ValueError: another function, or a number that is not rational.
    """
    axes = next((x.axes for x in values.values()), ())
    memo: dict[sympy.Expr, Node] = dict(values)

    def convert(e: sympy.Expr) -> Node:
        if e in memo:
            return memo[e]
        node: Node
        inside = _is_softplus(e)
        if inside is not None:
            node = apply("softplus", convert(inside))
        elif e.is_Rational or e.is_Float:
            node = Const(_fraction(sympy.Rational(e)), axes)
        elif e.is_Add:
            node = add([(1, convert(a)) for a in e.args])
        elif e.is_Mul and e.as_coeff_Mul()[0].is_finite:
            number, rest = e.as_coeff_Mul()
            node = Const(Fraction(1), axes)
            for a in sympy.Mul.make_args(rest):
                node = hadamard(node, convert(a))
            node = scale(_fraction(sympy.Rational(number)), node)
        elif e.is_Pow and e.exp.is_Rational:
            node = power(convert(e.base), _fraction(e.exp))
        elif e.func in (known := sympy_functions()):
            node = apply(known[e.func], convert(e.args[0]))
        else:
            raise ValueError(
                f"cannot turn {e} into a program: sums, products, rational powers, {', '.join(known.values())} are "
                "supported"
            )
        memo[e] = node
        return node

    return convert(expression)
