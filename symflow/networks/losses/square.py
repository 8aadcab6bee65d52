"""The square loss l(p, y) = ||p - y||^2 / 2."""

from __future__ import annotations

from fractions import Fraction

import sympy

from symflow.networks.losses.kind import LossKind
from symflow.programs.nodes import Node, add, inner, scale


def _total(prediction: Node, targets: Node, _: sympy.Expr | None) -> Node:
    residual = add([(1, prediction), (-1, targets)])
    return scale(Fraction(1, 2), inner(residual, residual))


KIND = LossKind(
    "square",
    _total,
    lambda _: r"\tfrac12\|\hat y - y\|^2",
    convex=True,
    nonnegative=True,
    smoothness=Fraction(1),
    third=Fraction(0),
    residual=True,
)
