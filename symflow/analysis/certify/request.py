"""What `certify` was asked to prove, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from symflow.dynamics.method import Method
from symflow.errors import ProblemError, brief
from symflow.numbers.arguments import positive, whole
from symflow.numbers.rational import rational_array
from symflow.numbers.types import Number
from symflow.paths.descent import checked_method, positive_step
from symflow.problem import Problem

MOST_STEPS = 1_000_000


@dataclass(frozen=True)
class Request:
    """A statement to be decided.

    Attributes:
        problem: what it is about.
        method: of descent.
        step_size: eta; None where nothing is said of descent.
        steps: K; 0 where nothing is said of descent.
        distance: descent stays within it of flow for K steps.
        loss: what descent reaches within K steps, and flow by `flow_time`.
        stays_below: descent's loss remains below it for all time.
        flow_time: by when the flow reaches the loss.
        limit: a point.
        radius: the flow converges to a point within it of `limit`.
    """

    problem: Problem
    method: Method
    step_size: Fraction | None
    steps: int
    distance: Fraction | None
    loss: Fraction | None
    stays_below: bool
    flow_time: Fraction | None
    limit: tuple[Fraction, ...] | None
    radius: Fraction | None

    @property
    def flow_rate(self) -> Fraction:
        """c of the flow theta' = -c grad f that descent is compared with."""
        return self.method.flow_rate or Fraction(1)

    @property
    def flow_end(self) -> Fraction:
        """How far the claims reach along the flow."""
        compared = 0 if self.distance is None or self.step_size is None else self.step_size * self.steps
        return Fraction(max(compared, self.flow_time or 0))


def checked_request(
    problem: Problem,
    method: Method | None,
    step_size: Number | None,
    steps: int | None,
    distance: Number | None,
    loss: Number | None,
    stays_below: bool,
    flow_time: Number | None,
    limit: Sequence[Number] | None,
    radius: Number | None,
) -> Request:
    """The request that these arguments of `certify` make.

    Raises:
        ProblemError: nothing to prove, arguments that do not go together, or a number that is not valid.
    """
    if distance is None and loss is None and limit is None:
        raise ProblemError("certify: there is nothing to prove; give a distance, a loss, or a limit with its radius")
    if (limit is None) != (radius is None):
        raise ProblemError("certify: limit and radius go together; give both or neither")
    if loss is None and (stays_below or flow_time is not None):
        raise ProblemError(f"certify: {'stays_below' if stays_below else 'flow_time'} goes with loss; give loss=")
    asks_descent = distance is not None or (
        loss is not None and (flow_time is None or steps is not None or stays_below)
    )
    eta = positive_step(problem, step_size) if asks_descent else None
    count = _steps(problem, eta, steps) if eta is not None else 0
    point = None if limit is None else tuple(rational_array(limit, "limit", ndim=1))
    if point is not None and len(point) != len(problem.theta0):
        raise ProblemError(f"limit must have the {len(problem.theta0)} parameters of the problem, got {len(point)}")
    return Request(
        problem,
        checked_method(method, problem),
        eta,
        count,
        _positive(distance, "distance"),
        _positive(loss, "loss"),
        bool(stays_below),
        _positive(flow_time, "flow_time"),
        point,
        _positive(radius, "radius"),
    )


def _positive(value: Number | None, name: str) -> Fraction | None:
    return None if value is None else positive(value, name)


def _steps(problem: Problem, eta: Fraction, steps: int | None) -> int:
    if steps is not None:
        count = whole(steps, "steps", 1)
    elif problem.horizon is not None:
        count = int(problem.horizon / eta)
    else:
        raise ProblemError("certify: descent needs a number of steps, got none; give steps=... or run.horizon")
    if not 1 <= count <= MOST_STEPS:
        raise ProblemError(f"steps must be from 1 to {MOST_STEPS}, got {brief(count)}; choose another number")
    return count
