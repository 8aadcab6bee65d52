"""The one trajectory type: callable at any time, dense output, error estimate, events, statistics."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal

import numpy as np

from symflow.compile.fixed import FixedSeries
from symflow.compile.numbers import from_fraction, to_mpf
from symflow.errors import ProblemError, brief
from symflow.problem.numbers import rational
from symflow.symbolic.objective import Objective
from symflow.trajectory.stops import Stopped
from symflow.trajectory.times import linear_times, log_times


@dataclass(frozen=True)
class Event:
    """A change of a gate along a trajectory.

    Attributes:
        time: when, with all digits.
        kind: "crossing"; "sliding" where the gate begins to be held on its kink and "leaving" where that ends;
            "revival" and "inert" where a deeper gate begins and ceases to act.
        sample: counted from 0.
        layer: counted from 1.
        unit: counted from 0.
        gate_before: sigma' before the event; None where the gate was inert or sliding.
        gate_after: sigma' after it; an mpf where it slides, None where it is inert.
    """

    time: Any
    kind: str
    sample: int
    layer: int
    unit: int
    gate_before: Any
    gate_after: Any


@dataclass(frozen=True)
class Segment:
    """One Taylor step: state(t) = sum_k c_k s^k with s = (t - start) / 2^tau, all in fixed point.

    Start and end have the trajectory's `clock` bits after the point, the coefficients its `bits`.
    """

    start: Any
    end: Any
    tau: int
    coefficients: tuple[list[Any], ...]


@dataclass(frozen=True)
class FlowStats:
    """How a trajectory was computed.

    Attributes:
        steps: Taylor steps.
        order: order of the method.
        bits: working precision in bits after the point.
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


@dataclass(frozen=True)
class Trajectory:
    """A solution with dense output.

    Attributes:
        objective: what flows.
        segments: the Taylor steps.
        bits: fixed-point precision of the stored coefficients.
        clock: fixed-point precision of times; at least `bits`, and more where the flow is fast.
        dps: the digits that were asked for.
        events: gate changes in order of time.
        error_estimate: estimated largest absolute error of any component at any time (an mpmath number), from a
            second run at other order and precision; None if none was made.
        stats: how it was computed.
        conditions: the stop conditions that were asked for, in words.
        stopped: which of them ended it and when; None where none was met.
        incomplete: why it ends before the horizon asked for, where no condition did that; empty where it does not.
    """

    objective: Objective
    segments: tuple[Segment, ...]
    bits: int
    clock: int
    dps: int
    events: tuple[Event, ...]
    error_estimate: Any
    stats: FlowStats
    conditions: tuple[str, ...] = ()
    stopped: Stopped | None = None
    incomplete: str = ""

    @property
    def horizon(self) -> Any:
        """The time up to which the trajectory is known, an mpmath number."""
        return to_mpf(self.segments[-1].end, self.clock)

    @cached_property
    def _starts(self) -> list[Any]:
        return [s.start for s in self.segments]

    def state_fixed(self, time: Any) -> list[Any]:
        """The state in fixed point (`bits` bits) at a time in fixed point (`clock` bits).

        Raises:
            ValueError: the time lies outside [0, horizon].
        """
        last = self.segments[-1].end
        if not 0 <= time <= last:
            shown = float(to_mpf(time, self.clock))
            raise ValueError(
                f"time must lie in [0, {float(self.horizon):.6g}], got {shown:.6g}; solve to a later horizon"
            )
        segment = self.segments[max(0, bisect_right(self._starts, time) - 1)]
        s = (time - segment.start) >> (segment.tau + self.clock - self.bits)
        arithmetic = FixedSeries(self.bits)
        return [arithmetic.horner(c, s) for c in segment.coefficients]

    def __call__(self, time: Any) -> np.ndarray:
        """The state at a time (string, rational, mpmath number, or float meaning its binary value): mpf values.

        Raises:
            ValueError: the time lies outside [0, horizon].
        """
        fixed = from_fraction(rational(time, "time"), self.clock)
        return self._numbers(self.state_fixed(fixed))

    def _numbers(self, state: list[Any]) -> np.ndarray:
        values = np.empty(len(state), dtype=object)
        values[:] = [to_mpf(v, self.bits) for v in state]
        return values

    def at_end(self) -> np.ndarray:
        """The state at the horizon: mpf values."""
        return self._numbers(self.state_fixed(self.segments[-1].end))

    def weights(self, time: Any) -> list[np.ndarray]:
        """The parameter arrays at a time, object arrays of mpf."""
        return self.weights_of(self(time))

    def weights_of(self, state: np.ndarray) -> list[np.ndarray]:
        """Cuts a state into the parameter arrays."""
        return [state[where].reshape(shape) for where, shape in self.objective.slices()]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the trajectory with all its digits; `symflow.load_trajectory` reads it back."""
        from symflow.trajectory.storage import save_trajectory

        save_trajectory(self, path)

    def end_to_end(self, time: Any) -> np.ndarray:
        """The product W_n ... W_1 at a time, computed with `dps` digits and some guard digits.

        Raises:
            ValueError: the objective is not a network's.
        """
        if self.objective.network is None:
            raise ValueError("only a network has an end-to-end matrix; use the trajectory's values directly")
        import mpmath

        with mpmath.workdps(self.dps + 15):
            product, *rest = self.weights(time)
            for w in rest:
                product = w.dot(product)
        return product

    def grid(self, count: int, spacing: Literal["linear", "log"] = "linear", start: Any = None) -> tuple[Fraction, ...]:
        """Times from `start` to the horizon, exact rationals to call the trajectory with.

        Args:
            count: how many.
            spacing: "linear" (start left out: 0), or "log" (start needed); see `linear_times` and `log_times`.
            start: the first of them.

        Raises:
            ProblemError: another spacing, no start of a logarithmic grid, or a grid that is none.
        """
        if spacing not in ("linear", "log"):
            raise ProblemError(f'spacing must be "linear" or "log", got {brief(spacing)}')
        if spacing == "log" and start is None:
            raise ProblemError("a logarithmic grid needs a positive start, got none; give start=...")
        end = Fraction(int(self.segments[-1].end), 1 << self.clock)
        return linear_times(start or 0, end, count) if spacing == "linear" else log_times(start, end, count)

    def numpy(self, times: Sequence[Any]) -> np.ndarray:
        """The state at many times rounded to float64, one row a time."""
        return np.array([[float(v) for v in self(t)] for t in times], dtype=np.float64)

    def __repr__(self) -> str:
        import mpmath

        if self.error_estimate is None:
            error = "no error estimate"
        else:  # may lie far below the smallest float
            error = f"estimated error {mpmath.nstr(self.error_estimate, 2, min_fixed=1, max_fixed=1)}"
        if self.stopped is not None:
            ended = f", stopped where the {self.stopped.condition}"
        else:
            ended = f", not met: {'; '.join(self.conditions)}" if self.conditions else ""
        if self.incomplete:
            ended += f", incomplete: {self.incomplete}"
        return (
            f"<Trajectory to t={float(self.horizon):.6g}, {self.dps} digits, {error}, "
            f"{len(self.events)} events, {self.stats.steps} steps{ended}>"
        )
