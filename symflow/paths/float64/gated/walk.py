"""The kinks of one step in order of time, along the corrected path.

Beside the path y(s) with frozen gates runs the true one, y + d with d' = -sum_i excess_i - H d; the excess of sample i
is its gradient minus that with frozen gates, zero until its first kink. The walk integrates the first term; the step
adds the second. Kinks wait in a queue, one for each sample; an event's time is improved by Newton steps along y + d,
and an event found late is made good by what it would have done in between.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from symflow.paths.float64.gated.cubic import Cubic, cubic, first_negative
from symflow.paths.float64.gated.frozen import Frozen, padded
from symflow.paths.float64.gated.held import Place

NEAR = 1e-3
"""A Newton step shorter than this part of the step ends the search: the next would change its square."""
TRIES = 4
"""Newton steps for one kink, at most."""
EVENTS = 16
"""Entries of the queue for each gate, at most: more is chatter, about gates that are on their kinks together."""


@dataclass(frozen=True)
class Frame:
    """The step with frozen gates that a walk corrects.

    Attributes:
        path: y(s).
        gates: the frozen gates (U, N).
        basis: what excesses are projected off (Q, P).
        held: where gates are held and not watched (U, N).
    """

    path: Cubic
    gates: np.ndarray
    basis: np.ndarray
    held: np.ndarray

    @property
    def length(self) -> float:
        """h."""
        return self.path.length


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


def moving(
    frozen: Frozen, theta: np.ndarray, velocity: np.ndarray, samples: np.ndarray, gates: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pre-activations of some samples and how fast they move, shape (M, U) each."""
    z, dot = frozen.moving(theta, velocity, padded(samples), padded(gates))
    return np.asarray(z)[: len(samples)], np.asarray(dot)[: len(samples)]


class _Walk:
    """The state of a walk at a time s."""

    def __init__(self, frozen: Frozen, frame: Frame, samples: np.ndarray) -> None:
        self.frozen, self.frame, self.samples = frozen, frame, samples
        self.usual = frame.gates[:, samples].T
        self.gates = self.usual.copy()
        self.watched = ~frame.held[:, samples].T
        self.s = 0.0
        self.d = np.zeros(frame.basis.shape[1])
        self.integral, self.total = np.zeros_like(self.d), np.zeros_like(self.d)
        self.own: dict[int, tuple[float, np.ndarray]] = {}  # row -> since when, and its excess then
        self.crossings: list[Crossing] = []
        self.queue: list[tuple[float, int, int, int]] = []  # time, row, unit, tries
        self.work = 0.0

    def on(self, gates: np.ndarray) -> np.ndarray:
        """The sign that pre-activations must have to agree with gates."""
        return np.where(gates == self.frozen.alpha, 1.0, -1.0)

    def advance(self, s: float) -> None:
        """d and its integral at s, with all excesses as they are."""
        step = s - self.s
        self.integral += step * self.d - step * step / 2 * self.total
        self.d = self.d - step * self.total
        self.s = s

    def predict(self, row: int, z: np.ndarray, dot: np.ndarray, just: int) -> None:
        """Puts the next kink of a sample into the queue, after one at unit `just`."""
        left, path = self.frame.length - self.s, self.frame.path
        if left <= 0:
            return
        end = path(self.frame.length) + self.d - left * self.total
        there, slope = path.slope(self.frame.length) - self.total, self.gates[row]
        z_end, dot_end = (
            np.asarray(v)[0] for v in self.frozen.moving(end, there, self.samples[row : row + 1], slope[None])
        )
        self.work += 2 / 3
        sign, watched, z = self.on(slope), self.watched[row].copy(), z.copy()
        z[just] = 0.0
        watched[just] &= bool(z_end[just] * sign[just] < 0)
        y = cubic(left, np.maximum(z * sign, 0.0), dot * sign, z_end * sign, dot_end * sign)
        (found,) = first_negative(_rows(y), watched[None])
        if found is not None:
            heapq.heappush(self.queue, (self.s + found[0], row, found[1], 0))

    def event(self, time: float, row: int, unit: int, tries: int) -> None:
        """Handles the first kink of the queue, or puts it back with a better time."""
        frame, old = self.frame, float(self.gates[row, unit])
        time = max(time, self.s)
        theta = frame.path(time) + self.d - (time - self.s) * self.total
        mine = self.own[row][1] if row in self.own else 0.0
        after = self.gates[row].copy()
        after[unit] = self.frozen.alpha_bar[unit] if old == self.frozen.alpha[unit] else self.frozen.alpha[unit]
        sides = np.stack([self.gates[row], after, self.usual[row]])
        velocity = frame.path.slope(time) - (self.total - mine)
        found = self.frozen.crossing(theta, velocity, self.samples[row], sides, frame.basis)
        excess, then, z, dot, dot_then = (np.asarray(v) for v in found)
        self.work += 11 / 3
        sign = 1.0 if old == self.frozen.alpha[unit] else -1.0
        if z[unit] * sign > 0 and dot[unit] * sign >= 0:  # it turned back: another path than was foreseen
            self.advance(time)
            self.predict(row, z, dot, unit)
            return
        newton = -z[unit] / dot[unit] if dot[unit] else 0.0
        if abs(newton) > NEAR * frame.length and tries < TRIES:
            if time + newton <= frame.length:
                heapq.heappush(self.queue, (max(time + newton, self.s), row, unit, tries + 1))
            return
        at = min(max(time + newton, self.s), frame.length)
        late = min(max(at - (time + newton), 0.0), at)
        self.advance(at)
        if row in self.own:
            since, left = self.own[row]
            self.d = self.d - (at - since) / 2 * (excess - left)
            self.total = self.total - left
        holds = bool(dot[unit] * dot_then[unit] < 0)
        if holds:  # both sides push back: the value between at which z stays
            part = dot[unit] / (dot[unit] - dot_then[unit])
            then, dot_then = excess + part * (then - excess), dot + part * (dot_then - dot)
            after[unit] = old + part * (after[unit] - old)
            self.watched[row, unit] = False
        self.gates[row] = after
        place = Place(unit, int(self.samples[row]))
        self.crossings.append(Crossing(at - late, place, old, float(after[unit]), holds))
        self.d = self.d - late * (then - excess)
        self.own[row] = at, then
        self.total = self.total + then
        self.predict(row, z, dot_then, unit)

    def finish(self) -> None:
        """d at the end of the step, with excesses linear in time since each sample's last kink."""
        self.advance(self.frame.length)
        if not self.own:
            return
        chosen = np.array(list(self.own))
        half = np.array([(self.frame.length - since) / 2 for since, _ in self.own.values()])
        weights = np.zeros(len(padded(chosen)))
        weights[: len(chosen)] = half
        rows = [padded(x[chosen]) for x in (self.samples, self.gates, self.usual)]
        end = self.frame.path(self.frame.length) + self.d
        grown = np.asarray(self.frozen.excess(end, *rows, weights, self.frame.basis))
        self.work += 2 * len(chosen)
        self.d = self.d - grown + sum(w * left for w, (_, left) in zip(half, self.own.values(), strict=True))


def _rows(y: Cubic) -> Cubic:
    return Cubic(y.length, y.a[None], y.b[None], y.c[None], y.d[None])


def walk(
    frozen: Frozen,
    frame: Frame,
    samples: np.ndarray,
    start: tuple[np.ndarray, np.ndarray],
    end: tuple[np.ndarray, np.ndarray],
    most: int,
) -> Walked | None:
    """Walks the kinks of some samples; None where there are more than `most`, or where gates chatter.

    Args:
        frozen: what is compiled.
        frame: the step with frozen gates.
        samples: those that may change a gate, shape (M,).
        start: their pre-activations and velocities at the beginning of the step, (M, U) each.
        end: the same at its end, as far as known, with frozen gates.
        most: kinks.
    """
    state = _Walk(frozen, frame, samples)
    sign = state.on(state.gates)
    z, dot = (a * sign for a in start)
    y = cubic(frame.length, np.maximum(z, 0.0), dot, end[0] * sign, end[1] * sign)
    foreseen: Sequence[tuple[float, int] | None] = first_negative(y, state.watched)
    state.queue = [(found[0], row, found[1], 0) for row, found in enumerate(foreseen) if found is not None]
    heapq.heapify(state.queue)
    left = EVENTS * state.gates.size
    while state.queue:
        left -= 1
        if len(state.crossings) > most or left < 0:
            return None
        state.event(*heapq.heappop(state.queue))
    state.finish()
    crossings = tuple(sorted(state.crossings, key=lambda c: c.time))
    return Walked(state.d, state.integral, state.total, state.gates, crossings, state.work)
