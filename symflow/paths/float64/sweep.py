"""Gradient flows in float64 from many starts at once."""

from __future__ import annotations

from collections.abc import Sequence
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
    """

    def __init__(self, what: str, *, time: float, states: np.ndarray) -> None:
        super().__init__(what, cause="sweep", time=time)
        self.states = states
        self.trajectory = states  # type: ignore[assignment]  # its name in 0.1.0


def sweep_flow_float64(
    problem: Problem,
    theta0s: ArrayLike,
    times: Sequence[Number],
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
        SweepStopped: a `FlowStopped`: a start takes too many steps, or its values are no longer finite; `states` is the
            array, NaN at the times that a start did not reach.
        ComputationError: the data are outside the range of float64, or the first gradient of a start underflows.

    Source: diffrax (Kidger 2021); the methods as in `solve_flow_float64`.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1)), data={"x": [1], "y": [1]}, init={"theta": [0]})
        >>> states = sf.sweep_flow_float64(problem, [[0.0], [3.0]], times=[1, 2], solver="tsit5", rtol=1e-6)
        >>> states.shape
        (2, 2, 1)
        >>> states[:, :, 0].round(5)
        array([[0.63212, 0.86466],
               [1.73576, 1.27067]])
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
            course = Course(objective, solver, float(positive[-1]), limits)
            _run_unseen_again(course, (rtol, atols), starts, positive, values[:, len(wanted) - len(positive) :])
    result: np.ndarray = values[:, back]
    missing = np.isnan(values).any(axis=2)
    if missing.any():
        row = int(np.argmax(missing.any(axis=1)))
        reached = float(wanted[~missing[row]].max(initial=0.0))
        raise SweepStopped(
            f"{int(missing.any(axis=1).sum())} of {len(starts)} starts did not get to the last time; the first is row "
            f"{row}, known up to t = {reached:.6g}: too many steps ({max_steps}), values that are no longer finite, "
            "or a flow that slides along a kink; solve_flow_float64 says which",
            time=reached,
            states=result,
        )
    return result


def _run_unseen_again(
    course: Course, tolerances: tuple[float, np.ndarray], starts: np.ndarray, times: np.ndarray, values: np.ndarray
) -> None:
    """Runs each row that may have gone by something unseen alone, and writes its states into `values`.

    Args:
        course: what to run.
        tolerances: rtol, and atol of each row.
        starts: shape (B, P).
        times: S positive ones, increasing.
        values: the states there, shape (B, S, P), NaN where a row did not get to.
    """
    whole = np.flatnonzero(np.isfinite(values).all(axis=(1, 2)))
    if not len(whole):
        return
    path = np.concatenate([starts[whole, None], values[whole]], axis=1)
    for row in whole[unseen_rows(course.objective, np.append(0.0, times), path)]:
        alone = (tolerances[0], float(tolerances[1][row]))
        run = run_steps(course, starts[row], alone, course.limits.max_steps, SILENT)
        reached = times <= run.knots[-1]
        values[row] = np.nan
        again = dense_output(course.objective, course.solver, run.knots, run.states, times[reached])
        values[row, np.flatnonzero(reached)] = again
