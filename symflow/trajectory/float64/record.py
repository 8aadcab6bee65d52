"""The record of a float64 flow: called like a trajectory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symflow.symbolic.objective import Objective
from symflow.trajectory.float64.arguments import to_float
from symflow.trajectory.float64.dense import dense_output
from symflow.trajectory.flow import integration_form
from symflow.trajectory.trajectory import Event


@dataclass(frozen=True)
class Float64Stats:
    """What a float64 trajectory cost.

    Attributes:
        accepted: steps that were accepted.
        rejected: steps that were rejected.
        evaluations: gradient evaluations.
        seconds: wall time of the run, compilation included where the objective is new.
        check_seconds: wall time of the second run and of the comparison; 0 without one.
    """

    accepted: int
    rejected: int
    evaluations: int
    seconds: float
    check_seconds: float = 0.0

    @property
    def steps(self) -> int:
        """The accepted steps."""
        return self.accepted


@dataclass(frozen=True, eq=False)
class Float64Trajectory:
    """A solution in float64 with dense output, called like a `Trajectory`.

    Between two step ends the state is one step of the same method from the earlier one, so that dense output has the
    method's own order (diffrax's interpolant of Dopri8 is about a thousand times less accurate).  Within a step across
    a kink it can be 100 times less accurate than at the step's ends.

    Attributes:
        objective: what flows.
        times: the times that were asked for, shape (S,); the step ends where none were.
        values: the states there, shape (S, P).
        knots: 0 and the ends of the accepted steps, shape (K,).
        states: the states there, shape (K, P).
        solver: the method.
        rtol: relative tolerance of a step.
        atol: absolute tolerance of a step.
        error_estimate: estimated largest absolute error of any component at any time: twice the largest difference
            from a second run at the tolerances `check_rtol` and `check_atol` and from a start one unit in the last
            place away, at `times`, at ends and inner points of (at most 512) steps, and at 31 or more points of each of
            (at most 64) steps across kinks; None if none was made.  Rounding of the data is not in it.
        check_rtol: relative tolerance of the second run: 100 times tighter (10^4 times and so on where that hardly
            changes the steps), or looser where tighter runs take too many steps (10 times where the flow slides, else
            100 times); the estimate is then that of the looser run, and pessimistic.
        check_atol: its absolute tolerance.
        gate_changes: how many gates differ between consecutive step ends, summed over the steps; 0 for smooth flows.
            They are counted, not located.
        kink_steps: the most steps that have one and the same gate's kink within reach; a few at a crossing, most steps
            where the flow slides.
        note: what that means for the accuracy, one line; empty for smooth flows.
        stats: what it cost.
        events: empty, kinks are not located.
    """

    objective: Objective
    times: np.ndarray
    values: np.ndarray
    knots: np.ndarray
    states: np.ndarray
    solver: str
    rtol: float
    atol: float
    error_estimate: float | None
    check_rtol: float | None
    check_atol: float | None
    gate_changes: int
    kink_steps: int
    note: str
    stats: Float64Stats
    events: tuple[Event, ...] = ()

    @property
    def horizon(self) -> float:
        """The time up to which the trajectory is known."""
        return float(self.knots[-1])

    def numpy(self, times: Sequence[Any]) -> np.ndarray:
        """The state at many times, shape (S, P).

        Raises:
            ValueError: a time lies outside [0, horizon].
        """
        at = np.array([to_float(t, "time") for t in times], dtype=np.float64)
        outside = at[(at < 0) | (at > self.horizon)]
        if outside.size:
            raise ValueError(
                f"time must lie in [0, {self.horizon:.6g}], got {outside[0]:.6g}; solve to a later horizon"
            )
        return dense_output(integration_form(self.objective), self.solver, self.knots, self.states, at)

    def __call__(self, time: Any) -> np.ndarray:
        """The state at a time (string, rational, mpmath number, or float), shape (P,).

        Raises:
            ValueError: the time lies outside [0, horizon].
        """
        row: np.ndarray = self.numpy([time])[0]
        return row

    def weights(self, time: Any) -> list[np.ndarray]:
        """The parameter arrays at a time."""
        theta = self(time)
        return [theta[where].reshape(shape) for where, shape in self.objective.slices()]

    def end_to_end(self, time: Any) -> np.ndarray:
        """The product W_n ... W_1 at a time.

        Raises:
            ValueError: the objective is not a network's.
        """
        if self.objective.network is None:
            raise ValueError("only a network has an end-to-end matrix; use the trajectory's values directly")
        product, *rest = self.weights(time)
        for w in rest:
            product = w @ product
        return product

    def __repr__(self) -> str:
        error = "no error estimate" if self.error_estimate is None else f"estimated error {self.error_estimate:.1e}"
        gates = f", {self.gate_changes} gate changes not located" if self.gate_changes else ""
        return f"<Float64Trajectory to t={self.horizon:.6g}, {error}, {self.stats.accepted} steps{gates}>"
