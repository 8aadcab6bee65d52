"""Gradient flows in float64 from many starts at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

from symflow.derivatives.derived import gradient
from symflow.errors import FlowStopped, ProblemError
from symflow.evaluate.jax_batches import at_points, in_batches
from symflow.numbers.types import Number
from symflow.paths.float64.arguments import (
    SMALL,
    check_underflow,
    checked_times,
    checked_tolerances,
    small_atol,
    start_points,
)
from symflow.paths.float64.dense import dense_output
from symflow.paths.float64.lanes.run import Plan
from symflow.paths.float64.lanes.solve import Ended, in_words, solve_lanes
from symflow.paths.float64.methods import first_steps, sweeper, x64
from symflow.paths.float64.ranges import unseen_rows
from symflow.paths.float64.steps import Course, run_steps
from symflow.paths.solver import checked_limits
from symflow.problem import Problem
from symflow.problem.arguments import as_problem
from symflow.progress import SILENT


class SweepStopped(FlowStopped):
    """Some of many flows did not reach the last time.

    Attributes:
        states: what is known, a float64 array of shape (B, S, P), NaN at the times that a start did not reach;
            `trajectory` in 0.1.0.
        reasons: for each start why it stopped, in words; empty where it did not.
    """

    def __init__(self, what: str, *, time: float, states: np.ndarray, reasons: Sequence[str] = ()) -> None:
        super().__init__(what, cause="sweep", time=time)
        self.states, self.reasons = states, tuple(reasons)
        self.trajectory = states  # type: ignore[assignment]  # its name in 0.1.0


@dataclass(frozen=True, eq=False)
class ManyFlows:
    """Flows from B starts.

    Attributes:
        states: at S times, shape (B, S, P), NaN where a flow did not get to.
        reached: the time that each is known up to, shape (B,).
        ended: why each stopped.
        kinks: for each how many events were located; None where kinks are not.
        slides: for each how often a gate began to be held; None where kinks are not located.
        sliding: whether a gate is held at these times, shape (B, S); False where kinks are not located.
    """

    states: np.ndarray
    reached: np.ndarray
    ended: tuple[Ended, ...]
    sliding: np.ndarray
    kinks: np.ndarray | None = None
    slides: np.ndarray | None = None


def sweep_flow_float64(
    problem: Problem,
    theta0s: ArrayLike,
    times: Sequence[Number],
    *,
    rtol: float = 1e-10,
    atol: float = 1e-12,
    solver: str | None = None,
    max_steps: int = 100_000,
) -> np.ndarray:
    """theta_b' = -grad f(theta_b): solves gradient flow in float64 from B starts at once.

    Each start has its own steps, so that a row has the accuracy of a single run. Networks with kinks (ReLU, leaky ReLU,
    max pooling): steps end at kinks, which are located, gates slide where the fields on both sides say so
    (docs/theory/kinks.md), a start that is done costs nothing more, and one whose kinks float64 cannot decide is solved
    by `solve_flow` with 15 digits. Smooth flows run under `jax.vmap`, where the slowest start sets the wall time; a row
    that may have jumped over unseen changes of an exponential or a sigmoid is run again alone, with steps cut as in
    `solve_flow_float64`. No error is estimated (repeat a few rows with `solve_flow_float64`).

    Args:
        problem: supplies the objective; its theta0 is not used.
        theta0s: the starts, shape (B, P).
        times: S times >= 0, in any order.
        rtol: relative tolerance of a step; see `solve_flow_float64`.
        atol: absolute tolerance of a step; smaller for a start with tiny numbers, see `solve_flow_float64`.
        solver: "dopri8", "tsit5" or "dopri5", which step over kinks; left out "dopri8" for smooth flows, and for those
            with kinks the method of order 8 that locates them.
        max_steps: most steps of each start.

    Returns:
        The states, a float64 array of shape (B, S, P), times in the order given.

    Raises:
        ProblemError: an argument that is not valid.
        SweepStopped: a `FlowStopped`: a start takes too many steps, its values are no longer finite, or a kink is
            undecided; `states` is the array, NaN at the times that a start did not reach, `reasons` say why.
        ComputationError: the data are outside the range of float64, or the first gradient of a start underflows.

    Source: diffrax (Kidger 2021), the methods as in `solve_flow_float64`; with kinks Hairer, Norsett & Wanner 1993,
    section II.10.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1)), data={"x": [1], "y": [1]}, init={"theta": [0]})
        >>> states = sf.sweep_flow_float64(problem, [[0.0], [3.0]], times=[1, 2], solver="tsit5", rtol=1e-6)
        >>> states.shape
        (2, 2, 1)
        >>> states[:, :, 0].round(5)
        array([[0.63212, 0.86466],
               [1.73576, 1.27067]])
    """
    found = many_flows(problem, theta0s, times, rtol=rtol, atol=atol, solver=solver, max_steps=max_steps)
    reasons = [ended.reason for ended in found.ended]
    stopped = [row for row, reason in enumerate(reasons) if reason]
    if stopped:
        row, reached = stopped[0], float(found.reached[stopped[0]])
        raise SweepStopped(
            f"{len(stopped)} of {len(reasons)} starts did not get to the last time; the first is row {row}, known "
            f"up to t = {reached:.6g}: {reasons[row]}",
            time=reached,
            states=found.states,
            reasons=reasons,
        )
    return found.states


def many_flows(
    problem: Problem,
    theta0s: ArrayLike,
    times: Sequence[Number],
    *,
    rtol: float,
    atol: float,
    solver: str | None = None,
    max_steps: int,
    progress: Callable[[float], None] | None = None,
) -> ManyFlows:
    """See `sweep_flow_float64`; what a start did not get to is said, not raised."""
    problem = as_problem(problem, "sweep_flow_float64")
    located = solver is None and bool(problem.objective.gates)
    at = checked_times(times)
    rtol, atol = checked_tolerances(rtol, atol, solver or "dopri8")
    limits = checked_limits(max_steps, None)
    starts = start_points(problem, theta0s)
    if not at.size or at.max() <= 0:
        raise ProblemError("times must hold a positive time; give the times at which the states are wanted")
    # Compiled code takes numbers below the smallest normal one for 0; in so short a time nothing moves either.
    at = np.where(at > 0, np.maximum(at, np.finfo(np.float64).tiny), at)
    wanted, back = np.unique(at, return_inverse=True)
    positive = wanted[wanted > 0]
    objective = problem.compact
    atols = np.array([small_atol(row, rtol, atol) for row in starts])
    with x64():
        small = ((starts != 0) & (np.abs(starts) < float(SMALL))).any(axis=1)
        for start in (starts[0], *starts[small]):  # the first stands for the data, which all share
            check_underflow(objective, [Fraction(v) for v in start.tolist()], float(positive[-1]))
        slopes = in_batches(at_points(objective, gradient), starts)
    good = np.isfinite(slopes).all(axis=1)
    values = np.full((len(starts), len(wanted), starts.shape[1]), np.nan)
    values[:, wanted == 0] = starts[:, None]
    sliding = np.zeros(values.shape[:2], dtype=bool)
    ended = [in_words("" if fine else "start", 0.0, limits.max_steps) for fine in good]
    reached = np.zeros(len(starts))
    kinks = slides = np.zeros(len(starts), dtype=int) if located else None
    rows = np.flatnonzero(good)
    if len(rows):
        steps = first_steps(starts[rows], slopes[rows], positive[-1])
        if located:
            plan = Plan(positive, rtol, atols[rows], limits.max_steps)
            found, ends = solve_lanes(problem, starts[rows], steps, plan, progress or (lambda done: None))
            values[np.ix_(rows, wanted > 0)], sliding[np.ix_(rows, wanted > 0)] = found.states, found.sliding
            reached[rows] = found.reached
            kinks, slides = (_spread(rows, n, len(starts)) for n in (found.kinks, found.slides))
        else:
            course = Course(objective, solver or "dopri8", float(positive[-1]), limits)
            part = values[:, len(wanted) - len(positive) :]
            ends = _in_step(course, (rtol, atols), starts, rows, steps, positive, part)
            reached[rows] = [wanted[np.isfinite(v).all(axis=1)].max(initial=0.0) for v in values[rows]]
        for row, end in zip(rows.tolist(), ends, strict=True):
            ended[row] = end
    return ManyFlows(values[:, back], reached, tuple(ended), sliding[:, back], kinks, slides)


def _spread(rows: np.ndarray, numbers: np.ndarray, count: int) -> np.ndarray:
    """Numbers of some rows, 0 for the others."""
    found = np.zeros(count, dtype=int)
    found[rows] = numbers
    return found


def _in_step(
    course: Course,
    tolerances: tuple[float, np.ndarray],
    starts: np.ndarray,
    rows: np.ndarray,
    steps: np.ndarray,
    times: np.ndarray,
    values: np.ndarray,
) -> list[Ended]:
    """Runs starts under `jax.vmap`, writes their states at the times into `values`, and says how each ended.

    A row that may have gone by something unseen, or that did not arrive, is run again alone.

    Args:
        course: what to run.
        tolerances: rtol, and atol of each start.
        starts: shape (B, P).
        rows: which of them are run.
        steps: first step sizes of these.
        times: S positive ones, increasing.
        values: shape (B, S, P).
    """
    rtol, atols = tolerances
    filled = np.concatenate([rows, np.repeat(rows[:1], len(starts) - len(rows))])  # one shape, one compilation
    first = np.concatenate([steps, np.repeat(steps[:1], len(starts) - len(rows))])
    with x64():
        sweep = sweeper(course.objective, course.solver, course.limits.max_steps)
        found = np.asarray(sweep(starts[filled], first, times, rtol, atols[filled]))[: len(rows)]
        values[rows] = np.where(np.isfinite(found), found, np.nan)
        whole = np.isfinite(values[rows]).all(axis=(1, 2))
        again = ~whole
        if whole.any():
            path = np.concatenate([starts[rows[whole], None], values[rows[whole]]], axis=1)
            again[whole] = unseen_rows(course.objective, np.append(0.0, times), path)
        ended = [Ended()] * len(rows)
        for k in np.flatnonzero(again).tolist():
            row = rows[k]
            run = run_steps(course, starts[row], (rtol, float(atols[row])), course.limits.max_steps, SILENT)
            reached = times <= run.knots[-1]
            values[row] = np.nan
            if reached.any():
                dense = dense_output(course.objective, course.solver, run.knots, run.states, times[reached])
                values[row, np.flatnonzero(reached)] = dense
            ended[k] = in_words(run.stopped, float(run.knots[-1]), course.limits.max_steps)
    return ended
