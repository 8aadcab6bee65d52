"""`symflow bounds` and `symflow advise`: what they compute, print as JSON and show."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symflow.errors import ComputationError, ProblemError

if TYPE_CHECKING:
    from symflow.analysis.advice import Guarantee, StepAdvice
    from symflow.analysis.tightness import Tightness, TightnessTable
    from symflow.problem import Problem

Progress = Callable[[str], AbstractContextManager[Callable[[float], None]]]
PICTURES = ("bounds.svg", "bounds.png")
"""What `symflow bounds --out` writes beside `bounds.json`."""
LOWER = "\N{GREEK SMALL LETTER LAMDA}_min of H"


@dataclass(frozen=True)
class BoundsAnswer:
    """What `symflow bounds` found.

    Attributes:
        table: every bound beside the truth.
        seconds: wall time.
        written: the files, if a folder was asked for.
    """

    table: TightnessTable
    seconds: float
    written: Sequence[Path] = ()

    def data(self) -> dict[str, Any]:
        """The JSON object."""
        from symflow.report.report import decimal, deviation_report

        dev = self.table.deviation
        rows = {row.name: _row_report(row) for row in self.table.rows}
        best = self.table.sharpest
        return {
            "name": dev.problem.name,
            "bounds": rows,
            "sharpest": None if best is None else best.name,
            "slack": [
                {
                    "time": decimal(s.time),
                    "radius": decimal(s.radius),
                    "certified": {k: decimal(getattr(s.certified, k)) for k in ("m", "beta", "gamma")},
                    "found": {k: decimal(getattr(s.found, k)) for k in ("m", "beta", "gamma")},
                }
                for s in self.table.slack
            ],
            "series": deviation_report(dev),
            "files": [str(path) for path in self.written],
            "seconds": round(self.seconds, 6),
        }

    def renderables(self) -> list[Any]:
        """What a person is shown."""
        return bounds_tables(self.table) + ([f"wrote {', '.join(map(str, self.written))}"] if self.written else [])


def run_bounds(
    load: Callable[[], Problem],
    step_size: Fraction | None,
    horizon: Fraction | None,
    dps: int | None,
    out: Path | None,
    progress: Progress,
) -> BoundsAnswer:
    """Evaluates all bounds along a run, and draws them.

    Raises:
        ProblemError: the input is wrong.
        ComputationError: it cannot be computed, or the files cannot be written.
    """
    from symflow.analysis.tightness import tightness

    problem = load()
    started = time.perf_counter()
    with progress("bounds") as report:
        table = tightness(problem, step_size=step_size, horizon=horizon, dps=dps, progress=report)
    seconds = time.perf_counter() - started
    answer = BoundsAnswer(table, seconds)
    if out is None:
        return answer
    from symflow.plots import paths as plots
    from symflow.report.report import to_json, write_files

    picture = plots.deviation_figure(table.deviation)
    contents = {
        "bounds.json": (to_json(answer.data()) + "\n").encode(),
        "bounds.svg": plots.render(picture, "svg"),
        "bounds.png": plots.render(picture, "png"),
    }
    try:
        written = write_files(out, contents)
    except OSError as failed:
        raise ComputationError(
            f"--out: {out} cannot be written: {failed.strerror or failed}; choose another directory or make room"
        ) from failed
    return BoundsAnswer(table, seconds, written)


def _row_report(row: Tightness) -> dict[str, Any]:
    from symflow.report.report import decimal

    def number(value: Any) -> str | None:
        return None if value is None else decimal(value)

    absent = row.not_applicable
    return {
        "kind": row.kind,
        "status": row.status,
        "time": number(row.time),
        "value": number(row.value),
        "truth": number(row.truth),
        "ratio": number(row.ratio),
        "ratio_of_maxima": number(row.worst),
        "until_end": row.until_end,
        "not_applicable": None if absent is None else absent.reason,
    }


def bounds_tables(table: TightnessTable) -> list[Any]:
    """The tightness table, the slack of the closed forms, and why bounds end."""
    from rich.text import Text

    from symflow.report.report import brief_time, describe, short
    from symflow.report.terminal import _table

    dev = table.deviation
    title = f"{describe(dev.problem)}, step size {dev.step_size}, {dev.steps} steps"
    shown: list[Any] = []
    for kinds, truth, name in (
        (("bound", "leading order"), "deviation", title),
        (("curvature",), LOWER, "along the flow"),
    ):
        found = _table(name, "bound", "at time", "value", truth, "ratio", "of maxima", "status")
        rows = [r for r in table.rows if r.kind in kinds]
        for r in rows:
            if r.value is None:
                continue
            time = brief_time(r.time) + ("" if r.until_end else "*")
            ratio, worst = (short(v) for v in (r.ratio, r.worst))
            found.add_row(r.name, time, short(r.value), short(r.truth), ratio, worst, r.status)
        if found.row_count:
            shown.append(found)
    reasons: dict[str, list[str]] = {}
    for r in table.rows:
        if r.not_applicable is not None:
            star = "*" if r.value is not None else ""
            reasons.setdefault(r.not_applicable.reason, []).append(r.name + star)
    shown += [Text(f"{', '.join(names)}: {reason}") for reason, names in reasons.items()]
    if any(not r.until_end and r.value is not None for r in table.rows):
        shown.append(Text("* not applicable later"))
    for s in table.slack:
        parts = [f"{n} {short(getattr(s.certified, n))} / {short(getattr(s.found, n))}" for n in ("m", "beta", "gamma")]
        where = f"on the ball of radius {short(s.radius, 3)} around theta({short(s.time, 4)})"
        shown.append(Text(f"certified / found by ascent {where}: {', '.join(parts)}"))
    return shown


@dataclass(frozen=True)
class AdviceAnswer:
    """What `symflow advise` found."""

    advice: StepAdvice
    seconds: float

    def data(self) -> dict[str, Any]:
        """The JSON object."""
        from symflow.numbers.rational import text
        from symflow.report.report import decimal

        def number(value: float | None) -> str | None:
            return None if value is None else decimal(value)

        def row(g: Guarantee) -> dict[str, Any]:
            return {
                "kind": g.kind,
                "status": g.status,
                "step_size": None if g.step_size is None else text(g.step_size),
                "value": number(g.value),
                "share_of_tolerated": number(g.share),
                "not_applicable": g.reason,
            }

        found = self.advice
        best = found.certified
        return {
            "epsilon": text(found.epsilon),
            "horizon": text(found.horizon),
            "guarantees": {g.name: row(g) for g in found.guarantees},
            "certified": None if best is None or best.step_size is None else text(best.step_size),
            "tolerated": {
                "step_size": None if found.tolerated is None else text(found.tolerated),
                "deviation": number(found.tolerated_deviation),
                "status": "sampled",
                "whole_horizon": found.whole_horizon,
            },
            "seconds": round(self.seconds, 6),
        }

    def renderables(self) -> list[Any]:
        """What a person is shown."""
        return advice_tables(self.advice)


def advice_tables(advice: StepAdvice) -> list[Any]:
    """The step sizes, bound by bound, and the verdict."""
    from rich.text import Text

    from symflow.report.report import short
    from symflow.report.terminal import _table

    found = _table(
        f"largest step size that keeps descent within {short(_float(advice.epsilon))} of flow up to t = "
        f"{short(_float(advice.horizon))}",
        "bound", "step size", "of the tolerated", "status",
    )  # fmt: skip
    for g in advice.guarantees:
        if g.step_size is not None:
            found.add_row(g.name, short(_float(g.step_size)), short(g.share, 3), g.status)
    shown: list[Any] = [found] if found.row_count else []
    reasons: Mapping[str, str] = {g.name: g.reason for g in advice.guarantees if g.reason is not None}
    shown += [Text(f"{name}: {reason}") for name, reason in reasons.items()]
    if advice.tolerated is None:
        shown.append(Text("descent stayed within it at no step size that was tried"))
    else:
        much = f"{short(_float(advice.tolerated))} (deviation {short(advice.tolerated_deviation)}; sampled, no proof)"
        shown.append(Text(f"descent was found to tolerate {much}"))
    best = advice.certified
    if best is not None and best.step_size is not None:
        shown.append(Text(f"use {best.step_size} or less: {best.name} is certified"))
    return shown


def _float(value: Fraction) -> float:
    return float(value)


def run_advice(
    load: Callable[[], Problem], epsilon: Fraction, horizon: Fraction | None, progress: Progress
) -> AdviceAnswer:
    """The largest step sizes for a distance.

    Raises:
        ProblemError: the input is wrong.
        ComputationError: the flow cannot be solved.
    """
    from symflow.analysis.advice import max_step_size

    problem = load()
    if horizon is None and problem.horizon is None:
        raise ProblemError("run.horizon is missing; it must be a positive number, give the key or --horizon")
    started = time.perf_counter()
    with progress("step sizes") as report:
        advice = max_step_size(problem, epsilon, horizon, progress=report)
    return AdviceAnswer(advice, time.perf_counter() - started)
