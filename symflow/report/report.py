"""What symflow found, as plain data for JSON: every number a decimal string with all its digits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from symflow.analysis.verdict import comparison, sharpness, travelled, verdict
from symflow.networks.losses import SQUARE
from symflow.numbers.decimal import decimal, exact_decimal
from symflow.numbers.rational import text
from symflow.numbers.types import JsonObject, Mpf
from symflow.problem.architecture import describe as architecture
from symflow.problem.architecture import loss_table, network_table
from symflow.problem.descent import descent_table, has_file_form
from symflow.versions import versions

if TYPE_CHECKING:
    from symflow.analysis.bounds import BoundSeries
    from symflow.analysis.deviation import Deviation
    from symflow.analysis.observables import Observables
    from symflow.derivatives.derived import Derived
    from symflow.dynamics.method import Method
    from symflow.paths.event import Event
    from symflow.paths.path_error import PathError
    from symflow.paths.trajectory import Trajectory
    from symflow.problem import Problem


def optional_decimal(value: Mpf | None) -> str | None:
    """A number as text, None as itself."""
    return None if value is None else decimal(value)


def _decimals(values: Sequence[Mpf | None], digits: int = 17) -> list[str | None]:
    return [None if v is None else decimal(v, digits) for v in values]


def describe(problem: Problem) -> str:
    """The problem's network in a few words."""
    net = problem.network
    if net is None:
        return "stand-alone objective"
    kind = net.activation
    if net.sigma.settings:
        kind += f" ({', '.join(f'{key} {value}' for key, value in net.sigma.settings.items())})"
    loss = problem.objective.sample_loss
    ending = "" if loss in (None, SQUARE) else f", {loss.kind} loss"
    return f"{kind} {architecture(net).removeprefix('fully-connected ')}{ending}"


def network_report(problem: Problem) -> JsonObject:
    """Architecture and sizes."""
    found: JsonObject = {"parameters": len(problem.theta0)}
    if problem.network is not None:
        net = problem.network
        slopes = dict(zip(("alpha", "alpha_bar"), map(text, net.sigma.slopes or ()), strict=False))
        found |= network_table(net) | {"depth": net.depth} | slopes
        found["loss"] = loss_table(problem.objective.sample_loss or SQUARE)
    if problem.x is not None:
        found["samples"] = len(problem.x)
    return found


def _gate(value: Mpf | Fraction | None, digits: int) -> str | None:
    """A gate's value: exact where it stands on a slope, decimal where it slides, none where it is inert."""
    if value is None:
        return None
    return text(value) if isinstance(value, Fraction) else decimal(value, digits)


def events_report(events: Sequence[Event], digits: int) -> list[JsonObject]:
    """Gate changes: samples and units counted from 0, layers from 1."""
    return [
        {
            "time": decimal(e.time, digits),
            "kind": e.kind,
            "sample": e.sample,
            "unit": e.unit,
            "layer": e.layer,
            "gate_before": _gate(e.gate_before, digits),
            "gate_after": _gate(e.gate_after, digits),
            "radius": None if e.radius is None else decimal(e.radius, 3),
        }
        for e in events
    ]


def flow_report(trajectory: Trajectory, at: Mapping[str, Fraction], seconds: float | None = None) -> JsonObject:
    """A flow at some times.

    Args:
        trajectory: the flow.
        at: the times, under the texts that become the keys of ``theta``.
        seconds: wall time of the whole computation; the run's own if left out.
    """
    digits = trajectory.dense.stored_digits
    stats = trajectory.stats
    error = trajectory.error_estimate
    return {
        "theta": {key: _decimals(list(trajectory(time)), digits) for key, time in at.items()},
        "events": events_report(trajectory.events, digits),
        "error_estimate": optional_decimal(error),
        "error_status": _how(trajectory),
        "error": error_report(trajectory.error),
        "horizon": decimal(trajectory.horizon, digits),
        "dps": trajectory.dps,
        **stats.facts(),
        "seconds": round(stats.seconds + stats.check_seconds if seconds is None else seconds, 6),
    }


def error_report(error: PathError | None) -> JsonObject | None:
    """What is known of an error: at most how large it is, how that is known, and why not better."""
    if error is None:
        return None
    return {"value": optional_decimal(error.value), "how": error.how, "reason": error.reason or None}


def _how(trajectory: Trajectory) -> str:
    return "none" if trajectory.error is None else trajectory.error.how


def formula_report(derived: Derived) -> JsonObject:
    """A derived formula: LaTeX, length, runnable source (none where sizes are symbols), citation."""
    known = all(isinstance(axis.size, int) for x in derived.program.inputs for axis in x.axes)
    return {
        "latex": derived.latex(),
        "operations": derived.program.length,
        "source": derived.source() if known else None,
        "citation": None if derived.citation is None else str(derived.citation),
    }


def deviation_report(dev: Deviation) -> JsonObject:
    """The deviation of descent from flow and its bounds, as ``symflow deviation --json`` prints it."""
    digits = dev.dps + 15  # what distances are computed with
    rounding = None if dev.rounding is None else _decimals(dev.rounding, digits)
    return {
        "times": [exact_decimal(k * dev.step_size, dev.dps + 3) for k in dev.indices],
        "deviation": _decimals(dev.values, digits),
        "max_deviation": decimal(dev.max, digits),
        "radii": _decimals(dev.radii, 3),
        "error": error_report(dev.error),
        "rounding": rounding,
        "bounds": {name: _bound_values(b) for name, b in dev.bounds.items()},
        "reasons": {name: b.reason for name, b in dev.bounds.items()},
        "status": {name: b.status for name, b in dev.bounds.items()},
        "kind": {name: b.kind for name, b in dev.bounds.items()},
        "quantities": {name: _quantities(b) for name, b in dev.bounds.items()},
        "step_size": text(dev.step_size),
        "steps": dev.steps,
        "method": method_report(dev.method),
        "compared_with": dev.compared_with,
        "order": dev.order,
        "transient": None if dev.transient is None else _decimals(dev.transient, digits),
        "on_manifold": None if dev.transient is None else _decimals(dev.on_manifold, digits),
        "dps": dev.dps,
        "events": events_report(dev.flow.events, dev.flow.dense.stored_digits),
        "error_estimate": optional_decimal(dev.flow.error_estimate),
    }


def method_report(method: Method) -> JsonObject:
    """A method: its name in words, and its settings as problem files have them, where they can name it."""
    return {"name": method.called} | ({"descent": descent_table(method)} if has_file_form(method) else {})


def _bound_values(bound: BoundSeries) -> list[str | None] | None:
    return None if all(v is None for v in bound.values) else _decimals(bound.values)


def _quantities(bound: BoundSeries) -> dict[str, dict[str, str]]:
    return {symbol: {"meaning": meaning, "value": value} for symbol, (meaning, value) in bound.quantities.items()}


def _series(series: Observables) -> JsonObject:
    names = (
        "loss", "gradient_norm", "min_eigenvalue", "max_eigenvalue", "eigenvalue_residual", "singular_values",
        "end_to_end", "balancedness",
    )  # fmt: skip
    found: JsonObject = {name: _nested(getattr(series, name)) for name in names}
    if series.reason is not None:
        found["reason"] = series.reason
    return found


def _nested(values: Any) -> Any:
    """A float64 array as nested lists of decimal strings; None for what is missing, or not a number."""
    if values is None:
        return None
    if hasattr(values, "tolist"):
        values = values.tolist()
    if isinstance(values, list):
        return [_nested(v) for v in values]
    return None if math.isnan(values) else decimal(values)


def full_report(dev: Deviation, seconds: float) -> JsonObject:
    """``report.json`` of ``symflow run``: the same inputs and versions give the same report, except for ``seconds``.

    Args:
        dev: the finished comparison.
        seconds: wall time of the whole computation.
    """
    digits = dev.flow.dense.stored_digits
    stats, error = dev.flow.stats, dev.flow.error_estimate
    problem = dev.problem.replace(method=dev.method)
    filed = problem.network is not None and has_file_form(dev.method)
    compared = deviation_report(dev)
    bounds = {}
    for name, bound in dev.bounds.items():
        found = comparison(dev, name)
        bounds[name] = {
            "kind": bound.kind,
            "status": bound.status,
            "reason": bound.reason,
            "values": compared["bounds"][name],
            "quantities": compared["quantities"][name],
            "last_time": optional_decimal(found["time"]),
            "last_ratio_to_deviation": optional_decimal(found["ratio"]),
            "largest_relative_difference": optional_decimal(found["worst"]),
            "citation": _citation(name),
        }
    sharp = sharpness(dev)
    return {
        "name": dev.problem.name,
        "verdict": verdict(dev),
        "problem": problem.to_dict() if filed else None,
        "versions": versions(),
        "network": network_report(dev.problem),
        "settings": {
            "step_size": text(dev.step_size),
            "steps": dev.steps,
            "method": compared["method"],
            "compared_with": dev.compared_with,
            "horizon": compared["times"][-1],
            "dps": dev.dps,
        },
        "flow": {
            "error_estimate": optional_decimal(error),
            "error_status": _how(dev.flow),
            "error": error_report(dev.flow.error),
            **stats.facts(),
            "events": compared["events"],
            "theta_end": _decimals(list(dev.flow(dev.times[-1])), digits),
            "distance_travelled": decimal(travelled(dev)),
        },
        "descent": {"theta_end": _decimals(list(dev.run.iterates[-1])), "max_eta_lambda_max": _nested(sharp)},
        "times": compared["times"],
        "deviation": compared["deviation"],
        "max_deviation": compared["max_deviation"],
        "radii": compared["radii"],
        "error": compared["error"],
        "rounding": compared["rounding"],
        "bounds": bounds,
        "series": {"flow": _series(dev.flow_series), "descent": _series(dev.descent_series)},
        "seconds": {
            "total": round(seconds, 3),
            "flow": round(stats.seconds, 3),
            "flow_check": round(stats.check_seconds, 3),
        },
    }


def _citation(name: str) -> str | None:
    from symflow.theory.registry import RESULTS

    return str(RESULTS[name].citation) if name in RESULTS else None
