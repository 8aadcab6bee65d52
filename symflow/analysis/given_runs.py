"""Flows and runs of descent that the user gives: whether they belong to the problem, and whether they are descent."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from symflow.analysis.arguments import as_flow_of, check_start
from symflow.analysis.observables import gradients
from symflow.dynamics.method import Method
from symflow.dynamics.methods.gradient_descent import GradientDescent
from symflow.errors import ProblemError, brief, brief_float
from symflow.networks.objective import Objective
from symflow.paths.descent import checked_method
from symflow.paths.float64.methods import EVENT_CORRECTED
from symflow.paths.float64.record import Float64Stats
from symflow.paths.iterates import DescentStats, Iterates
from symflow.paths.trajectory import Trajectory
from symflow.problem import Problem
from symflow.problem.arguments import same_objective


def why_not_descent(problem: Problem, run: Trajectory, eta: Fraction, user_run: bool) -> str | None:
    """Why what is proved of gradient descent on the problem does not apply to the run; None where it does.

    Gradient descent with weight decay is gradient descent on the objective with the decay, which the problem then has.
    """
    method = run.method
    if not isinstance(method, GradientDescent) or method.batches is not None:
        return not_descent(method)
    if user_run and not _is_descent(problem, problem.compact, run, eta):
        return (
            "the given run is not gradient descent from the flow's initial point with this step size, or "
            "too few consecutive steps were kept to tell"
        )
    return None


def not_descent(method: Method) -> str:
    """Why what is proved of gradient descent over all samples does not apply to another method."""
    return f"the bound is one on gradient descent, and the run is one of {method.called}"


def known_flow(flow: object, problem: Problem, horizon: Fraction, dps: int | None) -> Trajectory:
    """The given flow; dps is None where it may be one in float64 whose kinks are located.

    Raises:
        ProblemError: it is another problem's, too short, has too few digits, or kinks that are not located.
    """
    remedy = "solve it with sf.solve_flow, this horizon and dps"
    if dps is None:
        remedy = f'solve it with sf.solve_flow_float64(solver="{EVENT_CORRECTED}"), or with digits'
    known = as_flow_of(problem, flow, remedy)
    stats = known.stats
    located = not isinstance(stats, Float64Stats) or not stats.note or stats.solver == EVENT_CORRECTED
    # Times are rounded to the clock of the flow: an end within its digits is the end.
    short = known.end < horizon * (1 - Fraction(1, 10 ** (known.dps or 15)))
    if short or not located or (dps is not None and (known.dps is None or known.dps < dps)):
        digits = "float64" if known.dps is None else f"{known.dps} digits"
        wanted = "kinks located" if dps is None else f"{dps} digits"
        raise ProblemError(
            f"flow must reach t = {brief_float(horizon)} with {wanted}, got t = {brief_float(known.end)} with {digits}"
            f"{'' if located else ' and kinks not located'}; {remedy}"
        )
    if known.error_estimate is None:
        raise ProblemError('flow must have an error estimate, got none; solve it with error="estimated"')
    return known


def as_descent(problem: Problem, eta: Fraction, run: object, method: Method | None) -> Trajectory:
    """The given run.

    Raises:
        ProblemError: not a run of this problem.
    """
    if isinstance(run, Trajectory):
        if not isinstance(run.dense, Iterates):
            raise ProblemError("a run must be the iterates of descent, got a flow; make one with sf.descend")
        if method is not None and run.method != method:
            raise ProblemError(f"the run is one of {run.method!r}, got method {method!r}; use the run's own")
        if run.step_size != eta:
            raise ProblemError(f"the run has step size {run.step_size}, got step_size {eta}; use the run's own")
        if not same_objective(run.objective, problem.for_digits(run.dps or 0).objective):
            raise ProblemError(
                "a run must be the problem's own, got that of another objective (network, loss or data differ); make "
                "it with sf.descend"
            )
        check_start(problem, run.iterates[0])
        return run
    try:
        array = np.asarray(run)
        if np.iscomplexobj(array):
            raise TypeError
        iterates = array.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ProblemError(f"a run must be an array of real numbers, got {brief(run)}") from None
    if not np.isfinite(iterates).all():
        raise ProblemError("a run must have finite iterates, got NaN or infinity; cut it before it diverges")
    expected = problem.objective.parameter_count
    if iterates.ndim != 2 or iterates.shape[1] != expected or len(iterates) < 2:
        raise ProblemError(f"a run must have shape (K + 1, {expected}) with K >= 1, got {iterates.shape}")
    check_start(problem, iterates[0])
    steps = Iterates(checked_method(method, problem), eta, tuple(range(len(iterates))), iterates)
    stats = DescentStats(len(iterates) - 1, "a given run", None, 0.0)
    return Trajectory(problem.objective, steps, None, (), None, stats)


def _is_descent(problem: Problem, objective: Objective, run: Trajectory, eta: Fraction) -> bool:
    """Whether a run starts at theta0 and its kept consecutive iterates are gradient descent, to float64 rounding."""

    points = run.iterates.astype(np.float64)
    start = np.array([float(v) for v in problem.theta0])
    if run.indices[0] != 0 or np.abs(points[0] - start).max() > 1e-10 * max(1.0, np.abs(start).max()):
        return False
    consecutive = [i for i in range(len(run.indices) - 1) if run.indices[i + 1] == run.indices[i] + 1]
    if not consecutive:
        return False
    here, there = points[consecutive], points[[i + 1 for i in consecutive]]
    expected = here - float(eta) * gradients(objective, here)
    return bool(np.abs(expected - there).max() <= 1e-10 * max(1.0, np.abs(points).max()))
