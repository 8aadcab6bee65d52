"""The march of many lanes: steps, kinks, and what of them is kept; a lane that is done costs nothing more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from symflow.evaluate.threads import threads
from symflow.paths.float64.lanes.compiled import Lanes
from symflow.paths.float64.lanes.decide import decide
from symflow.paths.float64.lanes.dop853 import ORDER, between
from symflow.paths.float64.lanes.held import SLACK, margin, onto_surface, parts, settle
from symflow.paths.float64.lanes.state import State

SAFETY, SHORTEN, LENGTHEN = 0.9, 0.2, 5.0
"""Factors of the step-size control."""
SHORTEST = 1e-14
"""Of the whole time: a smaller step is a collapse."""
STALLED = 100
"""Events of a lane without progress in time, at most."""
ROOTS = 30
"""Most evaluations for the time at which a gate lets go."""
ACCURACY = 1e-12
"""Of that time, in parts of a step."""
AGREE = 60
"""Most rounds until the gates at the start agree with their pre-activations."""


@dataclass(frozen=True, eq=False)
class LaneRuns:
    """What L lanes came to.

    Attributes:
        states: at the times asked for (L, S, P); NaN where a lane did not get to.
        sliding: whether a gate is held on its kink at these times (L, S).
        reached: the time that each got to.
        why: why it stopped: "steps", "collapse", "undecided" or "chatter"; empty where it is whole.
        steps: attempts of each.
        crossings: gates that crossed their kinks.
        slides: gates that began to be held on them.
        leavings: gates that let go.
    """

    states: np.ndarray
    sliding: np.ndarray
    reached: np.ndarray
    why: np.ndarray
    steps: np.ndarray
    crossings: np.ndarray
    slides: np.ndarray
    leavings: np.ndarray

    @property
    def kinks(self) -> np.ndarray:
        """All events of each."""
        return self.crossings + self.slides + self.leavings


@dataclass(frozen=True)
class Plan:
    """What is asked for.

    Attributes:
        times: S > 0 of them, increasing.
        rtol: relative tolerance of a step.
        atol: absolute tolerance of a step, one a lane.
        max_steps: of a lane.
    """

    times: np.ndarray
    rtol: float
    atol: np.ndarray
    max_steps: int


def run_lanes(lanes: Lanes, starts: np.ndarray, h: np.ndarray, plan: Plan, report: Callable[[float], None]) -> LaneRuns:
    """Runs from starts (L, P) with first step sizes h; to be called within `x64`."""
    with threads() as pool:
        march = _March(State.at(lanes, pool, starts, h), plan)
        march.start()
        while len(rows := march.active()):
            march.advance(rows)
            report(float(np.where(march.state.why == "", march.state.t / march.end, 1.0).mean()))
    s = march.state
    return LaneRuns(march.states, march.sliding, s.t, s.why, s.steps, s.crossings, s.slides, s.leavings)


class _March:
    """The state of all lanes, and what is kept."""

    def __init__(self, state: State, plan: Plan) -> None:
        self.state, self.lanes, self.plan = state, state.lanes, plan
        self.end = float(plan.times[-1])
        count, parameters = state.theta.shape
        self.states = np.full((count, len(plan.times), parameters), np.nan)
        self.sliding = np.zeros((count, len(plan.times)), dtype=bool)
        self.next = np.zeros(count, dtype=int)

    def start(self) -> None:
        """Gates that agree with the pre-activations at the start."""
        state = self.state
        rows = np.arange(len(state.theta))
        none = np.zeros((len(rows), 0))
        for _ in range(AGREE):
            gates = state.low[rows]
            _, z, _ = state.call(self.lanes.probe, state.theta[rows], gates, none[rows].astype(int), none[rows])
            agreeing = np.where(z >= 0, self.lanes.alpha, self.lanes.alpha_bar)
            changed = (agreeing != gates).any(axis=1)
            state.low[rows] = state.high[rows] = agreeing
            rows = rows[changed]
            if not len(rows):
                break

    def active(self) -> np.ndarray:
        """The lanes that still run."""
        state = self.state
        tired = (state.why == "") & (state.t < self.end) & (state.steps >= self.plan.max_steps)
        state.why[tired] = "steps"
        state.why[(state.why == "") & (state.stalled > STALLED)] = "chatter"
        return np.flatnonzero((state.why == "") & (state.t < self.end))

    def advance(self, rows: np.ndarray) -> None:
        """One attempt of each of these lanes."""
        state = self.state
        left = self.end - state.t[rows]
        state.h[rows] = np.where(state.h[rows] > left * (1 - 1e-12), left, state.h[rows])
        for where, size in state.by_class(rows):
            self.attempt(rows[where], size)

    def attempt(self, rows: np.ndarray, size: int) -> None:
        """One attempt of lanes that hold similarly many gates."""
        state, plan = self.state, self.plan
        h, gates, watched = state.h[rows].copy(), state.gates(rows), state.member[rows] < 0
        scale = np.stack([plan.atol[rows], np.full(len(rows), plan.rtol)], axis=1)
        held = state.for_slots(rows, size)
        end, error, dense, low, high = state.call(
            self.lanes.attempt, state.theta[rows], gates, watched, h, *held, scale
        )
        state.steps[rows] += 1
        good = np.isfinite(end).all(axis=1) & (error <= 1)
        with np.errstate(all="ignore"):
            factor = SAFETY * np.maximum(error, 1e-16) ** (-1 / ORDER)
        factor = np.where(np.isfinite(factor), np.clip(factor, SHORTEN, LENGTHEN), SHORTEN)
        state.h[rows] = h * np.where(good, factor, np.minimum(factor, SAFETY))
        state.why[rows[~good & (state.h[rows] < SHORTEST * self.end)]] = "collapse"
        x, gate = np.ones(len(rows)), np.full(len(rows), -1)
        kinks = np.flatnonzero(good & (high <= 1))
        if len(kinks):
            x[kinks], gate[kinks], end[kinks] = state.call(
                self.lanes.locate, state.theta[rows[kinks]], dense[kinks], gates[kinks], watched[kinks], low[kinks],
                high[kinks],
            )  # fmt: skip
        rows, h, end, dense, x, gate = (a[good] for a in (rows, h, end, dense, x, gate))
        if size and len(rows):
            x, gate, end = self.leave(rows, size, dense, x, gate, end)
        self.take(rows, h, dense, x, end)
        on = gate >= 0
        decide(state, rows[on], gate[on])
        if size:
            settle(state, rows[~on])

    def leave(
        self, rows: np.ndarray, size: int, dense: np.ndarray, x: np.ndarray, gate: np.ndarray, end: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ends steps where a held gate lets go before their kink, and moves their ends onto the surfaces."""
        state = self.state
        live = state.live[rows, :size]

        def inside(some: np.ndarray, at: np.ndarray) -> np.ndarray:
            points = between(state.theta[rows[some]], dense[some].transpose(1, 0, 2), at[:, None])
            return SLACK + margin(parts(state, rows[some], points, size)[0], live[some])

        every = np.arange(len(rows))
        middle, last = np.split(inside(np.tile(every, 2), np.concatenate([x / 2, x])), 2)
        some = np.flatnonzero((middle < 0) | (last < 0))
        if len(some):
            early = middle[some] < 0
            ends = np.where(early, 0.0, x[some] / 2), np.where(early, x[some] / 2, x[some])
            values = np.where(early, SLACK, middle[some]), np.where(early, middle[some], last[some])
            x, gate, end = x.copy(), gate.copy(), end.copy()
            x[some], gate[some] = _root(lambda at: inside(some, at), ends, values), -1
            end[some] = between(state.theta[rows[some]], dense[some].transpose(1, 0, 2), x[some, None])
        for _ in range(2):
            _, normals, z = parts(state, rows, end, size)
            end = end + onto_surface(normals, z)
        return x, gate, end

    def take(self, rows: np.ndarray, h: np.ndarray, dense: np.ndarray, x: np.ndarray, end: np.ndarray) -> None:
        """Keeps the states at the times passed, and moves the lanes to the ends of their steps."""
        state, times = self.state, self.plan.times
        then = np.where((x == 1.0) & (h >= (self.end - state.t[rows]) * (1 - 1e-12)), self.end, state.t[rows] + x * h)
        stop = np.searchsorted(times, then, side="right")
        counts = np.maximum(stop - self.next[rows], 0)
        which = np.repeat(np.arange(len(rows)), counts)
        column = self.next[rows][which] + np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
        part = np.clip((times[column] - state.t[rows[which]]) / h[which], 0.0, x[which])
        self.states[rows[which], column] = between(
            state.theta[rows[which]], dense[which].transpose(1, 0, 2), part[:, None]
        )
        self.sliding[rows[which], column] = (state.held(rows) > 0)[which] | state.dead[rows[which]]
        self.next[rows] = np.maximum(stop, self.next[rows])
        still = then - state.t[rows] <= 1e-10 * self.end
        state.stalled[rows] = np.where(still, state.stalled[rows] + 1, 0)
        state.theta[rows], state.t[rows] = end, then


def _root(
    f: Callable[[np.ndarray], np.ndarray], ends: tuple[np.ndarray, np.ndarray], values: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Where f, of one x each, falls below 0, by false position with halved weights (Illinois) and bisection in turn.

    Args:
        f: to be evaluated at points x.
        ends: left ones, where f >= 0, and right ones, where f < 0.
        values: of f there.
    """
    (low, high), (above, below) = ends, values
    for k in range(ROOTS):
        if (high - low <= ACCURACY).all():
            break
        share = above / np.maximum(above - below, 1e-300)
        x = low + (high - low) * (0.5 if k % 3 == 2 else np.clip(share, 0.0, 1.0))
        found = f(x)
        good = found >= 0
        # The end that stays counts half: else one end alone would move.
        above, below = np.where(good, found, above / 2), np.where(good, below / 2, found)
        low, high = np.where(good, x, low), np.where(good, high, x)
    return high
