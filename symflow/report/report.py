"""What symflow found, as plain data for JSON: every number a decimal string with all its digits."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symflow.files import write_temporary
from symflow.networks.losses import SQUARE
from symflow.numbers.fixed_point import decimal
from symflow.numbers.rational import ending_decimal, text
from symflow.problem.architecture import describe as architecture
from symflow.problem.architecture import loss_table, network_table
from symflow.versions import versions

if TYPE_CHECKING:
    from symflow.analysis.bounds import BoundSeries
    from symflow.analysis.deviation import Deviation
    from symflow.analysis.observables import Observables
    from symflow.derivatives.derived import Derived
    from symflow.paths.trajectory import Event, Trajectory
    from symflow.problem import Problem


def exact_decimal(value: Fraction, digits: int) -> str:
    """A rational as a decimal string: exactly where that ends, otherwise to so many digits."""
    import mpmath

    found = ending_decimal(value)
    if found is not None:
        return found
    with mpmath.workdps(digits + 5):
        return str(mpmath.nstr(mpmath.mpf(value.numerator) / value.denominator, digits))


def _decimals(values: Sequence[Any], digits: int = 17) -> list[str | None]:
    return [None if v is None else decimal(v, digits) for v in values]


def short(value: Any, digits: int = 4) -> str:
    """A few significant digits of a number; "-" for None."""
    if value is None:
        return "-"
    import mpmath

    return str(mpmath.nstr(mpmath.mpf(value), digits, strip_zeros=False, min_fixed=-3, max_fixed=7)).rstrip(".")


def brief_time(value: Any) -> str:
    """Six significant digits of a time, such as 40, 5.62 or 1.25e-7."""
    import mpmath

    return str(mpmath.nstr(value, 6)).removesuffix(".0")


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


def network_report(problem: Problem) -> dict[str, Any]:
    """Architecture and sizes."""
    found: dict[str, Any] = {"parameters": len(problem.theta0)}
    if problem.network is not None:
        net = problem.network
        slopes = dict(zip(("alpha", "alpha_bar"), map(text, net.sigma.slopes or ()), strict=False))
        found |= network_table(net) | {"depth": net.depth} | slopes
        found["loss"] = loss_table(problem.objective.sample_loss or SQUARE)
    if problem.x is not None:
        found["samples"] = len(problem.x)
    return found


def _gate(value: Any, digits: int) -> str | None:
    """A gate's value: exact where it stands on a slope, decimal where it slides, none where it is inert."""
    if value is None:
        return None
    return text(value) if isinstance(value, Fraction) else decimal(value, digits)


def events_report(events: Sequence[Event], digits: int) -> list[dict[str, Any]]:
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
        }
        for e in events
    ]


def flow_report(trajectory: Trajectory, at: Mapping[str, Fraction], seconds: float | None = None) -> dict[str, Any]:
    """A flow at some times.

    Args:
        trajectory: The flow.
        at: The times, under the texts that become the keys of ``theta``.
        seconds: Wall time of the whole computation; the run's own if left out.
    """
    digits = trajectory.dense.stored_digits
    stats = trajectory.stats
    error = trajectory.error_estimate
    return {
        "theta": {key: _decimals(list(trajectory(time)), digits) for key, time in at.items()},
        "events": events_report(trajectory.events, digits),
        "error_estimate": None if error is None else decimal(error),
        "error_status": "none" if error is None else "estimated",
        "horizon": decimal(trajectory.horizon, digits),
        "dps": trajectory.dps,
        **stats.facts(),
        "seconds": round(stats.seconds + stats.check_seconds if seconds is None else seconds, 6),
    }


def formula_report(derived: Derived) -> dict[str, Any]:
    """A derived formula: LaTeX, length, runnable source, citation."""
    return {
        "latex": derived.latex(),
        "operations": derived.program.length,
        "source": derived.source(),
        "citation": None if derived.citation is None else str(derived.citation),
    }


def deviation_report(dev: Deviation) -> dict[str, Any]:
    """The deviation of descent from flow and its bounds, as ``symflow deviation --json`` prints it."""
    digits = dev.dps + 15  # what distances are computed with
    rounding = None if dev.rounding is None else _decimals(dev.rounding, digits)
    return {
        "times": [exact_decimal(k * dev.step_size, dev.dps + 3) for k in dev.indices],
        "deviation": _decimals(dev.values, digits),
        "max_deviation": decimal(dev.max, digits),
        "rounding": rounding,
        "bounds": {name: _bound_values(b) for name, b in dev.bounds.items()},
        "reasons": {name: b.reason for name, b in dev.bounds.items()},
        "status": {name: b.status for name, b in dev.bounds.items()},
        "kind": {name: b.kind for name, b in dev.bounds.items()},
        "quantities": {name: _quantities(b) for name, b in dev.bounds.items()},
        "step_size": text(dev.step_size),
        "steps": dev.steps,
        "dps": dev.dps,
        "events": events_report(dev.flow.events, dev.flow.dense.stored_digits),
        "error_estimate": None if dev.flow.error_estimate is None else decimal(dev.flow.error_estimate),
    }


def _bound_values(bound: BoundSeries) -> list[str | None] | None:
    return None if all(v is None for v in bound.values) else _decimals(bound.values)


def _quantities(bound: BoundSeries) -> dict[str, dict[str, str]]:
    return {symbol: {"meaning": meaning, "value": value} for symbol, (meaning, value) in bound.quantities.items()}


def _series(series: Observables) -> dict[str, Any]:
    names = (
        "loss", "gradient_norm", "min_eigenvalue", "max_eigenvalue", "eigenvalue_residual", "singular_values",
        "end_to_end", "balancedness",
    )  # fmt: skip
    found: dict[str, Any] = {name: _nested(getattr(series, name)) for name in names}
    if series.reason is not None:
        found["reason"] = series.reason
    return found


def _nested(values: Any) -> Any:
    """A float64 array as nested lists of decimal strings."""
    if values is None:
        return None
    if hasattr(values, "tolist"):
        values = values.tolist()
    return [_nested(v) for v in values] if isinstance(values, list) else decimal(values)


def comparison(dev: Deviation, name: str) -> dict[str, Any]:
    """A bound next to the truth at the last time where it applies.

    Returns:
        ``time``, ``value``, ``ratio`` (value over deviation; None where the deviation is 0), ``worst`` (the largest
        |ratio - 1| at any sampled time, what the leading order is judged by), ``until_end``; all None or False where
        the bound applies nowhere.
    """
    bound = dev.bounds[name]
    applies = [i for i, v in enumerate(bound.values) if v is not None and i > 0]
    if not applies:
        return {"time": None, "value": None, "ratio": None, "worst": None, "until_end": False}
    last = applies[-1]
    value, truth = bound.values[last], dev.values[last]
    return {
        "time": dev.times[last],
        "value": value,
        "ratio": value / truth if truth else None,
        "worst": max((abs(bound.values[i] / dev.values[i] - 1) for i in applies if dev.values[i]), default=None),
        "until_end": last == len(dev.times) - 1,
    }


def travelled(dev: Deviation) -> Any:
    """The distance between the flow's ends, what deviations may be compared with."""
    import mpmath

    with mpmath.workdps(dev.dps + 15):
        start, end = dev.flow(0), dev.flow(dev.times[-1])
        return mpmath.sqrt(mpmath.fsum((b - a) ** 2 for a, b in zip(start, end, strict=True)))


def sharpness(dev: Deviation) -> float | None:
    """The largest eta lambda_max along descent; None where the Hessian was too large."""
    eigenvalues = dev.descent_series.max_eigenvalue
    return None if eigenvalues is None else float(dev.step_size) * float(eigenvalues.max())


def verdict(dev: Deviation) -> str:
    """The answer in one sentence."""
    from mpmath import nstr

    largest, way = dev.max, travelled(dev)
    share = f" ({nstr(100 * largest / way, 2)} % of the way the flow went)" if way else ""
    parts = [f"Descent strays from flow by at most {nstr(largest, 3)}{share}"]
    leading = comparison(dev, "R18") if "R18" in dev.bounds else {"worst": None}
    if leading["worst"] is not None:
        said = f"the leading order R18 predicts it within {nstr(100 * leading['worst'], 2)} %"
        parts.append(said + ("" if leading["until_end"] else f" until t = {brief_time(leading['time'])}"))
    ratios = [
        (found["ratio"], name, found)
        for name, bound in dev.bounds.items()
        if bound.kind == "bound" and (found := comparison(dev, name))["ratio"] is not None
    ]
    if ratios:
        ratio, name, found = min(ratios, key=lambda item: item[0])
        said = f"the tightest bound, {name}, is {nstr(ratio, 3)} times the truth"
        parts.append(said + (" at the end" if found["until_end"] else f" at t = {brief_time(found['time'])}"))
    else:
        parts.append("no bound applies")
    return "; ".join(parts) + "."


def full_report(dev: Deviation, seconds: float) -> dict[str, Any]:
    """``report.json`` of ``symflow run``: the same inputs and versions give the same report, except for ``seconds``.

    Args:
        dev: The finished comparison.
        seconds: Wall time of the whole computation.
    """
    digits = dev.flow.dense.stored_digits
    stats, error = dev.flow.stats, dev.flow.error_estimate
    stand_alone = dev.problem.network is None
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
            "last_time": None if found["time"] is None else decimal(found["time"]),
            "last_ratio_to_deviation": None if found["ratio"] is None else decimal(found["ratio"]),
            "largest_relative_difference": None if found["worst"] is None else decimal(found["worst"]),
            "citation": _citation(name),
        }
    sharp = sharpness(dev)
    return {
        "name": dev.problem.name,
        "verdict": verdict(dev),
        "problem": None if stand_alone else dev.problem.to_dict(),
        "versions": versions(),
        "network": network_report(dev.problem),
        "settings": {
            "step_size": text(dev.step_size),
            "steps": dev.steps,
            "horizon": compared["times"][-1],
            "dps": dev.dps,
        },
        "flow": {
            "error_estimate": None if error is None else decimal(error),
            "error_status": "none" if error is None else "estimated",
            **stats.facts(),
            "events": compared["events"],
            "theta_end": _decimals(list(dev.flow(dev.times[-1])), digits),
            "distance_travelled": decimal(travelled(dev)),
        },
        "descent": {"theta_end": _decimals(list(dev.run.iterates[-1])), "max_eta_lambda_max": _nested(sharp)},
        "times": compared["times"],
        "deviation": compared["deviation"],
        "max_deviation": compared["max_deviation"],
        "rounding": compared["rounding"],
        "bounds": bounds,
        "series": {"flow": _series(dev.flow_series), "descent": _series(dev.descent_series)},
        "seconds": {
            "total": round(seconds, 3),
            "flow": round(stats.seconds, 3),
            "flow_check": round(stats.check_seconds, 3),
        },
    }


def document(dev: Deviation) -> str:
    """``formulas.tex``: the problem's equations and bounds, with what was found."""
    from mpmath import nstr

    from symflow.latex.formula_document import formulas_document

    problem = dev.problem
    settings = [("", "network", describe(problem)), ("P", "parameters", str(len(problem.theta0)))]
    if problem.x is not None:
        settings.append(("N", "samples", str(len(problem.x))))
    settings += [
        (r"\eta", "step size", text(dev.step_size)),
        ("K", "steps", str(dev.steps)),
        (r"K\eta", "horizon", brief_time(dev.times[-1])),
        ("", f"largest deviation at {len(dev.times)} sampled times", nstr(dev.max, 6)),
    ]
    if dev.flow.error_estimate is not None:
        settings.append(("", "error of the flow, estimated", nstr(dev.flow.error_estimate, 2)))
    if dev.flow.objective.gates:
        settings.append(("", "kinks met by the flow", str(len(dev.flow.events))))
    return formulas_document(
        problem.objective, problem.name or "problem", settings, [(name, _bound_rows(dev, name)) for name in dev.bounds]
    )


def _bound_rows(dev: Deviation, name: str) -> list[tuple[str, str, str]]:
    bound, found = dev.bounds[name], comparison(dev, name)
    rows = [(symbol, meaning, value) for symbol, (meaning, value) in bound.quantities.items()]
    if found["value"] is None:
        return [*rows, ("", bound.kind, f"not applicable: {bound.reason}")]
    ratio = "" if found["ratio"] is None else f", {short(found['ratio'])} times the deviation"
    value = f"{short(found['value'])} at t = {brief_time(found['time'])}{ratio}; {bound.status}"
    rows.append(("", f"{bound.kind}, last value", value))
    if not found["until_end"]:
        rows.append(("", "afterwards", f"not applicable: {bound.reason}"))
    return rows


def _citation(name: str) -> str | None:
    from symflow.theory.citations import RESULTS

    return str(RESULTS[name]) if name in RESULTS else None


def to_json(data: Mapping[str, Any]) -> str:
    """The one way symflow writes JSON: ASCII, strict (no NaN), one space of indentation."""
    return json.dumps(data, indent=1, allow_nan=False)


def write_files(folder: Path, contents: Mapping[str, bytes]) -> list[Path]:
    """Writes a set of files so that none of them is ever half-written.

    All go to temporary files in the same folder first and are renamed when every one is complete. An interruption
    before that leaves the folder as it was; one during the renames is answered when all are done.

    Args:
        folder: Made if it does not exist.
        contents: File name -> content.

    Raises:
        OSError: The folder cannot be made or written to; nothing is left behind.
    """
    made = _missing_folders(folder)
    waiting: dict[Path, Path] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            _write_waiting(folder / name, content, waiting)
        _rename_all(waiting)
    except BaseException:
        for temporary in waiting.values():
            temporary.unlink(missing_ok=True)
        for empty in made:
            with suppress(OSError):
                empty.rmdir()
        raise
    return [folder / name for name in contents]


def _missing_folders(folder: Path) -> list[Path]:
    """The folders that making this one would make, deepest first."""
    return [f for f in (folder, *folder.parents) if not f.exists()]


def _write_waiting(target: Path, content: bytes, waiting: dict[Path, Path]) -> None:
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a directory where a file is to be written")

    def remember(name: Path) -> None:
        waiting[target] = name

    write_temporary(target, content, remember)


def _rename_all(waiting: dict[Path, Path]) -> None:
    interrupted: KeyboardInterrupt | None = None
    for target, temporary in waiting.items():
        while temporary.exists():
            try:
                os.replace(temporary, target)
            except KeyboardInterrupt as error:  # answered below, when the set is complete
                interrupted = error
    if interrupted is not None:
        raise interrupted
