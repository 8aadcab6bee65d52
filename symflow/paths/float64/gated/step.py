"""One event-corrected step (R31): a Runge-Kutta step with frozen gates, and what the kinks in it change.

With gates frozen the field is smooth, and the classical method of order 4 steps along it (`stages.py`). The samples
whose gates disagree with their pre-activations at the end, or in between, are walked through their kinks in order of
time (`walk.py`); d(h) = -int excess + H int d is added. Where the corrected end shows further samples, or kinks that
were not foreseen, the walk is repeated with what is known now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from symflow.paths.float64.gated.crossings import Crossing, begun, crossings
from symflow.paths.float64.gated.frozen import Frozen
from symflow.paths.float64.gated.held import Gone, Held, Place, held_rows, mask, rows
from symflow.paths.float64.gated.point import Point
from symflow.paths.float64.gated.rows import WALKED
from symflow.paths.float64.gated.settle import settled
from symflow.paths.float64.gated.stages import Asked, Begin

REPEATS = 6
"""Walks of one step, at most."""
SETTLED = 2
"""Walks after which disagreeing gates of walked samples are taken for kinks at the very end."""
AT_END = 1e-4
"""A kink so near to the end of a step, relative to its size, lies at its end."""


@dataclass(frozen=True, eq=False)
class Stepped:
    """One step.

    Attributes:
        point: its end.
        middle: theta in its middle, its kinks left out (P,).
        error: an estimate of its error, a vector (P,).
        crossings: kinks, times after the beginning of the step.
        gone: gates that let go, and how long before its end.
        gradients: what it cost, in gradients of f.
        turn: a kink of a sample with a held gate, whose normal jumps there: the step should end there.
        jump: a kink where the value of a gate that lets go may jump: where to end, should the error be too large.
        companion: a gate on its kink wherever held ones are; then the step means nothing.
    """

    point: Point
    middle: np.ndarray
    error: np.ndarray
    crossings: tuple[Crossing, ...]
    gone: tuple[tuple[Gone, float], ...]
    gradients: float
    turn: float | None = None
    jump: float | None = None
    companion: Place | None = None


def corrected_step(frozen: Frozen, point: Point, h: float) -> Stepped | None:
    """One step of size h; None where too many kinks lie in it, or values are not finite."""
    fixed = mask(frozen, point.held, point.gates.shape)
    begin = Begin(point.theta, point.slope, point.z, point.gates, fixed, np.array(h))
    on_kinks = held_rows(frozen, point.held)
    stages = frozen.stages(begin, on_kinks)
    end, slope, z, error = (np.asarray(a) for a in (stages.end, stages.end_slope, stages.z, stages.error))
    if not np.isfinite(slope).all():
        return None
    samples, count, work = frozen.groups.closed(np.flatnonzero(stages.suspects)), 4.0, 0.0
    shift = bent = excess = np.zeros_like(point.theta)
    events: tuple[Crossing, ...] = ()
    gates, held, wrong = point.gates, point.held, np.zeros_like(fixed)
    for repeat in range(REPEATS if len(samples) else 0):
        asked = _asked(frozen, samples, np.stack([shift, excess]), repeat > 0)
        walked = frozen.kinks(begin, stages, asked)
        if not walked.done:
            return None
        shift, bent, slope, z = (np.asarray(a) for a in frozen.ended(begin, on_kinks, stages, walked))
        excess, gates = np.asarray(walked.excess), np.asarray(walked.gates)
        events = crossings(walked, asked.samples)
        work += float(walked.work)
        count += 2
        held = point.held + begun(frozen, events)
        wrong = (frozen.gates_of(z, gates) != gates) & ~mask(frozen, held, gates.shape)
        further = np.setdiff1d(frozen.groups.closed(np.flatnonzero(wrong.any(axis=0))), samples)
        if not wrong.any() or (not len(further) and repeat >= SETTLED):
            break
        samples = np.union1d(samples, further)
    found = Point(end + shift, slope, z, gates, held)
    late, moved = _unforeseen(frozen, found, wrong, h)
    events, found = (*events, *late), replace(found, theta=found.theta - moved)
    jumps = tuple(c for c in events if c.time >= h * (1 - AT_END))
    end_point, gone, extra, same = settled(frozen, found, bool(wrong.any()), h, jumps)
    size = float(np.linalg.norm(shift))
    bent = bent * (float(np.linalg.norm(bent)) / size if size > 0 else 0.0)
    error = np.abs(error) + np.abs(bent) + np.abs(moved)
    jump = _jump(events, gone, h)
    if jump is not None:
        error = error + sum(since * g.beyond * np.abs(g.pull) for g, since in gone)
    gradients = count + extra + work / frozen.samples
    first, last = np.asarray(stages.slopes)
    middle = (point.theta + end) / 2 + h / 8 * (last - first)
    return Stepped(end_point, middle, error, events, gone, gradients, _turn(held, events, h), jump, same)


def _asked(frozen: Frozen, samples: np.ndarray, correction: np.ndarray, known: bool) -> Asked:
    """What a walk of some samples is asked."""
    every = WALKED.padded(samples)[: frozen.samples]
    rows, walked = np.zeros(frozen.samples, dtype=int), np.zeros(frozen.samples, dtype=bool)
    rows[samples], walked[samples] = np.arange(len(samples)), True
    return Asked(every, np.arange(len(every)) >= len(samples), rows, walked, correction, np.array(known))


def _unforeseen(frozen: Frozen, point: Point, wrong: np.ndarray, h: float) -> tuple[tuple[Crossing, ...], np.ndarray]:
    """Kinks that the walks did not find, of gates that disagree at the end of a step: since when, from how fast they
    move there, and what their gradients did since."""
    if not wrong.any():
        return (), np.zeros_like(point.theta)
    places = tuple(Place(int(u), int(i)) for u, i in np.argwhere(wrong))
    samples, units, theirs = rows(frozen, places, point.gates)
    pulls = np.asarray(frozen.pulls(point.theta, samples, units, theirs))
    _, dots = frozen.moving(point.theta, -point.slope, samples, theirs)
    after = frozen.gates_of(point.z, point.gates)
    found, moved = [], np.zeros_like(point.theta)
    for k, (u, i) in enumerate((at.unit, at.sample) for at in places):
        z, dot = float(point.z[u, i]), float(dots[k, u])
        since = min(z / dot, h) if z * dot > 0 else 0.0
        found.append(Crossing(h - since, places[k], float(point.gates[u, i]), float(after[u, i]), holds=False))
        moved += since * (after[u, i] - point.gates[u, i]) * pulls[k]
    return tuple(found), moved


def _turn(held: Held, crossings: Sequence[Crossing], h: float) -> float | None:
    """The first crossing of a sample with a held gate, unless it lies at the end of the step."""
    samples = {at.sample for at in held}
    times = [c.time for c in crossings if c.place.sample in samples and not c.holds]
    first = min(times, default=h)
    return first if first < h * (1 - AT_END) else None


def _jump(crossings: Sequence[Crossing], gone: Sequence[tuple[Gone, float]], h: float) -> float | None:
    """A kink at which the value of a gate that lets go may jump: the last before it lets go, as far as that is known,
    else the first."""
    if not gone:
        return None
    times = [c.time for c in crossings if h * AT_END < c.time < h * (1 - AT_END)]
    if not times:
        return None
    leaves = min(h - since for _, since in gone)
    return max((t for t in times if t <= leaves), default=min(times))
