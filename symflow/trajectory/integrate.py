"""One run of the Taylor integrator through smooth regions and transversal crossings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, log2
from typing import Any

import numpy as np
from gmpy2 import mpz

from symflow.compile.fixed import FixedSeries, from_fraction, to_mpf
from symflow.compile.series import Recurrence, compile_recurrence
from symflow.errors import FlowStopped, KinkError
from symflow.symbolic.field import VectorField
from symflow.symbolic.nodes import Gate
from symflow.trajectory.kinks import Kink, Undecided, inert, initial_gates, kink_of, resolve, with_gates
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
    """The state of a run: time, values, gates and what has been computed.

    Time is kept in fixed point with `clock` bits, so many that a step's variable s = t / 2^tau loses none of its own.
    """

    def __init__(self, field: VectorField, state: Sequence[Fraction], precision: Precision) -> None:
        self.field, self.precision = field, precision
        self.arithmetic = FixedSeries(precision.bits)
        self.noise = int(from_fraction(Fraction(1, 10**precision.noise_digits), precision.bits))
        self.values: list[Any] = [self.arithmetic.lift(Fraction(q)) for q in state]
        self.time: Any = mpz(0)
        self.segments: list[Segment] = []
        self.events: list[Event] = []
        self.at_kink: set[tuple[int, int]] = set()
        self.tau = 0
        self.clock = precision.bits
        gates, self.initial_zeros = initial_gates(field, state[: field.objective.parameter_count])
        self.gates: dict[Gate, np.ndarray] = gates
        self.recurrence = compile_recurrence(field, gates, self.arithmetic)

    def result(self) -> Run:
        """What has been computed; a segment of no length where that is only the initial point."""
        still = Segment(self.time, self.time, 0, tuple([v] for v in self.values))
        return Run(tuple(self.segments) or (still,), tuple(self.events), self.clock)

    @property
    def now(self) -> Any:
        """The time reached, an mpmath number."""
        return to_mpf(self.time, self.clock)

    def stop(self, undecided: Undecided) -> KinkError:
        """The typed error for a kink that is no transversal crossing."""
        time = self.now
        k = undecided.kink
        return KinkError(
            f"the flow stops at t = {float(time):.10g} on a kink ({k}): {undecided.explanation} ({undecided.cause}); "
            "choose a horizon before that time, or another initial point",
            cause=undecided.cause,
            time=time,
            sample=k.sample,
            layer=k.layer,
            unit=k.unit,
        )

    def settle(self, kinks: list[Kink], *, crossing: bool) -> None:
        """Sets the gates at a point where some pre-activations vanish, and compiles the field beyond it."""
        outcome = resolve(self.field, self.gates, kinks, self.values, self.arithmetic, 1000 * self.noise)
        if isinstance(outcome, Undecided):
            raise self.stop(outcome)
        before_inert = inert(self.recurrence)
        new = with_gates(self.field, self.gates, outcome)
        time = self.now
        for kink, after in outcome.items():
            before = self.gates[self.field.gates[kink.gate]].reshape(-1)[kink.entry]
            if crossing and before == after:
                raise self.stop(Undecided("tangency", kink, "the pre-activation returns to the side it came from"))
            if crossing:
                self.events.append(Event(time, "crossing", kink.sample, kink.layer, kink.unit, before, after))
        self.gates = new
        self.recurrence = compile_recurrence(self.field, new, self.arithmetic)
        revived = before_inert - inert(self.recurrence)
        if revived:
            gate, entry = min(revived)
            raise self.stop(
                Undecided("revival", kink_of(self.field, gate, entry), "an inert gate revives as its upstream does")
            )
        self.at_kink = {(k.gate, k.entry) for k in kinks}

    def first_event(self, recurrence: Recurrence, s_end: Any) -> tuple[Any, list[Kink] | Undecided] | None:
        """The earliest zero of any live pre-activation on [0, s_end]: where, and all kinks that vanish there.

        In place of the kinks stands why a zero that comes first cannot be resolved.

        Raises:
            KinkError: a gate contradicts its pre-activation.
        """
        bits = self.precision.bits
        powers: list[Any] | None = None
        earliest: tuple[Any, Kink, Root | Unresolved] | None = None
        scaled_live: list[tuple[Kink, list[Any]]] = []
        for gate, entries in enumerate(recurrence.switching):
            node = self.field.gates[gate]
            flags = self.gates[node].reshape(-1)
            for entry, z in enumerate(entries):
                if not isinstance(z, list):
                    continue
                resting = (gate, entry) in self.at_kink
                coefficients = z[1:] if resting else z
                kink: Kink | None = None
                if coefficients[0] == 0 or (coefficients[0] > 0) != (flags[entry] == node.alpha):
                    kink = kink_of(self.field, gate, entry)
                    raise self.stop(Undecided("precision", kink, "the pre-activation is lost in the rounding noise"))
                if excludes_zero(coefficients, self.noise):
                    continue
                kink = kink_of(self.field, gate, entry)
                if powers is None:
                    powers = [mpz(1) << bits]
                    for _ in range(self.precision.order + 1):
                        powers.append((powers[-1] * s_end) >> bits)
                scaled = [(c * p) >> bits for c, p in zip(coefficients, powers, strict=False)]
                scaled_live.append((kink, scaled))
                zero = first_zero(scaled, bits, self.noise)
                if zero is None:
                    continue
                position = zero.position if isinstance(zero, Root) else (mpz(int(zero.lo * 2**53)) << bits) >> 53
                if earliest is None or position < earliest[0]:
                    earliest = (position, kink, zero)
        if earliest is None:
            return None
        position, kink, zero = earliest
        where = (position * s_end) >> bits
        if isinstance(zero, Unresolved):
            return where, Undecided("tangency", kink, zero.reason)
        together = [k for k, c in scaled_live if abs(self.arithmetic.horner(c, position)) <= 4 * self.noise]
        return where, sorted({*together, kink})

    def step(self, horizon: Any) -> None:
        """Advances by one Taylor step, at most to the horizon or to the next event."""
        p = self.precision
        recurrence = self.recurrence
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
        event = self.first_event(recurrence, s) if recurrence.switching else None
        if event is not None:
            s, final = event[0], False
        start, self.time = self.time, horizon if final else self.time + (s << shift)
        self.segments.append(Segment(start, self.time, self.tau, tuple(list(c) for c in recurrence.state)))
        self.values = [self.arithmetic.horner(c, s) for c in recurrence.state]
        self.at_kink = set()
        self.tau += max(-8, min(8, ceil(estimate))) if estimate != float("inf") else 8
        if event is not None:
            if isinstance(event[1], Undecided):
                raise self.stop(event[1])
            self.settle(event[1], crossing=True)

    def start(self, horizon: Fraction) -> Any:
        """Settles the gates whose kink theta0 lies on; chooses the first time scale and the clock.

        Returns:
            The horizon in fixed point, with the clock's bits.

        Raises:
            KinkError: theta0 lies on a kink, and not transversally.
        """
        dead = inert(self.recurrence)
        live = [k for k in self.initial_zeros if (k.gate, k.entry) not in dead]
        if live:
            self.settle(live, crossing=False)
        order = 8
        self.recurrence.expand(self.values, order, 0)
        largest = [max(log2_abs(c[k]) for c in self.recurrence.state) for k in (0, order)]
        scale = max(largest[0], float(self.precision.bits))
        if largest[1] > float("-inf"):
            self.tau = min(60, ceil((scale - largest[1]) / order - 2))
        brief = horizon.denominator.bit_length() - horizon.numerator.bit_length() + 1
        self.clock += max(0, -self.tau, brief) + CLOCK_GUARD
        return from_fraction(horizon, self.clock)


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
                    f"{max_steps} Taylor steps led only to t = {float(run.now):.6g} of {float(horizon):.6g}; "
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
