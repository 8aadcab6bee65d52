"""Flows through kinks from many starts: in lanes, and with digits where a lane cannot decide a kink."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from symflow.errors import SymflowError
from symflow.paths.event import slides_at
from symflow.paths.float64.lanes.compiled import lanes
from symflow.paths.float64.lanes.run import LaneRuns, Plan, run_lanes
from symflow.paths.float64.methods import x64
from symflow.paths.float64.ranges import unseen_rows
from symflow.paths.flow import solve_flow
from symflow.paths.trajectory import Trajectory
from symflow.problem import Problem


@dataclass(frozen=True)
class Ended:
    """Why a flow did not get to the last time; of one that did, both are empty.

    Attributes:
        cause: a `StopCause`.
        reason: in words.
    """

    cause: str = ""
    reason: str = ""


def in_words(stopped: str, reached: float, max_steps: int) -> Ended:
    """What a run says of its end: "", "start", "steps", "unseen" or "collapse"."""
    return {
        "": Ended(),
        "start": Ended("step-size", "the gradient at theta0 is not finite in float64"),
        "steps": Ended("max-steps", f"{max_steps} steps led only to t = {reached:.6g}; allow more steps (max_steps)"),
        "unseen": Ended("step-size", f"a function of the objective changes too fast for steps at t = {reached:.10g}"),
    }.get(
        stopped,
        Ended(
            "step-size",
            f"the step size collapsed at t = {reached:.10g}, the values blow up or are no longer finite; choose a "
            "shorter horizon or another start",
        ),
    )


DIGITS = 15
"""Of a flow that takes the place of a lane which could not decide a kink."""
SECONDS = 60
"""Most seconds of such a flow."""


def solve_lanes(
    problem: Problem, starts: np.ndarray, h: np.ndarray, plan: Plan, report: Callable[[float], None]
) -> tuple[LaneRuns, list[Ended]]:
    """The flows, and why each ended early, if it did.

    Args:
        problem: supplies the objective.
        starts: shape (L, P).
        h: first step sizes.
        plan: what is asked for.
        report: told the fraction of the work that is done.
    """
    with x64():
        found = run_lanes(lanes(problem.compact), starts, h, plan, report)
        whole = np.flatnonzero(found.why == "")
        path = np.concatenate([starts[whole, None], found.states[whole]], axis=1)
        if len(whole):
            unseen = unseen_rows(problem.compact, np.append(0.0, plan.times), path)
            found.why[whole[unseen]] = "unseen"
    ended = []
    for row, (why, reached) in enumerate(zip(found.why.tolist(), found.reached.tolist(), strict=True)):
        if why in ("undecided", "chatter", "unseen"):
            ended.append(_with_digits(problem, starts[row], plan, row, found))
        else:
            ended.append(in_words(why, reached, plan.max_steps))
    return found, ended


def _with_digits(problem: Problem, start: np.ndarray, plan: Plan, row: int, found: LaneRuns) -> Ended:
    """Solves the flow of a lane with digits, and writes what it comes to."""
    alone = Problem(objective=problem.objective, theta0=start.tolist(), dps=DIGITS)
    ended = Ended()
    try:
        flow = solve_flow(alone, horizon=float(plan.times[-1]), error=None, time_limit=SECONDS)
    except SymflowError as stopped:
        ended = Ended(getattr(stopped, "cause", "unknown"), str(stopped))
        part = getattr(stopped, "trajectory", None)
        if not isinstance(part, Trajectory):
            return ended
        flow = part
    found.reached[row] = float(flow.horizon)
    known = plan.times <= found.reached[row]
    found.states[row] = np.nan
    if known.any():
        found.states[row, known] = flow.numpy([float(t) for t in plan.times[known]])
    found.sliding[row] = slides_at(flow.events, plan.times)
    found.crossings[row] = sum(e.kind == "crossing" for e in flow.events)
    found.slides[row] = sum(e.kind == "sliding" for e in flow.events)
    found.leavings[row] = len(flow.events) - found.crossings[row] - found.slides[row]
    return ended
