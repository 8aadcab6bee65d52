"""`symflow sweep`: descent compared with flow on a grid of problems."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from symflow.cli.exit_status import DONE, FAILED, Answer
from symflow.cli.method_options import takes_method, with_method
from symflow.cli.options import Digits, Horizon, Json, ProblemFile, check_folder, load, write_results
from symflow.cli.signals import progress
from symflow.cli.streams import show
from symflow.cli.typed import command_line
from symflow.errors import ProblemError, brief
from symflow.numbers.types import JsonObject

if TYPE_CHECKING:
    from symflow.analysis.sweeps.sweep import Sweep
    from symflow.problem import Problem

AXES = ("--step-size", "--seed", "--depth", "--width", "--scale")
"""Options of the command that take several values."""
TABLE = "sweep.parquet"
SHOWN = 40
"""Most rows a person is shown."""
CHEAPER = "--float64, fewer digits (--dps), a shorter --horizon; what is done is kept, the same command continues"
_WHOLE = re.compile(r"\d{1,18}")
_RANGE = re.compile(r"(\d{1,18}):(\d{1,18})")

Values = Annotated[list[str] | None, typer.Option(metavar="V...", help="One value or several.")]
IntegerRanges = Annotated[
    list[str] | None, typer.Option(metavar="K...", help="Whole numbers, or ranges such as 0:20 for 0, ..., 19.")
]


@takes_method
def sweep(
    problem: ProblemFile,
    descent: JsonObject,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where tasks and sweep.parquet are kept.")],
    step_size: Values = None,
    seed: IntegerRanges = None,
    depth: IntegerRanges = None,
    width: IntegerRanges = None,
    scale: Values = None,
    scheme: Annotated[
        str | None, typer.Option("--scheme", metavar="NAME", help="How to draw theta(0): gaussian, xavier, balanced.")
    ] = None,
    horizon: Horizon = None,
    dps: Digits = None,
    float64: Annotated[
        bool, typer.Option("--float64", help="In float64, all at once, instead of many digits.")
    ] = False,
    workers: Annotated[int | None, typer.Option("--workers", metavar="K", help="Processes; one a core.")] = None,
    as_json: Json = False,
) -> Answer:
    """Compare descent with flow on a grid. The grid: several step sizes, seeds, depths, widths and scales of
    initialization. Each task is one file in DIR; what is there is not computed again.
    """
    from symflow.analysis.sweeps.float64 import sweep_float64
    from symflow.analysis.sweeps.sweep import sweep as run_sweep
    from symflow.report.screen import as_text
    from symflow.report.tables import sweep_parts

    check_folder(out)
    axes: JsonObject = {
        "step_size": step_size or None,
        "seed": whole_numbers(seed or (), "--seed"),
        "depth": whole_numbers(depth or (), "--depth"),
        "width": whole_numbers(width or (), "--width"),
        "scale": scale or None,
        "scheme": scheme,
        "horizon": horizon,
    }
    if float64 and (dps is not None or workers is not None):
        raise ProblemError("--float64 goes without --dps and --workers: it has its own digits and one device")
    base = with_method(load(problem), descent)
    started = time.perf_counter()
    cheaper = "a shorter --horizon" if float64 else CHEAPER
    kept = "" if float64 else f"what is done is kept in {out}, and the same command continues"
    with progress("sweep", cheaper, kept=kept) as report:
        if float64:
            found = sweep_float64(base, **axes, progress=report)
            out.mkdir(parents=True, exist_ok=True)
        else:
            found = run_sweep(base, **axes, dps=dps, workers=workers, folder=out, progress=report)
    file = out / TABLE
    found.save(file)
    page = _write_page(found, base, out)
    seconds = round(time.perf_counter() - started, 6)
    said = _missing(found)
    return Answer(
        lambda: sweep_report(found) | {"file": str(file), "report": str(page), "seconds": seconds},
        lambda: show(*as_text(sweep_parts(found, SHOWN)), f"wrote {file} and {page.name}"),
        FAILED if said else DONE,
        said,
    )


def _missing(found: Sweep) -> str:
    """The line for standard error where tasks have no result; empty where all have."""
    failed = [row for row in found.rows if str(row["status"]).startswith("failed")]
    if not failed:
        return ""
    return (
        f"{len(failed)} of {len(found.rows)} tasks have no result ({failed[0]['status']}: "
        f"{failed[0]['reason']}); the others are kept, run the command again for these"
    )


def _write_page(found: Sweep, base: Problem, out: Path) -> Path:
    from symflow.report.pages import page, sweep_document

    (written,) = write_results(out, {"report.html": page(sweep_document(found, base, command_line()))})
    return written


def sweep_report(found: Sweep) -> JsonObject:
    """The JSON object."""
    from symflow.analysis.sweeps.values import decode
    from symflow.numbers.decimal import decimal

    def plain(value: Any) -> Any:
        decoded = decode(value)
        return decimal(decoded) if isinstance(decoded, float) else decoded

    return {
        "tasks": len(found.rows),
        "statuses": dict(Counter(row["status"] for row in found.rows)),
        "computed": found.computed,
        "reused": found.reused,
        "rows": [{name: plain(row.get(name)) for name in found.kinds} for row in found.rows],
    }


def whole_numbers(written: Sequence[str], option: str) -> list[int] | None:
    """Whole numbers, such as 3, and ranges, such as 0:20 for 0, ..., 19."""
    found: list[int] = []
    for word in written:
        ends = _RANGE.fullmatch(word)
        if ends is not None and int(ends[1]) < int(ends[2]) <= int(ends[1]) + 1_000_000:
            found += range(int(ends[1]), int(ends[2]))
        elif _WHOLE.fullmatch(word):
            found.append(int(word))
        else:
            raise ProblemError(f"{option} must be whole numbers such as 3, or ranges such as 0:20, got {brief(word)}")
    return found or None
