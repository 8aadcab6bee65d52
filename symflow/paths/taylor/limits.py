"""The numbers that fix a run, and what it may cost."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import ceil, inf, log2

from gmpy2 import mpz

from symflow.errors import FlowStopped, brief_float
from symflow.numbers.fixed_point import from_fraction, to_mpf
from symflow.numbers.types import Mpf
from symflow.paths.taylor.dense import Segment
from symflow.paths.taylor.step_size import taylor_order

LOG2_10 = log2(10)
CHECK_DIGITS, CHECK_ORDER = 6, 5
"""By how much the digits and the order of the run that checks another one are higher."""
CRAWL, CRAWLING = -6, 12
"""Steps that end 2^CRAWL short of what their series allows, this many in a row, are kept from it by rounding."""
PROSPECT, HOPELESS = 500, 10
"""How often, in steps, it is asked whether the horizon can be reached: not if the last step is within a factor of
2 of the mean of the last half of them, and if more than `HOPELESS` times the most steps were needed at that size."""


@dataclass(frozen=True)
class Precision:
    """The numbers that fix a run.

    Attributes:
        bits: fixed-point bits after the point.
        order: order of the Taylor method.
        tolerance_digits: local truncation errors are below 10^-this.
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
    def for_digits(cls, dps: int, guard: int, spare: int = 0, *, smooth: bool = False) -> Precision:
        """Local tolerance 10^-(dps + guard), four more digits for rounding and `spare` ones for its accumulation."""
        digits = dps + guard
        order = taylor_order(digits, smooth=smooth)
        return cls(ceil((digits + spare + 4) * LOG2_10) + 8, order, digits, digits - 4)

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

    @cached_property
    def noise(self) -> int:
        """10^-noise_digits, fixed point."""
        return int(from_fraction(Fraction(1, 10**self.noise_digits), self.bits))

    @property
    def log2_tolerance(self) -> float:
        """log2 of the local tolerance."""
        return -self.tolerance_digits * LOG2_10

    @property
    def log2_unit_tolerance(self) -> float:
        """log2 of the local tolerance in units of the last place."""
        return self.bits - self.tolerance_digits * LOG2_10


@dataclass(frozen=True)
class Limits:
    """What a run may cost.

    Attributes:
        max_steps: most Taylor steps.
        deadline: `time.perf_counter` at which it ends; it is looked at between steps.
        seconds: the time limit, for the message.
    """

    max_steps: int = 100_000
    deadline: float = inf
    seconds: float = inf

    def check_proof(self) -> None:
        """Ends a proof that has used up the time.

        Raises:
            FlowStopped: it has.
        """
        if time.perf_counter() >= self.deadline:
            raise FlowStopped(
                f"the time limit of {self.seconds:g} s was reached while the error was being proved",
                "allow more time (time_limit) or leave the proof out (error=None)",
                cause="time-limit",
            )

    def check(self, segments: Sequence[Segment], clock: int, horizon: Fraction, *, open_ended: bool) -> None:
        """Ends a run that has used up its steps or its time, or that cannot get to the horizon in any number of steps.

        Args:
            segments: the steps made.
            clock: bits of their times.
            horizon: the final time.
            open_ended: a condition may end the run before the horizon.

        Raises:
            FlowStopped: what it has come to.
        """
        count = len(segments)
        now = to_mpf(segments[-1].end if segments else mpz(0), clock)
        reached = f"t = {float(now):.6g} of {brief_float(horizon)}"
        if time.perf_counter() >= self.deadline:
            raise FlowStopped(
                f"the time limit of {self.seconds:g} s was reached at {reached}",
                "allow more time (time_limit), fewer digits or a shorter horizon",
                cause="time-limit",
                time=now,
            )
        if count >= self.max_steps:
            raise FlowStopped(
                f"{count} Taylor steps led only to {reached}",
                "allow more steps (max_steps) or choose a shorter horizon",
                cause="max-steps",
                time=now,
            )
        needed = 0 if open_ended or not count or count % PROSPECT else _steps_needed(segments, clock, horizon)
        if needed > HOPELESS * self.max_steps:
            raise FlowStopped(
                f"after {count} Taylor steps and at {reached} the steps neither grow nor shrink, and about "
                f"{brief_float(Fraction(needed))} more of them are needed",
                "choose a shorter horizon, or a condition that ends the flow where it has come to rest",
                cause="max-steps",
                time=now,
            )


def _steps_needed(segments: Sequence[Segment], clock: int, horizon: Fraction) -> int:
    """How many more steps like the last ones lead to the horizon; 0 where these grow or shrink."""
    now = segments[-1].end
    span = now - segments[-PROSPECT // 2].start
    last = now - segments[-1].start  # the mean is 2 span / PROSPECT
    if not span < PROSPECT * last < 4 * span:
        return 0
    return int((from_fraction(horizon, clock) - now) // max(mpz(1), 2 * span // PROSPECT))


def rounding_error(now: Mpf) -> FlowStopped:
    """The typed error for a field that is lost in rounding; the solver takes more digits then."""
    return FlowStopped(
        f"rounding errors of the gradient are too large at t = {float(now):.10g}",
        "ask for more digits, or scale data and weights towards 1",
        cause="rounding",
        time=now,
    )
