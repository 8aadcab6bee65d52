"""One run from the start to the final time or to where a condition is met, in chunks of compiled steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from symflow.derivatives.derived import gradient
from symflow.evaluate.jax_batches import at_points, in_batches
from symflow.networks.objective import Objective
from symflow.paths.float64.methods import SOLVERS, chunk_runner, first_steps, stepper
from symflow.paths.float64.ranges import first_cut
from symflow.paths.float64.watch import Met, Watch, first_met
from symflow.paths.taylor.limits import Limits

CHUNK, LEAST_CHUNK = 1000, 50
"""Steps between two returns from compiled code, of small problems and of the largest; limits, conditions and Ctrl-C are
looked at there."""
CHUNK_WORK = 2e9
"""Floating-point operations after which compiled code should return (a second, about)."""
STRIDE, LONGER = 64.0, 8.0
"""After a step was cut, runs go to at most so many of their longest steps, which then may be so many times longer."""
SHRINK = 0.01
"""After a chunk of rejected steps alone, each of which shrinks the next one, by how much the first is shrunk."""


@dataclass(frozen=True)
class Course:
    """What the runs of one flow have in common.

    Attributes:
        objective: what is integrated.
        solver: the method.
        end: the final time.
        limits: of one run; the deadline is that of all.
        watch: the conditions that end it, if any.
    """

    objective: Objective
    solver: str
    end: float
    limits: Limits
    watch: Watch | None = None


@dataclass(frozen=True)
class StepRun:
    """One run: the step ends, the states there, what it cost, and how it ended.

    Attributes:
        knots: 0 and the ends of the accepted steps; where a condition was met, that time in place of the last one.
        states: the states there.
        accepted: steps that were accepted, up to the last knot.
        rejected: steps that were rejected, or cut because they go by something unseen.
        evaluations: gradient evaluations, those of steps beyond a condition included.
        stopped: why it ended early: "start", "steps", "collapse", "unseen", "time" or "interrupted"; else "".
        met: the number of the condition that ended it, if one did.
    """

    knots: np.ndarray
    states: np.ndarray
    accepted: int
    rejected: int
    evaluations: int
    stopped: str
    met: int | None = None


def chunk_size(objective: Objective) -> int:
    """Steps between two returns: fewer where one is expensive, 6 P N operations a gradient."""
    samples = max((a.shape[-1] for a in objective.data.values() if a.ndim), default=1)
    operations = 6 * objective.parameter_count * samples * max(stages for _, stages in SOLVERS.values())
    return int(np.clip(CHUNK_WORK // operations, min(LEAST_CHUNK, CHUNK), CHUNK))


def whole_chunks(steps: int, objective: Objective) -> int:
    """At least so many steps, in whole chunks, so that nothing is compiled for a remainder."""
    chunk = chunk_size(objective)
    return -(-steps // chunk) * chunk


def run_steps(
    course: Course,
    start: np.ndarray,
    tolerances: tuple[float, float],
    max_steps: int,
    report: Callable[[float], None],
) -> StepRun:
    """Runs to the end, to where a condition is met, or to where the flow stops.

    Args:
        course: what to run.
        start: theta(0).
        tolerances: rtol and atol.
        max_steps: most steps, accepted or rejected.
        report: called with the fraction of the time that is done.
    """
    objective, solver, end, watching = course.objective, course.solver, course.end, course.watch
    pieces = [(np.zeros(1), start[None])]
    accepted = rejected = evaluations = barren = 0

    def result(stopped: str, met: int | None = None) -> StepRun:
        knots, states = (np.concatenate(part) for part in zip(*pieces, strict=True))
        return StepRun(knots, states, len(knots) - 1, rejected, evaluations, stopped, met)

    if watching is not None and watching.start is not None:
        return result("", watching.start)
    try:
        slope = in_batches(at_points(objective, gradient), start[None])
        evaluations += 1
        if not np.isfinite(slope).all():
            return result("start")
        now, theta = np.float64(0), start  # of the type that it has later, so that nothing is compiled anew
        step, chunk, longest = first_steps(start[None], slope, end)[0], chunk_size(objective), np.inf
        while True:
            steps = min(chunk, max_steps - accepted - rejected)
            if steps == 0:
                return result("steps")
            if time.perf_counter() >= course.limits.deadline:
                return result("time")
            advance = chunk_runner(objective, solver, steps)
            until = min(end, now + STRIDE * longest)
            ts, ys, kept, refused, full, done = advance(
                theta, now, until, min(step, longest), *tolerances, np.float64(longest)
            )
            new = int(kept)
            evaluations += SOLVERS[solver][1] * (new + int(refused)) + 1
            times, points, longest, cuts = _seen(
                course, now, theta, np.asarray(ts)[:new], np.asarray(ys)[:new], longest
            )
            new = len(times)
            accepted, rejected = accepted + new, rejected + int(refused) + cuts
            if watching is not None and new:
                met = first_met(watching, objective, solver, np.append(now, times), np.vstack([theta[None], points]))
                if met is not None:
                    pieces.append(_until(met, now, times, points))
                    return result("", met.number)
            pieces.append((times, points))
            if bool(done) and not cuts and until == end:
                return result("")
            if not now + longest > now:
                return result("unseen")
            barren = 0 if new or cuts else barren + steps
            if not (bool(full) or bool(done)) or barren >= CHUNK:  # rejected down to the resolution of time
                return result("collapse")
            if new:
                step = np.diff(times, prepend=now)[-1]
                now, theta = times[-1], points[-1]
            elif not cuts:
                step = SHRINK * step
            report(float(now) / end)
    except KeyboardInterrupt:
        return result("interrupted")


def _seen(
    course: Course, now: float, theta: np.ndarray, times: np.ndarray, points: np.ndarray, longest: float
) -> tuple[np.ndarray, np.ndarray, float, int]:
    """Step ends and states up to where a step goes by something unseen, the longest step from there, and 1 for a cut.

    What may be kept of that step is one step of the method.
    """
    if not len(times):
        return times, points, longest, 0
    knots, states = np.append(now, times), np.vstack([theta[None], points])
    cut = first_cut(course.objective, knots, states)
    if cut is None:
        return times, points, longest * LONGER, 0
    times, points = times[: cut.step], points[: cut.step]
    if knots[cut.step] + cut.size > knots[cut.step]:
        after = in_batches(stepper(course.objective, course.solver), states[cut.step][None], np.array([cut.size]))
        if np.isfinite(after).all():
            times, points = np.append(times, knots[cut.step] + cut.size), np.vstack([points, after])
    return times, points, cut.next, 1


def _until(met: Met, now: float, times: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The step ends before a condition is met and that time itself, which replaces the beginning of its step where
    float64 does not tell the two apart."""
    begin = times[met.step - 1] if met.step else now
    kept = met.step if begin + met.size > begin else met.step - 1
    if kept < 0:
        return times[:0], points[:0]
    return np.append(times[:kept], begin + met.size), np.vstack([points[:kept], met.state[None]])
