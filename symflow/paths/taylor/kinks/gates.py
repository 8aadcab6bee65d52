"""Gates by their address, and their values: sigma' of every pre-activation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from symflow.dynamics.vector_field import VectorField
from symflow.evaluate.blocks.constants import identities
from symflow.evaluate.blocks.steps import moving
from symflow.evaluate.object_arrays import EXACT
from symflow.evaluate.products import Coefficients
from symflow.evaluate.series import Recurrence
from symflow.networks.objective import Objective
from symflow.numbers.fixed_point import to_float
from symflow.paths.scale import pre_activations
from symflow.programs.nodes import Gate

Gates = Mapping[Gate, np.ndarray]
Position = tuple[int, int]
"""A gate: index of the gate node in the objective, flat entry (unit, sample) in it."""


@dataclass(frozen=True, order=True)
class Kink:
    """One gate: `layer` counted from 1, `unit` and `sample` from 0."""

    layer: int
    unit: int
    sample: int

    def __str__(self) -> str:
        return f"sample {self.sample}, layer {self.layer}, unit {self.unit}"


def kink_at(objective: Objective, a: Position) -> Kink:
    """Layer, unit and sample of a gate; units are counted row-major over all axes but the last, the samples."""
    gate = objective.gates[a[0]]
    samples = int(gate.axes[-1].size)
    return Kink(gate.layer, a[1] // samples, a[1] % samples)


def separate(objective: Objective, positions: Iterable[Position]) -> bool:
    """Whether no sample has two of these gates in different layers.

    Pre-activations of a sample, and what back-propagation brings to them, depend on gates of its other layers only. So
    the normals of separate gates, and the slopes between which they slide, do not depend on one another's values.
    """
    layers: dict[int, int] = {}
    return all(layers.setdefault(kink_at(objective, a).sample, a[0]) == a[0] for a in positions)


def initial_gates(base: VectorField, state: Sequence[Fraction]) -> tuple[dict[Gate, np.ndarray], list[Position]]:
    """The gates at a state in exact arithmetic, and those exactly at their kink there (set to alpha for now)."""
    result: dict[Gate, np.ndarray] = {}
    zeros: list[Position] = []
    if not base.gates:
        return result, zeros
    objective = base.objective
    theta0 = state[: objective.parameter_count]
    for i, (g, z) in enumerate(zip(objective.gates, pre_activations(objective, theta0), strict=True)):
        result[g] = EXACT.gate(z, g.alpha, g.alpha_bar)
        zeros += [(i, e) for e, v in enumerate(z.reshape(-1)) if v == 0]
    return result, zeros


def same_entries(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays of slopes are equal; lists look at identities first, and mostly that suffices."""
    return bool(a.reshape(-1).tolist() == b.reshape(-1).tolist())


def which_are(values: np.ndarray, q: Fraction) -> np.ndarray:
    """The entries of an array of slopes that are q, flat; there are only a few different objects in it."""
    entries, same = identities(values)
    return np.array([v == q for v in entries], dtype=bool)[same]


def value_of(objective: Objective, gates: Gates, a: Position) -> Fraction:
    """The value of one gate."""
    value: Fraction = gates[objective.gates[a[0]]].reshape(-1)[a[1]]
    return value


def with_values(objective: Objective, gates: Gates, values: Mapping[Position, Fraction]) -> dict[Gate, np.ndarray]:
    """The gates with some of them changed."""
    result = {g: a.copy() for g, a in gates.items()}
    for a, value in values.items():
        result[objective.gates[a[0]]].reshape(-1)[a[1]] = value
    return result


def slope(objective: Objective, a: Position, positive: bool) -> Fraction:
    """sigma' of a gate on one side."""
    g = objective.gates[a[0]]
    return g.alpha if positive else g.alpha_bar


class LivePlaces:
    """Which pre-activations are computed, that is, not zero or constant by structure, numbered as in `live`."""

    def __init__(self, recurrence: Recurrence) -> None:
        self.entries = [np.flatnonzero(moving(entries)) for entries in recurrence.switching]
        self.starts = np.cumsum([0, *map(len, self.entries)])

    def positions(self, numbers: np.ndarray) -> list[Position]:
        """Where some of them are."""
        gates = np.searchsorted(self.starts, numbers, side="right") - 1
        pairs = zip(gates.tolist(), (numbers - self.starts[gates]).tolist(), strict=True)
        return [(gate, int(self.entries[gate][i])) for gate, i in pairs]

    def numbers(self, positions: Iterable[Position]) -> list[int]:
        """The numbers of those among the positions that are computed."""
        found = []
        for gate, entry in positions:
            i = int(np.searchsorted(self.entries[gate], entry))
            if i < len(self.entries[gate]) and self.entries[gate][i] == entry:
                found.append(int(self.starts[gate]) + i)
        return found


def live_entries(recurrence: Recurrence) -> list[tuple[Position, Coefficients]]:
    """The pre-activations that are computed, filled."""
    recurrence.read(recurrence.watched)
    return list(zip(live_positions(recurrence), recurrence.live, strict=True))


def entries_near_zero(
    recurrence: Recurrence, known: Iterable[Position], noise: int, bits: int
) -> list[tuple[Position, Coefficients]]:
    """Those of `live_entries` that are at most 4 noise at the point, some that are not much larger, and known ones."""
    places = LivePlaces(recurrence)
    if not places.starts[-1]:
        return []
    bound = to_float(5 * noise + 2, bits) + 2.0**-900  # float64 knows numbers to a relative 2^-50 and 2^-bits
    small = np.flatnonzero(np.abs(recurrence.floats(recurrence.live, 1)[:, 0]) <= bound)
    return chosen_entries(recurrence, places, np.union1d(small, np.array(places.numbers(known), dtype=np.intp)))


def chosen_entries(
    recurrence: Recurrence, places: LivePlaces, numbers: np.ndarray
) -> list[tuple[Position, Coefficients]]:
    """The pre-activations of these numbers, filled."""
    live = recurrence.live
    chosen = [live[i] for i in numbers.tolist()]
    recurrence.read(chosen)
    return list(zip(places.positions(numbers), chosen, strict=True))


def live_positions(recurrence: Recurrence) -> list[Position]:
    """Where they are."""
    return [(i, e) for i, entries in enumerate(recurrence.switching) for e in np.flatnonzero(moving(entries)).tolist()]
