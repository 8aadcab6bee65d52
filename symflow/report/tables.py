"""Tables of what the analyses found, for the terminal, for pages and for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symflow.analysis.sweeps.values import decode
from symflow.numbers.decimal import brief_time, counted, short
from symflow.report.parts import Note, Part, Table
from symflow.report.report import describe

if TYPE_CHECKING:
    from symflow.analysis.advice import StepAdvice
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
