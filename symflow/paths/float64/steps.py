"""One run from the start to the final time or to where a condition is met, in chunks of compiled steps."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from symflow.derivatives.derived import gradient
from symflow.evaluate.jax_batches import at_points, in_batches
from symflow.networks.objective import Objective
from symflow.paths.float64.methods import SOLVERS, chunk_runner, first_steps, stepper
from symflow.paths.float64.ranges import first_cut
from symflow.paths.float64.watch import Met, Watch, first_met, runge_kutta
from symflow.paths.taylor.limits import Limits
from symflow.progress import Reporter

CHUNK, LEAST_CHUNK = 1000, 50
"""Steps between two returns from compiled code, of small problems and of the largest; limits, conditions and Ctrl-C are
looked at there."""
CHUNK_WORK = 2e9
"""Floating-point operations after which compiled code should return (a second, about)."""
STRIDE, LONGER = 64.0, 8.0
"""After a cut, a chunk covers at most STRIDE of the longest steps allowed; then these may be LONGER times as long."""
SHRINK = 0.01
"""The factor for the first step after a chunk in which every step was rejected."""


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
    """The number of steps rounded up to whole chunks, so that nothing is compiled for a remainder."""
    chunk = chunk_size(objective)
    return -(-steps // chunk) * chunk


def run_steps(
    course: Course,
    start: np.ndarray,
    tolerances: tuple[float, float],
    max_steps: int,
    report: Reporter,
) -> StepRun:
    """Runs to the end, to where a condition is met, or to where the flow stops.

    Args:
        course: what to run.
        start: theta(0).
        tolerances: rtol and atol.
        max_steps: most steps, accepted or rejected.
        report: called with the fraction of the time that is done.
    """
    run = _Progress(course, start, tolerances, max_steps)
    if course.watch is not None and course.watch.start is not None:
        return run.result("", course.watch.start)
    try:
        slope = in_batches(at_points(course.objective, gradient), start[None])
        run.evaluations += 1
        if not np.isfinite(slope).all():
            return run.result("start")
        run.step = first_steps(start[None], slope, course.end)[0]
        while True:
            ended = run.advance()
            if ended is not None:
                return ended
            report.at(float(run.now), course.end, run.accepted)
    except KeyboardInterrupt:
        return run.result("interrupted")


class _Progress:
    """A run so far: the pieces of its path, where it is, and the next step."""

    def __init__(self, course: Course, start: np.ndarray, tolerances: tuple[float, float], max_steps: int) -> None:
        self.course, self.tolerances, self.max_steps = course, tolerances, max_steps
        self.chunk = chunk_size(course.objective)
        self.pieces = [(np.zeros(1), start[None])]
        self.now, self.theta = np.float64(0), start  # of the type that it has later, so that nothing is compiled anew
        self.step, self.longest = np.float64(0), np.inf
        self.accepted = self.rejected = self.evaluations = self.barren = 0

    def result(self, stopped: str, met: int | None = None) -> StepRun:
        """The run as it is, and why it ends."""
        knots, states = (np.concatenate(part) for part in zip(*self.pieces, strict=True))
        return StepRun(knots, states, len(knots) - 1, self.rejected, self.evaluations, stopped, met)

    def advance(self) -> StepRun | None:
        """Makes one chunk of steps; the result where the run ends."""
        course, end = self.course, self.course.end
        steps = min(self.chunk, self.max_steps - self.accepted - self.rejected)
        if steps == 0:
            return self.result("steps")
        if time.perf_counter() >= course.limits.deadline:
            return self.result("time")
        until = min(end, self.now + STRIDE * self.longest)
        times, points, cuts, done = self._chunk(steps, until)
        new = len(times)
        if course.watch is not None and new:
            knots, states = np.append(self.now, times), np.vstack([self.theta[None], points])
            met = first_met(course.watch, runge_kutta(course.objective, course.solver, states), knots, states)
            if met is not None:
                self.pieces.append(_until(met, self.now, times, points))
                return self.result("", met.number)
        self.pieces.append((times, points))
        if done and not cuts and until == end:
            return self.result("")
        if not self.now + self.longest > self.now:
            return self.result("unseen")
        self.barren = 0 if new or cuts else self.barren + steps
        if self.barren >= CHUNK:  # rejected down to the resolution of time
            return self.result("collapse")
        if new:
            self.step = np.diff(times, prepend=self.now)[-1]
            self.now, self.theta = times[-1], points[-1]
        elif not cuts:
            self.step = SHRINK * self.step
        return None

    def _chunk(self, steps: int, until: float) -> tuple[np.ndarray, np.ndarray, int, bool]:
        """At most so many steps: their ends up to where one goes by something unseen, the states there, 1 for such a
        cut, and whether the time was reached."""
        course = self.course
        advance = chunk_runner(course.objective, course.solver, steps)
        at = (np.float64(t) for t in (self.now, until, min(self.step, self.longest), *self.tolerances, self.longest))
        ts, ys, kept, refused, done = advance(self.theta, *at)
        new = int(kept)
        self.evaluations += SOLVERS[course.solver][1] * (new + int(refused)) + 1
        times, points, self.longest, cuts = _seen(
            course, self.now, self.theta, np.asarray(ts)[:new], np.asarray(ys)[:new], self.longest
        )
        self.accepted, self.rejected = self.accepted + len(times), self.rejected + int(refused) + cuts
        return times, points, cuts, bool(done)


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
