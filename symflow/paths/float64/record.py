"""What a float64 trajectory is made of: Runge-Kutta steps, and how they were made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import inf

import numpy as np

from symflow.networks.objective import Objective
from symflow.numbers.decimal import counted
from symflow.numbers.types import JsonObject, Mpf
from symflow.paths.float64.dense import dense_output
from symflow.paths.float64.methods import EVENT_CORRECTED
from symflow.paths.trajectory import outside


@dataclass(frozen=True)
class Float64Stats:
    """How a trajectory was computed in float64, what it cost, and what that means at kinks.

    Attributes:
        solver: the method.
        rtol: relative tolerance of a step.
        atol: absolute tolerance of a step; the smaller one where tiny numbers of the start needed it.
        accepted: steps that were accepted.
        rejected: steps that were rejected, or cut because they would jump over something unseen.
        evaluations: gradient evaluations of the run (without those of the second one, of conditions and of kinks).
        gate_changes: how many gates differ between consecutive step ends, summed over the steps; 0 for smooth flows.
            They are counted, not located; of the event-corrected method, how many crossings it located.
        kink_steps: the largest number of steps that have the same gate's kink within reach; a few at a crossing, most
            steps where the flow slides. Of the event-corrected method, the most gates held at once.
        note: what that means for the accuracy, one line; empty for smooth flows.
        seconds: wall time of the run, compilation included where the objective is new.
        check_rtol: relative tolerance of the second run: 100 times tighter (10^4 times and so on where that hardly
            changes the steps), or looser where tighter runs take too many steps (10 times where the flow slides, else
            100 times); the error estimate is then that of the looser run, and pessimistic. None without one.
        check_atol: absolute tolerance of the second run; None without one.
        check_seconds: wall time of the second run and of the comparison; 0 without one.
    """

    solver: str
    rtol: float
    atol: float
    accepted: int
    rejected: int
    evaluations: int
    gate_changes: int
    kink_steps: int
    note: str
    seconds: float
    check_rtol: float | None = None
    check_atol: float | None = None
    check_seconds: float = 0.0

    @property
    def steps(self) -> int:
        """The accepted steps."""
        return self.accepted

    @property
    def method(self) -> str:
        """The method and its steps in words."""
        return f"{counted(self.accepted, 'step')} of {self.solver} in float64 (rtol {self.rtol:g})"

    @property
    def remark(self) -> str:
        """How many gate changes were stepped over; empty where there were none, or where they are events."""
        if self.solver == EVENT_CORRECTED:
            return ""
        return f"{self.gate_changes} gate changes not located" if self.gate_changes else ""

    def facts(self) -> JsonObject:
        """The numbers that a report shows in addition to times."""
        tolerances = {"solver": self.solver, "rtol": self.rtol, "atol": self.atol}
        return {"steps": self.accepted, **tolerances, "gate_changes": self.gate_changes, "note": self.note}


class StepEnds:
    """States at the ends of steps, and between them by a step of the method: base of dense outputs in float64.

    Attributes:
        knots: 0 and the ends of the accepted steps, shape (K,).
        states: the states there, shape (K, P).
    """

    knots: np.ndarray
    states: np.ndarray

    def at(self, times: np.ndarray) -> np.ndarray:
        """The states at times within the knots, shape (S, P)."""
        raise NotImplementedError

    @property
    def end(self) -> Fraction:
        """The time up to which it reaches."""
        return Fraction(float(self.knots[-1]))

    @property
    def horizon(self) -> Mpf:
        """The same as an mpmath number."""
        from mpmath import mpf

        return mpf(float(self.knots[-1]))

    @property
    def stored_digits(self) -> int:
        """Decimal digits that give a float64 back."""
        return 17

    def __call__(self, time: Fraction) -> np.ndarray:
        """The state at a time, shape (P,)."""
        row: np.ndarray = self.rounded([time])[0]
        return row

    def at_end(self) -> np.ndarray:
        """The state at the end, shape (P,)."""
        return np.array(self.states[-1])

    def rounded(self, times: Sequence[Fraction]) -> np.ndarray:
        """The states at some times, which are rounded to float64 first, shape (S, P).

        Raises:
            ProblemError: a time lies outside [0, end], by more than the rounding of sums and products of floats.
        """
        at = np.array([_nearest(t) for t in times], dtype=np.float64)
        beyond = (at < 0) | (at > self.knots[-1] * (1 + 2.0**-50))
        if beyond.any():
            raise outside(times[int(beyond.argmax())], self.end)
        return self.at(np.minimum(at, self.knots[-1]))


@dataclass(frozen=True, eq=False)
class RungeKuttaSteps(StepEnds):
    """The dense output of `solve_flow_float64`.

    Between two step ends the state is one step of the same method from the earlier one, so that dense output has the
    method's own order (diffrax's interpolant of Dopri8 is about a thousand times less accurate). Within a step across
    a kink it can be 100 times less accurate than at the step's ends.

    Attributes:
        objective: what was integrated: the form of the trajectory's objective that is cheapest to evaluate.
        solver: the method.
        knots: 0 and the ends of the accepted steps, shape (K,).
        states: the states there, shape (K, P).
    """

    objective: Objective
    solver: str
    knots: np.ndarray
    states: np.ndarray

    def at(self, times: np.ndarray) -> np.ndarray:
        """The states at times within the knots, shape (S, P)."""
        return dense_output(self.objective, self.solver, self.knots, self.states, times)


def _nearest(time: Fraction) -> float:
    try:
        return float(time)
    except OverflowError:
        return inf if time > 0 else -inf
