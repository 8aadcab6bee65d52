"""What a sweep measures on one problem by default."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from symflow.analysis.bounds import Bound, BoundSeries, known_bounds
from symflow.analysis.compared_flow import order_zero
from symflow.analysis.deviation import REMEDIES, deviation
from symflow.derivatives.derived import loss
from symflow.errors import with_remedies
from symflow.evaluate.object_arrays import evaluate_mpmath
from symflow.networks.objective import Objective
from symflow.numbers.types import JsonObject, Mpf
from symflow.paths.flow import solve_flow
from symflow.paths.trajectory import Trajectory
from symflow.problem import Problem
from symflow.theory.registry import id_name

BOUNDS = ("R4", "R22", "R18")
"""The bounds that a sweep evaluates by default."""
BOUND_COLUMNS = {"value": "decimal", "ratio": "float", "status": "text", "reason": "text"}
COLUMNS = {
    "steps": "int",
    "max_deviation": "decimal",
    "final_deviation": "decimal",
    "error_estimate": "decimal",
    "error_status": "text",
    "initial_loss": "decimal",
    "final_loss_flow": "decimal",
    "final_loss_descent": "decimal",
    "final_gradient_norm_flow": "float",
    "initial_sharpness": "float",
    "final_sharpness_flow": "float",
    "final_sharpness_descent": "float",
    "initial_min_eigenvalue": "float",
    "final_min_eigenvalue_flow": "float",
    "lowest_min_eigenvalue_flow": "float",
    "kink_events": "int",
    "slides": "int",
}
"""The columns and the kind of their values; four more for each bound."""


def bounds_named(names: Sequence[str]) -> list[Bound]:
    """The bounds of these names.

    Raises:
        ProblemError: there is none of a name.
    """
    if isinstance(names, str):
        names = [names]
    return list(known_bounds(*names)) if names else []


def by_id(names: Sequence[str]) -> tuple[str, ...]:
    """Names of bounds with ids for slugs: "step-size" is "R4"."""
    listed = (names,) if isinstance(names, str) else tuple(names)
    return tuple(id_name(name) if isinstance(name, str) else name for name in listed)


def columns(bounds: Sequence[str]) -> dict[str, str]:
    """What `measure_deviation` gives: column -> kind."""
    return COLUMNS | {f"{name}_{part}": kind for name in bounds for part, kind in BOUND_COLUMNS.items()}


def measure_deviation(problem: Problem, bounds: Sequence[str] = BOUNDS) -> JsonObject:
    """How far descent strays from its flow of order 0, and what the theory says of it, at the end t = K eta <= horizon.

    Sharpness is lambda_max of the Hessian; spectra and the gradient norm are float64, everything else has the
    problem's digits. `lowest_min_eigenvalue_flow` is the lowest at the sampled times. `kink_events` counts the flow's
    events up to the horizon, `slides` those where it begins to slide. Where it slides along a kink there is no gradient
    and no Hessian: their columns are empty for a flow that ends so, and the lowest eigenvalue is that of other times. A
    bound's `ratio` is its value over the final deviation.

    Args:
        problem: with horizon and step size.
        bounds: names of `sf.known_bounds()`.

    Raises:
        FlowStopped: the flow cannot be solved to the horizon (a `KinkError` for undecided kinks).
        DescentDiverged: descent does.
    """
    chosen = bounds_named(bounds)
    flow = None  # of Adam and RMSProp it depends on the step size
    if problem.method.speed is not None:
        flowing = order_zero(problem, problem.method)
        flow = _flow(flowing.objective, problem.theta0, problem.horizon, problem.dps)
    with np.errstate(over="ignore", invalid="ignore"):  # of descent that is about to diverge
        dev = deviation(problem, bounds=chosen, flow=flow)
    flow = dev.flow
    objective, digits = problem.compact, problem.dps + 15
    ends = {"initial_loss": flow(0), "final_loss_flow": flow(dev.times[-1]), "final_loss_descent": dev.run.iterates[-1]}
    losses = {name: evaluate_mpmath(loss(objective), theta, dps=digits) for name, theta in ends.items()}
    return {
        "steps": dev.steps,
        "max_deviation": dev.max,
        "final_deviation": dev.values[-1],
        "error_estimate": dev.error_estimate,
        "error_status": dev.error.how,
        **losses,
        "final_gradient_norm_flow": known(dev.flow_series.gradient_norm[-1]),
        **spectra(dev.flow_series.min_eigenvalue, dev.flow_series.max_eigenvalue, dev.descent_series.max_eigenvalue),
        "kink_events": len(flow.events),
        "slides": sum(event.kind == "sliding" for event in flow.events),
        **{
            key: value for series in dev.bounds.values() for key, value in bound_columns(series, dev.values[-1]).items()
        },
    }


def spectra(low: np.ndarray | None, high: Any, descent_high: Any) -> JsonObject:
    """The ends of the spectra; nothing where the network is too large for them.

    Args:
        low: lambda_min along the flow, shape (S,), NaN where it slides; or None.
        high: lambda_max along the flow, likewise; None where it is unknown.
        descent_high: lambda_max along descent; None where it is unknown.
    """
    names = [name for name in COLUMNS if "sharpness" in name or "eigenvalue" in name]
    if low is None:
        return dict.fromkeys(names)
    found = (high[0], high[-1], descent_high[-1], low[0], low[-1], np.fmin.reduce(low))
    return {name: known(value) for name, value in zip(names, found, strict=True)}


def known(value: float) -> float | None:
    """The number; None for one that does not exist."""
    return None if np.isnan(value) else float(value)


def bound_columns(series: BoundSeries, truth: Mpf) -> JsonObject:
    """A bound at the end of a run."""
    value = series.values[-1]
    ratio = None
    if value is not None and truth and series.kind != "curvature":
        ratio = float(value / truth)
    status, reason = series.status, None
    if value is None:
        status, reason = "not applicable", series.reason or "a hypothesis fails"
    found = {"value": value, "ratio": ratio, "status": status, "reason": reason}
    return {f"{series.name}_{part}": item for part, item in found.items()}


@lru_cache(maxsize=1)
def _flow(objective: Objective, theta0: tuple[Fraction, ...], horizon: Fraction, dps: int) -> Trajectory:
    """The flow; the last one is held, since neighbouring tasks differ in the step size alone."""
    problem = Problem(objective=objective, theta0=theta0, horizon=horizon, dps=dps)
    with with_remedies(REMEDIES):
        return solve_flow(problem)
