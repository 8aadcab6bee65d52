"""Stop conditions along a run: on which side of its value each quantity is, and where the first of them is met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from gmpy2 import mpz

from symflow.dynamics.sliding import sliding_field
from symflow.dynamics.vector_field import VectorField
from symflow.errors import FlowStopped
from symflow.evaluate.blocks.again import Compilers
from symflow.evaluate.fixed_point import FixedSeries
from symflow.evaluate.series import Entry, Recurrence, compile_recurrence
from symflow.numbers.types import Mpf
from symflow.paths.stop_conditions import Monitor, holds_exactly, watched
from symflow.paths.taylor.events import earliest_zero
from symflow.paths.taylor.kinks.region import Region
from symflow.paths.taylor.powers import Powers
from symflow.paths.taylor.roots import Unresolved


class StopWatch:
    """The conditions of a run, and the signs of q - value that hold until one of them is met.

    Args:
        conditions: what may end the run.
        arithmetic: its numbers.
        noise: what is not larger counts as zero.
    """

    def __init__(self, conditions: Sequence[Monitor], arithmetic: FixedSeries, noise: int) -> None:
        self.conditions, self.arithmetic, self.noise = tuple(conditions), arithmetic, noise
        self.compilers = Compilers(arithmetic)
        self.sides: list[int] = []

    def join(self, base: VectorField, region: Region, now: Mpf) -> Region:
        """The region with the conditions among its monitors, after those of sliding gates.

        Raises:
            FlowStopped: a condition has no meaning there.
        """
        if not self.conditions:
            return region
        flow = sliding_field(base.objective, region.ties, region.followers) if region.ties else base
        assert flow is not None  # the region was compiled from it
        reading = next((c for c in self.conditions if region.ties and c.reads_slopes), None)
        if reading is not None:
            raise FlowStopped(
                f"the flow slides along a kink from t = {float(now):.10g} on, where the condition that the "
                f"{reading.stop} has no meaning: it depends on the slope of a gate",
                'choose a horizon before that time, or a quantity without derivatives ("gradient norm" has a meaning)',
                cause="sliding",
                time=now,
            )
        recurrence = compile_recurrence(watched(flow, self.conditions), region.gates, self.arithmetic, self.compilers)
        return replace(region, recurrence=recurrence)

    def quantities(self, recurrence: Recurrence) -> Sequence[Entry]:
        """q - value of every condition."""
        return recurrence.monitors[len(recurrence.monitors) - len(self.conditions) :]

    def start(
        self, base: VectorField, state: Sequence[Fraction], recurrence: Recurrence, now: Mpf, *, on_kink: bool
    ) -> int | None:
        """Notes on which side each quantity starts; the number of a condition that holds already, if one does.

        Args:
            base: the flow in smooth regions.
            state: the start.
            recurrence: expanded there.
            now: the time, 0.
            on_kink: the start lies on a kink, so that quantities may jump there.
        """
        for i, condition in enumerate(self.conditions):
            side = self._side(recurrence, i)
            equal = not side and not on_kink and holds_exactly(condition, base, state)
            if not side and not equal:
                raise self._undecided(i, "it starts within the rounding noise of its value", now)
            self.sides.append(side)
            if equal or side == condition.stop.satisfied:
                return i
        return None

    def jumped(self, recurrence: Recurrence, now: Mpf) -> int | None:
        """The number of a condition whose quantity has jumped across its value at the kink that was met last."""
        for i, side in enumerate(self.sides):
            beyond = self._side(recurrence, i)
            if not beyond:
                raise self._undecided(i, "it is within the rounding noise of its value", now)
            if beyond != side:
                return i
        return None

    def first_met(self, recurrence: Recurrence, powers: Powers, now: Mpf) -> tuple[mpz, int] | None:
        """Where in the step the first condition is met, as a fraction of the step in fixed point, and its number.

        Raises:
            FlowStopped: it cannot be told whether one is met.
        """
        live = [(i, q) for i, q in enumerate(self.quantities(recurrence)) if isinstance(q, list)]
        zero = earliest_zero([q for _, q in live], powers, self.noise)
        if zero is None:
            return None
        number = live[zero.number][0]
        if isinstance(zero.what, Unresolved):
            raise self._undecided(number, zero.what.reason, now)
        return zero.position, number

    def _side(self, recurrence: Recurrence, number: int) -> int:
        """The sign of q - value at the point that was expanded last; 0 where it cannot be told from zero."""
        entry = self.quantities(recurrence)[number]
        value = entry[0] if isinstance(entry, list) else self.arithmetic.lift(entry or Fraction(0))
        return 0 if abs(value) <= self.noise else 1 if value > 0 else -1

    def _undecided(self, number: int, reason: str, now: Mpf) -> FlowStopped:
        """The typed error for a condition that cannot be told from one that is just missed."""
        return FlowStopped(
            f"whether {self.conditions[number].stop} at t = {float(now):.10g} or soon after cannot be decided at "
            f"this precision: {reason}",
            "ask for more digits, or choose another value",
            cause="quantity",
            time=now,
        )
