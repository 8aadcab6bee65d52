"""Where a path has come to, with what is known of its error there."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import mpmath
import numpy as np
from flint import arb

from symflow.derivatives.derived import gradient
from symflow.dynamics.methods.gradient_descent import GradientDescent
from symflow.errors import LimitUnknown, ProblemError, brief
from symflow.evaluate.object_arrays import evaluate_mpmath
from symflow.networks.objective import Objective
from symflow.numbers.balls import Ball, ball, from_mpf
from symflow.numbers.fixed_point import to_mpf
from symflow.numbers.types import Mpf
from symflow.paths.iterates import Iterates
from symflow.paths.path_error import How
from symflow.paths.taylor.dense import TaylorSteps
from symflow.paths.trajectory import Trajectory
from symflow.problem import Problem


@dataclass(frozen=True, eq=False)
class Start:
    """A point that a path passes, or passes close by.

    Attributes:
        objective: f.
        point: P rationals or mpf values.
        error: at most how far any coordinate of the path is from it.
        time: when.
        step_size: of descent; None for flow.
        dps: digits that the point is good to.
        how: how the error is known.
        reason: why it is not certified.
    """

    objective: Objective
    point: np.ndarray
    error: Mpf
    time: Fraction
    step_size: Fraction | None
    dps: int
    how: How = "certified"
    reason: str = ""

    def center(self) -> list[Ball]:
        """The point in balls at the working precision."""
        return [from_mpf(v) if hasattr(v, "_mpf_") else ball(Fraction(v)) for v in self.point]

    def distance(self) -> Ball:
        """At most how far the path is from the point."""
        return (arb(len(self.point)).sqrt() * from_mpf(self.error)).upper()


def start_of_problem(problem: Problem, step_size: Fraction | None, dps: int) -> Start:
    """theta(0), exactly."""
    return Start(problem.objective, np.array(problem.theta0, dtype=object), mpmath.mpf(0), Fraction(0), step_size, dps)


STEPS_TRIED = 8
"""Steps of a flow whose beginnings are compared with the gradient; at some a gate may be on its kink."""


def _follows_gradient(path: Trajectory) -> bool:
    """Whether a path is one of descent or of gradient flow, as the derivatives of its polynomials tell.

    Flows of other fields, such as modified equations, may belong to the same objective.
    """
    steps = path.dense
    if not isinstance(steps, TaylorSteps):
        return True
    if not isinstance(path.moves, Objective):
        return False
    slope, digits = gradient(path.moves), path.digits + 10
    still = True
    with mpmath.workdps(digits):
        for segment in steps.segments[:: max(1, len(steps.segments) // STEPS_TRIED)]:
            theta = [to_mpf(c[0], steps.bits) for c in segment.coefficients]
            g = evaluate_mpmath(slope, theta, dps=digits)
            speed = [to_mpf(c[1], steps.bits + segment.tau) for c in segment.coefficients]
            size = max(abs(x) for x in g)
            if not size:
                continue
            still = False
            apart = max(abs(a + b) for a, b in zip(speed, g, strict=True))
            if apart <= mpmath.mpf(10) ** (5 - path.digits) * (1 + size):
                return True
    return still


def start_of_path(path: Trajectory) -> Start:
    """The end of a path.

    Raises:
        ProblemError: nothing is known of its error.
        LimitUnknown: another method than gradient descent, another flow than gradient flow.
    """
    step_size = None
    if isinstance(path.dense, Iterates):
        if path.method != GradientDescent():
            raise LimitUnknown(
                f"R24 is about gradient flow and plain gradient descent, got {brief(path.method)}", cause="method"
            )
        step_size = path.step_size
    if not _follows_gradient(path):
        raise LimitUnknown("R24 is about gradient flow, got a solution of another field", cause="method")
    if path.error is None:
        raise ProblemError(
            "the path needs an error, got one without; make it with dps=... and without error=None, or start anew at "
            "its end: sf.limit(problem.replace(theta0=path.at_end()), horizon=0)"
        )
    reason = ""
    if path.error.how != "certified":
        reason = f"the error of the path up to t = {mpmath.nstr(path.horizon, 6)} is estimated"
        reason += f": {path.error.reason}" if path.error.reason else ""
    return Start(
        path.objective, path.at_end(), path.error.value, path.end, step_size, path.digits, path.error.how, reason
    )
