"""The kinks of one step as records, from the compiled walk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from symflow.paths.float64.gated.frozen import Frozen
from symflow.paths.float64.gated.held import Held, Place
from symflow.paths.float64.gated.stages import Kinks


@dataclass(frozen=True)
class Crossing:
    """One event of a walk.

    Attributes:
        time: after the beginning of the step.
        place: the gate.
        before: sigma' before.
        after: sigma' after; between the slopes where the gate begins to be held.
        holds: whether it does.
    """

    time: float
    place: Place
    before: float
    after: float
    holds: bool


def crossings(found: Kinks, samples: np.ndarray) -> tuple[Crossing, ...]:
    """The events of a walk through these samples, in order of time."""
    places = [np.asarray(a)[: int(found.found)].tolist() for a in found.log]
    events = [
        Crossing(time, Place(unit, int(samples[row])), before, after, holds)
        for time, row, unit, before, after, holds in zip(*places, strict=True)
    ]
    return tuple(sorted(events, key=lambda c: c.time))


def begun(frozen: Frozen, crossings: Sequence[Crossing]) -> Held:
    """The gates that begin to be held, one for each kink."""
    first = ((c.place.unit, c.place.sample) for c in crossings if c.holds)
    return tuple(dict.fromkeys(Place(*frozen.groups.first.get(gate, gate)) for gate in first))
