"""`symflow certify`: decides a statement on a run, and proves it or its contrary."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from symflow.cli.exit_status import Answer
from symflow.cli.options import Json, ProblemFile, StepSize, check_file, load, number, write_results
from symflow.cli.signals import progress
from symflow.cli.streams import show
from symflow.cli.typed import command_line
from symflow.numbers.types import JsonObject

if TYPE_CHECKING:
    from symflow.analysis.certify.certificate import Certificate
    from symflow.problem import Problem


def certify(
    problem: ProblemFile,
    step_size: StepSize = None,
    steps: Annotated[int | None, typer.Option("--steps", metavar="K", help="Steps of descent.")] = None,
    distance: Annotated[
        str | None, typer.Option("--distance", metavar="D", help="Descent stays within D of flow for K steps.")
    ] = None,
    loss: Annotated[
        str | None, typer.Option("--loss", metavar="L", help="Descent reaches the loss L within K steps.")
    ] = None,
    stays_below: Annotated[
        bool, typer.Option("--stays-below", help="Descent's loss remains below L for all time.")
    ] = False,
    flow_time: Annotated[
        str | None, typer.Option("--flow-time", metavar="T", help="The flow reaches the loss L by the time T.")
    ] = None,
    limit: Annotated[
        str | None, typer.Option("--limit", metavar="POINT", help="P numbers, separated by commas.")
    ] = None,
    radius: Annotated[
        str | None, typer.Option("--radius", metavar="R", help="The flow converges to within R of POINT.")
    ] = None,
    momentum: Annotated[
        str | None, typer.Option("--momentum", metavar="BETA", help="Heavy ball with this momentum.")
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save",
            metavar="FILE",
            help="Write the certificate, and next to it its checker and report.html (FILE-report.html, without the "
            "ending of FILE, where there is a report.html on something else).",
        ),
    ] = None,
    as_json: Json = False,
) -> Answer:
    """Prove a statement on a run, or its contrary. The answer: whether it holds, and a certificate that a stand-alone
    program checks.
    """
    from symflow.analysis.certify.certify import certify as decide
    from symflow.dynamics.methods.heavy_ball import HeavyBall

    bounds = {"distance": distance, "loss": loss, "flow_time": flow_time, "radius": radius}
    settings: dict[str, Any] = {key: number(v, f"--{key.replace('_', '-')}") for key, v in bounds.items()}
    settings["step_size"] = number(step_size, "--step-size")
    settings["limit"] = None if limit is None else [number(v, "--limit") for v in limit.split(",")]
    settings["method"] = None if momentum is None else HeavyBall(number(momentum, "--momentum"))
    check_file(save, "--save")
    given = load(problem)
    started = time.perf_counter()
    with progress(given.name or "certify", "fewer --steps, an earlier --flow-time") as report:
        found = decide(given, steps=steps, stays_below=stays_below, progress=report, **settings)
    seconds = time.perf_counter() - started
    files = [] if save is None or found.document is None else found.save(save)
    if save is not None:
        files = [*files, *_write_page(found, given, save, files)]
    return Answer(
        lambda: _report(found, files) | {"seconds": round(seconds, 6)}, lambda: show(*_lines(found, save, files))
    )


def _report(found: Certificate, files: list[Path]) -> JsonObject:
    """The JSON object."""
    return {
        "holds": found.holds,
        "statement": found.statement,
        "reason": found.reason,
        "claims": [{"kind": d.kind, "holds": d.holds, "bound": d.bound, "reason": d.reason} for d in found.decisions],
        "checkable": found.checkable,
        "not_checkable_because": found.not_checkable_because,
        "verified": list(found.verified),
        "files": [str(path) for path in files],
    }


def _write_page(found: Certificate, given: Problem, save: Path, files: list[Path]) -> list[Path]:
    from symflow.report.certificate_page import certificate_document
    from symflow.report.html import html_document

    document = certificate_document(found, given, save.name, [path.name for path in files], command_line())
    return write_results(save.parent, {_page_name(save): html_document(document).encode()})


def _page_name(save: Path) -> str:
    """report.html, unless a page on something else, or the certificate itself, has that name."""
    from symflow.report.html import is_about

    page = save.with_name("report.html")
    mine = page.name != save.name and (not page.exists() or (page.is_file() and is_about(page.read_bytes(), save.name)))
    return page.name if mine else f"{save.stem}-report.html"


def _lines(found: Certificate, save: Path | None, files: list[Path]) -> list[Any]:
    from rich.text import Text

    verdict = {True: "proved", False: "refuted; proved is", None: "not decided"}[found.holds]
    shown = [Text(f"{verdict}: {found.statement}")]
    if found.holds is None:
        shown.append(Text(f"reason: {found.reason}"))
    if save is not None:
        certificate = ", ".join(map(str, files[:-1]))
        missing = "nothing is proved" if found.holds is None else found.not_checkable_because
        said = f"certificate: {certificate}" if certificate else f"no certificate: {missing}"
        shown += [Text(said), Text(f"report: {files[-1]}")]
    if len(files) > 1:
        shown.append(Text(f"check it with: python {files[1]} {files[0]}"))
    return shown
