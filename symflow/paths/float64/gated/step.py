"""One event-corrected step (R31): a Runge-Kutta step with frozen gates, and what the kinks in it change.

With gates frozen the field is smooth, and the classical method of order 4 steps along it. The samples whose gates
disagree with their pre-activations at the end, or in between, are walked through their kinks in order of time
(`walk.py`); d(h) = -int excess + H int d is added. Where the corrected end shows further samples, or kinks that were
not foreseen, the walk is repeated with what is known now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from symflow.paths.float64.gated.crossings import Crossing, walk
from symflow.paths.float64.gated.cubic import cubic
from symflow.paths.float64.gated.frozen import Frozen, padded
from symflow.paths.float64.gated.held import (
    Gone,
    Held,
    Place,
    companion,
    let_go,
    mask,
    onto_surface,
    rows,
    tangent_basis,
    with_value,
)
from symflow.paths.float64.gated.walk_state import Ends

REPEATS = 6
"""Walks of one step, at most."""
SETTLED = 2
"""Walks after which disagreeing gates of walked samples are taken for kinks at the very end."""
SETTLINGS = 50
"""Evaluations until the gates of all layers agree with their pre-activations."""
GRAZING = 0.2
"""A pre-activation whose parabola through three points comes within this part of its bend of zero is walked."""
AT_END = 1e-4
"""A kink so near to the end of a step, relative to its size, lies at its end."""
MOST_JUDGED, SLOW = 64, 1e-12
"""Kinks of a start that are looked at, and speeds away from them, relative to the gradient, that are rounding."""
DIFFERENCE = 1e-4
"""Relative step of the difference quotient that applies the Hessian."""


@dataclass(frozen=True, eq=False)
class Point:
    """The state at the end of a step.

    Attributes:
        theta: shape (P,).
        slope: grad f with the gates, shape (P,); not projected.
        z: pre-activations (U, N).
        gates: sigma' (U, N), between the slopes for held gates.
        held: gates on their kinks.
    """

    theta: np.ndarray
    slope: np.ndarray
    z: np.ndarray
    gates: np.ndarray
    held: Held = ()


@dataclass(frozen=True, eq=False)
class Stepped:
    """One step.

    Attributes:
        point: its end.
        error: an estimate of its error, a vector (P,).
        crossings: kinks, times after the beginning of the step.
        gone: gates that let go, and how long before its end.
        gradients: what it cost, in gradients of f.
        turn: a kink of a sample with a held gate, whose normal jumps there: the step should end there.
        jump: a kink where the value of a gate that lets go may jump: where to end, should the error be too large.
        companion: a gate on its kink wherever held ones are; then the step means nothing.
    """

    point: Point
    error: np.ndarray
    crossings: tuple[Crossing, ...]
    gone: tuple[tuple[Gone, float], ...]
    gradients: float
    turn: float | None = None
    jump: float | None = None
    companion: Place | None = None


def agreeing(frozen: Frozen, theta: np.ndarray, gates: np.ndarray, held: Held) -> tuple[Point, int]:
    """Gates of all layers that agree with their pre-activations, held ones as given; and gradients evaluated."""
    fixed = mask(frozen, held, gates.shape)
    count = 0
    while count < SETTLINGS:
        count += 1
        slope, z = (np.asarray(v) for v in frozen.gradient(theta, gates))
        found = np.where(fixed, gates, frozen.gates_of(z, gates))
        if (found == gates).all():
            break
        gates = found
    return Point(theta, slope, z, gates, held), count


def start_point(frozen: Frozen, theta: np.ndarray) -> tuple[Point, int]:
    """A start, all gates as sigma' has them."""
    gates = np.repeat(frozen.alpha[:, None], frozen.samples, axis=1)
    for group in frozen.groups.members.values():
        for (unit, sample), side in group:
            gates[unit, sample] = frozen.alpha[unit] if side > 0 else frozen.alpha_bar[unit]
    return agreeing(frozen, theta, gates, ())


def repels(frozen: Frozen, point: Point) -> bool:
    """Whether the flow may leave a start on kinks to both sides of one of them, all other gates as they are."""
    zero = [gate for gate in zip(*np.nonzero(point.z == 0), strict=True) if frozen.groups.first.get(gate, gate) == gate]
    for unit, sample in zero[:MOST_JUDGED]:
        speeds = []
        for side in (1, -1):
            gates = point.gates.copy()
            for (u, i), way in frozen.groups.of((unit, sample)):
                gates[u, i] = (frozen.alpha if side * way > 0 else frozen.alpha_bar)[u]
            slope = np.asarray(frozen.gradient(point.theta, gates)[0])
            _, dot = frozen.moving(point.theta, -slope, np.array([sample]), gates[:, sample][None])
            speeds.append(side * float(dot[0, unit]) - SLOW * float(np.linalg.norm(slope)))
        if min(speeds) > 0:
            return True
    return False


class _Stages:
    """The Runge-Kutta step with frozen gates."""

    def __init__(self, frozen: Frozen, point: Point, h: float) -> None:
        self.frozen, self.point, self.h = frozen, point, h
        self.gradients = 0.0
        theta, self.basis = point.theta, tangent_basis(frozen, point.theta, point.gates, point.held)
        self.first = point.slope - self.basis.T @ (self.basis @ point.slope)
        second, _ = self.field(theta - h / 2 * self.first)
        third, self.z_middle = self.field(theta - h / 2 * second)
        fourth, _ = self.field(theta - h * third)
        self.end = theta - h / 6 * (self.first + 2 * second + 2 * third + fourth)
        self.last, self.z_end = self.field(self.end)
        self.error = h / 6 * (fourth - self.last)

    def field(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """grad f projected off the normals of held gates, and pre-activations."""
        slope, z = (np.asarray(v) for v in self.frozen.gradient(theta, self.point.gates))
        self.gradients += 1
        if self.point.held:
            basis = tangent_basis(self.frozen, theta, self.point.gates, self.point.held)
            slope = slope - basis.T @ (basis @ slope)
        return slope, z

    def suspects(self, held: np.ndarray) -> np.ndarray:
        """Samples with a pre-activation that disagrees with its gate, or may do so in between."""
        sign = np.where(self.point.gates == self.frozen.alpha[:, None], 1.0, -1.0)
        start, middle, end = (sign * z for z in (self.point.z, self.z_middle, self.z_end))
        bend, slope = 2 * (start - 2 * middle + end), 4 * middle - 3 * start - end
        with np.errstate(all="ignore"):
            turns = (bend > 0) & (slope < 0) & (-slope < 2 * bend)
            grazes = turns & (start - slope * slope / (4 * bend) < GRAZING * bend)
        return np.flatnonzero((((end < 0) | (middle < 0) | grazes) & ~held).any(axis=0))

    def ends(self, held: np.ndarray, samples: np.ndarray, correction: np.ndarray, known: bool) -> Ends:
        """What the walk of some samples starts from."""
        point = self.point
        path = cubic(self.h, point.theta, -self.first, self.end, -self.last)
        every = samples if len(samples) >= self.frozen.samples else padded(samples)[: self.frozen.samples]
        rows = np.zeros(self.frozen.samples, dtype=int)
        rows[samples] = np.arange(len(samples))
        return Ends(
            path=path,
            slopes=np.stack([self.first, self.last]),
            correction=correction,
            known=np.array(known),
            basis=self.basis,
            samples=every,
            filled=np.arange(len(every)) >= len(samples),
            z=point.z[:, every].T,
            gates=point.gates[:, every].T,
            watched=~held[:, every].T,
            rows=rows,
        )

    def hessian(self, v: np.ndarray) -> np.ndarray:
        """H v at the end of the step, by a difference quotient."""
        size = float(np.linalg.norm(v))
        if size == 0:
            return np.zeros_like(v)
        c = DIFFERENCE * max(float(np.linalg.norm(self.end)), 1.0) / size
        found = (self.field(self.end + c * v)[0] - self.last) / c
        return np.asarray(found - self.basis.T @ (self.basis @ found))


def corrected_step(frozen: Frozen, point: Point, h: float) -> Stepped | None:
    """One step of size h; None where too many kinks lie in it, or values are not finite."""
    stages = _Stages(frozen, point, h)
    if not np.isfinite(stages.last).all():
        return None
    fixed = mask(frozen, point.held, point.gates.shape)
    samples, shift, bent = (
        frozen.groups.closed(stages.suspects(fixed)),
        np.zeros_like(point.theta),
        np.zeros_like(point.theta),
    )
    crossings: tuple[Crossing, ...] = ()
    excess = np.zeros_like(point.theta)
    work = 0.0
    for repeat in range(REPEATS):
        gates = point.gates.copy()
        if len(samples):
            walked = walk(frozen, stages.ends(fixed, samples, np.stack([shift, excess]), repeat > 0))
            if walked is None:
                return None
            bent = stages.hessian(walked.integral)
            shift, excess, crossings = walked.shift - bent, walked.excess, walked.crossings
            gates[:, samples] = walked.gates[: len(samples)].T
            work += walked.work
        held = point.held + _begun(frozen, crossings)
        slope, z = (np.asarray(v) for v in frozen.gradient(stages.end + shift, gates))
        stages.gradients += 1
        wrong = (frozen.gates_of(z, gates) != gates) & ~mask(frozen, held, gates.shape)
        further = np.setdiff1d(frozen.groups.closed(np.flatnonzero(wrong.any(axis=0))), samples)
        if not wrong.any() or (not len(further) and repeat >= SETTLED):
            break
        samples = np.union1d(samples, further)
    found = Point(stages.end + shift, slope, z, gates, held)
    late, moved = _unforeseen(frozen, found, wrong, h)
    crossings, found = (*crossings, *late), replace(found, theta=found.theta - moved)
    jumps = tuple(c for c in crossings if c.time >= h * (1 - AT_END) and not c.holds)
    end_point, gone, extra, same = _settled(frozen, found, bool(wrong.any()), h, jumps)
    size = float(np.linalg.norm(shift))
    bent = bent * (float(np.linalg.norm(bent)) / size if size > 0 else 0.0)
    gradients = stages.gradients + extra + work / frozen.samples
    error = np.abs(stages.error) + np.abs(bent) + np.abs(moved)
    jump = _jump(crossings, gone, h)
    if jump is not None:
        error = error + sum(since * g.beyond * np.abs(g.pull) for g, since in gone)
    return Stepped(end_point, error, crossings, gone, gradients, _turn(held, crossings, h), jump, same)


def _unforeseen(frozen: Frozen, point: Point, wrong: np.ndarray, h: float) -> tuple[tuple[Crossing, ...], np.ndarray]:
    """Kinks that the walks did not find, of gates that disagree at the end of a step: since when, from how fast they
    move there, and what their gradients did since."""
    if not wrong.any():
        return (), np.zeros_like(point.theta)
    places = tuple(Place(int(u), int(i)) for u, i in np.argwhere(wrong))
    samples, units, theirs = rows(places, point.gates)
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


def _begun(frozen: Frozen, crossings: Sequence[Crossing]) -> Held:
    """The gates that begin to be held, one for each kink."""
    first = ((c.place.unit, c.place.sample) for c in crossings if c.holds)
    return tuple(dict.fromkeys(Place(*frozen.groups.first.get(gate, gate)) for gate in first))


def _turn(held: Held, crossings: Sequence[Crossing], h: float) -> float | None:
    """The first crossing of a sample with a held gate, unless it lies at the end of the step."""
    samples = {at.sample for at in held}
    times = [c.time for c in crossings if c.place.sample in samples and not c.holds]
    first = min(times, default=h)
    return first if first < h * (1 - AT_END) else None


def _jump(crossings: Sequence[Crossing], gone: Sequence[tuple[Gone, float]], h: float) -> float | None:
    """A crossing at which the value of a gate that lets go may jump: the last before it lets go, as far as that is
    known, else the first."""
    if not gone:
        return None
    times = [c.time for c in crossings if not c.holds and c.time < h * (1 - AT_END)]
    if not times:
        return None
    leaves = min(h - since for _, since in gone)
    return max((t for t in times if t <= leaves), default=min(times))


def _settled(
    frozen: Frozen, point: Point, wrong: bool, h: float, jumps: Sequence[Crossing] = ()
) -> tuple[Point, tuple[tuple[Gone, float], ...], int, Place | None]:
    """The end of a step on the surface of held gates, with gates that agree, and without those that let go.

    A gate that let go within the step was held too long: what that did is taken back, its value linear in time. Where
    gates change at the end, values jump there (`jumps`): gates that let go before are known without the changes, and
    those that let go because of them do so at the end.
    """
    if not point.held and not wrong:
        return point, (), 0, None
    theta = onto_surface(frozen, point.theta, point.gates, point.held)
    found, count = agreeing(frozen, theta, point.gates, point.held)
    same = companion(frozen, theta, found.z, found.gates, point.held)
    held, left = point.held, []
    if held and jumps:
        gates = found.gates.copy()
        for c in jumps:
            gates[c.place.unit, c.place.sample] = c.before
        slope = np.asarray(frozen.gradient(theta, gates)[0])
        held, _, _, gone = let_go(frozen, theta, slope, gates, held)
        count += 1
        left = [(g, g.since(float(point.gates[g.place.unit, g.place.sample]), h)) for g in gone]
        gates = found.gates.copy()
        for g in gone:
            with_value(frozen, gates, g.place, g.bound)
        found, more = agreeing(frozen, theta, gates, held)
        count += more
    held, slope, gates, gone = let_go(frozen, theta, found.slope, found.gates, held)
    if not gone and not left:
        return Point(theta, slope, found.z, gates, held), (), count, same
    for g in gone:
        left.append((g, 0.0 if jumps else g.since(float(point.gates[g.place.unit, g.place.sample]), h)))
    theta = theta + sum(since / 2 * g.beyond * g.pull for g, since in left)
    found, more = agreeing(frozen, theta, gates, held)
    return found, tuple(left), count + more, same
