"""`symflow sweep`: what it computes, prints as JSON and shows."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symflow.errors import ProblemError, brief

if TYPE_CHECKING:
    from symflow.analysis.sweeps.sweep import Sweep
    from symflow.problem import Problem

Progress = Callable[[str], AbstractContextManager[Callable[[float], None]]]
AXES = ("--step-size", "--seed", "--depth", "--width", "--scale")
"""Options of the command that take several values."""
TABLE = "sweep.parquet"
SHOWN = 40
"""Most rows a person is shown."""
_WHOLE = re.compile(r"\d{1,18}")
_RANGE = re.compile(r"(\d{1,18}):(\d{1,18})")


@dataclass(frozen=True)
class SweepOptions:
    """The arguments of the command, as they were written."""

    step_size: Sequence[str]
    seed: Sequence[str]
    depth: Sequence[str]
    width: Sequence[str]
    scale: Sequence[str]
    scheme: str | None
    horizon: str | None
    dps: int | None
    out: Path
    float64: bool
    workers: int | None


@dataclass(frozen=True)
class SweepAnswer:
    """What `symflow sweep` found.

    Attributes:
        sweep: the rows.
        file: the table.
        seconds: wall time.
    """

    sweep: Sweep
    file: Path
    seconds: float

    @property
    def said(self) -> str:
        """The line for standard error where tasks have no result; empty where all have."""
        failed = [row for row in self.sweep.rows if str(row["status"]).startswith("failed")]
        if not failed:
            return ""
        return (
            f"{len(failed)} of {len(self.sweep.rows)} tasks have no result ({failed[0]['status']}: "
            f"{failed[0]['reason']}); the others are kept, run the command again for these"
        )

    def data(self) -> dict[str, Any]:
        """The JSON object."""
        from symflow.analysis.sweeps.values import decode
        from symflow.numbers.fixed_point import decimal

        def plain(value: Any) -> Any:
            found = decode(value)
            return decimal(found) if isinstance(found, float) else found

        return {
            "tasks": len(self.sweep.rows),
            "statuses": dict(Counter(row["status"] for row in self.sweep.rows)),
            "computed": self.sweep.computed,
            "reused": self.sweep.reused,
            "rows": [{name: plain(row.get(name)) for name in self.sweep.kinds} for row in self.sweep.rows],
            "file": str(self.file),
            "seconds": round(self.seconds, 6),
        }

    def renderables(self) -> list[Any]:
        """What a person is shown."""
        from symflow.analysis.sweeps.values import decode
        from symflow.report.report import short
        from symflow.report.terminal import _table

        varied = [n for n in ("step_size", "seed", "widths", "scale") if len({str(r[n]) for r in self.sweep.rows}) > 1]
        found = _table("", *(name.replace("_", " ") for name in varied), "max deviation", "at the end", "status")
        for row in self.sweep.rows[:SHOWN]:
            numbers = [decode(row.get(name)) for name in ("max_deviation", "final_deviation")]
            where = ["-" if row[name] is None else str(decode(row[name])) for name in varied]
            found.add_row(*where, *map(short, numbers), str(row["status"]))
        rest = len(self.sweep.rows) - SHOWN
        more = [f"... and {rest} more rows"] if rest > 0 else []
        return [found, *more, repr(self.sweep).strip("<>"), f"wrote {self.file}"]


def run_sweep(load: Callable[[], Problem], options: SweepOptions, progress: Progress) -> SweepAnswer:
    """Computes what is missing of a sweep and writes its table.

    Raises:
        ProblemError: the input is wrong.
        ComputationError: it cannot be computed.
    """
    from symflow.analysis.sweeps.float64 import sweep_float64
    from symflow.analysis.sweeps.sweep import sweep

    axes: dict[str, Any] = {
        "step_size": list(options.step_size) or None,
        "seed": _wholes(options.seed, "--seed"),
        "depth": _wholes(options.depth, "--depth"),
        "width": _wholes(options.width, "--width"),
        "scale": list(options.scale) or None,
        "scheme": options.scheme,
        "horizon": options.horizon,
    }
    if options.float64 and (options.dps is not None or options.workers is not None):
        raise ProblemError("--float64 goes without --dps and --workers: it has its own digits and one device")
    base = load()
    started = time.perf_counter()
    with progress("sweep") as report:
        if options.float64:
            found = sweep_float64(base, **axes, progress=report)
            options.out.mkdir(parents=True, exist_ok=True)
        else:
            found = sweep(base, **axes, dps=options.dps, workers=options.workers, folder=options.out, progress=report)
    file = options.out / TABLE
    found.save(file)
    return SweepAnswer(found, file, time.perf_counter() - started)


def _wholes(written: Sequence[str], option: str) -> list[int] | None:
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
