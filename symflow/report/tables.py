"""Tables of what the analyses found, for the terminal, for pages and for notebooks."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

from symflow.analysis.sweeps.values import decode
from symflow.numbers.decimal import brief_time, counted, short
from symflow.report.parts import Note, Part, Table
from symflow.report.report import describe

if TYPE_CHECKING:
    from symflow.analysis.advice import StepAdvice
    from symflow.analysis.experiments import NetworkResult
    from symflow.analysis.sweeps.sweep import Sweep
    from symflow.analysis.tightness import Tightness, TightnessTable

LOWER = "\N{GREEK SMALL LETTER LAMDA}_min of H"


def advice_parts(advice: StepAdvice) -> list[Part]:
    """The step sizes, bound by bound, and the verdict."""
    within = f"within {short(float(advice.epsilon))} of flow up to t = {short(float(advice.horizon))}"
    rows = [
        (g.name, short(float(g.step_size)), short(g.share, 3), g.status)
        for g in advice.guarantees
        if g.step_size is not None
    ]
    heads = ("bound", "step size", "of the tolerated", "status")
    title = f"largest step size that keeps descent {within}"
    shown: list[Part] = [Table(title, heads, tuple(rows))] if rows else []
    shown += [Note(f"{g.name}: {g.reason}") for g in advice.guarantees if g.reason is not None]
    if advice.tolerated is None:
        shown.append(Note("descent stayed within it at no step size that was tried"))
    else:
        much = f"{short(float(advice.tolerated))} (deviation {short(advice.tolerated_deviation)}; sampled, no proof)"
        shown.append(Note(f"descent was found to tolerate {much}"))
    best = advice.certified
    if best is not None and best.step_size is not None:
        shown.append(Note(f"use {best.step_size} or less: {best.name} is certified"))
    return shown


def bounds_parts(table: TightnessTable) -> list[Part]:
    """The tightness table, the slack of the closed forms, and why bounds end."""

    dev = table.deviation
    title = f"{describe(dev.problem)}, step size {dev.step_size}, {counted(dev.steps, 'step')}"
    of_deviation = [r for r in table.rows if r.kind in ("bound", "leading order") and r.value is not None]
    of_curvature = [r for r in table.rows if r.kind == "curvature" and r.value is not None]
    shown: list[Part] = [_rows(title, "deviation", of_deviation)] if of_deviation else []
    shown += [_rows("along the flow", LOWER, of_curvature)] if of_curvature else []
    reasons: dict[str, list[str]] = {}
    for r in table.rows:
        if r.not_applicable is not None:
            star = "*" if r.value is not None else ""
            reasons.setdefault(r.not_applicable.reason, []).append(r.name + star)
    shown += [Note(f"{', '.join(names)}: {reason}") for reason, names in reasons.items()]
    if any(not r.until_end and r.value is not None for r in table.rows):
        shown.append(Note("* not applicable later"))
    for s in table.slack:
        parts = [f"{n} {short(getattr(s.certified, n))} / {short(getattr(s.found, n))}" for n in ("m", "beta", "gamma")]
        where = f"on the ball of radius {short(s.radius, 3)} around theta({short(s.time, 4)})"
        shown.append(Note(f"certified / found by ascent {where}: {', '.join(parts)}"))
    return shown


def _rows(title: str, truth: str, rows: list[Tightness]) -> Table:

    lines = []
    for r in rows:
        when = brief_time(r.time) + ("" if r.until_end else "*")
        lines.append((r.name, when, *map(short, (r.value, r.truth, r.ratio, r.worst)), r.status))
    return Table(title, ("bound", "at time", "value", truth, "ratio", "of maxima", "status"), tuple(lines))


def sweep_parts(found: Sweep, most: int | None = None) -> list[Part]:
    """The rows, those columns that vary first; at most so many of them."""

    varied = [n for n in ("step_size", "seed", "widths", "scale") if len({str(r[n]) for r in found.rows}) > 1]
    lines = []
    for row in found.rows[:most]:
        numbers = [decode(row.get(name)) for name in ("max_deviation", "final_deviation")]
        where = ["-" if row[name] is None else str(decode(row[name])) for name in varied]
        lines.append((*where, *map(short, numbers), str(row["status"])))
    heads = (*(name.replace("_", " ") for name in varied), "max deviation", "at the end", "status")
    rest = len(found.rows) - len(lines)
    more = [Note(f"... and {rest} more rows")] if rest > 0 else []
    return [Table("", heads, tuple(lines)), *more, Note(repr(found).strip("<>"))]


def network_rows(found: NetworkResult) -> list[tuple[str, str, str, str, str, str]]:
    """Name, step size or tolerance, evaluations, distance from the flow at its largest and at the end, final loss."""
    rows = []
    for run in found.runs.values():
        name = "descent, η0" if run.ratio == 1 else f"descent, η0/{run.ratio}"
        apart = short(run.from_flow.max(), 2), short(run.from_flow[-1], 2)
        rows.append((name, f"{run.iterations:,}", *apart, short(run.loss[-1], 6), f"{run.seconds:.0f}"))
    tightest = found.flow.tolerances[-1]
    for t in found.flow.tolerances:
        apart = short(t.difference.max(), 2), short(t.difference[-1], 2)
        if t is tightest:
            apart = f"(±{_known(found)})", ""
        loss = short(found.flow.loss[-1], 6) if t is tightest else ""
        name = f"flow, {found.flow.solver}, rtol {t.rtol:.0e}"
        rows.append((name, f"{t.evaluations:,}", *apart, loss, f"{t.seconds:.0f}"))
    return rows


def _known(found: NetworkResult) -> str:
    """The estimated error of the reference."""
    error = float(found.flow.error[-1])
    return "unknown" if isnan(error) else short(error, 2)


ESTIMATED = "(estimated, from the two tightest tolerances)."
"""How the error of the reference is known."""
RUN_HEADS = ("run", "gradients", "max distance", "at the end", "loss", "seconds")
"""Gradient evaluations; the largest distance from the flow, and that at the end; the loss at the end."""


def network_parts(found: NetworkResult) -> list[Part]:
    """What is said of one network."""
    title = f"{found.name}: {found.description}, {found.parameters} parameters; distances from the flow"
    base = found.runs[1]
    last = max(found.runs)
    said = (
        f"At t = {short(found.times[-1])} descent at η0 has moved {short(base.from_start[-1])} and is "
        f"{short(base.from_flow[-1], 2)} from the flow, whose error is {_known(found)} "
        + ("(the two tightest tolerances gave the same run)." if isnan(float(found.flow.error[-1])) else ESTIMATED)
    )
    if last > 1:
        said += f" The paper's stand-in for the flow, η0/{last}, is {short(found.runs[last].from_flow[-1], 2)} from it."
    return [Table(title, RUN_HEADS, tuple(network_rows(found))), Note(said)]
