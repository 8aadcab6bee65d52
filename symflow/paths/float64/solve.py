"""One gradient flow in float64."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

import mpmath
import numpy as np

from symflow.dynamics.vector_field import gradient_flow_field
from symflow.errors import FlowInterrupted, FlowStopped, StopCause
from symflow.networks.objective import Objective
from symflow.numbers.types import Number
from symflow.paths.aliases import with_old_names
from symflow.paths.float64.arguments import (
    check_underflow,
    checked_times,
    checked_tolerances,
    exact_start,
    final_time,
    small_atol,
    start_point,
)
from symflow.paths.float64.estimate import SecondRun, Unfinished, second_run
from symflow.paths.float64.gated.solve import Asked, solve_gated
from symflow.paths.float64.kinks import CHATTER, KinkCounts, count_kinks, kink_note
from symflow.paths.float64.methods import EVENT_CORRECTED, SOLVERS, x64
from symflow.paths.float64.record import Float64Stats, RungeKuttaSteps
from symflow.paths.float64.steps import Course, StepRun, run_steps
from symflow.paths.float64.watch import Watch, watch
from symflow.paths.flow import own_stops
from symflow.paths.path_error import CHECK, How, PathError, estimate_wanted
from symflow.paths.solver import checked_limits
from symflow.paths.stop_conditions import Stop, Stopped, monitors
from symflow.paths.trajectory import Trajectory
from symflow.problem import Problem
from symflow.problem.arguments import as_problem
from symflow.progress import Reporter, Wanted, reporting

NO_KINKS = KinkCounts(0, 0, np.zeros(0, dtype=int))
CAUSES: Mapping[str, StopCause] = {
    "start": "step-size",
    "steps": "max-steps",
    "collapse": "step-size",
    "unseen": "step-size",
    "time": "time-limit",
}
"""Why a run stopped, as a `FlowStopped` names it."""
CHEAPER = "looser tolerances (rtol=...), a shorter horizon, or error=None, which spares the second run"


@with_old_names
def solve_flow_float64(
    problem: Problem,
    *,
    horizon: Number | None = None,
    times: Sequence[Number] | None = None,
    rtol: float = 1e-10,
    atol: float = 1e-12,
    solver: str = "dopri8",
    stop: Stop | Sequence[Stop] = (),
    theta0: Sequence[Number] | None = None,
    error: How | None = "estimated",
    progress: Wanted = None,
    max_steps: int = 100_000,
    time_limit: Number | None = None,
) -> Trajectory:
    """theta' = -grad f(theta), theta(0) = theta0: solves gradient flow on [0, horizon] in float64.

    A Runge-Kutta method of diffrax with the step size chosen so that the root mean square of
    error_i / (atol + rtol |theta_i|) is below 1 in each step; the moment form is used where there is one. Steps that
    would jump over unseen changes of an exponential or a sigmoid are cut. Compiled once per objective and method; JAX's
    global x64 setting is not changed. Kinks are only located by the solver "event-corrected": see `stats.note` of the
    result. All step ends are kept, 8 P bytes per step.

    Args:
        problem: what to solve.
        horizon: final time (text, rational, mpmath number, or float); if left out the last of `times`, or else the
            problem's own.
        times: where the state will be wanted (`trajectory.numpy(times)`): the error estimate covers these times too.
        rtol: relative tolerance of a step, from 1e-13 to 1e-3.
        atol: absolute tolerance of a step; rtol times the smallest |theta0_i| > 0 where that is below 1e-6 (a start of
            1e-40 is lost otherwise), if it is smaller.
        solver: "dopri8" (order 8), "tsit5" or "dopri5" (order 5); "event-corrected" for flows with kinks (R31), which
            locates kinks, walks them in order of time and holds sliding gates; a step through kinks is compared with
            two halves, or ends at the first. Its error estimate is twice the largest difference from a run at 32 times
            looser tolerances, at 16 or more times of both.
        stop: conditions (`stop_at_loss`, `stop_at_gradient_norm`, `stop_when`); the trajectory ends where the first of
            them is met on its dense output, and `stopped` says which and when, with the estimated error of that time.
            Four points per step are checked, so that a quantity that turns twice between two of them is missed.
        theta0: another start than the problem's, shape (P,).
        error: "estimated": make a second run for `error.value`: twice the largest difference from a run at the
            tolerances `stats.check_rtol` and `stats.check_atol` and from a start one unit in the last place away, at
            `times`, at ends and inner points of (at most 512) steps, and at 31 or more points of each of (at most 64)
            steps across kinks. Rounding of the data is not included. None: no estimate.
        progress: True for a bar, or a function of a `Progress`, the fraction that is done from 0 to 1; it spans both
            runs (the flow and the run for its error estimate).
        max_steps: most steps of one run, accepted or rejected.
        time_limit: most seconds of wall time, the second run included; checked between chunks of steps, of about a
            second each.

    Returns:
        A `Trajectory`: `trajectory(t)` is theta(t), a float64 array of shape (P,); `error.value` (mpf) is its estimated
        largest absolute error, `stats` a `Float64Stats`.

    Raises:
        ProblemError: no horizon, or an argument that is not valid.
        FlowStopped: a limit, values that are no longer finite (then steps collapse), or a condition that cannot be
            decided; `trajectory` holds what was computed (the whole flow where the second run met the limit).
        FlowInterrupted: Ctrl-C, a `KeyboardInterrupt`; `trajectory` holds what was computed.
        ComputationError: the start or the data are outside the range of float64.

    Source: diffrax (Kidger 2021); dopri8 Prince & Dormand 1981, dopri5 Dormand & Prince 1980, tsit5 Tsitouras 2011.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1)), data={"x": [1], "y": [1]}, init={"theta": [0]})
        >>> flow = sf.solve_flow_float64(problem, horizon=1, solver="tsit5", rtol=1e-6, estimate_error=False)
        >>> round(float(flow(1)[0]), 5)
        0.63212
    """
    problem, wanted = as_problem(problem, "solve_flow_float64"), estimate_wanted(error)
    at = None if times is None else checked_times(times)
    end = final_time(problem, horizon, at)
    rtol, atol = checked_tolerances(rtol, atol, solver, (*SOLVERS, EVENT_CORRECTED))
    limits = checked_limits(max_steps, time_limit)
    given = exact_start(problem, theta0)
    start = start_point(given)
    stops = own_stops(stop, problem.objective, problem.objective)
    asked = Asked(end, np.zeros(0) if at is None else at, rtol, small_atol(start, rtol, atol), limits, wanted)
    with reporting(progress, "gradient flow in float64", CHEAPER) as report:
        if solver != EVENT_CORRECTED:
            return _solved(_Flow(problem, solver, (rtol, asked.atol), stops), given, asked, at, report)
        conditions = monitors(stops, gradient_flow_field(problem.objective))
        with x64():
            check_underflow(problem.objective, given, end)
            watching = watch(problem.objective, conditions, given) if conditions else None
            return solve_gated(problem.objective, start, replace(asked, watch=watching), report)


def _solved(
    flow: _Flow, given: Sequence[Fraction], asked: Asked, at: np.ndarray | None, report: Reporter
) -> Trajectory:
    """The flow by a Runge-Kutta method, with the run for its error estimate where one is wanted."""
    start, end, limits, wanted = start_point(given), asked.end, asked.limits, asked.estimate
    known = flow.recorded(StepRun(np.zeros(1), start[None], 0, 0, 0, "interrupted"), NO_KINKS, 0.0)
    share = 0.45 if wanted else 1.0
    first, second = report.part(0, share), report.part(share, 1, CHECK)
    try:
        with x64():
            check_underflow(flow.objective, given, end)
            course = Course(flow.objective, flow.solver, end, limits, flow.watch(given))
            run = run_steps(course, start, flow.tolerances, limits.max_steps, first)
            seconds = time.perf_counter() - flow.clock
            run, kinks = _with_kinks(flow.objective, run)
            known = flow.recorded(run, kinks, seconds)
            if run.stopped:
                raise _ended(run.stopped, known, course)
            _check_meaning(course, kinks, known)
            if wanted:
                known = _estimated(known, course, run, at, kinks, second)
        report(1.0)
    except FlowInterrupted:
        raise
    except KeyboardInterrupt:
        cut = known if known.end else replace(known, incomplete="interrupted")
        raise FlowInterrupted(time=known.horizon, trajectory=cut) from None
    except FlowStopped as stopped:
        if stopped.trajectory is None:  # a condition that cannot be decided at the start
            stopped.trajectory = replace(known, incomplete=stopped.what)
        raise
    return known


class _Flow:
    """What is integrated, how, and since when."""

    def __init__(self, problem: Problem, solver: str, tolerances: tuple[float, float], stops: Sequence[Stop]) -> None:
        self.given, self.solver, self.tolerances = problem.objective, solver, tolerances
        self.objective = problem.compact
        self.conditions = monitors(stops, gradient_flow_field(self.objective))
        self.clock = time.perf_counter()

    def watch(self, start: Sequence[Fraction]) -> Watch | None:
        """The conditions on the way from a start; None without one."""
        return watch(self.objective, self.conditions, start) if self.conditions else None

    def recorded(self, run: StepRun, kinks: KinkCounts, seconds: float) -> Trajectory:
        """A run as a trajectory, without an error estimate."""
        (rtol, atol), shown = self.tolerances, tuple(str(c.stop) for c in self.conditions)
        stats = Float64Stats(
            solver=self.solver,
            rtol=rtol,
            atol=atol,
            accepted=run.accepted,
            rejected=run.rejected,
            evaluations=run.evaluations,
            gate_changes=kinks.changes,
            kink_steps=kinks.reached,
            note=_note(self.objective, run, kinks, rtol),
            seconds=seconds,
        )
        dense = RungeKuttaSteps(self.objective, self.solver, _frozen(run.knots), _frozen(run.states))
        stopped = None if run.met is None else Stopped(shown[run.met], dense.horizon)
        return Trajectory(self.given, dense, None, (), None, stats, shown, stopped)


def _with_kinks(objective: Objective, run: StepRun) -> tuple[StepRun, KinkCounts]:
    """What a run tells of kinks; nothing where it was interrupted, which is to have effect at once."""
    if run.stopped != "interrupted":
        try:
            return run, count_kinks(objective, run)
        except KeyboardInterrupt:
            pass
    return replace(run, stopped="interrupted"), NO_KINKS


def _note(objective: Objective, run: StepRun, kinks: KinkCounts, rtol: float) -> str:
    if not objective.gates:
        return ""
    return "interrupted before kinks were looked for" if run.stopped == "interrupted" else kink_note(kinks, rtol)


def _frozen(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def _estimated(
    trajectory: Trajectory,
    course: Course,
    run: StepRun,
    at: np.ndarray | None,
    kinks: KinkCounts,
    report: Reporter,
) -> Trajectory:
    """The trajectory with the error estimates of a second run.

    Raises:
        FlowStopped: no time is left, or the two runs are not ended by the same condition.
        FlowInterrupted: Ctrl-C.
    """
    stats, clock = trajectory.stats, time.perf_counter()
    assert isinstance(stats, Float64Stats)
    try:
        check = second_run(course, run, (stats.rtol, stats.atol), at, kinks, report)
    except Unfinished as unfinished:
        if unfinished.cause == "interrupted":
            raise FlowInterrupted(time=trajectory.horizon, trajectory=trajectory) from None
        raise FlowStopped(
            f"the time limit of {course.limits.seconds:g} s was reached while a second run estimated the error; the "
            f"trajectory to t = {float(trajectory.horizon):.6g} is known without an estimate",
            "allow more time (time_limit) or leave the estimate out (error=None)",
            cause="time-limit",
            time=trajectory.horizon,
            trajectory=trajectory,
        ) from None
    seconds = time.perf_counter() - clock
    if check is None:
        return replace(trajectory, stats=replace(stats, check_seconds=seconds))
    if check.met != run.met:
        raise _disagreement(trajectory, check)
    stopped = trajectory.stopped
    if stopped is not None and check.time_error is not None:
        stopped = replace(stopped, error_estimate=mpmath.mpf(check.time_error))
    stats = replace(stats, check_rtol=check.rtol, check_atol=check.atol, check_seconds=seconds)
    return replace(trajectory, error=PathError(mpmath.mpf(check.error), "estimated"), stopped=stopped, stats=stats)


def _disagreement(trajectory: Trajectory, check: SecondRun) -> FlowStopped:
    """The typed error for a condition that only one of two runs meets."""
    met = None if trajectory.stopped is None else trajectory.stopped.condition
    names = [
        "none" if c is None else f"the {c}"
        for c in (met, None if check.met is None else trajectory.conditions[check.met])
    ]
    return FlowStopped(
        f"two runs at different tolerances end at t = {float(trajectory.horizon):.10g} and t = {check.end:.10g} by "
        f"different conditions ({' and '.join(names)})",
        "ask for tighter tolerances, take solve_flow, or choose another value",
        cause="quantity",
        time=trajectory.horizon,
        trajectory=trajectory,
    )


def _check_meaning(course: Course, kinks: KinkCounts, trajectory: Trajectory) -> None:
    """Refuses a condition on gradients where steps zigzag across a kink: they are those of one side or the other.

    Raises:
        FlowStopped: there is one.
    """
    condition = None if course.watch is None else course.watch.needs_slopes
    if condition is None or kinks.reached < CHATTER:
        return
    what = (
        f"one gate's kink was within reach of {kinks.reached} steps, so the flow probably slides along it, and the "
        f"condition that the {condition.stop} has no meaning in float64, whose steps zigzag across the kink"
    )
    raise FlowStopped(
        what,
        "take solve_flow, or a quantity without derivatives",
        cause="sliding",
        time=trajectory.horizon,
        trajectory=replace(trajectory, stopped=None, incomplete=what),
    )


def _ended(cause: str, trajectory: Trajectory, course: Course) -> FlowStopped | FlowInterrupted:
    """The typed error for a run that did not get to the end."""
    stats, horizon = trajectory.stats, trajectory.horizon
    assert isinstance(stats, Float64Stats)
    if cause == "interrupted":
        return FlowInterrupted(time=horizon, trajectory=replace(trajectory, incomplete="interrupted"))
    at = f"t = {float(horizon):.6g} of {course.end:.6g}"
    if stats.kink_steps >= CHATTER:
        remedy = (
            f"one gate's kink was within reach of {stats.kink_steps} steps, so the flow probably slides along it: take "
            'solver="event-corrected" or solve_flow, which hold it there, or looser tolerances (the steps are as many '
            "as 1 / tolerance)"
        )
    else:
        remedy = {
            "steps": "allow more steps (max_steps), looser tolerances or a shorter horizon",
            "time": "allow more time (time_limit), looser tolerances or a shorter horizon",
        }.get(cause, "choose a shorter horizon, another start or smaller data")
    what = {
        "start": "the gradient at theta0 is not finite in float64",
        "steps": f"{course.limits.max_steps} steps led only to {at}",
        "time": f"the time limit of {course.limits.seconds:g} s was reached at {at}",
        "unseen": f"a function of the objective changes too fast for steps of float64 at t = {float(horizon):.10g}",
        "collapse": f"the step size collapsed at t = {float(horizon):.10g}, the values blow up or are no longer finite",
    }[cause]
    partial = replace(trajectory, incomplete=what)
    return FlowStopped(what, remedy, cause=CAUSES[cause], time=horizon, trajectory=partial)
