"""A float64 flow through kinks that are located, walked and held."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import mpmath
import numpy as np

from symflow.errors import FlowInterrupted, FlowStopped, ProblemError, StopCause
from symflow.networks.objective import Objective
from symflow.numbers.decimal import counted
from symflow.paths.float64.gated.frozen import frozen
from symflow.paths.float64.gated.record import EventCorrectedSteps
from symflow.paths.float64.gated.run import GatedRun, Plan, run_gated
from symflow.paths.float64.gated.second_run import SecondRun
from symflow.paths.float64.methods import EVENT_CORRECTED
from symflow.paths.float64.record import Float64Stats
from symflow.paths.float64.watch import Watch, time_rounding
from symflow.paths.path_error import CHECK, PathError
from symflow.paths.stop_conditions import Stopped
from symflow.paths.taylor.limits import Limits
from symflow.paths.trajectory import Trajectory
from symflow.progress import Reporter

COMPARED = 16
"""Equal parts of the time, at whose ends two runs are compared; the tighter one has twice as many."""
LOOSER = 32.0
"""The factor between the tolerances of two runs: their steps differ by more than two."""
STOPPED: Mapping[str, tuple[str, StopCause, str]] = {
    "steps": ("the steps allowed led only to", "max-steps", "allow more steps (max_steps) or looser tolerances"),
    "time": ("the time limit was reached at", "time-limit", "allow more time (time_limit) or looser tolerances"),
    "together": (
        "a gate is held whose kink is that of others too (equal or proportional inputs, ties of a pool, or the only "
        "unit of a layer that a sample still passes through) at",
        "coincident",
        "take solve_flow(problem, dps=15), which decides such kinks",
    ),
    "slopes": (
        "a gate is held on its kink, where a condition on gradients has no meaning in float64, at",
        "sliding",
        "take solve_flow, or a quantity without derivatives",
    ),
    "repelling": (
        "the flow can leave the kink that it starts on to both sides, at",
        "repelling",
        "choose another start; solve_flow(problem, dps=15) says which gate it is",
    ),
    "collapse": ("the step size collapsed at", "step-size", "choose a shorter horizon or another start"),
}


@dataclass(frozen=True)
class Asked:
    """What is asked for.

    Attributes:
        end: the final time.
        at: times that steps end at, and that the error estimate covers, every other one looked at.
        rtol: relative tolerance of a step.
        atol: absolute tolerance of a step.
        limits: of a run.
        estimate: whether to make a second run.
        watch: conditions that end it.
    """

    end: float
    at: np.ndarray
    rtol: float
    atol: float
    limits: Limits
    estimate: bool
    watch: Watch | None = None

    def plan(self, looser: float = 1.0, parts: int = 2 * COMPARED) -> Plan:
        """The run, at tolerances so much looser, with steps of at most so many parts of the time.

        A looser one ends steps at every other of the times alone: were it to end them at all, its steps would be the
        same where times are dense, and the difference nothing.
        """
        at = self.at[self.at > 0][:: 1 if looser == 1.0 else 2]
        stops = np.unique(np.concatenate([np.arange(1, parts + 1) * (self.end / parts), at]))
        stops = np.append(stops[stops < self.end * (1 - 1e-12)], self.end)
        return Plan(stops, self.rtol * looser, self.atol * looser, self.limits, self.watch)


def solve_gated(objective: Objective, start: np.ndarray, asked: Asked, report: Reporter) -> Trajectory:
    """The flow from a start, to be called within `x64`; see `solve_flow_float64`.

    Raises:
        ProblemError: the objective has no kinks.
        FlowStopped: it ends early.
        FlowInterrupted: Ctrl-C.
    """
    if not objective.gates:
        raise ProblemError(f'solver="{EVENT_CORRECTED}" is for flows with kinks, got a smooth one; take "dopri8"')
    compiled = frozen(objective)
    with SecondRun(compiled, start, asked.plan(LOOSER, COMPARED), asked.estimate) as check:
        clock, share = time.perf_counter(), check.share
        run = run_gated(compiled, start, asked.plan(), report.part(0, share))
        flow = _recorded(objective, asked, run, time.perf_counter() - clock)
        if run.stopped == "interrupted":
            raise FlowInterrupted(time=flow.horizon, trajectory=replace(flow, incomplete="interrupted"))
        if run.stopped:
            what, cause, remedy = STOPPED[run.stopped]
            what = f"{what} t = {float(flow.horizon):.6g} of {asked.end:.6g}"
            raise FlowStopped(what, remedy, cause=cause, time=flow.horizon, trajectory=replace(flow, incomplete=what))
        if not asked.estimate:
            return flow
        return _estimated(flow, run, asked, check, report.part(share, 1, CHECK))


def _recorded(objective: Objective, asked: Asked, run: GatedRun, seconds: float) -> Trajectory:
    slides = sum(e.kind == "sliding" for e in run.events)
    crossings = sum(e.kind == "crossing" for e in run.events)
    stats = Float64Stats(
        solver=EVENT_CORRECTED,
        rtol=asked.rtol,
        atol=asked.atol,
        accepted=len(run.knots) - 1,
        rejected=run.rejected,
        evaluations=round(run.gradients),
        gate_changes=crossings,
        kink_steps=max((len(h) for h in run.held), default=0),
        note=f"{counted(crossings, 'crossing was', 'crossings were')} located and {counted(slides, 'gate')} held on "
        f"kinks, times to float64's accuracy",
        seconds=seconds,
    )
    for array in (run.knots, run.states):
        array.flags.writeable = False
    steps = EventCorrectedSteps(objective, run.knots, run.states, run.held)
    shown = () if asked.watch is None else tuple(str(c.stop) for c in asked.watch.conditions)
    stopped = None if run.met is None else Stopped(shown[run.met], steps.horizon)
    return Trajectory(objective, steps, None, run.events, None, stats, shown, stopped)


def _estimated(flow: Trajectory, run: GatedRun, asked: Asked, second: SecondRun, report: Reporter) -> Trajectory:
    """The flow with twice the largest difference from a run at looser tolerances, where both have steps."""
    check = second.result(report)
    if check.stopped == "interrupted":
        raise FlowInterrupted(time=flow.horizon, trajectory=flow)
    if check.stopped:
        raise FlowStopped(
            f"a second run for the error estimate ended early ({STOPPED[check.stopped][1]}); the flow is known without",
            f"{STOPPED[check.stopped][2]}, or leave the estimate out (error=None)",
            cause=STOPPED[check.stopped][1],
            time=flow.horizon,
            trajectory=flow,
        )
    if check.met != run.met:
        raise FlowStopped(
            "a second run for the error estimate did not end by the same condition; the flow is known without",
            "choose tighter tolerances or another value",
            cause="quantity",
            time=flow.horizon,
            trajectory=flow,
        )
    ends = min(run.knots[-1], check.knots[-1])
    common = second.plan.stops[second.plan.stops <= ends]
    pair = [np.vstack([r.states[np.searchsorted(r.knots, common)], r.states[-1:]]) for r in (run, check)]
    stats = flow.stats
    assert isinstance(stats, Float64Stats)
    stats = replace(
        stats,
        check_rtol=asked.rtol * LOOSER,
        check_atol=asked.atol * LOOSER,
        check_seconds=second.seconds,
    )
    rounding = float(np.finfo(float).eps * np.abs(pair[0]).max())
    error = mpmath.mpf(2 * float(np.abs(pair[0] - pair[1]).max()) + rounding)
    return replace(
        flow, error=PathError(error, "estimated"), stats=stats, stopped=_timed(flow, run, check, asked.watch)
    )


def _timed(flow: Trajectory, run: GatedRun, check: GatedRun, watching: Watch | None) -> Stopped | None:
    """When a condition was met, with the estimated error of that time."""
    if flow.stopped is None or watching is None or run.met is None:
        return None
    error = 2 * abs(float(run.knots[-1] - check.knots[-1]))
    if run.knots[-1]:  # at 0 it was decided exactly
        error += 4 * float(np.spacing(run.knots[-1])) + time_rounding(watching, run.met, run.states[-1])
    return replace(flow.stopped, error_estimate=mpmath.mpf(error))
