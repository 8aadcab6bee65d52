"""The dense output of an event-corrected flow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symflow.networks.objective import Objective
from symflow.paths.float64.gated.frozen import frozen
from symflow.paths.float64.gated.held import with_value
from symflow.paths.float64.gated.point import agreeing
from symflow.paths.float64.gated.run import HeldGate, places
from symflow.paths.float64.gated.step import corrected_step
from symflow.paths.float64.methods import x64
from symflow.paths.float64.record import StepEnds


@dataclass(frozen=True, eq=False)
class EventCorrectedSteps(StepEnds):
    """The dense output of `solve_flow_float64(solver="event-corrected")`.

    Between two step ends the state is one step of the method from the earlier one, its kinks included.

    Attributes:
        objective: what was integrated.
        knots: 0 and the ends of the steps, shape (K,).
        states: the states there, shape (K, P).
        held: the gates on their kinks there, with their values.
    """

    objective: Objective
    knots: np.ndarray
    states: np.ndarray
    held: tuple[tuple[HeldGate, ...], ...]

    def at(self, times: np.ndarray) -> np.ndarray:
        """The states at times within the knots, shape (S, P)."""
        before = np.searchsorted(self.knots, times, side="right") - 1
        found = self.states[before]
        with x64():
            for row in np.flatnonzero(self.knots[before] < times):
                found[row] = self._between(int(before[row]), float(times[row]))
        return np.asarray(found)

    def _between(self, knot: int, time: float) -> np.ndarray:
        """The state after a knot."""
        compiled = frozen(self.objective)
        gates = np.repeat(compiled.alpha[:, None], compiled.samples, axis=1)
        held = places(self.held[knot])
        for place, gate in zip(held, self.held[knot], strict=True):
            with_value(compiled, gates, place, gate.value)
        point, _ = agreeing(compiled, self.states[knot], gates, held)
        made = corrected_step(compiled, point, time - self.knots[knot])
        assert made is not None  # a longer step from here was taken
        return made.point.theta
