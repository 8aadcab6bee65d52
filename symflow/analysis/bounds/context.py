"""What bounds are evaluated on: descent and flow at the same times, with what several bounds need computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from symflow.analysis.bounds.descent_walk import Walk, fits, iterates, walk
from symflow.analysis.bounds.kinks import (
    MOST_STEPS,
    Crossings,
    concave_reason,
    crossing_steps,
    first_concave,
    first_concave_event,
)
from symflow.analysis.bounds.leading_order import leading_order
from symflow.analysis.bounds.sampled import Samples, sampled_bounds
from symflow.analysis.bounds.series import BoundSeries, Kind
from symflow.analysis.bounds.transients import transients
from symflow.analysis.bounds.tube import Tube, cover
from symflow.analysis.bounds.tube_bounds import Steps, intervals
from symflow.analysis.eigenvalues import MAX_DENSE_PARAMETERS
from symflow.dynamics.method import Method
from symflow.dynamics.methods.gradient_descent import GRADIENT_DESCENT
from symflow.networks.objective import Objective
from symflow.numbers.outward import up
from symflow.numbers.rational import rational
from symflow.paths.sampling import DenseFlow, StepsFlow, dense_flow, sampled_flow
from symflow.paths.trajectory import Trajectory
from symflow.problem import Problem


@dataclass(frozen=True, eq=False)
class Comparison:
    """Descent and flow at the kept steps.

    Attributes:
        problem: what was run.
        step_size: eta.
        indices: the kept steps k, from 0.
        flow: the flow, at least up to the last of them.
        descent: theta_k for them, float64; None where no run is at hand, for bounds that need the flow alone.
        first_kink: how many of the samples lie, flow and descent, before any kink, judged in multiprecision.
        kink: why the others do not; None where all do.
        not_descent_because: why bounds on gradient descent against gradient flow do not apply; None where they do.
        no_leading_order: why the leading order is not known; None where it is.
        method: of descent.
        order: of the modified equation that descent is compared with; 0 for gradient flow.
        run: the run of descent with its digits; None if only the flow is compared.
        user_run: whether the run is the user's, so that steps between the kept ones are not at hand.
        path: theta_k for every step k, float64, where the run gave them all.
    """

    problem: Problem
    step_size: Fraction
    indices: tuple[int, ...]
    flow: Trajectory
    descent: np.ndarray | None
    first_kink: int
    kink: str | None = None
    not_descent_because: str | None = None
    no_leading_order: str | None = None
    method: Method = GRADIENT_DESCENT
    order: int = 0
    run: Trajectory | None = None
    user_run: bool = False
    path: np.ndarray | None = None

    def excludes(self, kind: Kind) -> str | None:
        """Why bounds of a kind do not apply to the run; None where they do."""
        return {"bound": self.not_descent_because, "leading order": self.no_leading_order}.get(kind)

    @property
    def objective(self) -> Objective:
        """f over samples, where it is a network's loss."""
        return self.problem.objective

    @property
    def compact(self) -> Objective:
        """f in the form that is cheapest to evaluate."""
        return self.problem.compact

    @property
    def count(self) -> int:
        """How many samples there are."""
        return len(self.indices)

    @cached_property
    def exact_times(self) -> tuple[Fraction, ...]:
        """k eta."""
        return tuple(k * self.step_size for k in self.indices)

    @cached_property
    def times(self) -> np.ndarray:
        """k eta in float64."""
        return np.array([float(t) for t in self.exact_times])

    @cached_property
    def dense(self) -> DenseFlow | StepsFlow:
        """The flow in float64."""
        return sampled_flow(self.flow)

    @cached_property
    def points(self) -> np.ndarray:
        """theta(k eta), float64, shape (S, P)."""
        return self.dense(self.times)

    # What the sampled bounds share ----------------------------------------------------------------------------------

    @cached_property
    def past_kinks(self) -> tuple[int, str | None, Crossings]:
        """How many samples R4 and R22 hold for, why no more, and the crossing steps on the way.

        They continue past kinks whose jump is convex; that is checked at every sample, event and crossing step. Where
        no sample lies beyond a kink, the steps between the samples are still looked at.
        """
        steps = self.indices[-1]
        if self.first_kink == self.count and (not self.objective.gates or self.count == steps + 1):
            return self.count, None, Crossings()
        path = None if self.user_run or steps > MOST_STEPS else self.every_step
        if path is None or self.descent is None:
            return self.first_kink, self.kink, Crossings()
        bad: list[tuple[int, str]] = []  # how many samples are in order, and what ends that
        if (pair := first_concave(self.objective, self.points, self.descent)) is not None:
            bad.append((pair[0], concave_reason(float(self.times[pair[0]]), pair[1])))
        path = path[: self.indices[self._last(bad)] + 1]
        crossings = crossing_steps(self.objective, self.compact, path, float(self.step_size))
        if len(crossings.steps):
            found = first_concave(self.objective, path[crossings.steps], path[crossings.steps + 1])
            if found is not None:
                step = int(crossings.steps[found[0]])
                end = int(np.searchsorted(self.indices, step, side="right"))
                bad.append((end, concave_reason(step * float(self.step_size), found[1])))
        until = float(self.times[self._last(bad)])
        if (event := first_concave_event(self.objective, self.flow, self.dense, until)) is not None:
            bad.append((int(np.searchsorted(self.times, event[0])), event[1]))
        return (*min(bad), crossings) if bad else (self.count, None, crossings)

    def _last(self, bad: Sequence[tuple[int, str]]) -> int:
        """The last sample that matters: the first that is not in order, where there is one."""
        return min(min((count for count, _ in bad), default=self.count), self.count - 1)

    @cached_property
    def every_step(self) -> np.ndarray | None:
        """theta_k for every step k; None where they are too many to keep, or not at hand."""
        if self.path is not None or self.user_run or self.descent is None:
            return self.path
        if not fits(self.indices[-1], self.compact.parameter_count):
            return None
        return iterates(self.compact, self.descent, self.indices, float(self.step_size))

    @cached_property
    def walk(self) -> Walk:
        """Every step of descent between the kept iterates, as far as kinks let R4 and R22 hold."""
        assert self.descent is not None
        count = max(1, self.past_kinks[0])
        end = self.indices[count - 1]
        known = self.every_step if self.objective.gates else self.path
        path = None if known is None else known[: end + 1]
        return walk(self.compact, self.descent[:count], self.indices[:count], float(self.step_size), path)

    @cached_property
    def samples(self) -> Samples:
        """What R4 and R22 are evaluated on."""
        assert self.descent is not None
        smooth, reason, crossings = self.past_kinks
        return Samples(
            self.compact,
            float(self.step_size),
            np.array(self.indices),
            self.dense,
            self.descent,
            self.walk,
            smooth,
            reason,
            crossings,
            exact=not self.user_run,
            start=float(np.linalg.norm(self.descent[0] - self.points[0])) if self.user_run else 0.0,
        )

    @cached_property
    def sampled(self) -> dict[str, BoundSeries]:
        """R4 and R22, sampled along flow and descent."""
        return sampled_bounds(self.samples)

    @cached_property
    def transient(self) -> np.ndarray | None:
        """The part of the iterates that descent forgets (R25), up to eta^(order + 1), shape (S, P), mpf.

        None if the method carries nothing, or if the leading order is not known.
        """
        if self.run is None or self.no_leading_order is not None:
            return None
        return transients(self.run, self.compact, self.indices, self.order + 1)

    def leading(self) -> BoundSeries:
        """R18."""
        until = None if self.first_kink == self.count else self.exact_times[self.first_kink]
        theta0 = self.problem.theta0
        return leading_order(
            self.compact, theta0, self.step_size, self.exact_times, until, self.kink, horizon=self.flow.end,
            method=self.method, order=self.order, transient=self.transient,
        )  # fmt: skip

    # What the certified bounds share --------------------------------------------------------------------------------

    @cached_property
    def no_tube(self) -> str | None:
        """Why no tube is covered; None where one is."""
        if self.flow.dps is None:
            return "a certified bound needs a flow with digits, got one in float64; compare with digits (dps)"
        count = self.objective.parameter_count
        if count > MAX_DENSE_PARAMETERS:
            return (
                f"P = {count} parameters are too many for the dense spectra along the tube (at most "
                f"{MAX_DENSE_PARAMETERS})"
            )
        return None

    @cached_property
    def tube(self) -> Tube:
        """The cover of the flow."""
        error = self.flow.error_estimate
        return cover(
            self.objective,
            self.compact,
            dense_flow(self.flow),
            self.times,
            0.0 if error is None else float(up(float(error))),
        )

    @cached_property
    def steps(self) -> Steps:
        """The intervals between the kept steps."""
        return intervals(self.step_size, self.indices, self.times, self.tube)


def before_kinks(flow: Trajectory, times: Sequence[Fraction]) -> tuple[int, str | None]:
    """How many of the times lie before the flow's first event, and why the others do not count."""
    if not flow.events:
        return len(times), None
    first = flow.events[0]
    count = sum(t < rational(first.time, "event time") for t in times)
    return count, (
        f"the flow meets a kink at t = {float(first.time):.6g} ({first.kind}: sample {first.sample}, layer "
        f"{first.layer}, unit {first.unit}); the bound needs one smooth region"
    )
