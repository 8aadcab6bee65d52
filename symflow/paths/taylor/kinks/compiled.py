"""The recurrences of the regions that were visited last: a gate that changes has two values, and one is known."""

from __future__ import annotations

from symflow.dynamics.vector_field import VectorField
from symflow.evaluate.blocks.again import Compilers
from symflow.evaluate.fixed_point import FixedSeries
from symflow.evaluate.series import Recurrence, compile_recurrence
from symflow.paths.taylor.kinks.gates import Gates, same_entries

KEPT = 3
"""How many are kept: each holds its series."""


class Compiled:
    """Compiles fields, and remembers the last ones; what two callers share is expanded anew by each.

    Args:
        arithmetic: the numbers.
    """

    def __init__(self, arithmetic: FixedSeries) -> None:
        self.arithmetic, self.compilers = arithmetic, Compilers(arithmetic)
        self._last: list[tuple[VectorField, Gates, Recurrence]] = []

    def __call__(self, field: VectorField, gates: Gates) -> Recurrence:
        """The recurrence of a field for fixed gate values."""
        for i, (other, values, recurrence) in enumerate(self._last):
            if other is field and all(same_entries(values[g], gates[g]) for g in gates):
                self._last.insert(0, self._last.pop(i))
                return recurrence
        recurrence = compile_recurrence(field, gates, self.arithmetic, self.compilers)
        self._last = [(field, gates, recurrence), *self._last[: KEPT - 1]]
        return recurrence
