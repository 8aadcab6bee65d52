"""How far gradient descent strays from gradient flow, next to what bounds and predicts it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

import mpmath
import numpy as np
import sympy

from symflow.analysis.arguments import steps_to
from symflow.analysis.bounds import QUICK, Bound, BoundSeries, Comparison, chosen_bounds
from symflow.analysis.bounds.descent_walk import fits
from symflow.analysis.compared_flow import ComparedFlow, compared_flow, no_bound, no_leading_order
from symflow.analysis.distances import distance_error, distances
from symflow.analysis.first_kink import first_kink
from symflow.analysis.given_runs import as_descent
from symflow.analysis.observables import Observables, observe
from symflow.analysis.stability import stability_threshold
from symflow.displays import Listed, displayed, listing, show
from symflow.dynamics.method import Method
from symflow.dynamics.methods.gradient_descent import GradientDescent
from symflow.errors import ComputationError, ProblemError, brief, with_remedies
from symflow.numbers.arguments import whole
from symflow.numbers.decimal import counted
from symflow.numbers.rational import mpf
from symflow.numbers.types import Mpf, Number
from symflow.paths.descent import check_steps, checked_method, descend, positive_step, run_descent
from symflow.paths.event import slides_at
from symflow.paths.path_error import How, PathError
from symflow.paths.runs import float64_start
from symflow.paths.solver import MAX_DPS
from symflow.paths.trajectory import Trajectory
from symflow.problem import Problem
from symflow.problem.arguments import as_problem
from symflow.progress import Reporter, Wanted, reporting
from symflow.theory.registry import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REMEDIES = {"max-steps": "choose a shorter horizon or fewer digits"}
"""What a comparison can do where a flow takes too many steps."""
CHEAPER = "a shorter horizon, or a larger step size"
EARLY_STEPS = 64
"""The first steps are all sampled: there the bounds are tightest."""
FLOAT64_DPS = 15
"""The digits with which a comparison in float64 is written."""
GUARD = 15
"""Digits of norms beyond those of the paths."""
SAMPLES = 256
"""About how many further sample times are spread over the run."""


@displayed
@dataclass(frozen=True)
class Deviation:
    """||theta_k - theta(k eta)|| along a run, with everything that it was compared with.

    Attributes:
        problem: what was run.
        step_size: eta, exact.
        steps: the number of steps.
        dps: digits of flow and descent.
        indices: the S sampled steps k.
        times: k eta (mpf).
        values: the deviation of descent from flow at these times (mpf), descent computed with `dps` digits (or the
            user's own run); 0 where it is below `error.value` and cannot be distinguished from it.
        radii: the true deviation of descent from flow is within these of the values (mpf): what is known of flow and
            descent, and what the norm rounds.
        error: the largest of what flow and descent add to the radii, and how it is known: *certified* where both are.
        flow: the flow's trajectory.
        run: the descent run.
        compared: the flow that it is compared with: `compared.called` says it in words, `compared.order` is its order.
        bounds: by name, as `BoundSeries`: "R4", "R22" (bounds) and "R18" (leading order) unless others were asked for.
        comparison: what the bounds were evaluated on; `bound.evaluate(dev.comparison)` evaluates another one.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1)), data={"x": [1], "y": [1]}, init={"theta": [0]})
        >>> dev = sf.deviation(problem, step_size="1/10", horizon=1, dps=15)
        >>> dev.steps, round(dev.values[-1], 8), round(dev.max, 8)
        (10, 0.019201, 0.019201)
        >>> dev.bounds["R22"].status, dev.flow.dps, dev.run.step_size
        ('sampled', 15, Fraction(1, 10))
    """

    problem: Problem
    step_size: Fraction
    steps: int
    dps: int
    indices: tuple[int, ...]
    times: tuple[Mpf, ...]
    values: tuple[Mpf, ...]
    radii: tuple[Mpf, ...]
    error: PathError
    flow: Trajectory
    run: Trajectory
    compared: ComparedFlow
    bounds: Mapping[str, BoundSeries]
    comparison: Comparison

    def __post_init__(self) -> None:
        listing(self, "indices", "times", "values", "radii")

    @property
    def error_estimate(self) -> Mpf:
        """`error.value`."""
        return self.error.value

    @cached_property
    def flow_series(self) -> Observables:
        """Observables along the flow, shape (S, ...); NaN where it slides and they do not exist."""
        run = self.comparison
        return _observed(self.problem, run.points, slides_at(self.flow.events, run.times))

    @cached_property
    def descent_series(self) -> Observables:
        """Observables along descent, shape (S, ...)."""
        assert self.comparison.descent is not None
        return _observed(self.problem, self.comparison.descent)

    @property
    def method(self) -> Method:
        """The method of descent."""
        return self.run.method

    @property
    def compared_with(self) -> str:
        """The flow that the run is compared with, in words: gradient flow, a method's own flow of order 0, or its
        modified equation."""
        return self.compared.called

    @property
    def order(self) -> int:
        """The order of the modified equation that it is compared with; 0 for gradient flow."""
        return self.compared.order

    @cached_property
    def transient(self) -> tuple[Mpf, ...] | None:
        """||theta_k - pi(theta_k, v_k)||, what of the iterates descent forgets because its velocity starts at rest, to
        one order more than `order`; None for a method that carries nothing. What is smaller than eta^(order + 2) in it
        is the truncation of pi."""
        gone = self.comparison.transient
        return None if gone is None else self._norms(gone)

    @cached_property
    def on_manifold(self) -> tuple[Mpf, ...]:
        """||pi(theta_k, v_k) - theta(k eta)||, the deviation without the transient; `values` where there is none."""
        gone = self.comparison.transient
        if gone is None:
            return self.values
        states = np.array([self.flow(min(k * self.step_size, self.flow.end)) for k in self.indices], dtype=object)
        with mpmath.workdps(self.dps + GUARD):
            return self._norms(self.run.steps.at_steps(self.indices) - gone - states)

    def _norms(self, rows: np.ndarray) -> tuple[Mpf, ...]:
        with mpmath.workdps(self.dps + GUARD):
            return Listed(mpmath.sqrt(mpmath.fsum(v * v for v in row)) for row in rows)

    @cached_property
    def rounding(self) -> tuple[Mpf, ...] | None:
        """The part of a float64 run's distance that is rounding, ||theta_k(float64) - theta_k||, from a run of its own;
        None for a run the caller gave, one in float64, and where float64 cannot make one (it diverges there, or a
        setting is lost)."""
        if self.comparison.user_run or self.run.dps is None:
            return None
        problem, sampled = self.problem, self.indices
        try:
            single = descend(problem, step_size=self.step_size, steps=self.steps, keep=sampled, method=self.method)
        except ComputationError:
            return None
        return Listed(value for value, _ in distances(single.iterates, self.run.iterates, self.dps, mpmath.mpf(0)))

    @cached_property
    def stable_sharpness(self) -> sympy.Expr | None:
        """The sharpness at which the method loses stability on quadratics (`stability_threshold`); None where it is not
        linear on them."""
        try:
            return stability_threshold(self.method, self.step_size)
        except ProblemError:
            return None

    @property
    def max(self) -> Mpf:
        """The largest sampled deviation (mpf)."""
        return max(self.values)

    def plot(self, ax: Axes | None = None, legend: bool = True) -> Axes:
        """Plots deviation, bounds and leading order against time on a logarithmic scale."""
        return show(self, "plot", ax, legend)

    def __repr__(self) -> str:
        return (
            f"<Deviation over {counted(self.steps, 'step')} of {self.step_size}: max {mpmath.nstr(self.max, 4)}, "
            + ", ".join(f"{b.name} {b.status}" for b in self.bounds.values())
            + ">"
        )


@np.errstate(over="ignore", invalid="ignore")  # of descent that is about to diverge
def _observed(problem: Problem, points: np.ndarray, sliding: np.ndarray | None = None) -> Observables:
    return observe(problem.compact, points, sliding)


def sample_steps(steps: int) -> list[int]:
    """The steps at which a run is compared: all early ones, then evenly spread, always the last."""
    spread = np.unique(np.linspace(0, steps, SAMPLES + 1).round().astype(int)).tolist()
    return sorted({*range(min(EARLY_STEPS, steps) + 1), *spread})


def deviation(
    problem: Problem,
    *,
    step_size: Number | None = None,
    horizon: Number | None = None,
    dps: int | None = None,
    run: Trajectory | np.ndarray | None = None,
    bounds: Sequence[Bound | str] | None = None,
    flow: Trajectory | None = None,
    method: Method | None = None,
    order: int | None = None,
    float64: bool = False,
    progress: Wanted = None,
) -> Deviation:
    """||theta_k - theta(k eta)|| for k eta <= T: compares descent with flow, and with bounds.

    For gradient descent theta_{k+1} = theta_k - eta grad f(theta_k) and theta' = -grad f(theta) start from the same
    theta0. Another method is compared with its own flow, to the order asked for.

    Args:
        problem: what to run.
        step_size: eta (text, a rational or mpmath number, or a float, which means its shortest decimal); the problem's
            own if left out.
        horizon: final time T, a number of the same kinds; descent takes floor(T / eta) steps.
        dps: digits for flow and descent.
        run: a run of your own instead of symflow's descent: a path of `sf.descend`, or an array of iterates theta_0,
            theta_1, ..., shape (K, P). Bounds that assume gradient descent are then not applicable.
        bounds: which bounds to evaluate, such as `sf.known_bounds()` or their names; R4, R22, sampled, R18 if left out.
        flow: the problem's flow, where it is known already to the horizon and to `dps` digits. One of
            `sf.solve_flow_float64` makes it a comparison in float64 (kinks must be located: solver "event-corrected").
        method: of descent, such as `sf.HeavyBall("9/10")`, which is then compared with its own flow; the problem's
            own, or that of the run, if left out. Bounds that assume gradient descent do not apply to another method.
        order: of the modified equation that descent is compared with. Left out, or 0: the method's own flow of order 0,
            theta' = -grad f / (1 - beta) for momentum. From order 1 on the flow starts where the slow manifold of the
            method is met by descent from rest (R25): theta0 + eta beta/(1 - beta)^2 g + ...; what the velocity forgets
            is `transient`, the rest of the deviation `on_manifold`, of size eta^(order + 1).
        float64: flow and descent in float64, for networks that are too large for digits; `dps` is then 15. Kinks are
            located (R31), errors estimated from second runs; bounds that need digits (R18, certified ones) say so.
        progress: True for a bar, or a function of a `Progress`, the fraction that is done from 0 to 1; it spans flow
            and descent, each with the run for its error estimate, and the bounds.

    Returns:
        A `Deviation`: `values` (mpf) at `times`, each within `radii` of the truth (`error.how` says how that is known),
        and one `BoundSeries` per bound in `bounds`.

    Raises:
        ProblemError: missing or invalid numbers, a run of another shape, or an entry of `bounds` that is not a `Bound`.
        KinkError: the flow meets a kink that is not a transversal crossing.
        ComputationError: the flow's digits cannot be reached, or descent diverges.

    Source: Elkabetz & Cohen 2021 (R3, R4); R22: symflow, from R3; R18: Hairer, Nørsett & Wanner 1993, section II.8.

    Example:
        >>> import mpmath
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]},
        ...                      init={"theta": ["1/2", 1]})
        >>> dev = sf.deviation(problem, step_size="1/10", horizon=1, dps=15)
        >>> round(dev.max, 6)
        0.010873
        >>> {name: round(float(series.values[-1] / dev.values[-1]), 2) for name, series in dev.bounds.items()}
        {'R4': 10.01, 'R22': 2.12, 'R18': 0.96}
        >>> momentum = sf.deviation(problem, step_size="1/100", horizon=4, dps=15, method=sf.HeavyBall("1/2"), order=1)
        >>> momentum.compared_with
        'the modified equation of heavy ball to order 1'
        >>> [mpmath.nstr(v, 3) for v in (momentum.transient[0], momentum.transient[20], momentum.on_manifold[-1])]
        ['0.0122', '2.52e-5', '3.95e-5']
    """
    given = as_problem(problem, "deviation")
    chosen = chosen_bounds(bounds, QUICK)
    eta = positive_step(given, step_size)
    steps = steps_to(given, horizon, eta, "a comparison")
    float64 = float64 or (isinstance(flow, Trajectory) and flow.dps is None)
    if float64 and dps is not None:
        raise ProblemError(f"dps goes with digits, got dps={brief(dps)} for a comparison in float64; leave one out")
    dps = (FLOAT64_DPS if float64 else given.dps) if dps is None else whole(dps, "dps", 1, MAX_DPS)
    problem = given.for_digits(max(dps, flow.dps or 0) if isinstance(flow, Trajectory) else dps)
    given_run = None if run is None else as_descent(given, eta, run, method)
    method = checked_method(method, problem) if given_run is None else given_run.method
    compared = compared_flow(problem, method, eta, order)
    cheaper = CHEAPER if float64 else f"float64=True, fewer digits (dps=...), {CHEAPER}"
    with reporting(progress, "deviation", cheaper) as report, with_remedies(REMEDIES):
        if given_run is not None:
            steps = min(steps, given_run.indices[-1])
            indices, descent = [k for k in given_run.indices if k <= steps], given_run
        else:
            check_steps(steps)
            indices = sample_steps(steps)
            float64_start(problem.compact, problem.theta0, eta, steps)  # bounds are float64, as are observables
            keep_all = fits(steps, len(problem.theta0))
            # First: that descent diverges is so known before the flow is solved.
            how: tuple[int | None, How] = (None, "estimated") if float64 else (dps, "certified")
            part = report.part(0, 0.3, "descent")
            descent = run_descent(problem, eta, steps, how[0], 1, indices, method, how[1], part, keep_all)
        times = [k * eta for k in indices]
        part = report.part(0.3, 0.7, "flow")
        if flow is not None:
            flow = compared.given(flow, times[-1], None if float64 else dps)
        else:
            flow = compared.solve_float64(times, part) if float64 else compared.solve(times[-1], dps, part)
        part = report.part(0.7, 1, "bounds", "bound")
        found = _compared(compared, steps, indices, dps, flow, descent, given_run is not None, chosen, part)
        report(1.0)
    return found


def _compared(
    compared: ComparedFlow,
    steps: int,
    indices: Sequence[int],
    dps: int,
    flow: Trajectory,
    descent: Trajectory,
    user_run: bool,
    chosen: Sequence[Bound],
    report: Reporter,
) -> Deviation:
    """Flow and descent at the sampled steps, and the bounds on their distance."""
    problem, eta = compared.problem, compared.step_size
    times, objective = [k * eta for k in indices], problem.compact
    iterates = descent.steps.at_steps(indices)
    states = np.array([flow(min(t, flow.end)) for t in times], dtype=object)
    error = distance_error(flow, descent, len(problem.theta0))
    values, radii = zip(*distances(iterates, states, dps, error.value), strict=True)
    with mpmath.workdps(dps + 15):
        shown = tuple(map(mpf, times))
    smooth, kink = first_kink(objective, times, flow, states, iterates, None if flow.dps is None else dps)
    plain = compared.plain_descent
    comparison = Comparison(
        problem=problem if plain is None else plain,
        step_size=eta,
        indices=tuple(indices),
        flow=flow,
        descent=iterates.astype(np.float64),
        first_kink=smooth,
        kink=kink,
        not_descent_because=no_bound(compared, descent, user_run),
        no_leading_order=no_leading_order(compared, descent, user_run, flow.dps is None),
        method=descent.method if plain is None else GradientDescent(),
        order=compared.order,
        run=descent,
        user_run=user_run,
        path=descent.steps.path,
    )
    series = {}
    for number, bound in enumerate(chosen, start=1):
        series[bound.name] = bound.evaluate(comparison)
        report(number / (len(chosen) + 1), number)
    return Deviation(
        problem=problem,
        step_size=eta,
        steps=steps,
        dps=dps,
        indices=tuple(indices),
        times=shown,
        values=values,
        radii=radii,
        error=error,
        flow=flow,
        run=descent,
        compared=compared,
        bounds=Table(series),
        comparison=comparison,
    )
