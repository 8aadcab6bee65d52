"""Gradient flows in float64 from many starts at once."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from symflow.derivatives.derived import gradient
from symflow.errors import FlowStopped, ProblemError
from symflow.evaluate.jax_batches import at_points, in_batches
from symflow.paths.float64.arguments import (
    SMALL,
    check_underflow,
    checked_times,
    checked_tolerances,
    small_atol,
    start_points,
)
from symflow.paths.float64.dense import dense_output
from symflow.paths.float64.methods import first_steps, sweeper, x64
from symflow.paths.float64.ranges import unseen_rows
from symflow.paths.float64.steps import Course, run_steps
from symflow.paths.flow import checked_limits
from symflow.problem import Problem
from symflow.problem.arguments import as_problem


def sweep_flow_float64(
    problem: Problem,
    theta0s: Any,
    times: Sequence[Any],
    *,
    rtol: float = 1e-10,
    atol: float = 1e-12,
    solver: str = "dopri8",
    max_steps: int = 100_000,
) -> np.ndarray:
    """theta_b' = -grad f(theta_b): solves gradient flow in float64 from B starts at once (under `jax.vmap`).

    Each start has its own steps, which end at each of the times, so that a row has the accuracy of a single run. A row
    that may have jumped over unseen changes of an exponential or a sigmoid is run again alone, with steps cut as in
    `solve_flow_float64`. No error is estimated (repeat a few rows with `solve_flow_float64`), and kinks are not
    located. Compiled once per objective, method, number of starts and number of times; the slowest start sets the wall
    time.

    Args:
        problem: supplies the objective; its theta0 is not used.
        theta0s: the starts, shape (B, P).
        times: S times >= 0, in any order.
        rtol: relative tolerance of a step; see `solve_flow_float64`.
        atol: absolute tolerance of a step; smaller for a start with tiny numbers, see `solve_flow_float64`.
        solver: "dopri8", "tsit5" or "dopri5".
        max_steps: most steps of each start.

    Returns:
        The states, a float64 array of shape (B, S, P), times in the order given.

    Raises:
        ProblemError: an argument that is not valid.
        FlowStopped: a start takes too many steps, or its values are no longer finite; `trajectory` is the array, NaN
            at the times that a start did not reach.
        ComputationError: the data are outside the range of float64, or the first gradient of a start underflows.

    Source: as `solve_flow_float64`.
    """
    problem = as_problem(problem, "sweep_flow_float64")
    at = checked_times(times)
    rtol, atol = checked_tolerances(rtol, atol, solver)
    limits = checked_limits(max_steps, None)
    starts = start_points(problem, theta0s)
    if not at.size or at.max() <= 0:
        raise ProblemError("times must hold a positive time; give the times at which the states are wanted")
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
        rows = np.where(good, np.arange(len(starts)), np.argmax(good))  # others are not run, but keep the shape
        values = np.full((len(starts), len(wanted), starts.shape[1]), np.nan)
        values[:, wanted == 0] = starts[:, None]
        if good.any():
            sweep = sweeper(objective, solver, limits.max_steps)
            steps = first_steps(starts[rows], slopes[rows], positive[-1])
            found = np.asarray(sweep(starts[rows], steps, positive, rtol, atols[rows]))
            values[:, wanted > 0] = np.where(good[:, None, None] & np.isfinite(found), found, np.nan)
            whole = np.flatnonzero(np.isfinite(values[:, wanted > 0]).all(axis=(1, 2)))
            path = np.concatenate([starts[whole, None], values[whole][:, wanted > 0]], axis=1)
            course = Course(objective, solver, float(positive[-1]), limits)
            for row in whole[unseen_rows(objective, np.append(0.0, positive), path)]:
                run = run_steps(course, starts[row], (rtol, atols[row]), limits.max_steps, lambda _: None)
                reached = positive <= run.knots[-1]
                values[row, wanted > 0] = np.nan
                again = dense_output(objective, solver, run.knots, run.states, positive[reached])
                values[row, np.flatnonzero(wanted > 0)[reached]] = again
    result: np.ndarray = values[:, back]
    missing = np.isnan(values).any(axis=2)
    if missing.any():
        row = int(np.argmax(missing.any(axis=1)))
        reached = float(wanted[~missing[row]].max(initial=0.0))
        raise FlowStopped(
            f"{int(missing.any(axis=1).sum())} of {len(starts)} starts did not get to the last time; the first is row "
            f"{row}, known up to t = {reached:.6g}: too many steps ({max_steps}), values that are no longer finite, "
            "or a flow that slides along a kink; solve_flow_float64 says which",
            cause="sweep",
            time=reached,
            trajectory=result,
        )
    return result
