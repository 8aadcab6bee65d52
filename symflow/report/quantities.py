"""What is said of a run, number by number, with how each is known: the terminal and the page say the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from symflow.analysis.verdict import comparison, sharpness, travelled
from symflow.derivatives.derived import loss
from symflow.evaluate.object_arrays import evaluate_mpmath
from symflow.numbers.decimal import brief_time, counted, short
from symflow.numbers.types import Mpf
from symflow.report.parts import Quantity
from symflow.report.report import describe

if TYPE_CHECKING:
    import numpy as np

    from symflow.analysis.deviation import Deviation
    from symflow.paths.event import Event
    from symflow.paths.trajectory import Trajectory

EVENT_COLUMNS = ("time", "kind", "sample", "layer", "unit", "gate")


def event_rows(events: Sequence[Event]) -> list[tuple[str, ...]]:
    """Gate changes as text."""
    import mpmath

    return [(mpmath.nstr(e.time, 15), e.kind, str(e.sample), str(e.layer), str(e.unit), gate_words(e)) for e in events]


def gate_words(event: Event) -> str:
    """What the gate was and becomes."""
    before = "sliding" if event.kind == "leaving" else _gate(event.gate_before)
    return f"{before} to {_gate(event.gate_after)}"


def _gate(value: Mpf | Fraction | None) -> str:
    """A gate's value: a slope, where it stands while sliding, or inert."""
    if value is None:
        return "inert"
    return str(value) if isinstance(value, Fraction) else short(value)


EVENT_NAMES = {
    "crossing": ("kink crossing", ""),
    "sliding": ("slide along a kink", "slides along kinks"),
    "leaving": ("end of a slide", "ends of slides"),
    "revival": ("gate revived", "gates revived"),
    "inert": ("gate turned inert", "gates turned inert"),
}
"""What one event, and several of a kind, are called."""


def _kinds(events: Sequence[Event]) -> str:
    """How many kinks of each kind."""
    counts = Counter(e.kind for e in events)
    return ", ".join(counted(counts[kind], *name) for kind, name in EVENT_NAMES.items() if counts[kind])


def error_words(path: Trajectory) -> str:
    """What is known of the error of a path."""
    return "error not known" if path.error is None else f"{path.error.how} error {short(path.error.value, 2)}"


def run_quantities(dev: Deviation) -> list[Quantity]:
    """The problem, flow and descent, the deviation and its bounds."""
    names = {"R18": "R18 leading order", "R22": "R22 bound", "R4": "R4 bound"}
    ordered = [*(n for n in names if n in dev.bounds), *(n for n in dev.bounds if n not in names)]
    compared = [_compared(dev, name, names.get(name, name)) for name in ordered]
    return [*_of_paths(dev), *_of_deviation(dev), *compared]


def _of_paths(dev: Deviation) -> list[Quantity]:
    """The problem, flow and descent."""
    samples = "" if dev.problem.x is None else f", N = {counted(len(dev.problem.x), 'sample')}"
    plain = dev.compared_with == "gradient flow"
    flow, said = ("gradient flow", "") if plain else ("flow", f"{dev.compared_with}; ")
    rows = [
        Quantity("network", f"{describe(dev.problem)}, P = {counted(len(dev.problem.theta0), 'weight')}{samples}"),
        Quantity("run", f"η = {dev.step_size}, {counted(dev.steps, 'step')}, horizon {brief_time(dev.times[-1])}"),
        _path(flow, f"{said}{counted(dev.flow.stats.steps, 'Taylor step')}", dev.flow),
        _path("descent", dev.run.stats.method, dev.run),
    ]
    if dev.flow.objective.gates:
        events = dev.flow.events
        first = f", the first at t = {brief_time(events[0].time)}" if events else ""
        how = "certified" if events and all(e.radius is not None for e in events) else "estimated" if events else ""
        rows.append(Quantity("events", f"{_kinds(events)}{first}" if events else "none", how, remark=True))
    return rows


def _path(name: str, said: str, path: Trajectory) -> Quantity:
    how = "not known" if path.error is None else path.error.how
    return Quantity(name, f"{said}, {error_words(path)}", how, remark=True)


def _of_deviation(dev: Deviation) -> list[Quantity]:
    largest = max(range(len(dev.values)), key=dev.values.__getitem__)
    way = travelled(dev)
    share = f", {short(100 * dev.max / way, 3)} % of the flow's way" if way else ""
    how = dev.error.how
    rows = [
        Quantity("max deviation", f"{short(dev.max)} at t = {brief_time(dev.times[largest])}{share}", how, remark=True)
    ]
    if dev.transient is not None:
        after = f"{short(dev.on_manifold[-1])} at the end without the transient of the velocity"
        rows.append(Quantity("transient", f"at most {short(max(dev.transient))}; {after}", how, remark=True))
    rows.append(Quantity("its error", f"{short(dev.radii[largest], 2)}, {how}", how, remark=True))
    if dev.rounding is not None:
        worst = max(dev.rounding)
        part = f" ({short(worst / dev.max, 2)} of the deviation)" if dev.max else ""
        rows.append(Quantity("of float64 rounding", f"{short(worst, 2)}{part}", "sampled", remark=True))
    return rows


def series_quantities(dev: Deviation) -> list[Quantity]:
    """Sharpness and loss along flow and descent."""
    sharp = sharpness(dev)
    limit = dev.stable_sharpness
    stable = "" if limit is None else f" (stable below {short(float(limit * dev.step_size))})"
    against = f"at most {short(sharp)}{stable}" if sharp is not None else f"not computed: {_no_spectrum(dev)}"
    rows = [Quantity("η·λ_max", against, "sampled" if sharp is not None else "not known", remark=True)]
    low = dev.flow_series.min_eigenvalue
    if low is not None and not np.isnan(low).all():
        lowest = float(np.nanmin(low))
        convex = " (not convex there)" if lowest < 0 else ""
        where = ", where it does not slide" if np.isnan(low).any() else ""
        found = f"at least {short(lowest)}{convex}{where}"
        rows.append(Quantity("λ_min along the flow", found, "sampled", remark=True))
    last = dev.indices[-1]
    flow, descent = dev.flow(min(last * dev.step_size, dev.flow.end)), dev.run.steps.at_steps([last])[0]
    ends = f"flow {_loss(dev, flow)}, descent {_loss(dev, descent)}"
    rows.append(Quantity("loss at the end", ends, "estimated", remark=True))
    return rows


def _loss(dev: Deviation, state: np.ndarray) -> str:
    """f there with the digits of the run: float64 loses small losses in its rounding."""
    import mpmath

    found = evaluate_mpmath(loss(dev.problem.objective), list(state), dps=dev.dps)
    return str(mpmath.nstr(mpmath.mpf(found), 6))


def _no_spectrum(dev: Deviation) -> str:
    return dev.descent_series.reason or "no spectrum"


def _compared(dev: Deviation, name: str, called: str) -> Quantity:
    bound = dev.bounds[name]
    found = comparison(dev, name)
    if found["value"] is None:
        return Quantity(called, f"not applicable: {bound.reason}", "not applicable", remark=True)
    ratio = "" if found["ratio"] is None else f" = {short(found['ratio'])} × deviation"
    later = "" if found["until_end"] else "; not applicable later"
    return Quantity(called, f"{short(found['value'])}{ratio} at t = {brief_time(found['time'])}", bound.status, later)


def reasons_of_ends(dev: Deviation) -> list[str]:
    """Why bounds end before the run does; each reason once."""
    ends = {name: comparison(dev, name) for name in dev.bounds}
    reasons = [
        dev.bounds[n].reason for n, found in ends.items() if found["value"] is not None and not found["until_end"]
    ]
    return list(dict.fromkeys(reason for reason in reasons if reason is not None))
