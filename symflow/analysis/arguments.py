"""Checks of arguments: the number of steps; whether a flow or a given run belongs to a problem."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from symflow.errors import ProblemError, brief, brief_float
from symflow.numbers.rational import rational
from symflow.numbers.types import Number
from symflow.paths.iterates import Iterates
from symflow.paths.trajectory import Trajectory
from symflow.problem import Problem
from symflow.problem.arguments import same_objective

START = Fraction(1, 10**6)
"""How far, relative to the largest weight, a run's start may lie from theta0: single precision and no more."""


def as_flow_of(problem: Problem, flow: object, remedy: str = "solve it with sf.solve_flow") -> Trajectory:
    """The flow that was given.

    Args:
        problem: whose flow it must be.
        flow: what was given for it.
        remedy: the end of the error message.

    Raises:
        ProblemError: not a trajectory, or one of another function (other data, standardized otherwise) or start.
    """
    if not isinstance(flow, Trajectory) or isinstance(flow.dense, Iterates):
        raise ProblemError(f"flow must be a trajectory of sf.solve_flow, got {brief(flow)}; {remedy}")
    if not isinstance(flow.objective, type(problem.objective)) or not same_objective(flow.objective, problem.objective):
        raise ProblemError(
            f"flow must be the problem's own, got that of another objective (network, loss or data differ); {remedy}"
        )
    stored = Fraction(1, 10 ** max(0, flow.dense.stored_digits - 2))
    apart = _farthest(problem.theta0, list(flow(0)), stored, Fraction(1, 10**14) if flow.dps is None else Fraction(0))
    if apart is not None:
        raise ProblemError(f"flow must start at the problem's theta0, got a start with {apart}; {remedy}")
    return flow


def steps_to(problem: Problem, horizon: Number | None, eta: Fraction, caller: str) -> int:
    """How many steps descent takes to the horizon given, or to the problem's own.

    Args:
        problem: what is run.
        horizon: the final time that was given; None for the problem's own.
        eta: the step size.
        caller: what needs the final time, the start of the error message.

    Raises:
        ProblemError: no final time, or one before the first step.
    """
    end = problem.horizon if horizon is None else rational(horizon, "horizon")
    if end is None:
        raise ProblemError(f"run.horizon: {caller} needs a final time, got none; give horizon=... or run.horizon")
    if end < eta:
        raise ProblemError(
            f"horizon {brief_float(end)} is shorter than one step of size {brief_float(eta)}; take a longer "
            "horizon or a smaller step size"
        )
    return int(end / eta)


def check_start(problem: Problem, start: Iterable[Number]) -> None:
    """Refuses a run that starts elsewhere, beyond what single precision loses.

    Args:
        problem: whose run it must be.
        start: its theta_0.

    Raises:
        ProblemError: a weight is another one.
    """
    tolerance = START * max((abs(v) for v in problem.theta0), default=Fraction(0))
    apart = _farthest(problem.theta0, start, tolerance, Fraction(0))
    if apart is not None:
        raise ProblemError(
            f"a run must start at the problem's theta0, got a start with {apart}; compare it with "
            "problem.replace(theta0=...)"
        )


def _farthest(wanted: Sequence[Fraction], got: Iterable[Number], absolute: Fraction, relative: Fraction) -> str | None:
    """The first weight of two that differ, in words; None where all are the same."""
    for i, (a, value) in enumerate(zip(wanted, got, strict=True)):
        b = Fraction(value) if isinstance(value, float) else rational(value, f"theta[{i}]")
        if abs(a - b) > absolute + relative * abs(a):
            return f"theta[{i}] = {brief_float(b)} in place of {brief_float(a)}"
    return None
