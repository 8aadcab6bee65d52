"""Minima around which the loss is strongly convex: any loss, any activation, no gate that changes. (R24)

On a ball with lambda_min(H) >= mu > 0 there is at most one critical point; it is within ||g(q)||/mu of any q of the
ball, so that Newton's method, whose steps need no proof, encloses it to any number of digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from flint import arb

from symflow.analysis.limit import boxes
from symflow.analysis.limit.route import Kind, Refined
from symflow.networks.objective import Objective
from symflow.numbers.balls import Ball
from symflow.theory.r24_for_all_time import isolated_length


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

    def refined(self, center: Sequence[Ball], near: np.ndarray, theta: np.ndarray) -> Refined | None:
        """A point with a small gradient."""
        mu = self.rate(theta).lower()
        point = boxes.newton(
            center, lambda at: boxes.slope(self.objective, at), lambda at: boxes.curvature(self.objective, at)
        )
        return point, self.length(boxes.box(point, arb(0)), mu)
