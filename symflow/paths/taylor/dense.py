"""Dense output of the Taylor method: polynomials in fixed point, one a step."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import ceil, log10

import numpy as np
from gmpy2 import mpz

from symflow.errors import ProblemError
from symflow.evaluate.fixed_point import FixedSeries
from symflow.evaluate.products import Coefficients
from symflow.numbers.fixed_point import from_fraction, to_mpf
from symflow.numbers.types import JsonObject, Mpf
from symflow.paths.trajectory import Trajectory, outside


@dataclass(frozen=True)
class Segment:
    """One Taylor step: state(t) = sum_k c_k s^k with s = (t - start) / 2^tau, all in fixed point.

    Start and end have the `clock` bits of their `TaylorSteps` after the point, the coefficients its `bits`.
    """

    start: mpz
    end: mpz
    tau: int
    coefficients: Sequence[Coefficients]


@dataclass(frozen=True)
class TaylorSteps:
    """The dense output of `solve_flow`.

    Attributes:
        segments: the steps.
        bits: fixed-point precision of the stored coefficients.
        clock: fixed-point precision of times; at least `bits`, and more where the flow is fast.
        asked: the final time asked for, exactly, where the steps reach it; the clock rounds it.
    """

    segments: tuple[Segment, ...]
    bits: int
    clock: int
    asked: Fraction | None = None

    @property
    def end(self) -> Fraction:
        """The time up to which it reaches."""
        return Fraction(int(self.segments[-1].end), 1 << self.clock) if self.asked is None else self.asked

    @property
    def horizon(self) -> Mpf:
        """The same as an mpmath number."""
        return to_mpf(self.segments[-1].end, self.clock)

    @property
    def stored_digits(self) -> int:
        """Decimal digits after the point that states are stored with."""
        return ceil(self.bits * log10(2))

    @cached_property
    def _starts(self) -> list[mpz]:
        return [s.start for s in self.segments]

    def fixed(self, time: mpz) -> list[mpz]:
        """The state in fixed point (`bits` bits) at a time in fixed point (`clock` bits)."""
        segment = self.segments[max(0, bisect_right(self._starts, time) - 1)]
        s = (time - segment.start) >> (segment.tau + self.clock - self.bits)
        arithmetic = FixedSeries(self.bits)
        return [arithmetic.horner(c, s) for c in segment.coefficients]

    def __call__(self, time: Fraction) -> np.ndarray:
        """The state at a time, mpf values.

        Raises:
            ProblemError: the time lies outside [0, end], by more than the rounding of a number of 53 bits or more.
        """
        at = from_fraction(time, self.clock)
        if time < 0 or at > self.segments[-1].end + self._leeway:
            raise outside(time, self.end)
        return self._numbers(self.fixed(at))

    @property
    def _leeway(self) -> mpz:
        """How far beyond the end a time may lie: what rounding an end such as 7/10 to a float or an mpf moves it by.

        The last polynomial is as accurate there as at the end, since the leeway is a small part of its radius, which
        is more than 2^-30 of its unit 2^tau.
        """
        last = self.segments[-1]
        return min(last.end >> 50, mpz(1) << max(0, last.tau + self.clock - 40))

    def at_end(self) -> np.ndarray:
        """The state at the end, mpf values."""
        return self._numbers(self.fixed(self.segments[-1].end))

    def rounded(self, times: Sequence[Fraction]) -> np.ndarray:
        """The states at some times rounded to float64, one row a time."""
        return np.array([[float(v) for v in self(t)] for t in times], dtype=np.float64)

    def _numbers(self, state: list[mpz]) -> np.ndarray:
        values = np.empty(len(state), dtype=object)
        values[:] = [to_mpf(v, self.bits) for v in state]
        return values


@dataclass(frozen=True)
class FlowStats:
    """How a trajectory was computed by the Taylor method.

    Attributes:
        steps: number of Taylor steps.
        order: order of the method; where kinks force short steps, lower ones are used as well.
        bits: working precision, in bits after the point.
        local_tolerance_digits: each step's truncation error is below 10^-this.
        seconds: wall time of this run (without the one for the error estimate).
        check_seconds: wall time of the second run; 0 without one.
    """

    steps: int
    order: int
    bits: int
    local_tolerance_digits: int
    seconds: float
    check_seconds: float = 0.0

    @property
    def method(self) -> str:
        """The method and its steps in words."""
        return f"{self.steps} Taylor steps of order {self.order}"

    @property
    def remark(self) -> str:
        """Nothing: kinks are located."""
        return ""

    def facts(self) -> JsonObject:
        """The numbers that a report shows in addition to times."""
        return {"steps": self.steps, "order": self.order, "bits": self.bits}


def taylor_steps(trajectory: Trajectory) -> TaylorSteps:
    """The dense output of a trajectory that has its kinks located and all its digits.

    Raises:
        ProblemError: it was computed in float64.
    """
    dense = trajectory.dense
    if not isinstance(dense, TaylorSteps):
        raise ProblemError(
            "this needs a flow whose kinks are located and whose digits were asked for, got one in float64; solve it "
            "with sf.solve_flow"
        )
    return dense
