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

from symflow.compile.numbers import from_fraction, to_mpf
from symflow.errors import ComputationError, FlowInterrupted, FlowStopped, KinkError, ProblemError, brief, brief_float
from symflow.problem import Problem
from symflow.problem.arguments import as_problem
from symflow.problem.numbers import rational, whole
from symflow.symbolic.derived import Derived
from symflow.symbolic.field import VectorField, gradient_flow_field
from symflow.symbolic.moments import moment_form
from symflow.symbolic.objective import Objective
from symflow.trajectory.integrate import Limits, Precision, Run, integrate
from symflow.trajectory.segments import FlowStats, TaylorSteps, taylor_steps
from symflow.trajectory.stops import LOSS, Monitor, Stop, Stopped, listed_stops, monitors
from symflow.trajectory.trajectory import Trajectory

GUARD = 6
"""Digits by which local truncation errors lie below the requested accuracy, at first."""
CHECK_DIGITS = 6
"""Further digits of the second run, whose difference from the first is the error estimate."""
LEAST_DIGITS = 16
"""Digits every run is made with at least: with fewer, ordinary crossings would drown in the noise."""
MAX_DPS = 10_000
MAX_HORIZON = 10**300
"""Latest final time: later ones are no float64, and no flow that moves gets there."""
MAX_SECONDS = 10**9
ATTEMPTS = 6
"""Most pairs of runs, each with more guard digits than the one before."""


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
    stop: Stop | Sequence[Stop] = (),
    estimate_error: bool = True,
    progress: Callable[[float], None] | None = None,
    max_steps: int = 100_000,
    time_limit: Any = None,
) -> Trajectory:
    """Solves gradient flow theta' = -grad f(theta), theta(0) = theta0, on [0, horizon].

    A Taylor method whose coefficients come from the program's power-series recurrences, in fixed-point integers.  On
    (leaky) ReLU networks transversal crossings of kinks are located to full precision.

    Args:
        problem: what to solve.
        horizon: final time (text, a rational or mpmath number, or a float, which means its shortest decimal: 0.3 is
            3/10); the problem's own if left out.
        dps: digits asked for: |error| <= 10^-dps max(1, |value|) in each component; the problem's own if left out.
        stop: conditions (`stop_at_loss`, `stop_at_gradient_norm`, `stop_when`); the trajectory ends where the first of
            them is met, and its `stopped` says which and when, to `dps` digits; None there means that none was met.
        estimate_error: make a second run at other order and precision; `error_estimate` is twice the largest
            difference, and more guard digits are taken until it meets `dps`.
        progress: called with the fraction of the horizon that is done.
        max_steps: most Taylor steps of one run.
        time_limit: most seconds of wall time, the second run included; looked at between steps.

    Raises:
        ProblemError: no horizon, or a wrong number.
        KinkError: a kink that is no transversal crossing (time, sample, layer and unit in the error, the trajectory
            up to there in its `trajectory`).
        FlowStopped: a limit, a collapsed step size, or a condition that cannot be decided; what was computed is in its
            `trajectory` (the whole of it where the limit was met by the second run).
        FlowInterrupted: Ctrl-C, a `KeyboardInterrupt`; likewise.
        ComputationError: the digits cannot be reached.
    """
    problem = as_problem(problem, "solve_flow")
    if horizon is None:
        horizon = problem.horizon
    if horizon is None:
        raise ProblemError("run.horizon: a flow needs a final time, got none; give horizon=... or run.horizon")
    dps = problem.dps if dps is None else whole(dps, "dps", 1, MAX_DPS)
    given, problem = problem.objective, problem.for_digits(dps)
    field = gradient_flow_field(integration_form(problem.objective))
    try:
        trajectory = solve_field(
            field,
            problem.theta0,
            horizon=horizon,
            dps=dps,
            stop=own_stops(stop, given, problem.objective),
            estimate_error=estimate_error,
            progress=progress,
            max_steps=max_steps,
            time_limit=time_limit,
        )
    except (FlowStopped, FlowInterrupted) as error:
        if error.trajectory is not None:
            error.trajectory = replace(error.trajectory, objective=problem.objective)
        raise
    return replace(trajectory, objective=problem.objective)


def own_stops(stop: Stop | Sequence[Stop], given: Objective, flowing: Objective) -> list[Stop]:
    """The conditions as conditions on what flows.

    Args:
        stop: the conditions.
        given: the problem's objective: its loss is that of the cheaper form that is integrated.
        flowing: the same objective with its data to the digits of the run.
    """

    def own(s: Stop) -> Stop:
        if not isinstance(s.quantity, Derived) or s.quantity.objective is not given:
            return s
        return replace(s, quantity=LOSS if s.quantity.kind == "loss" else replace(s.quantity, objective=flowing))

    return [own(s) for s in listed_stops(stop)]


def solve_field(
    field: VectorField,
    state: Sequence[Fraction],
    *,
    horizon: Any,
    dps: int,
    stop: Stop | Sequence[Stop] = (),
    estimate_error: bool = True,
    progress: Callable[[float], None] | None = None,
    max_steps: int = 100_000,
    time_limit: Any = None,
) -> Trajectory:
    """Solves state' = F(state) for any vector field; see `solve_flow`."""
    end = rational(horizon, "horizon")
    if end <= 0:
        raise ProblemError(f"horizon must be positive, got {brief_float(end)}; give a positive final time")
    if end > MAX_HORIZON:
        raise ProblemError(f"horizon must be at most 1e300, got {brief_float(end)}; give an earlier final time")
    dps = whole(dps, "dps", 1, MAX_DPS)
    solver = _Solver(field, state, end, dps, monitors(stop, field), checked_limits(max_steps, time_limit), progress)
    try:
        return solver.solve(estimate_error)
    except FlowInterrupted:
        raise
    except KeyboardInterrupt:  # between two runs
        done = solver.complete
        raise FlowInterrupted(time=None if done is None else done.horizon, trajectory=done) from None


def checked_limits(max_steps: Any, time_limit: Any) -> Limits:
    """The limits given, the time counted from now.

    Raises:
        ProblemError: not positive, or no numbers.
    """
    max_steps = whole(max_steps, "max_steps", 1)
    if time_limit is None:
        return Limits(max_steps)
    seconds = rational(time_limit, "time_limit")
    if not 0 < seconds < MAX_SECONDS:
        raise ProblemError(f"time_limit must be a positive number of seconds below 1e9, got {brief(time_limit)}")
    return Limits(max_steps, time.perf_counter() + float(seconds), float(seconds))


class _Solver:
    """One problem with its runs; `complete` is the first run of the pair that is being made, once it is done."""

    def __init__(
        self,
        field: VectorField,
        state: Sequence[Fraction],
        end: Fraction,
        dps: int,
        conditions: Sequence[Monitor],
        limits: Limits,
        progress: Callable[[float], None] | None,
    ) -> None:
        self.field, self.state, self.end, self.dps = field, state, end, dps
        self.conditions, self.limits, self.progress = conditions, limits, progress
        self.complete: Trajectory | None = None

    def run(self, precision: Precision, low: float, high: float) -> Trajectory:
        """One run; whatever ends it early carries what is known by then as a trajectory."""
        clock, report = time.perf_counter(), self.progress
        part = None if report is None else (lambda done: report(low + (high - low) * done))
        try:
            run = integrate(
                self.field,
                self.state,
                self.end,
                precision,
                conditions=self.conditions,
                limits=self.limits,
                progress=part,
            )
        except (FlowStopped, FlowInterrupted) as error:
            if self.complete is not None and not isinstance(error, KinkError):
                error.trajectory = self.complete
            else:
                why = error.what if isinstance(error, FlowStopped) else "interrupted"
                error.trajectory = replace(self.trajectory(error.trajectory, precision, clock), incomplete=why)
            if self.complete is not None and isinstance(error, FlowStopped) and error.cause == "time-limit":
                error.what = (
                    f"the time limit of {self.limits.seconds:g} s was reached while a second run estimated the error; "
                    f"the trajectory to t = {float(self.complete.horizon):.6g} is known without an estimate"
                )
                error.advise("allow more time (time_limit) or leave the estimate out (estimate_error=False)")
            raise
        return self.trajectory(run, precision, clock)

    def trajectory(self, run: Run, p: Precision, clock: float) -> Trajectory:
        """A run as a trajectory, without an error estimate."""
        stats = FlowStats(len(run.segments), p.order, p.bits, p.tolerance_digits, time.perf_counter() - clock)
        reached = run.stopped is None and run.segments[-1].end == from_fraction(self.end, run.clock)
        dense = TaylorSteps(run.segments, p.bits, run.clock, self.end if reached else None)
        result = Trajectory(self.field.objective, dense, self.dps, run.events, None, stats)
        result = replace(result, conditions=tuple(str(c.stop) for c in self.conditions))
        if run.stopped is None:
            return result
        return replace(result, stopped=Stopped(result.conditions[run.stopped], result.horizon))

    def solve(self, estimate_error: bool) -> Trajectory:
        """Runs in pairs until two of them agree to the digits asked for."""
        digits = max(self.dps, LEAST_DIGITS)
        guard = GUARD + min(digits, max((c.stop.digits for c in self.conditions), default=0))
        started = time.perf_counter()
        refused: FlowStopped | None = None
        for _ in range(ATTEMPTS):
            self.complete, refused = None, None
            try:
                first = self.run(Precision.for_digits(digits, guard), 0, 0.45 if estimate_error else 1.0)
                if not estimate_error:
                    return first
                self.complete = first
                second = self.run(Precision.for_digits(digits, guard + CHECK_DIGITS, extra_order=5), 0.45, 1)
            except FlowStopped as error:
                if error.cause != "quantity":
                    raise
                refused = error
                guard += max(2 * CHECK_DIGITS, guard // 2)
                continue
            refused = _disagreement(first, second)
            if refused is not None:
                guard += 2 * CHECK_DIGITS
                continue
            found = _with_estimates(first, second)
            missing = _missing(found)
            if missing <= 0:
                return found
            guard += max(3, missing + 3)
        if refused is not None:
            raise refused
        raise ComputationError(
            f"{self.dps} digits could not be reached with {guard} guard digits after "
            f"{time.perf_counter() - started:.0f} s; the flow amplifies errors too strongly, try a shorter horizon"
        )


def _with_estimates(first: Trajectory, second: Trajectory) -> Trajectory:
    """The first run with the error estimates that the second one gives."""
    stopped = first.stopped
    if stopped is not None and second.stopped is not None:
        steps = taylor_steps(first)
        with mpmath.workprec(max(steps.bits, steps.clock) + 20):
            step = mpmath.ldexp(1, steps.segments[-1].tau - steps.bits) + mpmath.ldexp(1, -steps.clock)
            stopped = replace(stopped, error_estimate=2 * abs(stopped.time - second.stopped.time) + step)
    assert isinstance(first.stats, FlowStats)
    stats = replace(first.stats, check_seconds=second.stats.seconds)
    error = _difference(taylor_steps(first), taylor_steps(second), first.stopped is not None)
    return replace(first, error_estimate=error, stopped=stopped, stats=stats)


def _missing(found: Trajectory) -> int:
    """How many digits the estimates lack; at most 0 where they meet what was asked for."""
    errors = [found.error_estimate]
    if found.stopped is not None:
        errors.append(found.stopped.error_estimate / max(mpmath.mpf(1), found.stopped.time))
    goal = mpmath.mpf(10) ** -found.digits
    return 0 if max(errors) <= goal else max(1, ceil(float(mpmath.log10(max(errors))) + found.digits))


def _disagreement(first: Trajectory, second: Trajectory) -> FlowStopped | None:
    """Why a result is refused whose sequence of events, or the condition that ends it, depends on the precision."""

    def sequence(t: Trajectory) -> list[tuple[Any, ...]]:
        return [(e.kind, e.sample, e.layer, e.unit) for e in t.events]

    a, b = sequence(first), sequence(second)
    if a == b:
        met = [None if t.stopped is None else t.stopped.condition for t in (first, second)]
        if met[0] == met[1]:
            return None
        shown = " and ".join("none" if c is None else f"the {c}" for c in met)
        return FlowStopped(
            f"two runs of different precision end at t = {float(first.horizon):.10g} and t = "
            f"{float(second.horizon):.10g} by different conditions ({shown})",
            "ask for more digits, or choose another value",
            cause="quantity",
            time=first.horizon,
            trajectory=first,
        )
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


def _difference(first: TaylorSteps, second: TaylorSteps, stopped: bool) -> Any:
    """Twice the largest difference at the ends and middles of all steps, plus one unit in the last place."""
    shift, finer = second.bits - first.bits, max(0, second.clock - first.clock)
    coarser = max(0, first.clock - second.clock)
    end = second.segments[-1].end
    largest = 0
    for segment in first.segments:
        for at in ((segment.start + segment.end) >> 1, segment.end):
            a = first.fixed(at)
            b = second.fixed(min((at << finer) >> coarser, end))
            largest = max(largest, max(abs((x << shift) - y) for x, y in zip(a, b, strict=True)))
    if stopped:  # each at its own crossing
        a, b = first.fixed(first.segments[-1].end), second.fixed(end)
        largest = max(largest, max(abs((x << shift) - y) for x, y in zip(a, b, strict=True)))
    return to_mpf(2 * largest + (1 << shift), second.bits)
