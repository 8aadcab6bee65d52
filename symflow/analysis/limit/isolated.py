"""Minima around which the loss is strongly convex: any loss, any activation, no gate that changes. (R24)

On a ball with lambda_min(H) >= mu > 0 there is at most one critical point; it is within ||g(q)||/mu of any q of the
ball, so that Newton's method, whose steps need no proof, encloses it to any number of digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from flint import arb, arb_mat

from symflow.analysis.limit import boxes
from symflow.analysis.limit.route import Kind
from symflow.networks.objective import Objective
from symflow.numbers.balls import Ball
from symflow.theory.r24_for_all_time import isolated_length

NEWTON_STEPS = 60


@dataclass(frozen=True, eq=False)
class Isolated:
    """R24 with lambda_min(H) >= mu."""

    objective: Objective
    kind: Kind = "isolated"
    minimum: Fraction | None = None
    crosses_kinks: bool = False
    degenerate: str = "the Hessian is not positive definite, so that minima need not be isolated"

    def rate(self, theta: np.ndarray) -> Ball:
        """lambda_min(H)."""
        return boxes.least_eigenvalue(boxes.curvature(self.objective, theta))

    def excess(self, theta: np.ndarray, mu: Ball) -> Ball:
        """f - f* <= ||g||^2/(2 mu)."""
        return (boxes.gradient_norm(self.objective, theta) ** 2 / (2 * mu)).upper()

    def length(self, theta: np.ndarray, mu: Ball) -> Ball:
        """||g||/mu."""
        return isolated_length(boxes.gradient_norm(self.objective, theta), mu).upper()

    def stretch(self, step_size: Ball, beta: Ball) -> Ball:
        """2: descent stays as close to the minimum as it was."""
        return arb(2)


def newton(objective: Objective, center: Sequence[Ball]) -> list[Ball]:
    """A point near the critical point, exact balls: Newton's method at the working precision, unproved."""
    point = [x.mid() for x in center]
    best = None
    for _ in range(NEWTON_STEPS):
        at = boxes.box(point, arb(0))
        slope = boxes.slope(objective, at)
        size = boxes.norm(slope)
        if best is not None and not size < best:
            break
        best, found = size, point
        try:
            step = arb_mat(boxes.curvature(objective, at).tolist()).solve(arb_mat([[v] for v in slope]))
        except ZeroDivisionError:
            break
        point = [(x - step[i, 0]).mid() for i, x in enumerate(point)]
    return found
