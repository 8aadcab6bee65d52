"""`symflow bounds`: every bound next to the truth."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from symflow.cli.exit_status import Answer
from symflow.cli.method_options import takes_method, with_method
from symflow.cli.options import Digits, Horizon, Json, ProblemFile, StepSize, check_folder, load_run, write_results
from symflow.cli.signals import progress
from symflow.cli.streams import show
from symflow.cli.typed import command_line
from symflow.numbers.types import JsonObject

if TYPE_CHECKING:
    from symflow.analysis.tightness import Slack, Tightness, TightnessTable
    from symflow.report.parts import Part, Table

LOWER = "\N{GREEK SMALL LETTER LAMDA}_min of H"


@takes_method
def bounds(
    problem: ProblemFile,
    descent: JsonObject,
    step_size: StepSize = None,
    horizon: Horizon = None,
    dps: Digits = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Also write report.html, bounds.json and a plot here."),
    ] = None,
    as_json: Json = False,
) -> Answer:
    """Every bound next to the truth. The answer: its value, their ratio, or why it does not apply."""
    from symflow.analysis.tightness import tightness
    from symflow.report.terminal import as_text

    given, settings = load_run(problem, step_size, horizon)
    given = with_method(given, descent)
    if out is not None:
        check_folder(out)
    started = time.perf_counter()
    with progress("bounds") as report:
        table = tightness(given, **settings, dps=dps, progress=report)
    found = bounds_report(table, time.perf_counter() - started)
    written = [] if out is None else _write(table, found, out)
    found["files"] = [str(path) for path in written]
    said = [f"wrote {', '.join(map(str, written))}"] if written else []
    return Answer(lambda: found, lambda: show(*as_text(bounds_parts(table)), *said))


def _write(table: TightnessTable, found: JsonObject, out: Path) -> list[Path]:
    from symflow.plots.deviation import deviation_figure
    from symflow.plots.style import render
    from symflow.report.pages import bounds_document, page
    from symflow.report.report import to_json

    picture = deviation_figure(table.deviation)
    contents = {
        "report.html": page(bounds_document(table, bounds_parts(table), command_line())),
        "bounds.json": (to_json(found) + "\n").encode(),
        "bounds.svg": render(picture, "svg"),
        "bounds.png": render(picture, "png"),
    }
    return write_results(out, contents)


def bounds_report(table: TightnessTable, seconds: float) -> JsonObject:
    """The JSON object."""
    from symflow.report.report import deviation_report

    dev, best = table.deviation, table.sharpest
    return {
        "name": dev.problem.name,
        "bounds": {row.name: _row_report(row) for row in table.rows},
        "sharpest": None if best is None else best.name,
        "slack": [_slack_report(s) for s in table.slack],
        "series": deviation_report(dev),
        "files": [],
        "seconds": round(seconds, 6),
    }


def _row_report(row: Tightness) -> JsonObject:
    from symflow.report.report import optional_decimal

    absent = row.not_applicable
    return {
        "kind": row.kind,
        "status": row.status,
        "time": optional_decimal(row.time),
        "value": optional_decimal(row.value),
        "truth": optional_decimal(row.truth),
        "ratio": optional_decimal(row.ratio),
        "ratio_of_maxima": optional_decimal(row.worst),
        "until_end": row.until_end,
        "not_applicable": None if absent is None else absent.reason,
    }


def _slack_report(slack: Slack) -> JsonObject:
    from symflow.numbers.decimal import decimal

    return {
        "time": decimal(slack.time),
        "radius": decimal(slack.radius),
        "certified": {k: decimal(getattr(slack.certified, k)) for k in ("m", "beta", "gamma")},
        "found": {k: decimal(getattr(slack.found, k)) for k in ("m", "beta", "gamma")},
    }


def bounds_parts(table: TightnessTable) -> list[Part]:
    """The tightness table, the slack of the closed forms, and why bounds end."""
    from symflow.numbers.decimal import short
    from symflow.report.parts import Note
    from symflow.report.report import describe

    dev = table.deviation
    title = f"{describe(dev.problem)}, step size {dev.step_size}, {dev.steps} steps"
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
    from symflow.numbers.decimal import brief_time, short
    from symflow.report.parts import Table

    lines = []
    for r in rows:
        when = brief_time(r.time) + ("" if r.until_end else "*")
        lines.append((r.name, when, *map(short, (r.value, r.truth, r.ratio, r.worst)), r.status))
    return Table(title, ("bound", "at time", "value", truth, "ratio", "of maxima", "status"), tuple(lines))
