"""The largest step size that keeps descent within epsilon of flow: guaranteed by each bound, tolerated by descent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

import numpy as np

from symflow.analysis.bounds import Bound, BoundSeries, Comparison, before_kinks, chosen_bounds, known_bounds
from symflow.analysis.bounds.kinks import MOST_STEPS, first_concave_event, gates_on
from symflow.analysis.bounds.series import Status
from symflow.analysis.deviation import REMEDIES, sample_steps
from symflow.displays import displayed, listing
from symflow.errors import ComputationError, ProblemError, brief, with_remedies
from symflow.numbers.arguments import positive
from symflow.numbers.decimal import counted
from symflow.numbers.rational import rational
from symflow.numbers.types import Number
from symflow.paths.descent import descend
from symflow.paths.flow import solve_flow
from symflow.paths.sampling import dense_flow
from symflow.paths.trajectory import Trajectory
from symflow.problem import Problem
from symflow.problem.arguments import as_problem, plain_descent
from symflow.progress import Wanted, reporting
from symflow.theory.registry import Table

CHEAPER = "a shorter horizon, or fewer bounds (bounds=...)"

LEAST_EPSILON = Fraction(1, 10**10)
"""Smaller distances are not told from rounding: descent is run in float64."""
MOST_BOUND_STEPS = 10**12
"""Smaller step sizes than horizon / this are not looked at."""
TOLERANCE = 1.01
"""The largest step size is found to within one percent."""
SCAN = 1.25
"""Factor between the step sizes of the scan with descent itself."""
MOST_TRIALS = 60
EVERY_STEP = 20_000
"""Up to this many steps, descent is compared with flow at every one."""
DPS = 20
"""Digits of the flow."""


@displayed
@dataclass(frozen=True)
class Guarantee:
    """bound(eta) < epsilon up to the horizon: the largest step size eta that one bound guarantees.

    Attributes:
        name: of the bound.
        kind: "bound", or "leading order", which predicts and guarantees nothing.
        status: "certified on a box" or "sampled" (of the bound), "estimated", "not applicable".
        step_size: eta, an exact `Fraction`; None where the bound gives none.
        value: the largest value of the bound along that run (float64).
        share: eta over the largest step size that works in practice (float64); None where either is missing.
        reason: why there is no step size; None where there is one.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1)), data={"x": [1], "y": [1]}, init={"theta": [0]})
        >>> chosen = [bound for bound in sf.known_bounds() if bound.name == "R22"]
        >>> guarantee = sf.max_step_size(problem, epsilon="1/100", horizon=1, bounds=chosen)["R22"]
        >>> guarantee.status, guarantee.step_size, round(guarantee.share, 2)
        ('sampled', Fraction(261, 5000), 0.98)
    """

    name: str
    kind: Literal["bound", "leading order"]
    status: Status
    step_size: Fraction | None
    value: float | None
    share: float | None
    reason: str | None

    def __repr__(self) -> str:
        found = self.reason if self.step_size is None else f"step size {float(self.step_size):.4g}"
        return f"<{self.name}: {found}, {self.status}>"


@displayed
@dataclass(frozen=True)
class StepAdvice:
    """||theta_k - theta(k eta)|| < epsilon up to the horizon: the step sizes eta that are guaranteed, and that work.

    Attributes:
        epsilon: the distance, exact.
        horizon: the final time, exact.
        guarantees: one per bound.
        tolerated: the largest step size of a scan, refined by bisection, up to which descent remained within epsilon at
            every step that was checked: sampled, not a proof; None where none was found.
        tolerated_deviation: the largest distance with it (float64).
        whole_horizon: whether every step size up to one single step to the horizon is tolerated.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1)), data={"x": [1], "y": [1]}, init={"theta": [0]})
        >>> chosen = [bound for bound in sf.known_bounds() if bound.name == "R22(tube-free)"]
        >>> advice = sf.max_step_size(problem, epsilon="1/100", horizon=1, bounds=chosen)
        >>> advice.certified.name, round(float(advice.certified.step_size), 3), round(float(advice.tolerated), 3)
        ('R22(tube-free)', 0.052, 0.053)
    """

    epsilon: Fraction
    horizon: Fraction
    guarantees: tuple[Guarantee, ...]
    tolerated: Fraction | None
    tolerated_deviation: float | None
    whole_horizon: bool

    def __post_init__(self) -> None:
        listing(self, "guarantees")

    def __getitem__(self, name: str) -> Guarantee:
        """What a bound guarantees.

        Raises:
            KeyError: no such bound.
        """
        return Table({found.name: found for found in self.guarantees})[name]

    @property
    def certified(self) -> Guarantee | None:
        """The largest step size with a certified bound; None where no certified bound applies."""
        proved = [x for x in self.guarantees if x.status == "certified on a box" and x.step_size is not None]
        return max(proved, key=lambda x: x.step_size or 0, default=None)

    def __repr__(self) -> str:
        best = self.certified
        proved = "none" if best is None or best.step_size is None else f"{float(best.step_size):.4g} ({best.name})"
        works = "none" if self.tolerated is None else f"{float(self.tolerated):.4g}"
        return (
            f"<StepAdvice within {float(self.epsilon):.4g} up to {float(self.horizon):.4g}: certified eta {proved}, "
            f"tolerated {works}, {counted(len(self.guarantees), 'bound')}>"
        )


def max_step_size(
    problem: Problem,
    epsilon: Number,
    horizon: Number | None = None,
    *,
    bounds: Sequence[Bound | str] | None = None,
    progress: Wanted = None,
) -> StepAdvice:
    """sup {eta : ||theta_k - theta(k eta)|| < epsilon for all k <= horizon / eta}, as each bound guarantees it.

    For each bound the largest eta with which its value remains below epsilon, to three digits, rounded down and then
    evaluated there (the bounds grow with eta). It is compared with the largest eta that works in practice: descent
    itself is run with a scan of step sizes.

    Args:
        problem: what to minimize.
        epsilon: the distance, at least 1e-10 (text, a rational or mpmath number, or a float, which means its shortest
            decimal).
        horizon: the final time, a number of the same kinds; the problem's own if left out.
        bounds: which ones; those of `sf.known_bounds()` on the deviation if left out.
        progress: True for a bar, or a function of a `Progress`, the fraction that is done from 0 to 1; it spans the
            flow, the run for its error estimate, and the bounds.

    Returns:
        A `StepAdvice`: `advice["R4"]` is what one bound guarantees, `advice.certified` the best certified step size.

    Raises:
        ProblemError: no horizon, or a number that is not valid.
        ComputationError: the flow cannot be solved.

    Source: the question, Elkabetz & Cohen 2021, R4; the scan is ours.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]},
        ...                      init={"theta": ["1/2", 1]})
        >>> names = ("R4", "R22", "R22(tube-free)")
        >>> chosen = [bound for bound in sf.known_bounds() if bound.name in names]
        >>> advice = sf.max_step_size(problem, epsilon="1/100", horizon=1, bounds=chosen)
        >>> [(name, float(advice[name].step_size), advice[name].status) for name in names]
        [('R4', 0.0103, 'sampled'), ('R22', 0.049, 'sampled'), ('R22(tube-free)', 0.0487, 'certified on a box')]
        >>> round(float(advice.tolerated), 2)  # by descent itself
        0.09
    """
    problem = as_problem(problem, "max_step_size").for_digits(DPS)
    plain_descent(problem, "max_step_size")
    eps = rational(epsilon, "epsilon")
    if eps < LEAST_EPSILON:
        raise ProblemError(
            f"epsilon must be at least 1e-10, as descent is run in float64, got {brief(epsilon)}; give a larger one"
        )
    given = problem.horizon if horizon is None else horizon
    if given is None:
        raise ProblemError("run.horizon: advice needs a final time, got none; give horizon=... or run.horizon")
    end = positive(given, "horizon")
    chosen = [b for b in chosen_bounds(bounds, known_bounds()) if b.kind != "curvature"]
    with reporting(progress, "step sizes", CHEAPER) as report:
        with with_remedies(REMEDIES):
            flow = solve_flow(problem, horizon=end, dps=DPS, progress=report.part(0, 0.1, "flow"))
        search = _Search(problem, flow, end, float(eps))
        report(0.1)
        tolerated, largest = search.tolerated()
        part = report.part(0.3, 1, "bounds", "bound")
        part(0.0, 0)
        found: list[Guarantee] = []
        for bound in chosen:
            found.append(search.guarantee(bound, tolerated))
            part(len(found) / len(chosen), len(found))
    return StepAdvice(eps, end, tuple(found), tolerated, largest, tolerated == end)


class _Search:
    """One flow, and what was found out about step sizes so far."""

    def __init__(self, problem: Problem, flow: Trajectory, horizon: Fraction, epsilon: float) -> None:
        self.problem, self.flow, self.horizon, self.epsilon = problem, flow, horizon, epsilon
        self.runs: dict[tuple[Fraction, bool], Comparison] = {}
        self.dense = dense_flow(flow)
        self.ends = {"any": math.inf, "concave": math.inf, "none": math.inf}
        """The time from which on a bound does not apply, by its `ends_at`."""
        if flow.events:
            self.ends["any"] = float(flow.events[0].time)
            event = first_concave_event(problem.objective, flow, self.dense)
            self.ends["concave"] = math.inf if event is None else event[0]

    def run(self, eta: Fraction, with_descent: bool) -> Comparison:
        """The comparison with a step size; without descent where it takes too many steps or diverges."""
        key = (eta, with_descent)
        if key not in self.runs:
            indices = tuple(sample_steps(int(self.horizon / eta)))
            descent: np.ndarray | None = None
            if with_descent and indices[-1] <= MOST_STEPS:
                try:
                    descent = descend(self.problem, step_size=eta, steps=indices[-1], keep=indices).iterates
                except ComputationError:
                    descent = None
            first, why = before_kinks(self.flow, [k * eta for k in indices])
            run = Comparison(self.problem, eta, indices, self.flow, descent, first, why)
            first, why = self._same_side(run, descent, first, why)
            self.runs[key] = replace(run, first_kink=first, kink=why)
        return self.runs[key]

    def _same_side(
        self, run: Comparison, descent: np.ndarray | None, first: int, why: str | None
    ) -> tuple[int, str | None]:
        if descent is None or not run.objective.gates:
            return first, why
        here, there = (gates_on(run.objective, x[:first]) for x in (run.points, descent))
        parted = np.flatnonzero(np.any([(a != b).any(axis=(1, 2)) for a, b in zip(here, there, strict=True)], axis=0))
        if not len(parted):
            return first, why
        time = run.times[parted[0]]
        return int(parted[0]), f"descent and flow lie on different sides of a kink at t = {time:.6g}"

    # What descent tolerates -----------------------------------------------------------------------------------------

    def distance(self, eta: Fraction) -> float:
        """The largest distance of a float64 descent from the flow; infinite where it diverges."""
        count = int(self.horizon / eta)
        indices = list(range(count + 1)) if count <= EVERY_STEP else sample_steps(count)
        try:
            kept = descend(self.problem, step_size=eta, steps=count, keep=indices)
        except ComputationError:
            return math.inf
        points = self.dense(np.array([float(k * eta) for k in kept.indices]))
        return float(np.linalg.norm(kept.iterates - points, axis=1).max())

    def tolerated(self) -> tuple[Fraction | None, float | None]:
        """A scan upwards from a step size that is in order, then bisection."""
        eta = self.horizon / 64
        while self.distance(eta) >= self.epsilon:
            eta /= 8
            if self.horizon / eta > MOST_STEPS:
                return None, None
        low, high = eta, None
        while high is None and low < self.horizon:
            trial = min(_rounded(low * Fraction(SCAN)), self.horizon)
            if self.distance(trial) < self.epsilon:
                low = trial
            else:
                high = trial
        while high is not None and high > low * Fraction(TOLERANCE):
            middle = (low + high) / 2
            if self.distance(middle) < self.epsilon:
                low = middle
            else:
                high = middle
        down = _rounded(low)
        low = down if self.distance(down) < self.epsilon else low
        return low, self.distance(low)

    # What a bound guarantees ----------------------------------------------------------------------------------------

    def value(self, bound: Bound, eta: Fraction) -> tuple[float, BoundSeries]:
        """The largest value of a bound along a run; infinite where it does not apply to the end."""
        series = bound.evaluate(self.run(eta, bound.needs_descent))
        if any(v is None for v in series.values):
            return math.inf, series
        return float(max(series.values)), series

    def guarantee(self, bound: Bound, tolerated: Fraction | None) -> Guarantee:
        """The largest step size by extrapolation (bounds are about linear in eta) and bisection."""
        kind: Literal["bound", "leading order"] = "leading order" if bound.kind == "leading order" else "bound"
        low: tuple[Fraction, float] | None = None
        high: Fraction | None = None
        eta = _rounded(self.horizon / 16 if tolerated is None else tolerated / 2)
        reason: str | None = None
        best: BoundSeries | None = None
        for _ in range(MOST_TRIALS):
            value, series = self.value(bound, eta)
            if value < self.epsilon:
                low, best = (eta, value), series
            else:
                high, reason = eta, series.reason or f"the bound exceeds epsilon: {value:.3g}"
            if low is not None and (
                low[0] >= self.horizon or (high is not None and high <= low[0] * Fraction(TOLERANCE))
            ):
                break
            if low is None and eta <= self.horizon - self.ends[bound.ends_at]:
                break  # with smaller steps, too, the last one is past that time
            following = self._next(low, high, value, MOST_STEPS if bound.needs_descent else MOST_BOUND_STEPS)
            if following is None:
                break
            eta = following
        if low is None or best is None:
            return Guarantee(bound.name, kind, "not applicable", None, None, None, reason)
        share = None if tolerated is None else float(low[0] / tolerated)
        return Guarantee(bound.name, kind, best.status, low[0], low[1], share, None)

    def _next(
        self, low: tuple[Fraction, float] | None, high: Fraction | None, value: float, most: int
    ) -> Fraction | None:
        """The next step size to try, with at most so many steps; None where there is none left."""
        if low is None:
            assert high is not None
            factor = self.epsilon / value if math.isfinite(value) and value > 0 else 0.25
            eta = _rounded(high * Fraction(min(0.5, max(1e-3, 0.97 * factor))))
            return eta if self.horizon / eta <= most else None
        ahead = low[0] * Fraction(min(8.0, 0.998 * self.epsilon / max(low[1], 1e-300)))
        top = self.horizon if high is None else high
        if not low[0] * Fraction(1.004) < ahead < top:
            ahead = top if high is None else (low[0] + top) / 2
        eta = _rounded(min(ahead, self.horizon))
        return eta if low[0] < eta and (high is None or eta < high) else None


def _rounded(eta: Fraction) -> Fraction:
    """A step size to three significant digits, downwards."""
    digits = math.log10(eta.numerator) - math.log10(eta.denominator)  # both may be beyond float64
    scale = Fraction(10) ** (2 - math.floor(digits))
    return Fraction(math.floor(eta * scale)) / scale
