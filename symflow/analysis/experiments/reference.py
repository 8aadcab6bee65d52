"""The flow itself, which descent is compared with: at several tolerances, in chunks that a kill can interrupt.

Smooth flows are diffrax's. Where gates change (ReLU, max pooling) kinks are located and sliding gates held (R31). The
reference is the run at the tightest tolerance. Its error at a time is estimated by its largest difference so far from
the run at the next looser one, which is the error of that run as far as the tightest is right, and so a pessimistic
estimate.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from symflow.analysis.experiments.checkpoints import Checkpoint
from symflow.analysis.experiments.descent import CHUNK_SECONDS, stepper
from symflow.dynamics.methods import GradientDescent
from symflow.errors import FlowStopped
from symflow.paths.float64 import Float64Stats, solve_flow_float64
from symflow.paths.float64.methods import EVENT_CORRECTED
from symflow.paths.trajectory import Trajectory
from symflow.problem import Problem
from symflow.progress import Reporter

SMOOTH, GATED = "dopri8", EVENT_CORRECTED
"""The method for smooth losses, and for those with kinks."""
STAGES = {SMOOTH: 13, GATED: 0}
"""Gradient evaluations of the state within a step; those of the gated method end at the times that are wanted."""
CHUNK_STEPS = 200
"""Most steps between two returns."""
CRUMB, OVER = 1e-6, 1e-3
"""Parts of the whole time: what leads no farther leads nowhere; and so much is stepped over then."""
MAX_STEPS = 1_000_000
ABSOLUTE = 1e-2
"""The absolute tolerance is this times the relative one."""


@dataclass(frozen=True, eq=False)
class FlowRun:
    """The flow at one tolerance.

    Attributes:
        rtol: relative tolerance of a step; the absolute one is rtol / 100.
        evaluations: gradient evaluations of the integration.
        reading: further ones, to read the states at the grid's times (one step of the method from the last step end).
        steps: accepted steps.
        rejected: rejected steps.
        seconds: wall time.
        states: (S, P) on the grid, float64.
    """

    rtol: float
    evaluations: int
    reading: int
    steps: int
    rejected: int
    seconds: float
    states: np.ndarray


def method(problem: Problem) -> str:
    """The method that suits a problem."""
    return GATED if problem.objective.gates else SMOOTH


def flow_in_chunks(
    problem: Problem,
    times: np.ndarray,
    rtol: float,
    checkpoint: Checkpoint,
    report: Reporter,
    chunk_seconds: float = CHUNK_SECONDS,
) -> FlowRun:
    """theta' = -grad f(theta) from theta_0 at one tolerance, kept at the times; continues from a checkpoint.

    Every chunk of 200 steps begins anew at the state where the last one ended, whether or not a kill came between.

    Args:
        problem: its objective flows, from its theta0.
        times: S increasing times, beginning with 0.
        rtol: relative tolerance of a step.
        checkpoint: where the state is kept.
        report: told the fraction of the time that is done.
        chunk_seconds: least wall time between two checkpoints.

    Raises:
        ComputationError: the flow leaves float64, or takes too many steps.
    """
    now, theta = 0.0, np.array([float(v) for v in problem.theta0])
    kept, counts, seconds = [theta], np.zeros(4, dtype=np.int64), 0.0
    found = checkpoint.read()
    if found is not None:
        now, theta, kept = float(found["now"]), found["theta"], list(found["states"])
        counts, seconds = found["counts"], float(found["seconds"])
    written = time.perf_counter()

    def save() -> None:
        checkpoint.write({"now": now, "theta": theta, "states": np.stack(kept), "counts": counts, "seconds": seconds})

    try:
        while len(kept) < len(times):
            now, theta, rows, new, spent = _chunk(problem, times, len(kept), now, theta, rtol)
            kept, counts, seconds = [*kept, *rows], counts + new, seconds + spent
            if counts[2] + counts[3] > MAX_STEPS:
                raise FlowStopped(f"{MAX_STEPS} steps at rtol {rtol:g} led only to t = {now:.6g}", "loosen it")
            report.at(now, float(times[-1]), int(counts[2]))
            if time.perf_counter() - written >= chunk_seconds:
                save()
                written = time.perf_counter()
    except KeyboardInterrupt:
        save()
        raise
    if found is None or len(found["states"]) < len(times):
        save()
    evaluations, reading, steps, rejected = (int(n) for n in counts)
    return FlowRun(rtol, evaluations, reading, steps, rejected, seconds, np.stack(kept))


def estimated_error(tight: FlowRun, loose: FlowRun) -> np.ndarray:
    """The estimated error of the tighter of two runs at the grid's times, shape (S,).

    Runs that took the same steps differ by nothing, whatever their error: before the first difference that one is
    taken, and where there is none at all the error is not known, which is NaN.
    """
    apart = np.maximum.accumulate(np.linalg.norm(tight.states - loose.states, axis=1))
    seen = apart[apart > 0]
    error = np.where(apart > 0, apart, seen[0] if seen.size else np.nan)
    error[0] = 0.0
    return error


def _chunk(
    problem: Problem, times: np.ndarray, done: int, now: float, theta: np.ndarray, rtol: float
) -> tuple[float, np.ndarray, list[np.ndarray], np.ndarray, float]:
    """At most `CHUNK_STEPS` steps from a state: time and state reached, the states at grid times, counts, seconds."""
    solver, end = method(problem), float(times[-1])
    whole = end - now
    flow, said = _steps(problem, solver, whole, times[done:-1] - now, theta, rtol)
    stuck = said is not None and said.cause != "max-steps" and float(flow.horizon) < CRUMB * end
    if stuck and solver == GATED:
        return _over(problem, times, done, now, theta, rtol)
    if said is not None and not flow.end:
        raise said
    reached = whole if said is None else float(flow.horizon)
    now_after = end if said is None else now + reached
    wanted = [t - now for t in map(float, times[done:]) if t - now <= reached]
    rows = [flow.numpy([t])[0] for t in wanted]  # one by one: a batch of large networks would fill the memory
    between, stats = sum(t < reached for t in wanted), flow.stats
    assert isinstance(stats, Float64Stats)
    counts = np.array([stats.evaluations, STAGES[solver] * between, stats.accepted, stats.rejected], dtype=np.int64)
    return now_after, flow.numpy([reached])[0], rows, counts, stats.seconds


def _over(
    problem: Problem, times: np.ndarray, done: int, now: float, theta: np.ndarray, rtol: float
) -> tuple[float, np.ndarray, list[np.ndarray], np.ndarray, float]:
    """The same over kinks that cannot be decided: Euler's method at two step sizes, extrapolated.

    Along a kink on which the flow stays it zigzags within its step, whereas steps whose error is watched are each as
    wrong as they may be. Their number grows with the accuracy asked for, so that two tolerances show the error.
    """
    clock, count = time.perf_counter(), math.ceil(rtol**-0.5)
    wanted = float(times[done])
    until = min(now + OVER * float(times[-1]), wanted)
    steps = stepper(problem.objective, GradientDescent(), np.dtype(np.float64))
    long, short = (steps.advance(n)((theta,), Fraction(until - now) / n, 0, n)[0] for n in (count, 2 * count))
    end = 2 * short - long
    counts = np.array([3 * count, 0, 1, 0], dtype=np.int64)  # one step of the flow, however many of Euler's
    return until, end, [end] if until == wanted else [], counts, time.perf_counter() - clock


def _steps(
    problem: Problem, solver: str, whole: float, stops: np.ndarray, theta: np.ndarray, rtol: float
) -> tuple[Trajectory, FlowStopped | None]:
    """At most `CHUNK_STEPS` steps, and what ended them early.

    Raises:
        FlowStopped: nothing is known of the flow.
    """
    try:
        flow = solve_flow_float64(
            problem,
            horizon=whole,
            times=[*stops.tolist(), whole] if solver == GATED else None,
            rtol=rtol,
            atol=ABSOLUTE * rtol,
            solver=solver,
            max_steps=CHUNK_STEPS,
            theta0=theta,  # type: ignore[arg-type]
            error=None,
        )
    except FlowStopped as stopped:
        part = stopped.trajectory
        gentle = stopped.cause == "max-steps" or solver == GATED
        if not gentle or not isinstance(part, Trajectory):
            raise
        return part, stopped
    return flow, None
