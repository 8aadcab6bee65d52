"""`symflow run`: report, LaTeX and pictures of each problem."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from symflow.cli.exit_status import Answer
from symflow.cli.method_options import takes_method, with_method
from symflow.cli.options import Json, check_folder, check_settings, load, write_results
from symflow.cli.signals import check_interrupted, progress
from symflow.cli.streams import show
from symflow.cli.typed import command_line
from symflow.numbers.types import JsonObject

if TYPE_CHECKING:
    from symflow.analysis.deviation import Deviation
    from symflow.problem import Problem

EXAMPLES = Path(__file__).parents[1] / "examples"
"""The problems that run without an argument."""
FILES = ("report.html", "report.json", "formulas.tex", "deviation.svg", "deviation.png")
"""What is written for each problem."""
CHEAPER = "fewer digits (run.dps), a shorter run.horizon or a larger run.step_size in the problem file"


@takes_method
def run(
    descent: JsonObject,
    problems: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PROBLEM]...", help="Problem files; two built-in Iris problems if left out."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where to write; one folder each for several problems.")
    ] = Path("symflow-out"),
    as_json: Json = False,
) -> Answer:
    """Write report, LaTeX and pictures. The main job: flow, descent, deviation and bounds of each problem."""
    paths = problems or sorted(EXAMPLES.glob("*.toml"))
    given = [with_method(load(path), descent) for path in paths]
    for path, problem in zip(paths, given, strict=True):
        check_settings(path, problem, {})
    places = folders(given, out)
    for folder in places:
        check_folder(folder)
    reports: list[JsonObject] = []
    for problem, folder in zip(given, places, strict=True):
        try:
            report, dev = _run_one(problem, folder)
        except KeyboardInterrupt:
            if not reports:
                raise
            done = ", ".join(map(str, places[: len(reports)]))
            raise KeyboardInterrupt(f"interrupted; what is done is kept in {done}") from None
        reports.append(report)
        if not as_json:
            _show(dev, report, folder)
    return Answer(lambda: {"problems": reports}, lambda: None)


def _run_one(problem: Problem, folder: Path) -> tuple[JsonObject, Deviation]:
    """Solves one problem and writes its files, all or none."""
    from symflow.analysis.deviation import deviation
    from symflow.plots.deviation import figure
    from symflow.plots.style import render
    from symflow.report.document import document
    from symflow.report.json_text import to_json
    from symflow.report.pages import page, run_document
    from symflow.report.report import full_report

    started = time.perf_counter()
    with progress(problem.name or "deviation", CHEAPER) as advance:
        dev = deviation(problem, progress=advance)
    report = full_report(dev, time.perf_counter() - started)
    picture = figure(dev)
    contents = (
        page(run_document(dev, command_line())),
        (to_json(report) + "\n").encode(),
        document(dev).encode(),
        render(picture, "svg"),
        render(picture, "png"),
    )
    check_interrupted()
    written = write_results(folder, dict(zip(FILES, contents, strict=True)))
    return report | {"files": [str(path) for path in written]}, dev


def _show(dev: Deviation, report: JsonObject, folder: Path) -> None:
    from symflow.report.terminal import run_table

    show(run_table(dev), "", report["verdict"], f"wrote {', '.join(FILES)} to {folder}", "")


def folders(problems: Sequence[Problem], out: Path) -> list[Path]:
    """DIR for one problem, DIR/<name> for several; equal names are told apart by numbers."""
    if len(problems) == 1:
        return [out]
    taken: set[str] = set()
    found = []
    for problem in problems:
        base = re.sub(r"[^\w.-]+", "-", problem.name or "").strip("-.")[:80].encode()[:200].decode(errors="ignore")
        base = base or "problem"
        candidates = [base, *(f"{base}-{k}" for k in range(2, len(problems) + 1))]
        name = next(n for n in candidates if n.lower() not in taken)
        taken.add(name.lower())  # file systems that ignore case
        found.append(out / name)
    return found
