"""Descent theta_{k+1} = theta_k - eta grad f(theta_k) and its relatives, in float64 or with any number of digits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from math import ceil, log2, log10
from typing import Any

import mpmath
import numpy as np
from gmpy2 import mpz

from symflow.dynamics.method import Method
from symflow.dynamics.methods.gradient_descent import GradientDescent
from symflow.errors import ComputationError, DescentDiverged, ProblemError, brief, brief_float
from symflow.evaluate.jax_runtime import own_modes
from symflow.networks.objective import Objective
from symflow.numbers.arguments import positive, whole
from symflow.numbers.balls import midpoint
from symflow.numbers.fixed_point import to_mpf
from symflow.numbers.types import Mpf, Number
from symflow.paths.agreement import until_enough
from symflow.paths.aliases import with_old_names
from symflow.paths.certified.descent import Asked, Refused, certified_states, largest_radius
from symflow.paths.float64.arguments import check_underflow
from symflow.paths.iterates import GUARD, DescentStats, Iterates
from symflow.paths.loops import diverged, fixed_states, float64_stepper, padded_gaps
from symflow.paths.path_error import How, PathError, error_wanted
from symflow.paths.sampling import to_float
from symflow.paths.scale import log10_of, needed_digits
from symflow.paths.solver import MAX_DPS
from symflow.paths.trajectory import Trajectory
from symflow.problem import Problem
from symflow.problem.arguments import as_problem

CHECK_BITS = 34
"""Further bits of the second run, whose difference from the first is the error estimate."""
MAX_STEPS = 5_000_000
"""Most steps of a multiprecision run (about half a minute per million on a small network)."""
MAX_KEPT = 10_000_000
UNRELATED = 1e-3
"""A relative difference beyond says nothing of how many digits are missing."""


@with_old_names
def descend(
    problem: Problem,
    *,
    step_size: Number | None = None,
    steps: int,
    dps: int | None = None,
    every: int = 1,
    keep: Sequence[int] | None = None,
    method: Method | None = None,
    error: How | None = "certified",
    progress: Callable[[float], None] | None = None,
) -> Trajectory:
    """theta_{k+1} = theta_k - eta grad f(theta_k), theta_0 = theta0: runs full-batch descent.

    Args:
        problem: what to minimize.
        step_size: eta (text, a rational or mpmath number, or a float, which means its shortest decimal: 0.01 is 1/100);
            the problem's own if left out.
        steps: how many steps.
        dps: None for float64 through JAX; otherwise the number of digits: |error| <= 10^-dps max(1, |value|) in each
            component of each kept iterate. More are carried where weights or data are tiny, where steps times step
            size is large, and where descent amplifies rounding.
        every: keep one step in this many (and the last).
        keep: exactly which steps to keep, from 0 to `steps`, instead of `every`; 0 and the last are added.
        method: the recursion, such as `sf.HeavyBall("9/10")`; `sf.GradientDescent()` if left out.
        error: of a multiprecision run. "certified": it is computed in balls, from the exact start with the exact step
            size; |error| <= `error.value` is proved. Where that is not possible (a pre-activation whose sign cannot be
            decided, an error bound that grows too fast) the error is estimated, and `error.reason` says why.
            "estimated": a second run is made with ten more digits, some of whose iterates are moved by a few units in
            the first run's last place; more guard digits are taken until the two agree to `dps`. None: neither.
        progress: called with the fraction of the work that is done, from 0 to 1 (multiprecision runs); it spans both
            runs where there are two.

    Returns:
        A `Trajectory`: theta_k in `iterates`, shape (K, P), for the K kept steps k in `indices` (v_k in `velocity`,
        where the method has one); float64 or, with `dps`, object arrays of mpf.

    Raises:
        ProblemError: no step size, or a number that is not valid.
        DescentDiverged: the iterates grow without limit; a `ComputationError`.
        ComputationError: the digits cannot be reached, the gradient is not finite on the way, or weights or data are
            outside the range of float64.

    Source: gradient descent: Cauchy 1847, compared with its flow in Elkabetz & Cohen 2021, R4; heavy ball: Polyak 1964.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]},
        ...                      init={"theta": ["1/2", 1]})
        >>> sf.descend(problem, step_size="1/10", steps=2).iterates
        array([[0.5       , 1.        ],
               [0.55      , 1.025     ],
               [0.59471563, 1.04899375]])
        >>> run = sf.descend(problem, step_size="1/10", steps=100, dps=20)
        >>> run.error.how, run.error.value < 1e-20, round(run(10)[0] * run(10)[1], 6)
        ('certified', True, 1.0)
    """
    return run_descent(problem, step_size, steps, dps, every, keep, method, error_wanted(error), progress)


def run_descent(
    problem: Problem,
    step_size: Number | None,
    steps: int,
    dps: int | None,
    every: int = 1,
    keep: Sequence[int] | None = None,
    method: Method | None = None,
    error: How | None = "certified",
    progress: Callable[[float], None] | None = None,
    whole_path: bool = False,
) -> Trajectory:
    """What `descend` does; `whole_path` also gives every step of a multiprecision run in float64 (`Iterates.path`)."""
    problem = as_problem(problem, "descend")
    eta = positive_step(problem, step_size)
    steps, every = whole(steps, "steps", 1), whole(every, "every", 1)
    kept = range(0, steps, every) if keep is None else _kept(keep, steps)
    method = checked_method(method)
    if dps is not None:
        dps = whole(dps, "dps", 1, MAX_DPS, otherwise="None (float64)")
        check_steps(steps, ", or float64 (dps=None)")
        problem = problem.for_digits(dps)
    if len(kept) > MAX_KEPT:
        raise ProblemError(f"at most {MAX_KEPT} iterates can be kept, got {len(kept)}; choose a larger every")
    run = _Run(problem, method, eta, sorted({0, steps, *kept}), progress, whole_path)
    return run.float64() if dps is None else run.digits(dps, error)


def checked_method(method: object) -> Method:
    """The method given, gradient descent for None.

    Raises:
        ProblemError: something else.
    """
    if method is None:
        return GradientDescent()
    if not isinstance(method, Method):
        raise ProblemError(f'method must be a Method such as sf.HeavyBall("9/10"), got {brief(method)}')
    return method


@dataclass
class _Run:
    """A run that was asked for."""

    problem: Problem
    method: Method
    eta: Fraction
    indices: list[int]
    progress: Callable[[float], None] | None
    whole_path: bool

    @property
    def objective(self) -> Objective:
        """What is evaluated."""
        return self.problem.compact

    def path(self, arrays: Sequence[np.ndarray], dps: int | None, error: PathError | None, stats: DescentStats,
             every: np.ndarray | None = None) -> Trajectory:  # fmt: skip
        """The record, from theta_k and what the method carries."""
        carried = dict(zip(self.method.carries, arrays[1:], strict=True))
        steps = Iterates(self.method, self.eta, tuple(self.indices), arrays[0], carried, dps, every)
        return Trajectory(self.problem.objective, steps, dps, (), error, stats)

    def float64(self) -> Trajectory:
        """In float64."""
        started = time.perf_counter()
        start, step = float64_start(self.objective, self.problem.theta0, self.eta, self.indices[-1])
        gaps = np.diff(np.array(self.indices, dtype=np.int64))
        with within_float64(), own_modes():
            # Gaps of 0 steps up to a power of two: runs of similar length share one compilation.
            found = float64_stepper(self.objective, self.method)(start, step, padded_gaps(gaps, len(gaps)))
        starts = (start, *(np.zeros_like(start) for _ in self.method.carries))
        arrays = [np.vstack([s[None, :], np.asarray(x)[: len(gaps)]]) for s, x in zip(starts, found, strict=True)]
        bad = ~np.isfinite(arrays[0]).all(axis=1)
        if bad.any():
            raise diverged(self.indices[int(np.argmax(bad))], self.eta)
        stats = DescentStats(self.indices[-1], self.method.name, None, time.perf_counter() - started)
        return self.path(arrays, None, None, stats)

    def digits(self, dps: int, wanted: How | None) -> Trajectory:
        """With digits.

        Raises:
            ComputationError: see `descend`.
        """
        last = self.indices[-1]
        every = np.empty((last + 1, len(self.problem.theta0))) if self.whole_path else None
        if every is not None:
            every[0] = [float(v) for v in self.problem.theta0]
        reach = self.eta * last * (self.method.flow_rate or 1)
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
        seen = self.watcher(every, (0.0, 1.0), lambda states: [float(x) for x in states])
        asked = Asked(self.objective, self.method, self.problem.theta0, self.eta, self.indices, dps, seen)
        found = certified_states(asked, self.working_bits(digits))
        if isinstance(found, Refused):
            return found
        stats = DescentStats(self.indices[-1], self.method.name, found.bits, time.perf_counter() - clock)
        error = PathError(largest_radius(found.states), "certified")
        return self.path(self.arrays(found.states, midpoint), dps, error, stats, every)

    def working_bits(self, digits: int) -> int:
        """Bits for digits after the point and what the roundings of all steps add up to."""
        return ceil((digits + log10(self.indices[-1] + 1)) * log2(10))

    def estimated(self, dps: int, digits: int, every: np.ndarray | None, wanted: bool, reason: str) -> Trajectory:
        """In fixed point: pairs of runs until two of them agree, or one run if no error is wanted."""
        used = 0

        def attempt(digits: int) -> tuple[Trajectory | None, int]:
            nonlocal used
            used, clock, bits = digits, time.perf_counter(), self.working_bits(digits)
            states = self.fixed(bits, (0.0, 0.5 if wanted else 1.0), every=every)
            stats = DescentStats(self.indices[-1], self.method.name, bits, time.perf_counter() - clock)
            arrays = partial(self.arrays, states, partial(to_mpf, bits=bits))
            if not wanted:
                return self.path(arrays(), dps, None, stats, every), digits
            clock = time.perf_counter()
            try:
                check = self.fixed(bits + CHECK_BITS, (0.5, 1.0), shaken=CHECK_BITS)
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

    def watcher(
        self, every: np.ndarray | None, share: tuple[float, float], floats: Callable[[list[Any]], list[float]]
    ) -> Callable[[int, list[Any]], None] | None:
        """What is told every state: it keeps the whole path, and reports progress as a part of all."""
        count, last, wanted = len(self.problem.theta0), self.indices[-1], set(self.indices)
        report, (low, high) = self.progress, share
        reached = low

        def seen(k: int, state: list[Any]) -> None:
            if every is not None:
                every[k] = floats(state[:count])
            nonlocal reached
            if report is not None and (k in wanted or k % 256 == 0):
                reached = max(reached, low + (high - low) * k / last)  # a run may be made again
                report(reached)

        return None if every is None and report is None else seen

    def fixed(
        self, bits: int, share: tuple[float, float], *, shaken: int | None = None, every: np.ndarray | None = None
    ) -> list[list[mpz]]:
        """One run in fixed point, which is a part of what progress is reported of."""
        watched = self.watcher(every, share, lambda values: [to_float(v, bits) for v in values])
        arguments = (self.objective, self.method, self.problem.theta0, self.eta, self.indices, bits)
        return fixed_states(*arguments, shaken=shaken, seen=watched)

    def arrays(self, states: list[list[Any]], number: Callable[[Any], Mpf]) -> list[np.ndarray]:
        """theta_k and what the method carries as mpf, one array each; `number` makes one of an entry."""
        flat = np.empty((len(states), len(states[0])), dtype=object)
        for row, values in enumerate(states):
            flat[row, :] = [number(v) for v in values]
        return np.split(flat, 1 + len(self.method.carries), axis=1)


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


def check_steps(steps: int, otherwise: str = "") -> None:
    """Refuses more steps than a multiprecision run can make.

    Args:
        steps: how many.
        otherwise: what else the caller can do.
    """
    if steps > MAX_STEPS:
        raise ProblemError(
            f"{brief(steps)} steps are too many for multiprecision descent (at most {MAX_STEPS}); choose a larger step "
            f"size or a shorter horizon{otherwise}"
        )


def _kept(keep: Sequence[int], steps: int) -> list[int]:
    """The steps to keep, as plain integers."""
    if not isinstance(keep, Iterable):
        raise ProblemError(f"keep must be a list of steps, got {brief(keep)}")
    wanted = []
    for k in keep:
        integer = isinstance(k, int | np.integer) and not isinstance(k, bool)
        if not integer or not 0 <= k <= steps:
            raise ProblemError(f"keep must hold whole numbers from 0 to the number of steps, {steps}, got {brief(k)}")
        wanted.append(int(k))
    return wanted


def positive_step(problem: Problem, step_size: object) -> Fraction:
    """The step size given or the problem's own, as a positive rational."""
    given = problem.step_size if step_size is None else step_size
    if given is None:
        raise ProblemError("run.step_size: descent needs a step size, got none; give step_size=... or run.step_size")
    return positive(given, "step_size")
