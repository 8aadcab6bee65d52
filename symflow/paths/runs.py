"""One run of descent in float64, balls, fixed point or exact rationals, and what is known of its error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, partial
from itertools import accumulate
from math import ceil, log2, log10
from typing import Any

import mpmath
import numpy as np
from gmpy2 import mpz

from symflow.dynamics.method import Method, state_sizes
from symflow.errors import ComputationError, DescentDiverged, brief_float
from symflow.evaluate.jax_runtime import own_modes
from symflow.networks.objective import Objective
from symflow.numbers.fixed_point import to_mpf
from symflow.numbers.types import Mpf
from symflow.paths.agreement import until_enough
from symflow.paths.certified.descent import Asked, Refused, certified_states
from symflow.paths.fixed_descent import Seen, fixed_states
from symflow.paths.float64.arguments import NORMAL, check_underflow
from symflow.paths.float_descent import float_states, float_step
from symflow.paths.iterates import GUARD, DescentStats, Iterates
from symflow.paths.jax_steps import float64_stepper, jax_slopes, padded_gaps
from symflow.paths.loops import MethodStep, Steps, diverged, exact_states, fraction
from symflow.paths.path_error import CHECK, How, PathError
from symflow.paths.scale import log10_of, needed_digits
from symflow.paths.trajectory import Trajectory
from symflow.problem import Problem
from symflow.progress import Reporter

CHECK_BITS = 34
"""Further bits of the second run, whose difference from the first is the error estimate."""
EPS = float(np.finfo(np.float64).eps)
TELL = 0.1
"""Seconds between two reports of progress."""
SHORT = 16
"""Kept iterates of runs in float64 up to which all share one compilation."""
UNRELATED = 1e-3
"""A relative difference beyond says nothing of how many digits are missing."""


def nudged_error(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Twice the largest difference of two runs of each path (B, S, P), and rounding; shape (B,)."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(2 * (np.abs(first - second).max(axis=(1, 2)) + EPS * np.abs(first).max(axis=(1, 2))))


@dataclass
class Run:
    """A run that was asked for."""

    problem: Problem
    method: Method
    eta: Fraction
    indices: list[int]
    report: Reporter
    whole_path: bool

    @property
    def objective(self) -> Objective:
        """What is evaluated: for batches the samples themselves, not their moments."""
        return self.problem.compact if self.method.batches is None else self.problem.objective

    @property
    def repeated(self) -> Steps:
        """What is done in every step."""
        return Steps(self.objective, self.method, self.eta, self.indices[-1])

    def path(self, arrays: Sequence[np.ndarray], dps: int | None, error: PathError | None, stats: DescentStats,
             every: np.ndarray | None = None) -> Trajectory:  # fmt: skip
        """The record, from theta_k and what the method carries."""
        names = (*self.method.carries, *self.method.counts)
        found = zip(names, arrays[1:], strict=True)
        carried = {name: a if name in self.method.carries else a.reshape(len(a)) for name, a in found}
        steps = Iterates(self.method, self.eta, tuple(self.indices), arrays[0], carried, dps, every)
        return Trajectory(self.problem.objective, steps, dps, (), error, stats)

    def float64(self, estimate: bool = False) -> Trajectory:
        """In float64; its error from a second run in which every iterate is moved by one unit in the last place."""
        run = self.nudged(np.zeros(len(self.problem.theta0)) if estimate else None)
        if not estimate:
            return run
        clock = time.perf_counter()
        away = EPS * np.where(np.arange(len(self.problem.theta0)) % 2 == 0, 1.0, -1.0)
        error = nudged_error(run.iterates[None], self.nudged(away).iterates[None])[0]
        assert isinstance(run.stats, DescentStats)
        stats = replace(run.stats, check_seconds=time.perf_counter() - clock)
        return replace(run, error=PathError(mpmath.mpf(float(error)), "estimated"), stats=stats)

    def nudged(self, nudge: np.ndarray | None) -> Trajectory:
        """In float64, every iterate moved by this much of itself."""
        started = time.perf_counter()
        start, step = float64_start(self.objective, self.problem.theta0, self.eta, self.indices[-1])
        check_settings(self.method)
        with within_float64():
            short = self.short_step
            if short is None:
                arrays = self.compiled(start, step, nudge)
            else:
                ends = np.cumsum(state_sizes(self.method, len(start)))
                arrays = np.split(float_states(self.repeated, short, start, self.indices, nudge), ends[:-1], axis=1)
        bad = ~np.isfinite(arrays[0]).all(axis=1)
        if bad.any():
            raise diverged(self.indices[int(np.argmax(bad))], self.eta, self.method)
        stats = DescentStats(self.indices[-1], self.method.called, None, time.perf_counter() - started)
        return self.path(arrays, None, None, stats)

    @cached_property
    def short_step(self) -> MethodStep | None:
        """A step in float64 number by number; None for long runs, which JAX compiles."""
        return float_step(self.repeated)

    def compiled(self, start: np.ndarray, step: np.float64, nudge: np.ndarray | None) -> list[np.ndarray]:
        """The kept states by JAX: theta_k and what the method carries, an array each."""
        gaps = np.diff(np.array(self.indices, dtype=np.int64))
        with own_modes():
            table = jax_slopes(self.objective, self.method).table(self.indices[-1])
            run = float64_stepper(self.objective, self.method)
            # Gaps of 0 steps up to a power of two: runs of similar length share one compilation.
            found = run(start, step, padded_gaps(gaps, max(len(gaps), SHORT)), nudge, table)
        starts = [start, *(np.zeros(size) for size in state_sizes(self.method, len(start))[1:])]
        rows = [np.asarray(x)[: len(gaps)].reshape(len(gaps), -1) for x in found]
        return [np.vstack([s[None, :], x]) for s, x in zip(starts, rows, strict=True)]

    def exact(self) -> Trajectory:
        """In rationals."""
        started = time.perf_counter()
        states = exact_states(self.repeated, self.problem.theta0, self.indices)
        stats = DescentStats(self.indices[-1], self.method.called, None, time.perf_counter() - started)
        return self.path(self.arrays(states, fraction), None, PathError(mpmath.mpf(0), "certified"), stats)

    def digits(self, dps: int, wanted: How | None) -> Trajectory:
        """With digits.

        Raises:
            ComputationError: see `descend`.
        """
        last = self.indices[-1]
        every = np.empty((last + 1, len(self.problem.theta0))) if self.whole_path else None
        if every is not None:
            every[0] = [float(v) for v in self.problem.theta0]
        reach = self.eta * last * (self.method.speed or 1)
        digits = working_digits(self.objective, self.problem.theta0, reach, dps)
        reason = ""
        if wanted == "certified":
            found = self.certified(dps, digits, every)
            if isinstance(found, Trajectory):
                return found
            reason = found.reason
        return self.estimated(dps, digits, every, wanted is not None, reason)

    def certified(self, dps: int, digits: int, every: np.ndarray | None) -> Trajectory | Refused:
        """In balls."""
        clock = time.perf_counter()
        asked = Asked(self.repeated, self.problem.theta0, self.indices, dps, self.watcher(every, self.report))
        found = certified_states(asked, self.working_bits(digits))
        if isinstance(found, Refused):
            return found
        stats = DescentStats(self.indices[-1], self.method.called, found.bits, time.perf_counter() - clock)
        error = PathError(found.error, "certified")
        return self.path(self.arrays(found.states), dps, error, stats, every)

    def working_bits(self, digits: int) -> int:
        """Bits for digits after the point and what the roundings of all steps add up to."""
        return ceil((digits + log10(self.indices[-1] + 1)) * log2(10))

    def estimated(self, dps: int, digits: int, every: np.ndarray | None, wanted: bool, reason: str) -> Trajectory:
        """In fixed point: pairs of runs until two of them agree, or one run if no error is wanted."""
        used = 0

        def attempt(digits: int) -> tuple[Trajectory | None, int]:
            nonlocal used
            used, clock, bits = digits, time.perf_counter(), self.working_bits(digits)
            states = self.fixed(bits, self.report.part(0, 0.5 if wanted else 1), every=every)
            stats = DescentStats(self.indices[-1], self.method.called, bits, time.perf_counter() - clock)
            arrays = partial(self.arrays, states, partial(to_mpf, bits=bits))
            if not wanted:
                return self.path(arrays(), dps, None, stats, every), digits
            clock = time.perf_counter()
            try:
                check = self.fixed(bits + CHECK_BITS, self.report.part(0.5, 1, CHECK), shaken=CHECK_BITS)
            except DescentDiverged:  # what lies below the first run's last place decides
                return None, 2 * digits
            error, relative = _compared(states, check, bits)
            if relative <= mpmath.mpf(10) ** -dps:
                stats = replace(stats, check_seconds=time.perf_counter() - clock)
                return self.path(arrays(), dps, PathError(error, "estimated", reason), stats, every), digits
            if relative < UNRELATED:
                return None, digits + dps + ceil(float(mpmath.log10(relative))) + GUARD
            return None, 2 * digits

        found, _ = until_enough(attempt, digits)
        if found is None:
            raise ComputationError(
                f"{dps} digits of {self.indices[-1]} steps of descent could not be reached with {used} working digits; "
                "it amplifies rounding too strongly, choose fewer steps or a smaller step size"
            )
        return found

    def watcher(self, every: np.ndarray | None, report: Reporter) -> Seen | None:
        """What is told of every step: it keeps the whole path, and reports now and then."""
        count, last, wanted = len(self.problem.theta0), self.indices[-1], {2, *self.indices}
        told = time.perf_counter()

        def seen(first: int, steps: int, floats: Callable[[], np.ndarray]) -> None:
            if every is not None:
                every[first : first + steps] = floats()[:, :count]
            nonlocal told
            now, k = time.perf_counter(), first + steps - 1
            if now - told > TELL or not wanted.isdisjoint(range(first, first + steps)):
                told = now
                report(k / last, k, f"step {k} of {last}")

        return None if every is None and report.silent else seen

    def fixed(
        self, bits: int, report: Reporter, *, shaken: int | None = None, every: np.ndarray | None = None
    ) -> list[list[mpz]]:
        """One run in fixed point, which is a part of what progress is reported of."""
        arguments = (self.repeated, self.problem.theta0, self.indices, bits)
        return fixed_states(*arguments, shaken=shaken, seen=self.watcher(every, report))

    def arrays(self, states: list[list[Any]], number: Callable[[Any], Any] | None = None) -> list[np.ndarray]:
        """theta_k and what the method carries as numbers, one array each; `number` makes one of an entry."""
        flat = np.empty((len(states), len(states[0])), dtype=object)
        for row, values in enumerate(states):
            flat[row, :] = values if number is None else [number(v) for v in values]
        ends = list(accumulate(state_sizes(self.method, len(self.problem.theta0))))
        return np.split(flat, ends[:-1], axis=1)


@contextmanager
def within_float64() -> Iterator[None]:
    """Data beyond float64 become the library's error."""
    try:
        yield
    except OverflowError:
        raise ComputationError(
            "the data and the objective's constants must be within float64, got larger ones; run descent with digits "
            "(dps=...)"
        ) from None


def float64_start(
    objective: Objective, theta0: Sequence[Fraction], eta: Fraction, steps: int
) -> tuple[np.ndarray, np.float64]:
    """theta_0 and eta in float64.

    Raises:
        ComputationError: they, or the data, are beyond float64 or are lost in it.
    """
    try:
        start = np.array([float(v) for v in theta0], dtype=np.float64)
    except OverflowError:
        raise ComputationError("theta0 is beyond float64; run descent with digits (dps=...)") from None
    try:
        step = np.float64(float(eta))
    except OverflowError:
        step = np.float64(np.inf)
    if not 0 < step < np.inf:
        raise ComputationError(
            f"step_size must be within float64, got {brief_float(eta)}; run descent with digits (dps=...)"
        )
    with within_float64():
        check_underflow(objective, theta0, float(step) * steps)
    return start, step


def check_settings(method: Method) -> None:
    """Refuses settings that compiled code takes for 0: an epsilon that is one then divides 0 by 0.

    Raises:
        ComputationError: there are such.
    """
    for name, value in method.settings().items():
        if isinstance(value, Fraction) and 0 < abs(value) < NORMAL:
            raise ComputationError(
                f"{name} must be 0 or at least {float(NORMAL):.3g} in float64, got {brief_float(value)}; run descent "
                "with digits (dps=...)"
            )


def working_digits(objective: Objective, theta0: Sequence[Fraction], time: Fraction, dps: int) -> int:
    """Digits after the point with which descent starts: what every velocity loses lasts for steps times step size."""
    return needed_digits(objective, theta0, dps) + GUARD + max(0, ceil(log10_of(time)))


def _compared(fixed: list[list[mpz]], check: list[list[mpz]], bits: int) -> tuple[Mpf, Mpf]:
    """Twice the largest difference of two runs, and the same over max(1, |value|); each with one unit of rounding."""
    one = mpz(1) << (bits + CHECK_BITS)
    largest, relative = mpz(0), mpz(0)
    for x, y in zip(fixed, check, strict=True):
        for a, b in zip(x, y, strict=True):
            difference = abs((a << CHECK_BITS) - b)
            largest = max(largest, difference)
            relative = max(relative, difference if abs(b) <= one else difference * one // abs(b))
    unit = mpz(1) << CHECK_BITS
    return to_mpf(2 * largest + unit, bits + CHECK_BITS), to_mpf(2 * relative + unit, bits + CHECK_BITS)
