"""One run of the Taylor integrator through smooth regions, across and along kinks, to the horizon or a condition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from typing import Any, TypeAlias

from gmpy2 import mpz

from symflow.dynamics.vector_field import VectorField
from symflow.errors import ComputationError, FlowInterrupted, FlowStopped
from symflow.evaluate.fixed_point import FixedSeries
from symflow.evaluate.series import Recurrence
from symflow.numbers.fixed_point import from_fraction, to_mpf
from symflow.numbers.types import Mpf
from symflow.paths.event import Event
from symflow.paths.stop_conditions import Monitor
from symflow.paths.taylor.conditions import StopWatch
from symflow.paths.taylor.dense import Segment
from symflow.paths.taylor.events import KinkMet, changes, first_kink, kink_error
from symflow.paths.taylor.kinks.compiled import Compiled
from symflow.paths.taylor.kinks.cross import cross
from symflow.paths.taylor.kinks.gates import Position, initial_gates
from symflow.paths.taylor.kinks.region import Point, Region, Undecided
from symflow.paths.taylor.kinks.settle import settle
from symflow.paths.taylor.limits import CRAWL, CRAWLING, Limits, Precision, rounding_error
from symflow.paths.taylor.order import Order
from symflow.paths.taylor.powers import Powers
from symflow.paths.taylor.step import SHORTEST_UNIT, Proposal, accepted, jittered, next_unit, propose
from symflow.paths.taylor.step_size import log2_abs

CLOCK_GUARD = 64
"""Bits by which the clock is finer than the fastest time scale at the start (or than the horizon) demands."""


@dataclass(frozen=True)
class Run:
    """The result of one run; times of segments are in fixed point with `clock` bits.

    `stopped` is the number of the condition that ended it, None where it came to the horizon; `ended` is what else
    ended it before, to be raised with the part that there is. `observed` holds what an observer has said of each step.
    """

    segments: tuple[Segment, ...]
    events: tuple[Event, ...]
    clock: int
    stopped: int | None = None
    ended: FlowStopped | FlowInterrupted | None = None
    observed: tuple[Any, ...] = ()


Observer: TypeAlias = Callable[[Region, mpz, int], Any]
"""(region, s, tau) -> what is known of a step on [0, s] in s = t / 2^tau; its series are expanded then."""


@dataclass(frozen=True)
class _End:
    """Where a step ends: at s (fixed point), and what is there.

    Attributes:
        s: the length of the step, in its variable.
        final: it is the horizon.
        kink: the kink that is met, if one is.
        stopped: the number of the condition that is met, if one is.
    """

    s: mpz
    final: bool = False
    kink: KinkMet | None = None
    stopped: int | None = None


class Integrator:
    """The state of a run: time, values, region and what has been computed.

    Time is kept in fixed point with `clock` bits, so many that a step's variable s = t / 2^tau loses none of its own.
    """

    def __init__(
        self,
        base: VectorField,
        state: Sequence[Fraction],
        precision: Precision,
        conditions: Sequence[Monitor],
        observer: Observer | None,
    ) -> None:
        self.base, self.precision, self.observer = base, precision, observer
        self.arithmetic = FixedSeries(precision.bits)
        self.stops = StopWatch(conditions, self.arithmetic, precision.noise)
        self.values: list[mpz] = [self.arithmetic.lift(Fraction(q)) for q in state]
        self.origin = tuple(self.values)
        self.time = mpz(0)
        self.tau = 0
        self.clock = precision.bits
        self.segments: list[Segment] = []
        self.events: list[Event] = []
        self.observed: list[Any] = []
        self.stopped: int | None = None
        self.short_steps = 0
        self.order = Order(precision.order)
        self.expanded: Recurrence | None = None  # as the next step needs it
        gates, self.initial_zeros = initial_gates(base, state)
        self.compiled = Compiled(self.arithmetic)
        region = Region(gates, (), self.compiled(base, gates))
        self.region = self.stops.join(base, region, self.now)

    @property
    def now(self) -> Mpf:
        """The time reached, an mpmath number."""
        return to_mpf(self.time, self.clock)

    def result(self) -> Run:
        """What has been computed; a segment of no length where that is only the initial point."""
        point = Segment(self.time, self.time, 0, tuple([v] for v in self.values))
        segments = tuple(self.segments) or (point,)
        return Run(segments, tuple(self.events), self.clock, self.stopped, observed=tuple(self.observed))

    def start(self, state: Sequence[Fraction], horizon: Fraction) -> mpz:
        """Settles the gates whose kink theta0 lies on; chooses the first time scale and the clock.

        Returns:
            The horizon in fixed point, with the clock's bits.

        Raises:
            KinkError: theta0 lies on a kink, and not transversally.
            FlowStopped: on which side a condition starts cannot be decided.
        """
        zeros = [a for a in self.initial_zeros if self.region.pre_activation(a) is not None]
        if zeros:
            self.settle(zeros, None, start=True)
        order, recurrence = 8, self.region.recurrence
        recurrence.expand(self.values, order, 0, room=self.precision.order)
        largest = [max(map(log2_abs, recurrence.coefficient(k))) for k in (0, order)]
        scale = max(largest[0], float(self.precision.bits))
        if largest[1] > float("-inf"):
            self.tau = min(60, ceil((scale - largest[1]) / order - 2))
        brief = horizon.denominator.bit_length() - horizon.numerator.bit_length() + 1
        self.clock += max(0, -self.tau, brief) + CLOCK_GUARD
        if self.stops.conditions:
            recurrence.expand(self.values, 0, self.tau)
            on_kink = bool(self.initial_zeros)
            self.stopped = self.stops.start(self.base, state, recurrence, self.now, on_kink=on_kink)
        return from_fraction(horizon, self.clock)

    def settle(self, zeros: list[Position], alone: Position | None, *, start: bool) -> None:
        """Continues from a point where some pre-activations vanish, and records what changes."""
        before, objective = self.region, self.base.objective
        p = self.precision
        point = Point(self.values, self.arithmetic, p.noise, self.tau, self.compiled, p.jitter or 0)
        outcome: Region | Undecided | None = None
        if alone is not None:
            outcome = cross(self.base, before, alone, point, self.order.now)
            self.expanded = None if outcome is None else outcome.recurrence
        if outcome is None:
            outcome = settle(self.base, before.gates, zeros, point)
        if isinstance(outcome, Undecided):
            raise kink_error(objective, outcome, self.now)
        digits = self.precision.tolerance_digits
        self.events += changes(objective, before, outcome, point, self.now, start=start, digits=digits)
        self.region = self.stops.join(self.base, outcome, self.now)

    def step(self, horizon: mpz) -> None:
        """Advances by one Taylor step, at most to the horizon, to the next kink or to where a condition is met."""
        p, recurrence = self.precision, self.region.recurrence
        proposal = self.proposal()
        self.stopped = self.stops.jumped(recurrence, self.now)
        if self.stopped is not None:
            return
        end = self.end(proposal, horizon)
        coefficients = recurrence.kept()
        if self.observer is not None:
            self.observed.append(self.observer(self.region, end.s + 1, self.tau))  # the horizon lies between
        found = accepted(recurrence, coefficients, end.s, self.tau, p, doubtful=proposal.free)
        if found is None:
            raise rounding_error(self.now)
        s, values = found
        log2_taken = proposal.log2_step
        if s < end.s:
            end, log2_taken = _End(s), min(log2_taken, log2_abs(s) - p.bits)
        self.order.step(log2_abs(s) - p.bits + self.tau, end.kink is not None)
        self.order.choose(coefficients, self.tau, p.log2_unit_tolerance)
        start, self.time = self.time, horizon if end.final else self.time + (s << self.shift)
        self.segments.append(Segment(start, self.time, self.tau, coefficients))
        self.stopped = end.stopped
        moves = p.jitter is not None and not self.region.at_zero
        self.values = jittered(values, self.origin, p.jitter or 0, len(self.segments)) if moves else values
        self.region = replace(self.region, resting={}, resting_monitors={})
        short = not proposal.free and log2_taken - proposal.log2_step < CRAWL
        self.short_steps = self.short_steps + 1 if short else 0
        if self.short_steps >= CRAWLING:
            raise rounding_error(self.now)
        self.tau = next_unit(self.tau, proposal, log2_taken)
        if end.kink is not None:
            if isinstance(end.kink.gates, Undecided):
                raise kink_error(self.base.objective, end.kink.gates, self.now)
            self.settle(end.kink.gates, end.kink.alone, start=False)

    @property
    def shift(self) -> int:
        """A step's variable times 2^shift is a time in the clock's bits."""
        return self.tau + self.clock - self.precision.bits

    def proposal(self) -> Proposal:
        """Expands the series, in a unit of time that suits them, and reads off the step that they allow.

        Raises:
            FlowStopped: the unit is below the clock's last place.
        """
        recurrence = self.region.recurrence
        while True:
            if self.shift < 0:
                raise FlowStopped(
                    f"the step size collapsed at t = {float(self.now):.10g}",
                    "the flow blows up or is too stiff for the Taylor method here, choose a shorter horizon or "
                    "smaller data",
                    cause="step-size",
                    time=self.now,
                )
            order = self.order.now
            if self.expanded is not recurrence:
                recurrence.expand(self.values, order, self.tau)
            self.expanded = None
            found = propose(recurrence, self.stops.quantities(recurrence), self.precision, order, self.tau)
            if found.log2_step > SHORTEST_UNIT:
                return found
            self.tau += ceil(found.log2_step)

    def end(self, proposal: Proposal, horizon: mpz) -> _End:
        """Where the step ends: as proposed, at the horizon, at a kink, or where a condition is met.

        Raises:
            KinkError: a gate contradicts its pre-activation.
            FlowStopped: it cannot be told whether a condition is met.
        """
        p, recurrence = self.precision, self.region.recurrence
        s, limit = proposal.length(p), (horizon - self.time) >> self.shift
        end = _End(min(s, limit), limit <= s)
        if end.final and p.stride < 1 and not self.segments and end.s > 1:
            end = _End(end.s >> 1)  # so that the check run does not make the same single step

        def powers(s: mpz) -> Powers:
            return Powers(s, p.bits, p.order + 1)

        if recurrence.switching:
            kink = first_kink(self.base.objective, self.region, self.arithmetic, p.noise, powers(end.s))
            if isinstance(kink, Undecided):
                raise kink_error(self.base.objective, kink, self.now)
            if kink is not None:
                end = _End((kink.position * end.s) >> p.bits, kink=kink)
        if self.stops.conditions:
            met = self.stops.first_met(recurrence, powers(end.s), self.now)
            if met is not None:
                end = _End((met[0] * end.s) >> p.bits, stopped=met[1])
        return end


def integrate(
    field: VectorField,
    state: Sequence[Fraction],
    horizon: Fraction,
    precision: Precision,
    *,
    conditions: Sequence[Monitor] = (),
    limits: Limits | None = None,
    after_step: Callable[[Integrator], None] | None = None,
    observer: Observer | None = None,
) -> Run:
    """Integrates state' = F(state) from 0 to the horizon, or to where the first of the conditions is met.

    What ends it early stands in `ended`: a `KinkError` at a kink that is not a crossing, a `FlowStopped` for a
    limit, a collapsed step or an undecided condition, a `FlowInterrupted` for Ctrl-C. `after_step` is told
    the run after each step.
    """
    limits = limits or Limits()
    run = Integrator(field, state, precision, conditions, observer)
    try:
        end = run.start(state, horizon)
        while run.time < end and run.stopped is None:
            limits.check(run.segments, run.clock, horizon, open_ended=bool(conditions))
            run.step(end)
            if after_step is not None:
                after_step(run)
    except FlowStopped as error:
        return replace(run.result(), ended=error)
    except ComputationError as error:
        ended = FlowStopped(str(error), cause="domain", time=run.now)
        ended.__cause__ = error
        return replace(run.result(), ended=ended)
    except KeyboardInterrupt:
        return replace(run.result(), ended=FlowInterrupted(time=run.now))
    return run.result()
