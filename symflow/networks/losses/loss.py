"""`Loss`: the loss of one sample, by its kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import sympy

from symflow.errors import ProblemError, brief
from symflow.networks.losses import cross_entropy, exponential, logistic, square
from symflow.networks.losses import expression as own
from symflow.networks.losses.expression import concave_point, proved_convex, read_expression
from symflow.networks.losses.kind import LossKind
from symflow.programs.nodes import Node

LOSSES: dict[str, LossKind] = {
    module.KIND.name: module.KIND for module in (square, logistic, exponential, cross_entropy, own)
}
"""The kinds of losses by name: a new one is a file with its record, and a line here."""


@dataclass(frozen=True)
class Loss:
    """l(p, y), the loss of one sample: p the prediction, y the target, both of d_n entries.

    By kind: "square" ||p - y||^2 / 2; "logistic" log(1 + e^{-y p}) and "exponential" e^{-y p}, one output, y = -1 or 1;
    "cross-entropy" log sum_c e^{p_c} - <y, p>, y a one-hot row or probabilities; "expression" a SymPy expression,
    summed over the outputs (`expression_loss` makes these). The first four are convex in p and nonnegative.

    Attributes:
        kind: its name, one of the five above.
        expression: for the kind "expression", in the symbols `PREDICTION` and `TARGET`; else None.
        convexity: of l in p: "proved", "declared" by the user, or "unknown".

    Raises:
        ProblemError: an unknown kind, or an expression with another kind.

    Source: Elkabetz & Cohen 2021 (the first four kinds).

    Example:
        >>> objective = sf.network_objective(sf.FullyConnected((1, 1, 1)), [1], [1], sf.Loss("logistic"))
        >>> sf.loss(objective).explicit()
        log(1 + exp(-W1_11*W2_11))
    """

    kind: str = "square"
    expression: sympy.Expr | None = None
    convexity: Literal["proved", "declared", "unknown"] = "proved"

    def __post_init__(self) -> None:
        if self.kind not in LOSSES:
            raise ProblemError(f"loss: the kind must be one of {', '.join(LOSSES)}, got {brief(self.kind)}")
        if self.known.takes_expression == (self.expression is None):
            raise ProblemError("loss: the kind expression goes with an expression; use sf.expression_loss")
        if self.expression is None and not self.known.convex:
            object.__setattr__(self, "convexity", "unknown")

    @property
    def known(self) -> LossKind:
        """All that is known of losses of this kind."""
        return LOSSES[self.kind]

    def total(self, prediction: Node, targets: Node) -> Node:
        """The sum of l over all samples (the last axis), a scalar node."""
        return self.known.total(prediction, targets, self.expression)


SQUARE = Loss("square")


def as_loss(loss: object) -> Loss:
    """A loss from its record or its name.

    Raises:
        ProblemError: neither of them.
    """
    if isinstance(loss, str):
        return Loss(loss)
    if not isinstance(loss, Loss):
        raise ProblemError(f'loss must be a name such as "logistic" or a Loss, got {brief(loss)}')
    return loss


def expression_loss(
    expression: sympy.Expr, prediction: sympy.Symbol, target: sympy.Symbol, *, convex: bool | None = None
) -> Loss:
    """l(p, y), a loss of your own as a SymPy expression; with several outputs it is summed over them.

    Args:
        expression: of the two symbols; see `expression_objective` for what it may contain.
        prediction: the symbol of p.
        target: the symbol of y.
        convex: True declares l convex in p where SymPy cannot prove it; bounds that need convexity then say so.

    Returns:
        A `Loss` of kind "expression"; its `convexity` is "proved" where SymPy proves l'' >= 0, else "declared" or
        "unknown".

    Raises:
        ProblemError: another free symbol, an unsupported function, or l declared convex though l'' is negative
            somewhere.

    Example:
        >>> import sympy
        >>> p, y = sympy.symbols("p y")
        >>> quartic = sf.expression_loss((p - y)**4 / 4, p, y)
        >>> quartic.convexity
        'proved'
        >>> sf.loss(sf.network_objective(sf.FullyConnected((1, 1, 1)), [1], [2], quartic)).explicit()
        (W1_11*W2_11 - 2)**4/4
    """
    expression = read_expression(expression, prediction, target)
    if proved_convex(expression):
        return Loss("expression", expression, "proved")
    counterexample = concave_point(expression)
    if convex and counterexample is not None:
        p, y = counterexample
        raise ProblemError(f"loss: declared convex, but its second derivative is negative at p = {p}, y = {y}")
    return Loss("expression", expression, "declared" if convex else "unknown")
