"""How records show themselves in notebooks: a sentence, a table, a picture; never all their numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from symflow.analysis.verdict import verdict
from symflow.numbers.decimal import brief_time, counted, short
from symflow.report.html import fragment
from symflow.report.parts import Facts, Note, Part, Picture, quantities_table
from symflow.report.quantities import error_words, run_quantities, series_quantities
from symflow.report.tables import advice_parts, bounds_parts, sweep_parts

if TYPE_CHECKING:
    from symflow.analysis.advice import StepAdvice
    from symflow.analysis.bounds import BoundSeries
    from symflow.analysis.deviation import Deviation
    from symflow.analysis.limit.record import Limit
    from symflow.analysis.sweeps.sweep import Sweep
    from symflow.analysis.tightness import TightnessTable
    from symflow.paths.trajectory import Trajectory

MOST_ROWS = 20
"""Rows of a sweep that a notebook shows."""


def _page(parts: Iterable[Part]) -> str:
    return fragment(tuple(parts))


def deviation_html(dev: Deviation) -> str:
    """The answer, the quantities, and the picture."""
    from symflow.plots.deviation import deviation_figure
    from symflow.plots.style import render

    found = quantities_table("", [*run_quantities(dev), *series_quantities(dev)])
    said = f"Deviation of descent from flow against time, at most {short(dev.max)}."
    return _page([Note(verdict(dev)), Picture(render(deviation_figure(dev), "svg"), said, ""), found])


def trajectory_html(path: Trajectory) -> str:
    """How it was computed, how its error is known, and the picture."""
    from symflow.plots.style import render
    from symflow.plots.trajectory import trajectory_figure

    rows = [
        ("", "computed by", path.stats.method),
        ("t", "up to", brief_time(path.horizon)),
        ("", "error", error_words(path)),
        ("", "events", str(len(path.events))),
    ]
    notes = [Note(path.incomplete, warning=True)] if path.incomplete else []
    said = f"The path against time up to {brief_time(path.horizon)}."
    return _page([Facts(tuple(rows)), *notes, Picture(render(trajectory_figure(path), "svg"), said, "")])


def bound_html(series: BoundSeries) -> str:
    """How it is known, its last and its largest value, and its quantities."""
    known = [v for v in series.values if v is not None]
    rows: list[tuple[str, str, str]] = [("", "kind", series.kind), ("", "status", series.status)]
    if known:
        rows += [("", "last value", short(known[-1])), ("", "largest value", short(max(known)))]
    rows.append(("", "values", f"at {len(known)} of {counted(len(series.values), 'sample')}"))
    rows += [(symbol, meaning, value) for symbol, (meaning, value) in series.quantities.items()]
    notes = [Note(series.reason, warning=True)] if series.reason else []
    return _page([Facts(tuple(rows), series.name), *notes])


def tightness_html(table: TightnessTable) -> str:
    """Every bound next to the truth."""
    return _page(bounds_parts(table))


def advice_html(advice: StepAdvice) -> str:
    """The step sizes, bound by bound."""
    return _page(advice_parts(advice))


def sweep_html(found: Sweep) -> str:
    """The first rows."""
    return _page(sweep_parts(found, MOST_ROWS))


def limit_html(found: Limit) -> str:
    """Where it is, and what is proved of the way there."""
    rows = [
        ("", "why it converges", found.kind),
        ("", "known to within", f"{short(found.radius, 2)}, {found.how}"),
        ("f", "loss at the limit", short(found.loss.midpoint)),
        (r"\lambda_{\max}", "sharpness at the limit", short(found.sharpness.midpoint)),
        (r"\mu", "rate, at least", short(found.rate)),
        ("", "length of the rest of the path, at most", short(found.length)),
        ("", "proved from the time on", brief_time(float(found.time))),
    ]
    notes = [Note(found.reason, warning=True)] if found.reason else []
    return _page([Facts(tuple(rows), "limit of the flow" if found.step_size is None else "limit of descent"), *notes])
