"""The arguments of a float64 flow, checked and turned into float64."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

from symflow.caching import kept
from symflow.derivatives.derived import gradient
from symflow.errors import ComputationError, ProblemError, brief, brief_float
from symflow.evaluate.jax_batches import at_points, in_batches
from symflow.evaluate.jax_runtime import own_modes
from symflow.networks.objective import Objective
from symflow.numbers.arguments import positive
from symflow.numbers.rational import rational, rational_array
from symflow.numbers.types import Number
from symflow.paths.float64.methods import SOLVERS
from symflow.problem import Problem

MIN_RTOL, MAX_RTOL = 1e-13, 1e-3
"""Relative tolerances such that a run at 100 times tighter or looser ones still means something in float64."""

NORMAL = Fraction(float(np.finfo(np.float64).tiny))
"""Compiled code takes smaller numbers for 0."""
SMALL = Fraction(1, 10**20)
"""Products of numbers that are not smaller hardly fall below `NORMAL`: where there are none, nothing is compared."""
TINY = 1e-6
"""A start's numbers below want their own absolute tolerance: two runs at usual ones may lose them both."""


def to_float(value: Number, where: str) -> float:
    """A number of any kind in float64."""
    try:
        return float(rational(value, where))
    except OverflowError:
        raise ProblemError(f"{where} must be within float64, got a number beyond; solve with digits") from None


def checked_times(times: Sequence[Number]) -> np.ndarray:
    """Times >= 0."""
    at = np.array([to_float(t, "times") for t in rational_array(times, "times", ndim=1)], dtype=np.float64)
    if at.min() < 0:
        raise ProblemError(f"times must not be negative, got {at.min():.6g}; the flow starts at time 0")
    return at


def final_time(problem: Problem, horizon: Number | None, at: np.ndarray | None) -> float:
    """The horizon given, the last of the times, or the problem's own; positive, and no time beyond it."""
    if horizon is None:
        horizon = problem.horizon if at is None else float(at.max())
    if horizon is None:
        raise ProblemError("run.horizon: a flow needs a final time, got none; give horizon=... or run.horizon")
    end = to_float(positive(horizon, "horizon"), "horizon")
    if at is not None and at.max() > end:
        raise ProblemError(f"times must lie in [0, {end:.6g}], got {at.max():.6g}; give a later horizon")
    return end


def checked_tolerances(rtol: float, atol: float, solver: str, solvers: Iterable[str] = SOLVERS) -> tuple[float, float]:
    """rtol and atol, with the method checked too."""

    def real(x: object) -> bool:
        return isinstance(x, int | float | np.floating) and not isinstance(x, bool)

    if not real(rtol) or not MIN_RTOL <= rtol <= MAX_RTOL:
        raise ProblemError(
            f"rtol must lie in [{MIN_RTOL:g}, {MAX_RTOL:g}], got {brief(rtol)}; for more digits take solve_flow"
        )
    if not real(atol) or not 0 < atol < np.inf:
        raise ProblemError(f"atol must be a positive number, got {brief(atol)}")
    if not isinstance(solver, str) or solver not in solvers:
        raise ProblemError(f"solver must be one of {', '.join(solvers)}, got {brief(solver)}")
    return float(rtol), float(atol)


def small_atol(start: np.ndarray, rtol: float, atol: float) -> float:
    """The absolute tolerance that a start with tiny numbers needs; `atol` where there are none."""
    smallest = float(np.abs(start[start != 0]).min(initial=1.0))
    return min(atol, rtol * smallest) if smallest < TINY else atol


def exact_start(problem: Problem, theta0: Sequence[Number] | None) -> tuple[Fraction, ...]:
    """The start given or the problem's own."""
    given = problem.theta0 if theta0 is None else tuple(rational_array(theta0, "theta0", ndim=1))
    count = problem.objective.parameter_count
    if len(given) != count:
        raise ProblemError(f"theta0 must have {count} numbers, one a parameter, got {len(given)}")
    return given


def start_point(given: Sequence[Fraction]) -> np.ndarray:
    """A start in float64, shape (P,)."""
    try:
        return np.array([float(v) for v in given], dtype=np.float64)
    except OverflowError:
        raise ComputationError("theta0 is beyond float64; solve with digits (solve_flow)") from None


def start_points(problem: Problem, theta0s: ArrayLike) -> np.ndarray:
    """The starts of a sweep, shape (B, P)."""
    count = problem.objective.parameter_count
    try:
        if np.iscomplexobj(theta0s):
            raise TypeError
        starts = np.array(theta0s, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ProblemError(f"theta0s must be an array of shape (B, {count}), got {brief(theta0s)}") from None
    if starts.ndim != 2 or starts.shape[1] != count or not len(starts):
        raise ProblemError(f"theta0s must be an array of shape (B, {count}), got shape {starts.shape}")
    if not np.isfinite(starts).all():
        raise ProblemError("theta0s must be finite numbers, got some that are not")
    return starts


@kept
def _smallest_datum(objective: Objective) -> Fraction:
    """The smallest nonzero |entry| of the data, 1 without one."""
    return min((abs(v) for array in objective.data.values() for v in array.flat if v), default=Fraction(1))


def check_underflow(objective: Objective, start: Sequence[Fraction], time: float) -> None:
    """Refuses a problem that float64 takes for another one, because numbers or the first gradient underflow to 0.

    Args:
        objective: what is minimized.
        start: theta(0), exact.
        time: how long; a gradient that moves nothing by then may underflow.

    Raises:
        ComputationError: it does.
    """
    from symflow.evaluate.object_arrays import evaluate_mpmath

    smallest = min(_smallest_datum(objective), min((abs(v) for v in start if v), default=Fraction(1)))
    remedy = "solve with digits (solve_flow, descend with dps=...)"
    if smallest < NORMAL:
        raise ComputationError(
            f"numbers other than 0 must be at least {float(NORMAL):.3g} in float64, got {brief_float(smallest)} among "
            f"theta0 and the data or their moments; {remedy}"
        )
    if smallest >= SMALL:
        return
    exact = evaluate_mpmath(gradient(objective), list(start), dps=30)
    with own_modes():
        point = np.array([[float(v) for v in start]])
        found = in_batches(at_points(objective, gradient), point)[0]
    for i, (slope, rounded, value) in enumerate(zip(exact, found, start, strict=True)):
        moves = abs(slope) * time > 1e-17 * abs(float(value))
        if 0 < abs(slope) < 1e-290 and moves and abs(slope - float(rounded)) > 1e-3 * abs(slope):
            raise ComputationError(
                f"the gradient must not underflow in float64, got {float(rounded):.3g} for its component {i} at the "
                f"start, where it is not 0; {remedy}"
            )
