"""Losses l(prediction, target) of one sample, as programs, with what is known about their convexity.

| kind | l(p, y) | targets |
|---|---|---|
| square | ||p - y||^2 / 2 | any |
| logistic | log(1 + e^{-y p}) | y = -1 or 1, one output |
| exponential | e^{-y p} | y = -1 or 1, one output |
| cross-entropy | log sum_c e^{p_c} - <y, p> | one-hot, or probabilities |
| expression | sum over outputs of a SymPy expression in (p, y) | any |

All but the last are convex in the prediction, twice differentiable and >= 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
import sympy

from symflow.errors import ProblemError, brief
from symflow.programs.from_sympy import expression_node
from symflow.programs.nodes import Input, LogSumExp, Node, add, apply, einsum, hadamard, inner, scale

Kind = Literal["square", "logistic", "exponential", "cross-entropy", "expression"]
KINDS: tuple[Kind, ...] = ("square", "logistic", "exponential", "cross-entropy", "expression")
_SCALAR = Input("scalar", (), "data", "x")
PREDICTION = sympy.Symbol("prediction", real=True)
TARGET = sympy.Symbol("target", real=True)


@dataclass(frozen=True)
class Loss:
    """The loss of one sample.

    Attributes:
        kind: one of `KINDS`.
        expression: for the kind "expression", in the symbols `PREDICTION` and `TARGET`.
        convexity: of l in the prediction: "proved", "declared" by the user, or "unknown".
    """

    kind: Kind = "square"
    expression: sympy.Expr | None = None
    convexity: Literal["proved", "declared", "unknown"] = "proved"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ProblemError(f"loss: the kind must be one of {', '.join(KINDS)}, got {brief(self.kind)}")
        if (self.expression is None) == (self.kind == "expression"):
            raise ProblemError("loss: the kind expression goes with an expression; use sf.expression_loss")

    def total(self, prediction: Node, targets: Node) -> Node:
        """The sum of l over all samples (the last axis), a scalar node."""
        if self.kind == "square":
            residual = add([(1, prediction), (-1, targets)])
            return scale(Fraction(1, 2), inner(residual, residual))
        if self.kind == "cross-entropy":
            spread = prediction
            for _ in prediction.axes[:-1]:
                spread = LogSumExp(spread, 0)
            return add([(1, _sum(spread)), (-1, inner(targets, prediction))])
        if self.kind == "expression":
            assert self.expression is not None
            return _sum(expression_node(self.expression, {PREDICTION: prediction, TARGET: targets}))
        margin = scale(-1, hadamard(targets, prediction))
        return _sum(apply("softplus" if self.kind == "logistic" else "exp", margin))


SQUARE = Loss("square")


def _sum(x: Node) -> Node:
    """The sum of all entries."""
    return einsum((x,), (tuple(range(len(x.axes))),), ())


def expression_loss(
    expression: sympy.Expr, prediction: sympy.Symbol, target: sympy.Symbol, *, convex: bool | None = None
) -> Loss:
    """A loss of your own: l(p, y) as a SymPy expression; with several outputs it is summed over them.

    Args:
        expression: of the two symbols; sums, products, rational powers, exp, log, sin, cos and rational numbers.
        prediction: the symbol of p.
        target: the symbol of y.
        convex: True declares l convex in p where SymPy cannot prove it; bounds that need it then say so.

    Raises:
        ProblemError: another free symbol, an unsupported function, or declared convex though l'' is negative somewhere.
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
    curvature = expression.diff(PREDICTION, 2)
    if _nonnegative(curvature):
        return Loss("expression", expression, "proved")
    counterexample = _negative_point(curvature)
    if convex and counterexample is not None:
        p, y = counterexample
        raise ProblemError(f"loss: declared convex, but its second derivative is negative at p = {p}, y = {y}")
    return Loss("expression", expression, "declared" if convex else "unknown")


def _nonnegative(curvature: sympy.Expr) -> bool:
    """Whether SymPy proves an expression of real symbols to be >= 0."""
    return any(bool(form.is_nonnegative) for form in (curvature, sympy.factor(curvature), sympy.simplify(curvature)))


def _negative_point(curvature: sympy.Expr) -> tuple[sympy.Rational, sympy.Rational] | None:
    """A point of a coarse grid where the expression is negative, if there is one."""
    grid = [sympy.Rational(i, 2) for i in range(-8, 9)]
    for p in grid:
        for y in grid:
            value = curvature.subs({PREDICTION: p, TARGET: y})
            if value.is_number and value.is_real and value.evalf() < 0:
                return p, y
    return None


def check_targets(loss: Loss, y: np.ndarray, where: str) -> None:
    """Refuses targets that the loss does not admit.

    Args:
        loss: the loss.
        y: N x d_n, exact.
        where: what the message begins with.

    Raises:
        ProblemError: a target outside the loss's range.
    """
    if loss.kind in ("logistic", "exponential"):
        if y.shape[1] != 1:
            raise ProblemError(f"{where} must have one column for the {loss.kind} loss, got {y.shape[1]}")
        for i, (value,) in enumerate(y):
            if value not in (1, -1):
                raise ProblemError(f"{where}[{i}] must be -1 or 1 for the {loss.kind} loss, got {brief(value)}")
    if loss.kind == "cross-entropy":
        for i, row in enumerate(y):
            if min(row) < 0 or sum(row) != 1:
                shown = ", ".join(map(str, row[:6]))
                raise ProblemError(
                    f"{where}[{i}] must be a one-hot row (or probabilities that sum to 1) for the cross-entropy loss, "
                    f"got [{shown}]"
                )


SMOOTHNESS = {"square": Fraction(1), "logistic": Fraction(1, 4), "cross-entropy": Fraction(1, 2)}
"""sup ||hess l|| in the prediction.  Logistic: s(1 - s) <= 1/4.  Cross-entropy: v^T (diag(p) - p p^T) v is the variance
of v_c under the probabilities p, at most (max v - min v)^2 / 4 <= ||v||^2 / 2."""
