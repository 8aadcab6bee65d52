"""One run of the Taylor integrator through smooth regions, across and along kinks, to the horizon or a condition."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, inf, log2
from typing import Any

from gmpy2 import mpz
from mpmath import workdps

from symflow.dynamics.sliding import sliding_field
from symflow.dynamics.vector_field import VectorField
from symflow.errors import ComputationError, FlowInterrupted, FlowStopped, KinkError, brief_float
from symflow.evaluate.fixed_point import FixedSeries
from symflow.evaluate.series import Entry, compile_recurrence
from symflow.networks.objective import Objective
from symflow.numbers.fixed_point import from_fraction, to_mpf
from symflow.paths.stop_conditions import Monitor, first_crossing, holds_exactly, watched
from symflow.paths.taylor.defect import ALLOWED, log2_local_error, log2_strayed, watched_series
from symflow.paths.taylor.dense import Segment
from symflow.paths.taylor.kinks import (
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
from symflow.paths.taylor.resolved import log2_resolved
from symflow.paths.taylor.roots import Root, Unresolved, excludes_zero, first_zero
from symflow.paths.taylor.step_size import log2_abs, log2_step, taylor_order
from symflow.paths.trajectory import Event

LOG2_10 = log2(10)
HELD = 16
"""A pre-activation that is held at zero may stray from it by this multiple of the noise."""
CLOCK_GUARD = 64
"""Bits by which the clock is finer than the fastest time scale at the start (or than the horizon) demands."""
CHECK_DIGITS, CHECK_ORDER = 6, 5
"""By how much the digits and the order of the run that checks another one are higher."""
MOST_GROWTH = 3
"""log2 of the most by which a step grows where the series sets no limit."""
CRAWL, CRAWLING = -6, 12
"""Steps that end 2^CRAWL short of what their series allows, so many in a row, are kept from it by rounding."""
PROSPECT, HOPELESS = 500, 10
"""Every so many steps it is asked whether the horizon can be reached at all: not if the last step is within a factor of
2 of the mean of the last half of them, and if more than `HOPELESS` times the most steps were needed at that size."""


@dataclass(frozen=True)
class Precision:
    """The numbers that fix a run.

    Attributes:
        bits: fixed-point bits after the point.
        order: order of the Taylor method.
        tolerance_digits: local truncation errors stay below 10^-this.
        noise_digits: what is below 10^-this counts as undecidable at kinks; it follows the tolerance, so that two runs
            of different precision differ where it matters.
        stride: the longest step where the series sets no limit, as a part of what would be tried.
        jitter: log2, in units of the last place, of what is added at random to every component after each step.
    """

    bits: int
    order: int
    tolerance_digits: int
    noise_digits: int
    stride: float = 1.0
    jitter: int | None = None

    @classmethod
    def for_digits(cls, dps: int, guard: int, spare: int = 0) -> Precision:
        """Local tolerance 10^-(dps + guard), four more digits for rounding and `spare` ones for its accumulation."""
        digits = dps + guard
        return cls(ceil((digits + spare + 4) * LOG2_10) + 8, taylor_order(digits), digits, digits - 4)

    def for_check(self) -> Precision:
        """A run that takes other steps with more digits, and that moves by what the first run rounds away.

        Whatever is lost below the last place of the first run, and matters later, shows as a difference.
        """
        bits = self.bits + ceil(CHECK_DIGITS * LOG2_10)
        return Precision(
            bits,
            self.order + CHECK_ORDER,
            self.tolerance_digits + CHECK_DIGITS,
            self.noise_digits + CHECK_DIGITS,
            stride=0.6,
            jitter=bits - self.bits,
        )


@dataclass(frozen=True)
class Limits:
    """What a run may cost.

    Attributes:
        max_steps: most Taylor steps.
        deadline: `time.perf_counter` at which it ends; it is looked at between steps.
        seconds: the time limit, for the message.
    """

    max_steps: int = 100_000
    deadline: float = float("inf")
    seconds: float = float("inf")


@dataclass(frozen=True)
class Run:
    """The result of one run; times of segments are in fixed point with `clock` bits.

    `stopped` is the number of the condition that ended it, None where it went on to the horizon.
    """

    segments: tuple[Segment, ...]
    events: tuple[Event, ...]
    clock: int
    stopped: int | None = None


class _Integrator:
    """The state of a run: time, values, region and what has been computed.

    Time is kept in fixed point with `clock` bits, so many that a step's variable s = t / 2^tau loses none of its own.
    """

    def __init__(
        self, base: VectorField, state: Sequence[Fraction], precision: Precision, conditions: Sequence[Monitor] = ()
    ) -> None:
        self.base, self.precision, self.conditions = base, precision, tuple(conditions)
        self.arithmetic = FixedSeries(precision.bits)
        self.noise = int(from_fraction(Fraction(1, 10**precision.noise_digits), precision.bits))
        self.values: list[Any] = [self.arithmetic.lift(Fraction(q)) for q in state]
        self.origin = tuple(self.values)
        self.time: Any = mpz(0)
        self.segments: list[Segment] = []
        self.events: list[Event] = []
        self.tau = 0
        self.clock = precision.bits
        self.sides: list[int] = []
        self.stopped: int | None = None
        self.crawled = 0
        gates, self.initial_zeros = initial_gates(base, state[: base.objective.parameter_count])
        self.region = self.watch(Region(gates, (), compile_recurrence(base, gates, self.arithmetic)))

    def result(self) -> Run:
        """What has been computed; a segment of no length where that is only the initial point."""
        still = Segment(self.time, self.time, 0, tuple([v] for v in self.values))
        return Run(tuple(self.segments) or (still,), tuple(self.events), self.clock, self.stopped)

    def watch(self, region: Region) -> Region:
        """The region with the conditions among its monitors, after those of sliding gates."""
        if not self.conditions:
            return region
        flow = sliding_field(self.base.objective, region.ties, region.followers) if region.ties else self.base
        reading = next((c for c in self.conditions if region.ties and c.reads_slopes), None)
        if reading is not None:
            raise FlowStopped(
                f"the flow slides along a kink from t = {float(self.now):.10g} on, where the condition that the "
                f"{reading.stop} has no meaning: it depends on the slope of a gate",
                'choose a horizon before that time, or a quantity without derivatives ("gradient norm" has a meaning)',
                cause="sliding",
                time=self.now,
            )
        recurrence = compile_recurrence(watched(flow, self.conditions), region.gates, self.arithmetic)
        return replace(region, recurrence=recurrence)

    @property
    def quantities(self) -> list[Entry]:
        """q - value of every condition, as the recurrences have it."""
        monitors = self.region.recurrence.monitors
        return monitors[len(monitors) - len(self.conditions) :]

    def side(self, number: int) -> int:
        """The sign of q - value at the point that was expanded last; 0 where it cannot be told from zero."""
        entry = self.quantities[number]
        value = entry[0] if isinstance(entry, list) else self.arithmetic.lift(entry or Fraction(0))
        return 0 if abs(value) <= self.noise else 1 if value > 0 else -1

    def undecided(self, number: int, reason: str) -> FlowStopped:
        """The typed error for a condition that cannot be told from one that is just missed."""
        return FlowStopped(
            f"whether {self.conditions[number].stop} at t = {float(self.now):.10g} or soon after cannot be decided at "
            f"this precision: {reason}",
            "ask for more digits, or choose another value",
            cause="quantity",
            time=self.now,
        )

    def start_conditions(self, state: Sequence[Fraction]) -> None:
        """Notes on which side each quantity starts; ends the run where a condition holds already."""
        self.region.recurrence.expand(self.values, 0, self.tau)
        for i, condition in enumerate(self.conditions):
            side = self.side(i)
            equal = not side and not self.initial_zeros and holds_exactly(condition, self.base, state)
            if not side and not equal:
                raise self.undecided(i, "it starts within the rounding noise of its value")
            self.sides.append(side)
            if equal or side == {"falls": -1, "rises": 1, "crosses": 0}[condition.stop.direction]:
                self.stopped = i
                return

    def first_stop(self, powers: Sequence[Any]) -> Any:
        """The first s in the step at which a condition is met, in units of the step's end; notes which.

        Raises:
            FlowStopped: it cannot be told whether one is met.
        """
        found = first_crossing(self.quantities, powers, self.precision.bits, self.noise)
        if found is None:
            return None
        position, number, zero = found
        if isinstance(zero, Unresolved):
            raise self.undecided(number, zero.reason)
        self.stopped = number
        return position

    @property
    def now(self) -> Any:
        """The time reached, an mpmath number."""
        return to_mpf(self.time, self.clock)

    def stop(self, undecided: Undecided) -> KinkError:
        """The typed error for a kink where the flow cannot be decided."""
        time = self.now
        k = kink_at(self.base.objective, undecided.position)
        elsewhere = "choose a horizon before that time, or another initial point"
        if not time:
            elsewhere = "choose another initial point"
        return KinkError(
            f"the flow stops at t = {float(time):.10g} on a kink ({k}): {undecided.explanation} ({undecided.cause})",
            f"{'ask for more digits, or ' if undecided.cause in ('tangency', 'precision') else ''}{elsewhere}",
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
        self.events += _changes(
            self.base.objective, before, outcome, point, self.now, start, self.precision.tolerance_digits
        )
        self.region = self.watch(outcome)

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
            if a in held and max(map(abs, z)) > HELD * self.noise:
                raise self.stop(Undecided("precision", a, "a pre-activation held at zero moves by more than the noise"))
            if a not in held:
                positive = value_of(objective, region.gates, a) == objective.gates[a[0]].alpha
                watched.append((a, z[region.resting.get(a, 0) :], positive))
        count = len(watched)
        ends = [(tie.first, True) for tie in region.ties for _ in range(2)]
        beside = [(a, value_of(objective, region.gates, a) == objective.gates[a[0]].alpha) for a in region.followers]
        for i, (a, positive) in enumerate([*ends, *beside]):
            monitor = region.recurrence.monitors[i]
            # A monitor that does not move belongs to a gate that rests at one of its slopes.
            if isinstance(monitor, list) and max(map(abs, monitor)) > 4 * self.noise:
                watched.append((a, monitor[region.resting_monitors.get(i, 0) :], positive))
        powers: list[Any] | None = None
        earliest: tuple[Any, Position, Root | Unresolved] | None = None
        near: list[tuple[Position, list[Any]]] = []
        for number, (a, coefficients, positive) in enumerate(watched):
            if coefficients[0] == 0 or (coefficients[0] > 0) != positive:
                raise self.stop(Undecided("precision", a, "the pre-activation is lost in the rounding noise"))
            if excludes_zero(coefficients, self.noise):
                continue
            if powers is None:
                powers = self.powers(s_end)
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

    def powers(self, s: Any) -> list[Any]:
        """s^k in fixed point for all k up to the order and one more."""
        bits = self.precision.bits
        powers = [mpz(1) << bits]
        for _ in range(self.precision.order + 1):
            powers.append((powers[-1] * s) >> bits)
        return powers

    def step(self, horizon: Any) -> None:
        """Advances by one Taylor step, at most to the horizon, to the next event or to where a condition is met."""
        p = self.precision
        recurrence = self.region.recurrence
        unit_tolerance = p.bits - p.tolerance_digits * LOG2_10
        while True:
            shift = self.tau + self.clock - p.bits
            if shift < 0:
                raise FlowStopped(
                    f"the step size collapsed at t = {float(self.now):.10g}",
                    "the flow blows up or is too stiff for the Taylor method here, choose a shorter horizon or "
                    "smaller data",
                    cause="step-size",
                    time=self.now,
                )
            recurrence.expand(self.values, p.order, self.tau)
            series = [*recurrence.state, *(q for q in self.quantities if isinstance(q, list))]
            proposed = log2_step(series, p.order, unit_tolerance)
            estimate = log2_resolved(
                recurrence.saturating, p.bits, min(proposed, 0.0), -p.tolerance_digits * LOG2_10, p.order, self.tau
            )
            if estimate > -30:
                break
            self.tau += ceil(estimate)
        for i, side in enumerate(self.sides):
            beyond = self.side(i)
            if not beyond:
                raise self.undecided(i, "it is within the rounding noise of its value")
            if beyond != side:  # it has jumped at the kink that was met last
                self.stopped = i
                return
        free = proposed > 0  # the series does not limit the step
        s = mpz(int((min(2.0**estimate, p.stride) if free else 2.0**estimate) * 2.0**60) << p.bits) >> 60
        limit = (horizon - self.time) >> shift
        final = limit <= s
        s = min(s, limit)
        if final and p.stride < 1 and not self.segments and s > 1:
            s, final = s >> 1, False
        event = self.first_event(s) if recurrence.switching else None
        if event is not None:
            s, final = event[0], False
        met = self.first_stop(self.powers(s)) if self.conditions else None
        if met is not None:
            s, final, event = (met * s) >> p.bits, False, None
        coefficients = tuple(list(c) for c in recurrence.state)
        allowed = estimate
        accepted, values = self.accept(coefficients, s, unit_tolerance, doubtful=free)
        if accepted < s:
            s, final, event, self.stopped = accepted, False, None, None
            estimate = min(estimate, log2_abs(s) - p.bits)
        start, self.time = self.time, horizon if final else self.time + (s << shift)
        self.segments.append(Segment(start, self.time, self.tau, coefficients))
        self.values = values if p.jitter is None or self.region.at_zero else self.jittered(values, p.jitter)
        self.region = replace(self.region, resting={}, resting_monitors={})
        self.note_crawling(estimate - allowed if proposed <= 0 else 0.0)
        self.tau += (
            max(-8, ceil(estimate)) if estimate < 0 else MOST_GROWTH if proposed == inf else min(8, ceil(proposed))
        )
        if event is not None:
            if isinstance(event[1], Undecided):
                raise self.stop(event[1])
            self.settle(event[1], start=False)

    def accept(
        self, coefficients: Sequence[list[Any]], s: Any, unit_tolerance: float, *, doubtful: bool
    ) -> tuple[Any, list[Any]]:
        """The longest step up to s whose defect agrees with the tolerance, and the state at its end.

        What is watched for zeros is known to the noise there: its series may have gaps where those of the state do not.

        Args:
            coefficients: of the state.
            s: the step, fixed point.
            unit_tolerance: log2 of the tolerance in units of the last place.
            doubtful: look inside the step too: its series does not limit it.
        """
        recurrence, bits, largest = self.region.recurrence, self.precision.bits, unit_tolerance + ALLOWED
        watched = watched_series(recurrence)
        before = [list(series) for series in watched]

        def excess(s: Any) -> tuple[list[Any], float]:
            values, error = log2_local_error(recurrence, coefficients, s, self.tau)
            return values, max(error - largest, log2_strayed(watched, before, s, bits) - log2_abs(self.noise))

        while True:
            values: list[Any] = []
            try:
                values, beyond = excess(s)
                if doubtful and beyond <= 0:
                    beyond = excess((s * 98) >> 8)[1]
            except ComputationError:  # the polynomial, not the flow, has left the domain of the field
                beyond = inf
            if beyond <= 0:
                return s, values
            shorter = s * int(2.0 ** (60 - max(0.5, min(8.0, beyond / (self.precision.order + 1))))) >> 60
            if shorter == 0:
                raise self.rounding()
            s = shorter

    def note_crawling(self, short: float) -> None:
        """Counts the steps in a row that ended far below what their series allows; log2 of by how much is given.

        Raises:
            FlowStopped: rounding keeps them short.
        """
        self.crawled = self.crawled + 1 if short < CRAWL else 0
        if self.crawled >= CRAWLING:
            raise self.rounding()

    def rounding(self) -> FlowStopped:
        """The typed error for a field that is lost in rounding; the solver takes more digits then."""
        return FlowStopped(
            f"rounding errors of the gradient are too large at t = {float(self.now):.10g}",
            "ask for more digits, or scale data and weights towards 1",
            cause="rounding",
            time=self.now,
        )

    def jittered(self, values: Sequence[Any], shift: int) -> list[Any]:
        """The values, moved by -2 to 2 units 2^shift: equal ones alike, and those not that started at zero and are."""
        moved = []
        for v, first in zip(values, self.origin, strict=True):
            if v or first:
                mixed = (int(v & 0xFFFFFFFFFFFF) + len(self.segments)) * 0x9E3779B97F4A7C15
                v += ((mixed >> 40) % 5 - 2) << shift
            moved.append(v)
        return moved

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
    held, holds = before.on_kink, after.on_kink
    for gate, node in enumerate(objective.gates):
        for entry in range(before.gates[node].size):
            a = (gate, entry)
            was, now = value_of(objective, before.gates, a), value_of(objective, after.gates, a)
            alive, lives = before.pre_activation(a) is not None, after.pre_activation(a) is not None
            old: Any = None if a in held or not alive else was
            new: Any = standing.get(a, now) if a in holds else (now if lives else None)
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
    conditions: Sequence[Monitor] = (),
    limits: Limits | None = None,
    progress: Callable[[float], None] | None = None,
) -> Run:
    """Integrates state' = F(state) from 0 to the horizon, or to where the first of the conditions is met.

    Raises:
        KinkError: at a kink that is no transversal crossing; its `trajectory` is a `Run` up to there.
        FlowStopped: a limit, a collapsed step or an undecided condition; likewise.
        FlowInterrupted: Ctrl-C; likewise.
    """
    limits = limits or Limits()
    run = _Integrator(field, state, precision, conditions)
    try:
        end = run.start(horizon)
        if conditions:
            run.start_conditions(state)
        while run.time < end and run.stopped is None:
            _check_limits(run, horizon, limits)
            run.step(end)
            if progress is not None:
                progress(float(run.time / end))
    except FlowStopped as error:
        error.trajectory = run.result()
        raise
    except ComputationError as error:
        raise FlowStopped(str(error), cause="domain", time=run.now, trajectory=run.result()) from error
    except KeyboardInterrupt:
        raise FlowInterrupted(time=run.now, trajectory=run.result()) from None
    if progress is not None:
        progress(1.0)
    return run.result()


def _check_limits(run: _Integrator, horizon: Fraction, limits: Limits) -> None:
    """Ends a run that has used up its steps or its time, or that cannot get to the horizon in any number of steps.

    Raises:
        FlowStopped: what it has come to.
    """
    count = len(run.segments)
    reached = f"t = {float(run.now):.6g} of {brief_float(horizon)}"
    if time.perf_counter() >= limits.deadline:
        raise FlowStopped(
            f"the time limit of {limits.seconds:g} s was reached at {reached}",
            "allow more time (time_limit), fewer digits or a shorter horizon",
            cause="time-limit",
            time=run.now,
        )
    if count >= limits.max_steps:
        raise FlowStopped(
            f"{count} Taylor steps led only to {reached}",
            "allow more steps (max_steps) or choose a shorter horizon",
            cause="max-steps",
            time=run.now,
        )
    if count and count % PROSPECT == 0 and not run.conditions:
        span = run.time - run.segments[-PROSPECT // 2].start
        last = run.segments[-1].end - run.segments[-1].start  # the mean is 2 span / PROSPECT
        needed = (from_fraction(horizon, run.clock) - run.time) // max(mpz(1), 2 * span // PROSPECT)
        if span < PROSPECT * last < 4 * span and needed > HOPELESS * limits.max_steps:
            raise FlowStopped(
                f"after {count} Taylor steps and at {reached} the steps neither grow nor shrink, and about "
                f"{brief_float(Fraction(int(needed)))} more of them are needed",
                "choose a shorter horizon, or a condition that ends the flow where it has come to rest",
                cause="max-steps",
                time=run.now,
            )
