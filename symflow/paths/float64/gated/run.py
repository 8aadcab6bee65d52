"""Event-corrected steps from the start to the final time; how far each is from two halves of it chooses their size."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import mpmath
import numpy as np

from symflow.paths.float64.gated.frozen import Frozen
from symflow.paths.float64.gated.held import Held, Place, forces, let_go, members
from symflow.paths.float64.gated.point import Point, repels, start_point
from symflow.paths.float64.gated.step import AT_END, Stepped, corrected_step
from symflow.paths.float64.methods import first_steps
from symflow.paths.float64.watch import Watch, first_met
from symflow.paths.taylor.limits import Limits
from symflow.paths.trajectory import Event
from symflow.progress import Reporter

SAFETY, SHORTEN, LENGTHEN = 0.9, 0.2, 4.0
"""Factors of the step-size control."""
COST = 1.5
"""What a step through kinks costs, with two halves, next to one that is cut at a kink."""
AGAIN = 1.1
"""How much longer ones are tried after each step that was cut at its first kink for being too long to go through."""
BEYOND_KINK = 1 + AT_END / 2
"""Where a step that is cut at a kink ends, in parts of the time until then: the kink shall lie in it, at its end."""
NEAR_END = 0.02
"""Parts of a step at its end where a kink makes no second look at it necessary: one that it was cut at."""
SHORTEST = 1e-14
"""Of the whole time: a smaller step is a collapse; so long is one past a kink where it begins."""


@dataclass(frozen=True)
class HeldGate:
    """A gate on its kink at the end of a step, and its value sigma'."""

    unit: int
    sample: int
    value: float


@dataclass(frozen=True, eq=False)
class GatedRun:
    """One run.

    Attributes:
        knots: 0 and the ends of the steps.
        states: the states there (K, P).
        held: the gates held there.
        events: in order of time.
        rejected: steps that were made again, shorter.
        gradients: what it cost, a single sample counted as its share.
        met: the number of the condition that ended it, if one did.
        stopped: why it ended early: "steps", "collapse", "time", "together", "repelling", "interrupted", or "slopes" (a
            condition on gradients, which have no meaning where gates are held); else "".
    """

    knots: np.ndarray
    states: np.ndarray
    held: tuple[tuple[HeldGate, ...], ...]
    events: tuple[Event, ...]
    rejected: int
    gradients: float
    stopped: str
    met: int | None = None


@dataclass(frozen=True)
class Plan:
    """What is asked of a run.

    Attributes:
        stops: times > 0 that steps end at, increasing; the last is the final time.
        rtol: relative tolerance of a step.
        atol: absolute tolerance of a step.
        limits: of steps and time.
        watch: conditions that end it.
    """

    stops: np.ndarray
    rtol: float
    atol: float
    limits: Limits
    watch: Watch | None = None


def run_gated(frozen: Frozen, start: np.ndarray, plan: Plan, report: Reporter) -> GatedRun:
    """Runs from t = 0 to the last stop."""
    run = _Run(frozen, start, plan)
    try:
        run.stopped = run.to_the_end(report)
    except KeyboardInterrupt:
        run.stopped = "interrupted"
    return run.result()


class _Run:
    """The state of a run."""

    def __init__(self, frozen: Frozen, start: np.ndarray, plan: Plan) -> None:
        self.frozen, self.plan = frozen, plan
        self.point, count = start_point(frozen, start)
        self.gradients, self.rejected, self.t, self.stopped = float(count), 0, 0.0, ""
        self.knots, self.states = [0.0], [start]
        self.held: list[tuple[HeldGate, ...]] = [()]
        self.events: list[Event] = []
        self.through = float("inf")  # up to which size steps through kinks were as exact as asked
        self.met = None if plan.watch is None else plan.watch.start

    def to_the_end(self, report: Reporter) -> str:
        """Steps to all stops; says why it ended early."""
        end = float(self.plan.stops[-1])
        if self.met is not None:
            return ""
        if repels(self.frozen, self.point):
            return "repelling"
        h = float(first_steps(self.point.theta[None], self.point.slope[None], end)[0])
        shortest, resumed = SHORTEST * end, 0.0
        for stop in self.plan.stops.tolist():
            while self.t < stop:
                if len(self.knots) + self.rejected > self.plan.limits.max_steps:
                    return "steps"
                if time.perf_counter() > self.plan.limits.deadline:
                    return "time"
                left = stop - self.t
                size = left if h >= left * (1 - 1e-12) else min(h, left / 2)
                tried = self.tried(size)
                self.gradients += tried.gradients
                if tried.cut and size > shortest:
                    self.rejected += 1
                    # A kink where the step begins says nothing of its size.
                    resumed = size if tried.cut <= shortest or tried.again else 0.0
                    h = max(tried.cut * BEYOND_KINK, shortest)
                    continue
                if tried.error > 1:
                    self.rejected += 1
                    h = size * max(SHORTEN, SAFETY * tried.error**-0.25)
                    if h < shortest:
                        return "collapse"
                    continue
                for k, made in enumerate(tried.parts, 1):
                    if made.companion is not None:
                        return "together"
                    ended = self.ended(made, size / len(tried.parts))
                    if ended is not None:
                        return ended
                    last = size == left and k == len(tried.parts)
                    self.accept(made, stop if last else self.t + size / len(tried.parts), size / len(tried.parts))
                longer = size * min(LENGTHEN, SAFETY * max(tried.error, 1e-12) ** -0.25)
                h, resumed = max(h if size < h else 0.0, longer, resumed), 0.0
                report.at(self.t, end, len(self.knots) - 1)
        return ""

    def ended(self, made: Stepped, size: float) -> str | None:
        """Takes the part of a step after which a condition is met; why the run ends then, None where it does not."""
        watching, point = self.plan.watch, self.point
        if watching is None:
            return None
        if watching.needs_slopes is not None and (point.held or made.point.held):
            return "slopes"

        def after(_: np.ndarray, sizes: np.ndarray) -> np.ndarray:
            parts = [corrected_step(self.frozen, point, float(h)) if h else None for h in sizes]
            return np.stack([point.theta if part is None else part.point.theta for part in parts])

        met = first_met(watching, after, np.array([0.0, size]), np.stack([point.theta, made.point.theta]))
        if met is None:
            return None
        part = corrected_step(self.frozen, point, met.size) if self.t + met.size > self.t else None
        if part is not None:
            self.gradients += part.gradients
            self.accept(part, self.t + met.size, met.size)
        self.met = met.number
        return ""

    def tried(self, size: float) -> _Tried:
        """A step; where kinks lie in it, or gates let go, two of half the size, whose distance from it is its error.

        Nothing else tells of a kink that is nearly a tangency, or of a gate that lets go and is held again within it.
        """
        whole = corrected_step(self.frozen, self.point, size)
        if whole is None:
            return _Tried((), float("inf"), 0.0)
        error, (kink, apart_by) = self.error(whole, whole.error), _kinks(whole, size)
        alone = _Tried((whole,), error, whole.gradients)
        if whole.turn or error > 1:
            return replace(alone, cut=whole.turn or whole.jump or 0.0)
        smooth, looks = self.smooth(whole, size)
        if smooth:
            return replace(alone, gradients=whole.gradients + looks)
        if self.through < apart_by:
            self.through *= AGAIN
            return replace(alone, gradients=whole.gradients + looks, cut=kink, again=True)
        first = corrected_step(self.frozen, self.point, size / 2)
        second = None if first is None else corrected_step(self.frozen, first.point, size / 2)
        cost = looks + sum(part.gradients for part in (whole, first, second) if part is not None)
        if first is None or second is None:
            return replace(alone, error=float("inf"), gradients=cost)
        apart = np.abs(whole.point.theta - second.point.theta)
        error = max(error, self.error(first, first.error), self.error(second, second.error), self.error(second, apart))
        self.through = size * min(LENGTHEN, max(SHORTEN, SAFETY * max(error, 1e-12) ** (-1 / 3)))
        cut = first.turn or (second.turn and size / 2 + second.turn) or 0.0
        if error > 1 and not cut:
            jump = first.jump or (second.jump and size / 2 + second.jump) or 0.0
            if not jump and self.through < apart_by:
                return _Tried((first, second), error, cost, kink, again=True)
            cut = jump or self.through
        return _Tried((first, second), error, cost, cut)

    def smooth(self, made: Stepped, size: float) -> tuple[bool, float]:
        """Whether nothing happens within a step: no kink but near its end, no gate that lets go, even in its middle;
        and how many gradients it took to see that."""
        near = size * NEAR_END
        if any(since > near for _, since in made.gone) or any(c.time < size - near for c in made.crossings):
            return False, 0.0
        point = self.point
        if not point.held:
            return True, 0.0
        middle = forces(self.frozen, made.middle, point.gates, point.held)
        return not let_go(self.frozen, middle, point.gates, point.held)[3], 1.0

    def error(self, made: Stepped, error: np.ndarray) -> float:
        """The estimated error of a step, 1 at the tolerances."""
        scale = self.plan.atol + self.plan.rtol * np.maximum(np.abs(self.point.theta), np.abs(made.point.theta))
        found = float(np.sqrt(np.mean((error / scale) ** 2)))
        return found if np.isfinite(found) else float("inf")

    def accept(self, made: Stepped, t: float, size: float) -> None:
        """Takes a step."""
        self.events += sorted(_events(self.frozen, self.point, made, t - size, size), key=lambda e: e.time)
        self.point, self.t = made.point, t
        self.knots.append(t)
        self.states.append(made.point.theta)
        self.held.append(held_gates(made.point))

    def result(self) -> GatedRun:
        """What is known."""
        knots, states = np.array(self.knots), np.stack(self.states)
        return GatedRun(
            knots, states, tuple(self.held), tuple(self.events), self.rejected, self.gradients, self.stopped, self.met
        )


@dataclass(frozen=True, eq=False)
class _Tried:
    """One step, or two that make it up; their error, 1 at the tolerances; what they cost; where it should rather end,
    0 where that is not known; whether nothing but a kink spoke against its size."""

    parts: tuple[Stepped, ...]
    error: float
    gradients: float
    cut: float = 0.0
    again: bool = False


def _kinks(made: Stepped, size: float) -> tuple[float, float]:
    """The first kink that lies neither where a step begins nor near its end; and how long steps through kinks must be
    to cost less than steps from one to the next, 0 where there is none."""
    times = [c.time for c in made.crossings if size * AT_END < c.time < size * (1 - NEAR_END)]
    return (min(times), COST * size / (len(times) + 1)) if times else (0.0, 0.0)


def held_gates(point: Point) -> tuple[HeldGate, ...]:
    """The held gates with their values."""
    return tuple(HeldGate(at.unit, at.sample, float(point.gates[at.unit, at.sample])) for at in point.held)


def places(held: Sequence[HeldGate]) -> Held:
    """Where they are."""
    return tuple(Place(g.unit, g.sample) for g in held)


def _events(frozen: Frozen, before: Point, made: Stepped, t: float, h: float) -> list[Event]:
    """The events of a step from time t."""

    def event(time: float, place: Place, kind: str, gates: tuple[float, float]) -> Event:
        layer, unit = int(frozen.layers[place.unit]), int(frozen.units[place.unit])
        ends = [frozen.slopes.get(v, mpmath.mpf(v)) for v in gates]
        return Event(mpmath.mpf(time), kind, place.sample, layer, unit, ends[0], ends[1])

    found = [
        event(t + c.time, c.place, "sliding" if c.holds else "crossing", (c.before, c.after)) for c in made.crossings
    ]
    for gone, since in made.gone:
        value = float(before.gates[gone.place.unit, gone.place.sample])
        for other, side in members(frozen, gone.place):
            ends = (value, gone.bound) if side > 0 else _mirrored(frozen, other, (value, gone.bound))
            found.append(event(t + h - since, other, "leaving", ends))
    return found


def _mirrored(frozen: Frozen, place: Place, values: tuple[float, float]) -> tuple[float, float]:
    """The values of a gate that is on where the first of its group is off."""
    total = float(frozen.alpha[place.unit] + frozen.alpha_bar[place.unit])
    return total - values[0], total - values[1]
