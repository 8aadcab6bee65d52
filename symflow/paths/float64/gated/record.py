"""The dense output of an event-corrected flow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from symflow.networks.objective import Objective
from symflow.numbers.types import Mpf
from symflow.paths.float64.gated.frozen import frozen
from symflow.paths.float64.gated.run import MOST_KINKS, HeldGate, places
from symflow.paths.float64.gated.step import agreeing, corrected_step
from symflow.paths.float64.methods import x64
from symflow.paths.float64.record import float_times


@dataclass(frozen=True, eq=False)
class EventCorrectedSteps:
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
        at = float_times(times, self.knots, self.end)
        before = np.searchsorted(self.knots, at, side="right") - 1
        found = self.states[before]
        with x64():
            for row in np.flatnonzero(self.knots[before] < at):
                found[row] = self._between(int(before[row]), float(at[row]))
        return np.asarray(found)

    def _between(self, knot: int, time: float) -> np.ndarray:
        """The state after a knot, by halves of the way where one step is refused."""
        compiled = frozen(self.objective)
        gates = np.repeat(compiled.alpha[:, None], compiled.samples, axis=1)
        for gate in self.held[knot]:
            gates[gate.unit, gate.sample] = gate.value
        point, _ = agreeing(compiled, self.states[knot], gates, places(self.held[knot]))
        made = corrected_step(compiled, point, time - self.knots[knot], MOST_KINKS)
        assert made is not None  # a longer step from here was taken
        return made.point.theta
