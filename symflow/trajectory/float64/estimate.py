"""The error estimate of a float64 flow: a second run at other tolerances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symflow.symbolic.objective import Objective
from symflow.trajectory.float64.dense import dense_output
from symflow.trajectory.float64.kinks import CHATTER, KinkCounts
from symflow.trajectory.float64.steps import StepRun, run_steps, whole_chunks

CHECK = 100
"""By how much the tolerances of the second run, whose difference is the error estimate, are tighter (or looser)."""
CHATTER_CHECK = 10
"""The same for a flow that slides, whose second run is looser (measured: 5 to 50 times the true error)."""
CHECK_RTOL = 1e-15
"""Tightest relative tolerance of a second run."""
CHECK_GROWTH = (1.3, 3)
"""A tighter run with fewer steps than so many times those of the first, and so many more, is followed by a still
tighter one: a run of a few steps may stay nearly as it is, and its difference then says nothing."""
CHECK_STEPS = (4, 1000)
"""The tighter second run may take this many times the steps of the first, and so many more; then a looser one is made.
Smooth flows need 1.8 (Dopri8) or 2.5 (order 5) times as many, a flow that chatters along a kink 100 times."""
MAX_COMPARED = 512
"""Most steps at whose middle and end two runs are compared."""
MAX_CROSSED = 64
"""Most steps across kinks within which two runs are compared at more points."""


@dataclass(frozen=True)
class SecondRun:
    """An error estimate and the tolerances of the second run it comes from."""

    error: float
    rtol: float
    atol: float


def second_run(
    objective: Objective,
    solver: str,
    run: StepRun,
    start: np.ndarray,
    tolerances: tuple[float, float],
    at: np.ndarray | None,
    kinks: KinkCounts,
) -> SecondRun | None:
    """Compares with a second run: a tighter one, or a looser one where that would take too many steps."""
    away = np.where(np.arange(len(start)) % 2 == 0, np.inf, -np.inf)
    nearby = np.where(start == 0, 0.0, np.nextafter(start, away))
    chatters = kinks.reached >= CHATTER
    points = compared_times(run, kinks, at)
    first = dense_output(objective, solver, run.knots, run.states, points)
    factor, extra = CHECK_STEPS
    budget = whole_chunks(factor * (run.accepted + run.rejected) + extra)

    def second(scale: float) -> StepRun:
        rtol, atol = (scale * tolerance for tolerance in tolerances)
        return run_steps(objective, solver, nearby, float(run.knots[-1]), rtol, atol, budget)

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
    other = dense_output(objective, solver, chosen[0].knots, chosen[0].states, points)
    rounding = np.finfo(np.float64).eps * np.abs(first).max()
    error = 2 * float(np.abs(first - other).max() + rounding)
    return SecondRun(error, chosen[1] * tolerances[0], chosen[1] * tolerances[1])


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
    """At most so many of the numbers, spread evenly."""
    return numbers[np.unique(np.linspace(0, len(numbers) - 1, min(len(numbers), most)).round().astype(int))]
