"""The error estimate of a float64 flow: a second run at other tolerances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symflow.paths.float64.dense import dense_output
from symflow.paths.float64.kinks import CHATTER, KinkCounts
from symflow.paths.float64.steps import Course, StepRun, run_steps, whole_chunks
from symflow.paths.float64.watch import time_rounding
from symflow.progress import Reporter

CHECK = 100
"""The factor by which the second run, whose difference is the error estimate, has tighter (or looser) tolerances."""
CHATTER_CHECK = 10
"""The same for a flow that slides, whose second run is looser (measured: 5 to 50 times the true error)."""
CHECK_RTOL = 1e-15
"""Tightest relative tolerance of a second run."""
CHECK_GROWTH = (1.3, 3)
"""A tighter run of fewer than 1.3 n + 3 steps, n those of the first run, is followed by an even tighter one: a run of
few steps may hardly change, and then the difference says nothing."""
CHECK_STEPS = (4, 1000)
"""The tighter second run may take 4 n + 1000 steps, n those of the first run; then a looser one is made.
Smooth flows need 1.8 (Dopri8) or 2.5 (order 5) times as many, a flow that chatters along a kink 100 times."""
MAX_COMPARED = 512
"""Most steps at whose middle and end two runs are compared."""
MAX_CROSSED = 64
"""Most steps across kinks within which two runs are compared at more points."""


@dataclass(frozen=True)
class SecondRun:
    """What a second run says.

    Attributes:
        error: estimated largest error of any component.
        time_error: estimated error of the time at which it ends, where a condition says so; None where none does.
        met: the number of the condition that ended the second run, if one did.
        end: where it ended.
        rtol: the relative tolerance of the second run.
        atol: its absolute tolerance.
    """

    error: float
    time_error: float | None
    met: int | None
    end: float
    rtol: float
    atol: float


class Unfinished(Exception):
    """A second run that was ended by the time limit ("time") or by Ctrl-C ("interrupted")."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


def second_run(
    course: Course,
    run: StepRun,
    tolerances: tuple[float, float],
    at: np.ndarray | None,
    kinks: KinkCounts,
    report: Reporter,
) -> SecondRun | None:
    """Compares with a second run: a tighter one, or a looser one if that would take too many steps.

    Raises:
        Unfinished: it was ended.
    """
    nearby = one_unit_away(run.states[0])
    chatters = kinks.reached >= CHATTER
    factor, extra = CHECK_STEPS
    budget = whole_chunks(factor * (run.accepted + run.rejected) + extra, course.objective)

    def second(scale: float) -> StepRun:
        found = run_steps(course, nearby, (scale * tolerances[0], scale * tolerances[1]), budget, report)
        if found.stopped in ("time", "interrupted"):
            raise Unfinished(found.stopped)
        return found

    chosen: tuple[StepRun, float] | None = None
    scale = 1.0
    while not chatters and tolerances[0] * scale >= 0.99 * CHECK * CHECK_RTOL:
        scale /= CHECK
        tighter = second(scale)
        if tighter.stopped:
            break
        chosen = tighter, scale
        if tighter.accepted >= CHECK_GROWTH[0] * run.accepted + CHECK_GROWTH[1]:
            break
    if chosen is None:
        scale = CHATTER_CHECK if chatters else CHECK
        looser = second(scale)
        if looser.stopped:
            return None
        chosen = looser, scale
    other, scale = chosen
    error = _difference(course, run, other, compared_times(run, kinks, at))
    ends = float(run.knots[-1]), float(other.knots[-1])
    time_error = None
    if run.met is not None and course.watch is not None:
        time_error = 2 * abs(ends[0] - ends[1])
        if ends[0]:  # at 0 it was decided exactly
            time_error += 4 * float(np.spacing(ends[0])) + time_rounding(course.watch, run.met, run.states[-1])
    return SecondRun(error, time_error, other.met, ends[1], scale * tolerances[0], scale * tolerances[1])


def one_unit_away(starts: np.ndarray) -> np.ndarray:
    """Starts whose components are one unit in the last place away, up and down in turn; zeros are kept."""
    away = np.where(np.arange(starts.shape[-1]) % 2 == 0, np.inf, -np.inf)
    return np.where(starts == 0, 0.0, np.nextafter(starts, away))


def _difference(course: Course, run: StepRun, other: StepRun, points: np.ndarray) -> float:
    """Twice the largest difference at some times and at the end, each at its own, and rounding."""
    points = points[points <= min(run.knots[-1], other.knots[-1])]
    first, second = (dense_output(course.objective, course.solver, r.knots, r.states, points) for r in (run, other))
    difference = max(np.abs(first - second).max(initial=0.0), np.abs(run.states[-1] - other.states[-1]).max())
    return 2 * float(difference + np.finfo(np.float64).eps * np.abs(run.states).max())


def compared_times(run: StepRun, kinks: KinkCounts, at: np.ndarray | None) -> np.ndarray:
    """The times at which two runs are compared: `at`, ends and inner points of steps.

    In a step across a kink the dense output is not continuous (whether a stage is beyond the kink depends on the time),
    so that many points are needed to come near its largest error.
    """
    usual, crossed = thinned(np.arange(run.accepted), MAX_COMPARED), thinned(kinks.crossed, MAX_CROSSED)
    times = [run.knots[usual + 1], np.zeros(0) if at is None else at]
    for steps, most in ((usual, MAX_COMPARED), (crossed, 32 * MAX_CROSSED)):
        sizes = run.knots[steps + 1] - run.knots[steps]
        parts = max(2, min(256, most // max(1, len(steps))))
        times += [run.knots[steps] + sizes * part / parts for part in range(1, parts)]
    return np.unique(np.concatenate(times))


def thinned(numbers: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of the numbers, spread evenly."""
    return numbers[np.unique(np.linspace(0, len(numbers) - 1, min(len(numbers), most)).round().astype(int))]
