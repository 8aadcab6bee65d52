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

CHEAPER = "symflow deviation --float64 with fewer bounds, fewer digits (--dps), a shorter --horizon"

if TYPE_CHECKING:
    from symflow.analysis.tightness import Slack, Tightness, TightnessTable


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
    from symflow.report.screen import as_text
    from symflow.report.tables import bounds_parts

    given, settings = load_run(problem, step_size, horizon)
    given = with_method(given, descent)
    if out is not None:
        check_folder(out)
    started = time.perf_counter()
    with progress("bounds", CHEAPER) as report:
        table = tightness(given, **settings, dps=dps, progress=report)
    found = bounds_report(table, time.perf_counter() - started)
    written = [] if out is None else _write(table, found, out)
    found["files"] = [str(path) for path in written]
    said = [f"wrote {', '.join(map(str, written))}"] if written else []
    return Answer(lambda: found, lambda: show(*as_text(bounds_parts(table)), *said))


def _write(table: TightnessTable, found: JsonObject, out: Path) -> list[Path]:
    from symflow.plots.deviation import deviation_figure
    from symflow.plots.style import render
    from symflow.report.json_text import to_json
    from symflow.report.pages import bounds_document, page

    picture = deviation_figure(table.deviation)
    svg = render(picture, "svg")
    contents = {
        "report.html": page(bounds_document(table, svg, command_line())),
        "bounds.json": (to_json(found) + "\n").encode(),
        "bounds.svg": svg,
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
