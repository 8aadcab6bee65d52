"""Gradient flow to any number of digits, with an estimated error."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import Any

import mpmath

from symflow.compile.fixed import to_mpf
from symflow.errors import ComputationError, FlowStopped, KinkError, ProblemError, brief_float
from symflow.problem import Problem
from symflow.problem.numbers import rational
from symflow.symbolic.field import VectorField, gradient_flow_field
from symflow.symbolic.moments import moment_form
from symflow.symbolic.objective import Objective
from symflow.trajectory.integrate import Precision, Run, integrate
from symflow.trajectory.trajectory import FlowStats, Trajectory

GUARD = 6
"""Digits by which local truncation errors lie below the requested accuracy, at first."""
CHECK_DIGITS = 6
"""Further digits of the second run, whose difference from the first is the error estimate."""
LEAST_DIGITS = 16
"""Digits every run is made with at least: with fewer, ordinary crossings would drown in the noise."""
MAX_DPS = 10_000


@lru_cache(maxsize=32)
def integration_form(objective: Objective) -> Objective:
    """The equivalent objective that is cheapest to integrate: moments instead of samples where that applies."""
    reduced = moment_form(objective) if objective.data else None
    return objective if reduced is None else reduced


def solve_flow(
    problem: Problem,
    *,
    horizon: Any = None,
    dps: int | None = None,
    estimate_error: bool = True,
    progress: Callable[[float], None] | None = None,
    max_steps: int = 100_000,
) -> Trajectory:
    """Solves gradient flow theta' = -grad f(theta), theta(0) = theta0, on [0, horizon].

    A Taylor method whose coefficients come from the program's power-series recurrences, in fixed-point integers.  On
    (leaky) ReLU networks transversal crossings of kinks are located to full precision.

    Args:
        problem: what to solve.
        horizon: final time (string, rational, mpmath number, or float meaning its binary value); the problem's own if
            left out.
        dps: digits asked for: |error| <= 10^-dps max(1, |value|) in each component; the problem's own if left out.
        estimate_error: make a second run at other order and precision; `error_estimate` is twice the largest
            difference, and more guard digits are taken until it meets `dps`.
        progress: called with the fraction of the horizon that is done.
        max_steps: most Taylor steps.

    Raises:
        ProblemError: no horizon, or a wrong number.
        KinkError: a kink that is no transversal crossing (time, sample, layer and unit in the error, the trajectory
            up to there in its `trajectory`).
        FlowStopped: too many steps, or a collapsed step size.
        ComputationError: the digits cannot be reached.
    """
    if horizon is None:
        horizon = problem.horizon
    if horizon is None:
        raise ProblemError("run.horizon: a flow needs a final time, got none; give horizon=... or run.horizon")
    field = gradient_flow_field(integration_form(problem.objective))
    try:
        trajectory = solve_field(
            field,
            problem.theta0,
            horizon=horizon,
            dps=problem.dps if dps is None else dps,
            estimate_error=estimate_error,
            progress=progress,
            max_steps=max_steps,
        )
    except FlowStopped as error:
        if error.trajectory is not None:
            error.trajectory = replace(error.trajectory, objective=problem.objective)
        raise
    return replace(trajectory, objective=problem.objective)


def solve_field(
    field: VectorField,
    state: Sequence[Fraction],
    *,
    horizon: Any,
    dps: int,
    estimate_error: bool = True,
    progress: Callable[[float], None] | None = None,
    max_steps: int = 100_000,
) -> Trajectory:
    """Solves state' = F(state) for any vector field; see `solve_flow`."""
    end = rational(horizon, "horizon")
    if end <= 0:
        raise ProblemError(f"horizon must be positive, got {brief_float(end)}; give a positive final time")
    if isinstance(dps, bool) or not isinstance(dps, int) or not 1 <= dps <= MAX_DPS:
        raise ProblemError(f"dps must be a whole number from 1 to {MAX_DPS}, got {dps!r}")
    digits, guard = max(dps, LEAST_DIGITS), GUARD

    def part(low: float, high: float) -> Callable[[float], None] | None:
        return None if progress is None else lambda done: progress(low + (high - low) * done)

    started = time.perf_counter()
    disagreement: KinkError | None = None
    for _ in range(6):
        precision = Precision.for_digits(digits, guard)
        clock = time.perf_counter()
        split = 0.45 if estimate_error else 1.0
        try:
            run = integrate(field, state, end, precision, progress=part(0, split), max_steps=max_steps)
        except FlowStopped as error:
            error.trajectory = _trajectory(field, error.trajectory, precision, dps, None, clock, 0.0)
            raise
        middle = time.perf_counter()
        if not estimate_error:
            return _trajectory(field, run, precision, dps, None, clock, 0.0)
        check_precision = Precision.for_digits(digits, guard + CHECK_DIGITS, extra_order=5)
        try:
            check = integrate(field, state, end, check_precision, progress=part(split, 1), max_steps=max_steps)
        except FlowStopped as error:
            error.trajectory = _trajectory(field, error.trajectory, check_precision, dps, None, clock, 0.0)
            raise
        spent = time.perf_counter() - middle
        first = _trajectory(field, run, precision, dps, None, clock, spent, middle)
        second = _trajectory(field, check, check_precision, dps, None, clock, 0.0)
        disagreement = _disagreement(first, second)
        if disagreement is not None:
            guard += 2 * CHECK_DIGITS
            continue
        estimate = _difference(first, second)
        if estimate <= mpmath.mpf(10) ** -dps:
            return _trajectory(field, run, precision, dps, estimate, clock, spent, middle)
        guard += max(3, ceil(float(mpmath.log10(estimate)) + dps) + 3)
    if disagreement is not None:
        raise disagreement
    raise ComputationError(
        f"{dps} digits could not be reached with {guard} guard digits after {time.perf_counter() - started:.0f} s; "
        "the flow amplifies errors too strongly, try a shorter horizon"
    )


def _trajectory(
    field: VectorField,
    run: Run,
    p: Precision,
    dps: int,
    error: Any,
    clock: float,
    check: float,
    end: float | None = None,
) -> Trajectory:
    seconds = (time.perf_counter() if end is None else end) - clock
    stats = FlowStats(len(run.segments), p.order, p.bits, p.tolerance_digits, seconds, check)
    return Trajectory(field.objective, run.segments, p.bits, run.clock, dps, run.events, error, stats)


def _disagreement(first: Trajectory, second: Trajectory) -> KinkError | None:
    """Why a result is refused whose sequence of events depends on the precision."""

    def sequence(t: Trajectory) -> list[tuple[Any, ...]]:
        return [(e.kind, e.sample, e.layer, e.unit) for e in t.events]

    a, b = sequence(first), sequence(second)
    if a == b:
        return None
    at = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    e = (first if at < len(a) else second).events[at]
    return KinkError(
        f"two runs of different precision disagree on the events from t = {float(e.time):.10g} on (sample "
        f"{e.sample}, layer {e.layer}, unit {e.unit}); undecided at this precision, ask for more digits",
        cause="precision",
        time=e.time,
        sample=e.sample,
        layer=e.layer,
        unit=e.unit,
        trajectory=first,
    )


def _difference(first: Trajectory, second: Trajectory) -> Any:
    """Twice the largest difference at the ends and middles of all steps, plus one unit in the last place."""
    shift, finer = second.bits - first.bits, max(0, second.clock - first.clock)
    coarser = max(0, first.clock - second.clock)
    end = second.segments[-1].end
    largest = 0
    for segment in first.segments:
        for at in ((segment.start + segment.end) >> 1, segment.end):
            a = first.state_fixed(at)
            b = second.state_fixed(min((at << finer) >> coarser, end))
            largest = max(largest, max(abs((x << shift) - y) for x, y in zip(a, b, strict=True)))
    return to_mpf(2 * largest + (1 << shift), second.bits)
