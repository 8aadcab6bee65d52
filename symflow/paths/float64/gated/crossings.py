"""The kinks of one step as records, from the compiled walk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symflow.paths.float64.gated.frozen import Frozen
from symflow.paths.float64.gated.held import Place
from symflow.paths.float64.gated.walk_state import Ends


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


@dataclass(frozen=True)
class Walked:
    """The result of a walk.

    Attributes:
        shift: d(h) without the term of the Hessian.
        integral: the integral of d over the step.
        excess: the sum of all excesses at the end.
        gates: the gates of the walked samples at the end, shape (M, U).
        crossings: in order of time.
        work: gradients of single samples.
    """

    shift: np.ndarray
    integral: np.ndarray
    excess: np.ndarray
    gates: np.ndarray
    crossings: tuple[Crossing, ...]
    work: float


def walk(frozen: Frozen, ends: Ends) -> Walked | None:
    """Walks the kinks of some samples; None where there are too many, or where gates chatter."""
    shift, integral, excess, gates, log, count, done, work = frozen.walk(ends)
    if not done:
        return None
    places = [np.asarray(a)[: int(count)].tolist() for a in log]
    found = [
        Crossing(time, Place(unit, int(ends.samples[row])), before, after, holds)
        for time, row, unit, before, after, holds in zip(*places, strict=True)
    ]
    shift, integral, excess, gates = (np.asarray(a) for a in (shift, integral, excess, gates))
    return Walked(shift, integral, excess, gates, tuple(sorted(found, key=lambda c: c.time)), float(work))
