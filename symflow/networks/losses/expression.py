"""A loss of your own: l(p, y) as a SymPy expression, summed over the outputs where there are several."""

from __future__ import annotations

import sympy

from symflow.errors import ProblemError, brief
from symflow.networks.losses.kind import LossKind, total
from symflow.programs.from_sympy import expression_node
from symflow.programs.nodes import Input, Node

PREDICTION = sympy.Symbol("prediction", real=True)
TARGET = sympy.Symbol("target", real=True)
_SCALAR = Input("scalar", (), "data", "x")


def _total(prediction: Node, targets: Node, expression: sympy.Expr | None) -> Node:
    assert expression is not None
    return total(expression_node(expression, {PREDICTION: prediction, TARGET: targets}))


def _latex(expression: sympy.Expr | None) -> str:
    assert expression is not None
    entries = {PREDICTION: sympy.Symbol(r"\hat y_c"), TARGET: sympy.Symbol("y_c")}
    return rf"\sum_c \Bigl({sympy.latex(expression.xreplace(entries))}\Bigr)"


KIND = LossKind("expression", _total, _latex, takes_expression=True)


def read_expression(expression: sympy.Expr, prediction: sympy.Symbol, target: sympy.Symbol) -> sympy.Expr:
    """l in the symbols `PREDICTION` and `TARGET`.

    Raises:
        ProblemError: text, another free symbol, an unsupported function, or no prediction in it.
    """
    if isinstance(expression, str):
        raise ProblemError(f"loss: the expression must be a SymPy expression, got the text {brief(expression)}")
    expression = sympy.sympify(expression).xreplace({prediction: PREDICTION, target: TARGET})
    unknown = expression.free_symbols - {PREDICTION, TARGET}
    if unknown:
        listed = ", ".join(sorted(map(str, unknown)))
        raise ProblemError(f"loss: the expression may contain only {prediction} and {target}, got {listed}")
    if PREDICTION not in expression.free_symbols:
        raise ProblemError(f"loss: the expression must depend on {prediction}, got {brief(str(expression))}")
    try:
        expression_node(expression, {PREDICTION: _SCALAR, TARGET: _SCALAR})
    except ValueError as error:
        raise ProblemError(f"loss: {error}") from None
    return expression


def proved_convex(expression: sympy.Expr) -> bool:
    """Whether SymPy proves l'' >= 0."""
    curvature = expression.diff(PREDICTION, 2)
    forms = (lambda e: e, sympy.factor, sympy.simplify)  # cheapest first
    return any(bool(form(curvature).is_nonnegative) for form in forms)


def concave_point(expression: sympy.Expr) -> tuple[sympy.Rational, sympy.Rational] | None:
    """A point (p, y) of a coarse grid where l'' < 0, if there is one."""
    curvature = expression.diff(PREDICTION, 2)
    grid = [sympy.Rational(i, 2) for i in range(-8, 9)]
    for p in grid:
        for y in grid:
            value = curvature.subs({PREDICTION: p, TARGET: y})
            if value.is_number and value.is_real and value.evalf() < 0:
                return p, y
    return None
