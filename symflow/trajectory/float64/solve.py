"""One gradient flow in float64."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from symflow.errors import FlowStopped
from symflow.problem import Problem
from symflow.trajectory.float64.arguments import checked_times, checked_tolerances, final_time, start_point
from symflow.trajectory.float64.dense import dense_output
from symflow.trajectory.float64.estimate import second_run
from symflow.trajectory.float64.kinks import CHATTER, count_kinks, kink_note
from symflow.trajectory.float64.methods import x64
from symflow.trajectory.float64.record import Float64Stats, Float64Trajectory
from symflow.trajectory.float64.steps import run_steps
from symflow.trajectory.flow import integration_form

CAUSES = {"start": "step-size", "steps": "max-steps", "collapse": "step-size"}
"""Why a run stopped, as a `FlowStopped` names it."""


def solve_flow_float64(
    problem: Problem,
    *,
    horizon: Any = None,
    times: Sequence[Any] | None = None,
    rtol: float = 1e-10,
    atol: float = 1e-12,
    solver: str = "dopri8",
    max_steps: int = 100_000,
    theta0: Sequence[Any] | None = None,
    estimate_error: bool = True,
) -> Float64Trajectory:
    """Solves gradient flow theta' = -grad f(theta), theta(0) = theta0, on [0, horizon] in float64.

    A Runge-Kutta method of diffrax with the step size chosen so that the root mean square of
    error_i / (atol + rtol |theta_i|) is below 1 in each step; the moment form where there is one.  Compiled once per
    objective and method; JAX's global x64 setting is left alone.  Kinks are not located: see `note` in the result.
    All step ends are kept, that is 8 P bytes a step.

    Args:
        problem: what to solve.
        horizon: final time (string, rational, mpmath number, or float); the last of `times`, or else the problem's
            own, if left out.
        times: where the state is wanted (`times` and `values` of the result); the step ends if left out.
        rtol: relative tolerance of a step, from 1e-13 to 1e-3.
        atol: absolute tolerance of a step.
        solver: "dopri8" (order 8), "tsit5" or "dopri5" (order 5).
        max_steps: most steps, accepted or rejected.
        theta0: another start than the problem's, P numbers.
        estimate_error: make a second run for `error_estimate`.

    Raises:
        ProblemError: no horizon, or a wrong argument.
        FlowStopped: too many steps, or values that are no longer finite (then steps collapse); `trajectory` holds the
            part up to there.
        ComputationError: the start or the data are beyond float64.
    """
    at = None if times is None else checked_times(times)
    end = final_time(problem, horizon, at)
    rtol, atol = checked_tolerances(rtol, atol, solver, max_steps)
    start = start_point(problem, theta0)
    objective = integration_form(problem.objective)
    with x64():
        clock = time.perf_counter()
        run = run_steps(objective, solver, start, end, rtol, atol, max_steps)
        middle = time.perf_counter()
        kinks = count_kinks(objective, run)
        check = None
        if estimate_error and not run.stopped:
            check = second_run(objective, solver, run, start, (rtol, atol), at, kinks)
        spent = time.perf_counter() - middle if estimate_error else 0.0
        wanted = run.knots if at is None else at[at <= run.knots[-1]]
        values = run.states if at is None else dense_output(objective, solver, run.knots, run.states, wanted)
        for array in (wanted, values, run.knots, run.states):
            array.flags.writeable = False
        trajectory = Float64Trajectory(
            objective=problem.objective,
            times=wanted,
            values=values,
            knots=run.knots,
            states=run.states,
            solver=solver,
            rtol=rtol,
            atol=atol,
            error_estimate=None if check is None else check.error,
            check_rtol=None if check is None else check.rtol,
            check_atol=None if check is None else check.atol,
            gate_changes=kinks.changes,
            kink_steps=kinks.reached,
            note=kink_note(kinks, rtol) if objective.gates else "",
            stats=Float64Stats(run.accepted, run.rejected, run.evaluations, middle - clock, spent),
        )
    if run.stopped:
        raise _stopped(run.stopped, trajectory, end, max_steps)
    return trajectory


def _stopped(cause: str, trajectory: Float64Trajectory, end: float, max_steps: int) -> FlowStopped:
    """The typed error for a run that did not get to the end."""
    at, near = trajectory.horizon, trajectory.kink_steps
    if near >= CHATTER:
        remedy = (
            f"one gate's kink was within reach of {near} steps, so the flow probably slides along it: take solve_flow, "
            "which holds it there, or looser tolerances (the steps are as many as 1 / tolerance)"
        )
    elif cause == "steps":
        remedy = "allow more steps (max_steps), looser tolerances or a shorter horizon"
    else:
        remedy = "choose a shorter horizon, another start or smaller data"
    what = {
        "start": "the gradient at theta0 is not finite in float64",
        "steps": f"{max_steps} steps led only to t = {at:.6g} of {end:.6g}",
        "collapse": f"the step size collapsed at t = {at:.10g}, the values blow up or are no longer finite",
    }
    return FlowStopped(what[cause], remedy, cause=CAUSES[cause], time=at, trajectory=trajectory)
