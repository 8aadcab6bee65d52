"""What is known of one kind of loss, in one record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
import sympy

from symflow.programs.nodes import Node, einsum


def any_targets(y: np.ndarray, where: str) -> None:
    """Every target is admitted."""


@dataclass(frozen=True)
class LossKind:
    """All that is known of a loss l(p, y) of one sample, p the prediction and y the target.

    Attributes:
        name: in problem files and messages.
        total: (predictions, targets, expression) -> the sum of l over all samples (the last axis), a scalar node; the
            expression is None except for losses that are given by one.
        latex: l(\\hat y, y), for formulas; of an expression.
        convex: whether l is proved to be convex in p.
        nonnegative: whether l is proved to be >= 0.
        smoothness: sup ||hess l|| in p, or None where it is not bounded or not known.
        third: at least sup |l'''[u, v, v]| / (||u|| ||v||^2), or None where it is not bounded or not known.
        labels: what the targets are where they are labels: -1 and 1 of one output ("signs"), or one-hot rows.
        residual: whether l is a function of the residual p - y, which then has a name in formulas.
        takes_expression: whether l is given by an expression.
        check_targets: refuses targets y (N x d_n, exact) outside the loss's domain; messages begin with `where`.
    """

    name: str
    total: Callable[[Node, Node, sympy.Expr | None], Node]
    latex: Callable[[sympy.Expr | None], str]
    convex: bool = False
    nonnegative: bool = False
    smoothness: Fraction | None = None
    third: Fraction | None = None
    labels: Literal["signs", "one-hot"] | None = None
    residual: bool = False
    takes_expression: bool = False
    check_targets: Callable[[np.ndarray, str], None] = any_targets


def total(x: Node) -> Node:
    """The sum of all entries."""
    return einsum((x,), (tuple(range(len(x.axes))),), ())
