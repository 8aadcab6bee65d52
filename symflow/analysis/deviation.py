"""How far gradient descent strays from gradient flow, next to what bounds and predicts it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import mpmath
import numpy as np

from symflow.analysis.arguments import as_flow_of, check_start
from symflow.analysis.bounds import QUICK, Bound, BoundSeries, Comparison, before_kinks, chosen_bounds
from symflow.analysis.observables import Observables, observe
from symflow.displays import show
from symflow.errors import ProblemError, advising, brief, brief_float
from symflow.evaluate.interpret import interpret
from symflow.evaluate.object_arrays import mpmath_arithmetic
from symflow.networks.objective import Objective
from symflow.numbers.arguments import whole
from symflow.numbers.rational import rational
from symflow.paths.descent import Descent, check_steps, descend, positive_step
from symflow.paths.flow import MAX_DPS, solve_flow
from symflow.paths.trajectory import Trajectory
from symflow.problem import Problem
from symflow.problem.arguments import as_problem, same_objective
from symflow.programs.program import Program
from symflow.theory.registry import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REMEDIES = {"max-steps": "choose a shorter horizon or fewer digits"}
"""What a comparison can do where a flow takes too many steps."""
EARLY_STEPS = 64
"""The first steps are all sampled: there the bounds are tightest."""
SAMPLES = 256
"""About how many further sample times are spread over the run."""


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
            user's own run); 0 where it is below `error_estimate` and cannot be distinguished from it.
        error_estimate: estimated error of the values, from those of flow and descent (mpf).
        rounding: the part of a float64 run's distance that is rounding, ||theta_k(float64) - theta_k||; None for the
            user's own run.
        flow: the flow's trajectory.
        run: the descent run.
        bounds: by name, as `BoundSeries`: "R4", "R22" (bounds) and "R18" (leading order) unless others were asked for.
        flow_series: observables along the flow, shape (S, ...).
        descent_series: observables along descent, shape (S, ...).
        comparison: what the bounds were evaluated on; `bound.evaluate(dev.comparison)` evaluates another one.
    """

    problem: Problem
    step_size: Fraction
    steps: int
    dps: int
    indices: tuple[int, ...]
    times: tuple[Any, ...]
    values: tuple[Any, ...]
    error_estimate: Any
    rounding: tuple[Any, ...] | None
    flow: Trajectory
    run: Descent
    bounds: Mapping[str, BoundSeries]
    flow_series: Observables
    descent_series: Observables
    comparison: Comparison

    @property
    def max(self) -> Any:
        """The largest sampled deviation (mpf)."""
        return max(self.values)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Plots deviation, bounds and leading order against time on a logarithmic scale."""
        return show(self, "plot", ax)

    def __repr__(self) -> str:
        return (
            f"<Deviation over {self.steps} steps of {self.step_size}: max {mpmath.nstr(self.max, 4)}, "
            + ", ".join(f"{b.name} {b.status}" for b in self.bounds.values())
            + ">"
        )


def sample_steps(steps: int) -> list[int]:
    """The steps at which a run is compared: all early ones, then evenly spread, always the last."""
    spread = np.unique(np.linspace(0, steps, SAMPLES + 1).round().astype(int)).tolist()
    return sorted({*range(min(EARLY_STEPS, steps) + 1), *spread})


def deviation(
    problem: Problem,
    *,
    step_size: Any = None,
    horizon: Any = None,
    dps: int | None = None,
    run: Descent | np.ndarray | None = None,
    bounds: Sequence[Bound] | None = None,
    flow: Trajectory | None = None,
    progress: Callable[[float], None] | None = None,
) -> Deviation:
    """||theta_k - theta(k eta)|| for k eta <= T: compares gradient descent with gradient flow, and with bounds.

    theta_{k+1} = theta_k - eta grad f(theta_k) and theta' = -grad f(theta) start from the same theta0.

    Args:
        problem: what to run.
        step_size: eta (text, a rational or mpmath number, or a float, which means its shortest decimal); the problem's
            own if left out.
        horizon: final time T, a number of the same kinds; descent takes floor(T / eta) steps.
        dps: digits for flow and descent.
        run: a run of your own instead of symflow's descent: a `Descent`, or an array of iterates theta_0, theta_1, ...,
            shape (K, P). Bounds that assume gradient descent are then not applicable.
        bounds: which bounds to evaluate, such as `sf.known_bounds()`; R4 and R22, sampled, and R18 if left out.
        flow: the problem's flow, where it is known already to the horizon and to `dps` digits.
        progress: called with the fraction of the work that is done, from 0 to 1; it spans flow and descent, each with
            the run for its error estimate, and the bounds.

    Returns:
        A `Deviation`: `values` (mpf) at `times`, with `error_estimate`, and one `BoundSeries` per bound in `bounds`.

    Raises:
        ProblemError: missing or invalid numbers, a run of another shape, or an entry of `bounds` that is not a `Bound`.
        KinkError: the flow meets a kink that is not a transversal crossing.
        ComputationError: the flow's digits cannot be reached, or descent diverges.

    Source: Elkabetz & Cohen 2021 (R3, R4); R22: symflow, from R3; R18: Hairer, Nørsett & Wanner 1993, section II.8.
    """
    problem = as_problem(problem, "deviation")
    chosen = chosen_bounds(bounds, QUICK)
    eta = positive_step(problem, step_size)
    end = problem.horizon if horizon is None else rational(horizon, "horizon")
    if end is None:
        raise ProblemError("run.horizon: a comparison needs a final time, got none; give horizon=... or run.horizon")
    steps = int(end / eta)
    if steps < 1:
        raise ProblemError(
            f"horizon {brief_float(end)} is shorter than one step of size {brief_float(eta)}; take a longer "
            "horizon or a smaller step size"
        )
    dps = problem.dps if dps is None else whole(dps, "dps", 1, MAX_DPS)
    given, problem = problem, problem.for_digits(max(dps, flow.dps or 0) if isinstance(flow, Trajectory) else dps)

    def part(low: float, high: float) -> Callable[[float], None] | None:
        return None if progress is None else lambda done: progress(low + (high - low) * done)

    user_run = None if run is None else _as_descent(given, eta, run)
    if user_run is not None:
        steps = min(steps, user_run.indices[-1])
        indices = [k for k in user_run.indices if k <= steps]
    else:
        check_steps(steps)
        indices = sample_steps(steps)
        # Cheap, and first: that descent diverges is so known before the flow is solved.
        float64 = descend(problem, step_size=eta, steps=steps, keep=indices)
    times = [k * eta for k in indices]
    if flow is None:
        with advising(REMEDIES):
            flow = solve_flow(problem, horizon=times[-1], dps=dps, progress=part(0, 0.4))
    else:
        flow = _known_flow(flow, problem, times[-1], dps)
    rounding: tuple[Any, ...] | None = None
    if user_run is None:
        descent = descend(problem, step_size=eta, steps=steps, dps=dps, keep=indices, progress=part(0.4, 0.7))
        rounding = tuple(_distances(float64.iterates, descent.iterates, dps))
    else:
        descent = user_run
    rows = {k: row for row, k in enumerate(descent.indices)}
    iterates = descent.iterates[[rows[k] for k in indices]]
    states = np.array([flow(min(t, flow.end)) for t in times], dtype=object)
    with mpmath.workdps(dps + 15):
        error = mpmath.sqrt(len(problem.theta0)) * (flow.error_estimate + (descent.error_estimate or 0))
    values = tuple(v if v > error else mpmath.mpf(0) for v in _distances(iterates, states, dps))
    flow64, descent64 = states.astype(np.float64), iterates.astype(np.float64)
    objective = problem.compact
    first_kink, kink = _first_kink(objective, times, flow, states, iterates, dps)
    not_descent_because = None
    if user_run is not None and not _is_descent(problem, objective, user_run, eta):
        not_descent_because = (
            "the given run is not gradient descent from the flow's initial point with this step size, or "
            "too few consecutive steps were kept to tell"
        )
    comparison = Comparison(
        problem, eta, tuple(indices), flow, descent64, first_kink, kink, not_descent_because, user_run is not None
    )
    with advising(REMEDIES):
        found = Table({bound.name: bound.evaluate(comparison) for bound in chosen})
    if progress is not None:
        progress(0.9)
    flow_series, descent_series = observe(objective, flow64), observe(objective, descent64)
    with mpmath.workdps(dps + 15):
        shown = tuple(mpmath.mpf(t.numerator) / t.denominator for t in times)
    if progress is not None:
        progress(1.0)
    return Deviation(
        problem,
        eta,
        steps,
        dps,
        tuple(indices),
        shown,
        values,
        error,
        rounding,
        flow,
        descent,
        found,
        flow_series,
        descent_series,
        comparison,
    )


def _known_flow(flow: object, problem: Problem, horizon: Fraction, dps: int) -> Trajectory:
    """The given flow.

    Raises:
        ProblemError: it is another problem's, too short, or has too few digits.
    """
    remedy = "solve it with sf.solve_flow, this horizon and dps"
    known = as_flow_of(problem, flow, remedy)
    # Times are rounded to the clock of the flow: an end within its digits is the end.
    if known.dps is None or known.end < horizon * (1 - Fraction(1, 10**known.dps)) or known.dps < dps:
        digits = "float64 and kinks not located" if known.dps is None else str(known.dps)
        raise ProblemError(
            f"flow must reach t = {brief_float(horizon)} with {dps} digits, got t = {brief_float(known.end)} with "
            f"{digits}; {remedy}"
        )
    if known.error_estimate is None:
        raise ProblemError("flow must have an error estimate, got none; solve it with estimate_error=True")
    return known


def _as_descent(problem: Problem, eta: Fraction, run: Any) -> Descent:
    """The given run.

    Raises:
        ProblemError: it is no run of this problem.
    """
    if isinstance(run, Descent):
        if run.step_size != eta:
            raise ProblemError(f"the run has step size {run.step_size}, got step_size {eta}; use the run's own")
        if not same_objective(run.objective, problem.for_digits(run.dps or 0).objective):
            raise ProblemError(
                "a run must be the problem's own, got that of another objective (network, loss or data differ); make "
                "it with sf.descend"
            )
        check_start(problem, run.iterates[0])
        return run
    try:
        array = np.asarray(run)
        if np.iscomplexobj(array):
            raise TypeError
        iterates = array.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ProblemError(f"a run must be an array of real numbers, got {brief(run)}") from None
    if not np.isfinite(iterates).all():
        raise ProblemError("a run must have finite iterates, got NaN or infinity; cut it before it diverges")
    expected = problem.objective.parameter_count
    if iterates.ndim != 2 or iterates.shape[1] != expected or len(iterates) < 2:
        raise ProblemError(f"a run must have shape (K + 1, {expected}) with K >= 1, got {iterates.shape}")
    check_start(problem, iterates[0])
    return Descent(problem.objective, eta, tuple(range(len(iterates))), iterates, None, None)


def _distances(a: np.ndarray, b: np.ndarray, dps: int) -> list[Any]:
    """Euclidean distances of corresponding rows, as mpf."""
    with mpmath.workdps(dps + 15):
        return [
            mpmath.sqrt(mpmath.fsum((mpmath.mpf(x) - mpmath.mpf(y)) ** 2 for x, y in zip(row, other, strict=True)))
            for row, other in zip(a, b, strict=True)
        ]


def _gate_patterns(objective: Objective, points: np.ndarray, dps: int) -> list[tuple[bool, ...]]:
    """Which pre-activations are nonnegative at each point, in multiprecision."""
    if not objective.gates:
        return [()] * len(points)
    program = Program(objective.program.inputs, {str(i): g.z for i, g in enumerate(objective.gates)})
    patterns = []
    with mpmath.workdps(dps + 15):
        arithmetic = mpmath_arithmetic()
        lift = np.frompyfunc(arithmetic.lift, 1, 1)
        values = {x: np.asarray(lift(a), dtype=object) for x, a in objective.data.items()}
        for point in points:
            theta = np.array([mpmath.mpf(v) for v in point], dtype=object)
            z = interpret(program, values | objective.cut(theta), arithmetic)
            patterns.append(tuple(bool(v >= 0) for a in z.values() for v in a.reshape(-1)))
    return patterns


def _first_kink(
    objective: Objective,
    times: Sequence[Fraction],
    flow: Trajectory,
    states: np.ndarray,
    iterates: np.ndarray,
    dps: int,
) -> tuple[int, str | None]:
    """How many of the samples lie, flow and descent, in the first smooth region, and why the others do not."""
    if not objective.gates:
        return len(times), None
    smooth, reason = before_kinks(flow, times)
    here = _gate_patterns(objective, states[:smooth], dps)
    there = _gate_patterns(objective, iterates[:smooth], dps)
    for i, (a, b) in enumerate(zip(here, there, strict=True)):
        if a != b:
            return i, f"descent and flow lie on different sides of a kink at t = {float(times[i]):.6g}"
    return smooth, reason


def _is_descent(problem: Problem, objective: Objective, run: Descent, eta: Fraction) -> bool:
    """Whether a run starts at theta0 and its kept consecutive iterates are gradient descent, to float64 rounding."""
    from symflow.analysis.observables import gradients

    points = run.iterates.astype(np.float64)
    start = np.array([float(v) for v in problem.theta0])
    if run.indices[0] != 0 or np.abs(points[0] - start).max() > 1e-10 * max(1.0, np.abs(start).max()):
        return False
    consecutive = [i for i in range(len(run.indices) - 1) if run.indices[i + 1] == run.indices[i] + 1]
    if not consecutive:
        return False
    here, there = points[consecutive], points[[i + 1 for i in consecutive]]
    expected = here - float(eta) * gradients(objective, here)
    return bool(np.abs(expected - there).max() <= 1e-10 * max(1.0, np.abs(points).max()))
