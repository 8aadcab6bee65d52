"""The cross-entropy l(p, y) = log sum_c e^{p_c} - <y, p>, y a one-hot row or probabilities.

Under the probabilities q = softmax(p), v^T hess l v = v^T (diag(q) - q q^T) v is the variance of v_c, at most
(max v - min v)^2 / 4 <= ||v||^2 / 2; and l'''[u, v, v] = E[(u - Eu)(v - Ev)^2] is at most (max u - min u) Var v <=
sqrt 2 ||u|| ||v||^2 / 2, where sqrt 2 / 2 < 5/7.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import sympy

from symflow.errors import ProblemError
from symflow.networks.losses.kind import LossKind, total
from symflow.programs.nodes import LogSumExp, Node, add, inner


def _total(prediction: Node, targets: Node, _: sympy.Expr | None) -> Node:
    spread = prediction
    for _axis in prediction.axes[:-1]:
        spread = LogSumExp(spread, 0)
    return add([(1, total(spread)), (-1, inner(targets, prediction))])


def _check_targets(y: np.ndarray, where: str) -> None:
    for i, row in enumerate(y):
        if min(row) < 0 or sum(row) != 1:
            shown = ", ".join(map(str, row[:6]))
            raise ProblemError(
                f"{where}[{i}] must be a one-hot row (or probabilities that sum to 1) for the cross-entropy loss, "
                f"got [{shown}]"
            )


KIND = LossKind(
    "cross-entropy",
    _total,
    lambda _: r"\log\sum_c e^{\hat y_c} - \langle y, \hat y\rangle, \quad y_c \ge 0, \quad \sum_c y_c = 1",
    convex=True,
    nonnegative=True,
    smoothness=Fraction(1, 2),
    third=Fraction(5, 7),
    labels="one-hot",
    check_targets=_check_targets,
)
