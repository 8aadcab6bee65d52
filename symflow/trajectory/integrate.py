"""One run of the Taylor integrator through smooth regions and transversal crossings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, log2
from typing import Any

from gmpy2 import mpz
from mpmath import workdps

from symflow.compile.fixed import FixedSeries, from_fraction, to_mpf
from symflow.compile.series import compile_recurrence
from symflow.errors import FlowStopped, KinkError, brief_float
from symflow.symbolic.field import VectorField
from symflow.symbolic.objective import Objective
from symflow.trajectory.kinks import (
    Point,
    Position,
    Region,
    Undecided,
    initial_gates,
    kink_at,
    live_entries,
    settle,
    sliding_values,
    value_of,
)
from symflow.trajectory.roots import Root, Unresolved, excludes_zero, first_zero
from symflow.trajectory.taylor import log2_abs, log2_step, taylor_order
from symflow.trajectory.trajectory import Event, Segment

LOG2_10 = log2(10)
CLOCK_GUARD = 64
"""Bits by which the clock is finer than the fastest time scale at the start (or than the horizon) demands."""


@dataclass(frozen=True)
class Precision:
    """The numbers that fix a run.

    Attributes:
        bits: fixed-point bits after the point.
        order: order of the Taylor method.
        tolerance_digits: local truncation errors stay below 10^-this.
        noise_digits: what is below 10^-this counts as undecidable at kinks; it follows the tolerance, so that two runs
            of different precision differ where it matters.
    """

    bits: int
    order: int
    tolerance_digits: int
    noise_digits: int

    @classmethod
    def for_digits(cls, dps: int, guard: int, extra_order: int = 0) -> Precision:
        """Local tolerance 10^-(dps + guard), four more digits for rounding."""
        digits = dps + guard
        return cls(ceil((digits + 4) * LOG2_10) + 8, taylor_order(digits) + extra_order, digits, digits - 4)


@dataclass(frozen=True)
class Run:
    """The result of one run; times of segments are in fixed point with `clock` bits."""

    segments: tuple[Segment, ...]
    events: tuple[Event, ...]
    clock: int


class _Integrator:
    """The state of a run: time, values, region and what has been computed.

    Time is kept in fixed point with `clock` bits, so many that a step's variable s = t / 2^tau loses none of its own.
    """

    def __init__(self, base: VectorField, state: Sequence[Fraction], precision: Precision) -> None:
        self.base, self.precision = base, precision
        self.arithmetic = FixedSeries(precision.bits)
        self.noise = int(from_fraction(Fraction(1, 10**precision.noise_digits), precision.bits))
        self.values: list[Any] = [self.arithmetic.lift(Fraction(q)) for q in state]
        self.time: Any = mpz(0)
        self.segments: list[Segment] = []
        self.events: list[Event] = []
        self.tau = 0
        self.clock = precision.bits
        gates, self.initial_zeros = initial_gates(base, state[: base.objective.parameter_count])
        self.region = Region(gates, (), compile_recurrence(base, gates, self.arithmetic))

    def result(self) -> Run:
        """What has been computed; a segment of no length where that is only the initial point."""
        still = Segment(self.time, self.time, 0, tuple([v] for v in self.values))
        return Run(tuple(self.segments) or (still,), tuple(self.events), self.clock)

    @property
    def now(self) -> Any:
        """The time reached, an mpmath number."""
        return to_mpf(self.time, self.clock)

    def stop(self, undecided: Undecided) -> KinkError:
        """The typed error for a kink where the flow cannot be decided."""
        time = self.now
        k = kink_at(self.base.objective, undecided.position)
        remedy = "ask for more digits, or " if undecided.cause in ("tangency", "precision") else ""
        return KinkError(
            f"the flow stops at t = {float(time):.10g} on a kink ({k}): {undecided.explanation} ({undecided.cause}); "
            f"{remedy}choose a horizon before that time, or another initial point",
            cause=undecided.cause,
            time=time,
            sample=k.sample,
            layer=k.layer,
            unit=k.unit,
        )

    def settle(self, zeros: list[Position], *, start: bool) -> None:
        """Goes on from a point where some pre-activations vanish, and records what changes."""
        before = self.region
        point = Point(self.values, self.arithmetic, self.noise, self.tau)
        outcome = settle(self.base, before.gates, zeros, point)
        if isinstance(outcome, Undecided):
            raise self.stop(outcome)
        self.region = outcome
        self.events += _changes(
            self.base.objective, before, outcome, point, self.now, start, self.precision.tolerance_digits
        )

    def first_event(self, s_end: Any) -> tuple[Any, list[Position] | Undecided] | None:
        """The earliest zero of a pre-activation or of a sliding gate's monitors on [0, s_end].

        Returns:
            Where it is and all gates at their kink there (sliding ones included), or why it cannot be resolved; None
            if there is none.

        Raises:
            KinkError: a gate contradicts its pre-activation.
        """
        bits, region, objective = self.precision.bits, self.region, self.base.objective
        held = region.at_zero
        watched: list[tuple[Position, list[Any], bool]] = []
        for a, z in live_entries(region.recurrence):
            if a in region.parked and max(map(abs, z)) > 4 * self.noise:
                raise self.stop(Undecided("precision", a, "a pre-activation at rest moves by more than the noise"))
            if a not in held:
                positive = value_of(objective, region.gates, a) == objective.gates[a[0]].alpha
                watched.append((a, z[region.resting.get(a, 0) :], positive))
        count = len(watched)
        for i, monitor in enumerate(region.recurrence.monitors):
            # A monitor that does not move belongs to a gate that rests at one of its slopes.
            if isinstance(monitor, list) and max(map(abs, monitor)) > 4 * self.noise:
                watched.append((region.ties[i // 2].first, monitor[region.resting_monitors.get(i, 0) :], True))
        powers: list[Any] | None = None
        earliest: tuple[Any, Position, Root | Unresolved] | None = None
        near: list[tuple[Position, list[Any]]] = []
        for number, (a, coefficients, positive) in enumerate(watched):
            if coefficients[0] == 0 or (coefficients[0] > 0) != positive:
                raise self.stop(Undecided("precision", a, "the pre-activation is lost in the rounding noise"))
            if excludes_zero(coefficients, self.noise):
                continue
            if powers is None:
                powers = [mpz(1) << bits]
                for _ in range(self.precision.order + 1):
                    powers.append((powers[-1] * s_end) >> bits)
            scaled = [(c * p) >> bits for c, p in zip(coefficients, powers, strict=False)]
            if number < count:
                near.append((a, scaled))
            zero = first_zero(scaled, bits, self.noise)
            if zero is None:
                continue
            position = zero.position if isinstance(zero, Root) else (mpz(int(zero.lo * 2**53)) << bits) >> 53
            if earliest is None or position < earliest[0]:
                earliest = (position, a, zero)
        if earliest is None:
            return None
        position, a, zero = earliest
        where = (position * s_end) >> bits
        if isinstance(zero, Unresolved):
            return where, Undecided("tangency", a, zero.reason)
        together = {b for b, c in near if abs(self.arithmetic.horner(c, position)) <= 4 * self.noise}
        return where, sorted({*together, a, *held})

    def step(self, horizon: Any) -> None:
        """Advances by one Taylor step, at most to the horizon or to the next event."""
        p = self.precision
        recurrence = self.region.recurrence
        unit_tolerance = p.bits - p.tolerance_digits * LOG2_10
        while True:
            shift = self.tau + self.clock - p.bits
            if shift < 0:
                raise FlowStopped(
                    f"the step size collapsed at t = {float(self.now):.10g}; the flow blows up or is too stiff for the "
                    "Taylor method here, choose a shorter horizon or smaller data",
                    time=self.now,
                )
            recurrence.expand(self.values, p.order, self.tau)
            estimate = log2_step(recurrence.state, p.order, unit_tolerance)
            if estimate > -30:
                break
            self.tau += ceil(estimate)
        s = mpz(int(2.0 ** (min(estimate, 0.0) + 60)) << p.bits) >> 60
        limit = (horizon - self.time) >> shift
        final = limit <= s
        s = min(s, limit)
        event = self.first_event(s) if recurrence.switching else None
        if event is not None:
            s, final = event[0], False
        start, self.time = self.time, horizon if final else self.time + (s << shift)
        self.segments.append(Segment(start, self.time, self.tau, tuple(list(c) for c in recurrence.state)))
        self.values = [self.arithmetic.horner(c, s) for c in recurrence.state]
        self.region = replace(self.region, resting={}, resting_monitors={})
        self.tau += max(-8, min(8, ceil(estimate))) if estimate != float("inf") else 8
        if event is not None:
            if isinstance(event[1], Undecided):
                raise self.stop(event[1])
            self.settle(event[1], start=False)

    def start(self, horizon: Fraction) -> Any:
        """Settles the gates whose kink theta0 lies on; chooses the first time scale and the clock.

        Returns:
            The horizon in fixed point, with the clock's bits.

        Raises:
            KinkError: theta0 lies on a kink, and not transversally.
        """
        zeros = [a for a in self.initial_zeros if self.region.pre_activation(a) is not None]
        if zeros:
            self.settle(zeros, start=True)
        order = 8
        self.region.recurrence.expand(self.values, order, 0)
        largest = [max(log2_abs(c[k]) for c in self.region.recurrence.state) for k in (0, order)]
        scale = max(largest[0], float(self.precision.bits))
        if largest[1] > float("-inf"):
            self.tau = min(60, ceil((scale - largest[1]) / order - 2))
        brief = horizon.denominator.bit_length() - horizon.numerator.bit_length() + 1
        self.clock += max(0, -self.tau, brief) + CLOCK_GUARD
        return from_fraction(horizon, self.clock)


def _changes(
    objective: Objective, before: Region, after: Region, point: Point, time: Any, start: bool, digits: int
) -> list[Event]:
    """The events that lead from one region to the next; at the start only what begins to slide."""
    with workdps(digits):
        standing = sliding_values(objective, after, point) if after.ties else {}
    events: list[Event] = []
    held, holds = set(before.sliding), set(after.sliding)
    for gate, node in enumerate(objective.gates):
        for entry in range(before.gates[node].size):
            a = (gate, entry)
            was, now = value_of(objective, before.gates, a), value_of(objective, after.gates, a)
            alive, lives = before.pre_activation(a) is not None, after.pre_activation(a) is not None
            old: Any = None if a in held or not alive else was
            new: Any = standing[a] if a in holds else (now if lives else None)
            if a in holds and a in held:
                continue
            if a in holds:
                kind = "sliding"
            elif start:
                continue
            elif a in held:
                kind = "leaving"
            elif lives and not alive:
                kind = "revival"
            elif alive and not lives:
                kind = "inert"
            elif lives and was != now:
                kind = "crossing"
            else:
                continue
            k = kink_at(objective, a)
            events.append(Event(time, kind, k.sample, k.layer, k.unit, old, new))
    return events


def integrate(
    field: VectorField,
    state: Sequence[Fraction],
    horizon: Fraction,
    precision: Precision,
    *,
    progress: Callable[[float], None] | None = None,
    max_steps: int = 100_000,
) -> Run:
    """Integrates state' = F(state) from 0 to the horizon.

    Raises:
        KinkError: at a kink that is no transversal crossing; its `trajectory` is a `Run` up to there.
        FlowStopped: more than `max_steps` steps, or a collapsed step; likewise.
    """
    run = _Integrator(field, state, precision)
    try:
        end = run.start(horizon)
        while run.time < end:
            if len(run.segments) >= max_steps:
                raise FlowStopped(
                    f"{max_steps} Taylor steps led only to t = {float(run.now):.6g} of {brief_float(horizon)}; "
                    "allow more steps (max_steps) or choose a shorter horizon",
                    time=run.now,
                )
            run.step(end)
            if progress is not None:
                progress(float(run.time / end))
    except FlowStopped as error:
        error.trajectory = run.result()
        raise
    return run.result()
