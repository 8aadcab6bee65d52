"""Gates by their address, and their values: sigma' of every pre-activation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from symflow.dynamics.vector_field import VectorField
from symflow.evaluate.blocks.steps import moving
from symflow.evaluate.object_arrays import EXACT
from symflow.evaluate.products import Coefficients
from symflow.evaluate.series import Recurrence
from symflow.networks.objective import Objective
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
    entries = values.reshape(-1).tolist()
    equal = {i for i, v in {id(v): v for v in entries}.items() if v == q}
    return np.fromiter((id(v) in equal for v in entries), dtype=bool, count=len(entries))


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


def live_entries(recurrence: Recurrence) -> list[tuple[Position, Coefficients]]:
    """The pre-activations that are computed, that is, not zero or constant by structure, filled."""
    recurrence.read(recurrence.watched)
    return list(zip(live_positions(recurrence), recurrence.live, strict=True))


def live_positions(recurrence: Recurrence) -> list[Position]:
    """Where they are."""
    return [(i, e) for i, entries in enumerate(recurrence.switching) for e in np.flatnonzero(moving(entries)).tolist()]
