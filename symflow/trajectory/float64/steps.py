"""One run from the start to the final time, in chunks of compiled steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symflow.symbolic.derived import gradient
from symflow.symbolic.objective import Objective
from symflow.trajectory.float64.methods import SOLVERS, chunk_runner, compiled, first_steps, in_batches

CHUNK = 1000
"""Steps between two returns from compiled code."""


@dataclass(frozen=True)
class StepRun:
    """One run: the step ends, the states there, what it cost, and why it stopped early ("" if it did not)."""

    knots: np.ndarray
    states: np.ndarray
    accepted: int
    rejected: int
    evaluations: int
    stopped: str


def whole_chunks(steps: int) -> int:
    """At least so many steps, in whole chunks, so that nothing is compiled for a remainder."""
    return -(-steps // CHUNK) * CHUNK


def run_steps(
    objective: Objective, solver: str, start: np.ndarray, end: float, rtol: float, atol: float, max_steps: int
) -> StepRun:
    """Runs to the end, or to where the flow stops."""
    knots, states = [np.zeros(1)], [start[None]]
    accepted = rejected = evaluations = 0

    def result(stopped: str) -> StepRun:
        return StepRun(np.concatenate(knots), np.concatenate(states), accepted, rejected, evaluations, stopped)

    slope = in_batches(compiled(objective, gradient), start[None])
    evaluations += 1
    if not np.isfinite(slope).all():
        return result("start")
    now, theta = np.float64(0), start  # of the type that it has later, so that nothing is compiled anew
    step = first_steps(start[None], slope, end)[0]
    while True:
        steps = min(CHUNK, max_steps - accepted - rejected)
        if steps == 0:
            return result("steps")
        advance = chunk_runner(objective, solver, steps)
        ts, ys, kept, refused, full, done = advance(theta, now, end, step, rtol, atol)
        new = int(kept)
        accepted, rejected = accepted + new, rejected + int(refused)
        evaluations += SOLVERS[solver][1] * (new + int(refused)) + 1
        knots.append(np.asarray(ts)[:new])
        states.append(np.asarray(ys)[:new])
        if bool(done):
            return result("")
        if not bool(full) or (new == 0 and steps == CHUNK):  # rejected down to the resolution of time
            return result("collapse")
        if new:
            step = np.diff(knots[-1], prepend=now)[-1]
            now, theta = knots[-1][-1], states[-1][-1]
