"""Gradient descent theta_{k+1} = theta_k - eta grad f(theta_k), in float64 through JAX or with any number of digits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil, log2, log10
from typing import Any

import mpmath
import numpy as np
from gmpy2 import mpz

from symflow.dynamics.vector_field import gradient_flow_field
from symflow.errors import ComputationError, DescentDiverged, ProblemError, brief, brief_float
from symflow.evaluate.fixed_point import FixedArrays
from symflow.evaluate.interpret import interpret
from symflow.evaluate.jax_runtime import own_modes
from symflow.evaluate.scalar_code import unrolled
from symflow.networks.objective import Objective
from symflow.numbers.arguments import positive, whole
from symflow.numbers.fixed_point import from_fraction, to_mpf
from symflow.numbers.rational import rational
from symflow.paths.float64.arguments import check_underflow
from symflow.paths.flow import MAX_DPS
from symflow.paths.scale import log10_of, needed_digits
from symflow.problem import Problem
from symflow.problem.arguments import as_problem

GUARD = 12
"""Digits carried beyond those asked for and those that `working_digits` finds necessary, at first."""
CHECK_BITS = 34
"""Further bits of the second run, whose difference from the first is the error estimate."""
SHAKES = 16
"""How often the second run is moved by what the first one may have lost since the last time."""
MOVES = (1, -2, 3, -1, 2, -3)
"""By how many times what is lost the components are moved in turn."""
ATTEMPTS = 6
"""Most pairs of runs, each with more guard digits than the one before."""
MAX_STEPS = 5_000_000
"""Most steps of a multiprecision run (about half a minute per million on a small network)."""
DIVERGED_BITS = 600
"""A parameter above 2^600 counts as divergence, or above 2 to as many bits as are carried: tiny data want more."""
MAX_KEPT = 10_000_000
UNRELATED = 1e-3
"""A relative difference beyond says nothing of how many digits are missing."""


@dataclass(frozen=True)
class Descent:
    """theta_0, theta_1, ...: iterates of gradient descent theta_{k+1} = theta_k - eta grad f(theta_k).

    Attributes:
        objective: what is minimized.
        step_size: eta, an exact `Fraction`.
        indices: the K steps k that are kept, increasing, starting with 0.
        iterates: theta_k for these k, shape (K, P): float64, or an object array of mpf.
        dps: digits of a multiprecision run, None for float64.
        error_estimate: estimated largest absolute error of a kept component (mpf), from a second run with more
            digits, some of whose iterates are moved by the rounding of the first one; None for float64 or without one.
    """

    objective: Objective
    step_size: Fraction
    indices: tuple[int, ...]
    iterates: np.ndarray
    dps: int | None
    error_estimate: Any

    @property
    def times(self) -> tuple[Fraction, ...]:
        """k eta for the kept steps, exactly."""
        return tuple(k * self.step_size for k in self.indices)

    def __call__(self, time: Any) -> np.ndarray:
        """theta_k + (t/eta - k)(theta_{k+1} - theta_k), k = floor(t/eta): linear interpolation of the iterates (R3).

        Args:
            time: t, at most the last kept step times eta.

        Returns:
            An array of shape (P,), of the same number type as the iterates.

        Raises:
            ValueError: a step adjacent to the time was not kept.
        """
        k, rest = divmod(rational(time, "time") / self.step_size, 1)
        where = {index: row for row, index in enumerate(self.indices)}
        if int(k) not in where or (rest and int(k) + 1 not in where):
            raise ProblemError(f"the iterates around step {float(k + rest):.6g} were not kept; descend with every=1")
        here = self.iterates[where[int(k)]]
        if not rest:
            return here
        there = self.iterates[where[int(k) + 1]]
        if self.dps is None:
            return here + float(rest) * (there - here)
        import mpmath

        with mpmath.workdps(self.dps + GUARD):
            return here + (there - here) * (mpmath.mpf(rest.numerator) / rest.denominator)

    def __repr__(self) -> str:
        digits = "float64" if self.dps is None else f"{self.dps} digits"
        return f"<Descent of {self.indices[-1]} steps of {self.step_size}, {digits}, {len(self.indices)} kept>"


def descend(
    problem: Problem,
    *,
    step_size: Any = None,
    steps: int,
    dps: int | None = None,
    every: int = 1,
    keep: Sequence[int] | None = None,
    estimate_error: bool = True,
    progress: Callable[[float], None] | None = None,
) -> Descent:
    """theta_{k+1} = theta_k - eta grad f(theta_k), theta_0 = theta0: runs full-batch gradient descent.

    Args:
        problem: what to minimize.
        step_size: eta (text, a rational or mpmath number, or a float, which means its shortest decimal: 0.01 is 1/100);
            the problem's own if left out.
        steps: how many steps.
        dps: None for float64 through JAX; otherwise the number of digits: |error| <= 10^-dps max(1, |value|) in each
            component of each kept iterate. More are carried where weights or data are tiny, where steps times step
            size is large, and where descent amplifies rounding.
        every: keep every so many steps (and the last).
        keep: exactly which steps to keep, from 0 to `steps`, instead of `every`; 0 and the last are added.
        estimate_error: for a multiprecision run, make a second one with ten more digits, some of whose iterates are
            moved by a few units in the first run's last place; more guard digits are taken until the two agree to
            `dps`.
        progress: called with the fraction of the work that is done, from 0 to 1 (multiprecision runs); it spans both
            runs (descent and the run for its error estimate).

    Returns:
        A `Descent`: `iterates` has one row of P numbers per kept step, in float64 or, with `dps`, in mpf.

    Raises:
        ProblemError: no step size, or a number that is not valid.
        DescentDiverged: the iterates grow without limit; a `ComputationError`.
        ComputationError: the digits cannot be reached, the gradient is not finite on the way, or weights or data are
            outside the range of float64.

    Source: Cauchy 1847; compared with gradient flow in Elkabetz & Cohen 2021, R4.
    """
    problem = as_problem(problem, "descend")
    eta = positive_step(problem, step_size)
    steps, every = whole(steps, "steps", 1), whole(every, "every", 1)
    kept = range(0, steps, every) if keep is None else _kept(keep, steps)
    if dps is not None:
        dps = whole(dps, "dps", 1, MAX_DPS, otherwise="None (float64)")
        check_steps(steps, ", or float64 (dps=None)")
        problem = problem.for_digits(dps)
    if len(kept) > MAX_KEPT:
        raise ProblemError(f"at most {MAX_KEPT} iterates can be kept, got {len(kept)}; choose a larger every")
    indices = sorted({0, steps, *kept})
    objective = problem.compact
    if dps is None:
        iterates = _descend_float64(objective, problem.theta0, eta, indices)
        return Descent(problem.objective, eta, tuple(indices), iterates, None, None)
    fixed, bits, error = _settled(objective, problem.theta0, eta, indices, dps, estimate_error, progress)
    iterates = np.empty((len(fixed), len(fixed[0])), dtype=object)
    for row, values in enumerate(fixed):
        iterates[row, :] = [to_mpf(v, bits) for v in values]
    return Descent(problem.objective, eta, tuple(indices), iterates, dps, error)


def _settled(
    objective: Objective,
    theta0: Sequence[Fraction],
    eta: Fraction,
    indices: list[int],
    dps: int,
    estimate_error: bool,
    progress: Callable[[float], None] | None,
) -> tuple[list[list[Any]], int, Any]:
    """The kept iterates in fixed point, their bits and the error estimate: pairs of runs until two of them agree.

    Raises:
        ComputationError: see `descend`.
    """
    digits, last = working_digits(objective, theta0, eta * indices[-1], dps), indices[-1]
    first = None if progress is None else (lambda done: progress(done / 2 if estimate_error else done))
    second = None if progress is None else (lambda done: progress(0.5 + done / 2))
    for _ in range(ATTEMPTS):
        bits = ceil((digits + log10(last + 1)) * log2(10))
        fixed = _descend_fixed(objective, theta0, eta, indices, bits, first)
        if not estimate_error:
            return fixed, bits, None
        missing = digits
        try:
            check = _descend_fixed(objective, theta0, eta, indices, bits + CHECK_BITS, second, CHECK_BITS)
        except DescentDiverged:  # what lies below the first run's last place decides
            pass
        else:
            error, relative = _compared(fixed, check, bits)
            if relative <= mpmath.mpf(10) ** -dps:
                return fixed, bits, error
            if relative < UNRELATED:
                missing = dps + ceil(float(mpmath.log10(relative))) + GUARD
        digits += missing
    raise ComputationError(
        f"{dps} digits of {last} steps of descent could not be reached with {digits - missing} working digits; it "
        "amplifies rounding too strongly, choose fewer steps or a smaller step size"
    )


def working_digits(objective: Objective, theta0: Sequence[Fraction], time: Fraction, dps: int) -> int:
    """Digits after the point with which descent starts: what every velocity loses lasts for steps times step size."""
    return needed_digits(objective, theta0, dps) + GUARD + max(0, ceil(log10_of(time)))


def _compared(fixed: list[list[Any]], check: list[list[Any]], bits: int) -> tuple[Any, Any]:
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


def positive_step(problem: Problem, step_size: Any) -> Fraction:
    """The step size given or the problem's own, as a positive rational."""
    given = problem.step_size if step_size is None else step_size
    if given is None:
        raise ProblemError("run.step_size: descent needs a step size, got none; give step_size=... or run.step_size")
    return positive(given, "step_size")


def diverged(step: int, eta: Fraction) -> DescentDiverged:
    """The error for a run that leaves all bounds."""
    return DescentDiverged(
        f"gradient descent with step size {brief_float(eta)} diverges (noticed at step {step}); choose a smaller one",
        step=step,
    )


@lru_cache(maxsize=32)
def float64_stepper(objective: Objective) -> Callable[..., Any]:
    """(theta0, eta, gaps) -> the iterates after each gap, compiled once per objective.

    A fourth argument, `nudge`, moves every iterate by these relative amounts: a run that rounds differently.
    """
    import jax
    from jax import lax

    from symflow.derivatives.derived import gradient
    from symflow.evaluate.jax import to_jax

    g = to_jax(gradient(objective))

    def run(start: Any, step: Any, gaps: Any, nudge: Any = None) -> Any:
        def once(_: Any, theta: Any) -> Any:
            theta = theta - step * g(theta)
            return theta if nudge is None else theta * (1 + nudge)

        def advance(theta: Any, gap: Any) -> tuple[Any, Any]:
            theta = lax.fori_loop(0, gap, once, theta)
            return theta, theta

        return lax.scan(advance, start, gaps)[1]

    return jax.jit(run)


def padded_gaps(gaps: np.ndarray, count: int) -> np.ndarray:
    """Gaps with gaps of 0 steps behind them, up to the power of two from `count` on."""
    return np.pad(gaps, (0, (1 << (count - 1).bit_length()) - len(gaps)))


def _descend_float64(objective: Objective, theta0: Sequence[Fraction], eta: Fraction, indices: list[int]) -> np.ndarray:
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
    gaps = np.diff(np.array(indices, dtype=np.int64))
    # Gaps of 0 steps up to a power of two: runs of similar length share one compilation.
    padded = padded_gaps(gaps, len(gaps))
    try:
        check_underflow(objective, theta0, float(step) * indices[-1])
        with own_modes():
            kept = float64_stepper(objective)(start, step, padded)
    except OverflowError:
        raise ComputationError(
            "the data and the objective's constants must be within float64, got larger ones; run descent with digits "
            "(dps=...)"
        ) from None
    iterates = np.vstack([start[None, :], np.asarray(kept)[: len(gaps)]])
    bad = ~np.isfinite(iterates).all(axis=1)
    if bad.any():
        raise diverged(indices[int(np.argmax(bad))], eta)
    return iterates


def _descend_fixed(
    objective: Objective,
    theta0: Sequence[Fraction],
    eta: Fraction,
    indices: list[int],
    bits: int,
    progress: Callable[[float], None] | None,
    shaken: int | None = None,
) -> list[list[Any]]:
    """The kept iterates in fixed point.

    Args:
        objective: what is minimized.
        theta0: the start.
        eta: the step size.
        indices: which iterates to keep.
        bits: after the point.
        progress: called with the fraction that is done.
        shaken: move the iterates now and then by a few times what velocities with so many bits less lose between two
            such times, nonzero components alone, so that exact zeros and the kinks of the start stay.

    Raises:
        DescentDiverged: an iterate leaves all bounds.
        ComputationError: the gradient is not finite.
    """
    theta = [from_fraction(q, bits) for q in theta0]
    step = _fixed_step(objective, eta, bits)
    limit = mpz(1) << (bits + max(DIVERGED_BITS, bits))
    kept = [theta]
    wanted = set(indices)
    last = indices[-1]
    between = -(-last // SHAKES)
    lost = 0 if shaken is None else max(1, ceil(eta * between)) << shaken
    for k in range(1, last + 1):
        theta = step(theta)
        if max(theta) > limit or min(theta) < -limit:
            raise diverged(k, eta)
        if lost and k % between == 1 % between:
            theta = [v + MOVES[(i + k // between) % len(MOVES)] * lost if v else v for i, v in enumerate(theta)]
        if k in wanted:
            kept.append(theta)
        if progress is not None and (k in wanted or k % 256 == 0):
            progress(k / last)
    return kept


def _fixed_step(objective: Objective, eta: Fraction, bits: int) -> Callable[[list[Any]], list[Any]]:
    """theta -> theta - eta grad f(theta) in fixed point."""
    field = gradient_flow_field(objective)
    arithmetic = FixedArrays(bits)
    data = {x: arithmetic.lift(a) for x, a in objective.data.items()}
    numerator, denominator = mpz(eta.numerator), mpz(eta.denominator)
    evaluate = unrolled(field.program, data, field.state, bits)

    def velocity(theta: list[Any]) -> Sequence[Any]:
        if evaluate is not None:
            return evaluate(*theta)
        flat = np.empty(len(theta), dtype=object)
        flat[:] = theta
        found = interpret(field.program, data | objective.cut(flat), arithmetic)
        return np.concatenate([v.reshape(-1) for v in found.values()]).tolist()

    def step(theta: list[Any]) -> list[Any]:
        return [t + v * numerator // denominator for t, v in zip(theta, velocity(theta), strict=True)]

    return step
