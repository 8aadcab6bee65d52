"""The pages `report.html` of the commands: what was found, with the problem, the versions and how to repeat it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from symflow.analysis.verdict import sharpness, verdict
from symflow.numbers.decimal import brief_time, counted, short
from symflow.problem.descent import has_file_form
from symflow.problem.toml import problem_toml
from symflow.report.document import sections
from symflow.report.html import html_document
from symflow.report.parts import (
    Code,
    Document,
    Note,
    Part,
    Picture,
    Section,
    Stated,
    Table,
    TimeLine,
    quantities_table,
)
from symflow.report.problem_formulas import objective_section
from symflow.report.quantities import (
    EVENT_COLUMNS,
    event_rows,
    gate_words,
    reasons_of_ends,
    run_quantities,
    series_quantities,
)
from symflow.report.tables import bounds_parts, sweep_parts
from symflow.theory.registry import RESULTS
from symflow.versions import versions

if TYPE_CHECKING:
    from symflow.analysis.deviation import Deviation
    from symflow.analysis.experiments import Experiment
    from symflow.analysis.sweeps.sweep import Sweep
    from symflow.analysis.tightness import TightnessTable
    from symflow.problem import Problem

MOST_EVENTS = 400
"""Further events stand in report.json alone."""
MOST_REASONS = 20
"""Different reasons of failures that are listed."""
MOST_NUMBERS = 2000
"""A problem with more numbers is not written out on the page."""


def page(document: Document) -> bytes:
    """The file `report.html`."""
    return html_document(document).encode()


def run_document(dev: Deviation, command: str) -> Document:
    """What `symflow run` found.

    Args:
        dev: the comparison.
        command: what repeats it.
    """
    first = Section(
        "What was found", (quantities_table("", [*run_quantities(dev), *series_quantities(dev)]), *warnings(dev))
    )
    shown = [first, Section("Pictures", pictures(dev, deviation_picture(dev))), *events_section(dev)]
    return Document(
        dev.problem.name or "problem",
        "descent compared with flow",
        verdict(dev),
        (*shown, *sections(dev), reproduction(dev.problem.replace(method=dev.method), command, "report.json")),
    )


def bounds_document(table: TightnessTable, svg: bytes, command: str) -> Document:
    """What `symflow bounds` found.

    Args:
        table: the bounds.
        svg: the picture of their deviation.
        command: what repeats it.
    """
    dev = table.deviation
    bounds = [
        Stated(name) for name in dict.fromkeys(row.name.partition("(")[0] for row in table.rows) if name in RESULTS
    ]
    shown = [
        Section("Every bound next to the truth", (*bounds_parts(table), *warnings(dev))),
        Section("Pictures", pictures(dev, svg)),
        *events_section(dev),
        objective_section(dev.problem.objective),
        Section("The bounds", tuple(bounds)),
    ]
    repeated = reproduction(dev.problem.replace(method=dev.method), command, "bounds.json")
    return Document(dev.problem.name or "problem", "how tight the bounds are", verdict(dev), (*shown, repeated))


def sweep_document(found: Sweep, base: Problem, command: str) -> Document:
    """What `symflow sweep` found."""
    counts = Counter(str(row["status"]) for row in found.rows)
    listed = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    failed = {str(row["reason"]) for row in found.rows if row.get("reason")}
    notes = [Note(reason, warning=True) for reason in sorted(failed)[:MOST_REASONS]]
    drawn = [_sweep_picture(found)] if counts["done"] else []
    return Document(
        base.name or "sweep",
        "descent compared with flow on a grid",
        f"{counted(len(found.rows), 'task')}: {listed}.",
        (
            Section("What was found", (*sweep_parts(found), *drawn, *notes)),
            reproduction(base, command, "sweep.parquet"),
        ),
    )


def _sweep_picture(found: Sweep) -> Picture:
    from symflow.plots.style import render
    from symflow.plots.sweep import sweep_figure

    said = "The largest deviation of each task that is done, and the median where there are several."
    return Picture(render(sweep_figure(found), "svg"), said, said)


def experiment_document(
    found: Experiment, networks: Mapping[str, tuple[Sequence[Part], bytes]], command: str
) -> Document:
    """What `symflow experiment` found; for each network its parts and its picture."""
    shown = []
    for name, (parts, svg) in networks.items():
        said = (
            "Four panels against time: loss, distances from the base run, distances from the flow; error against cost."
        )
        shown.append(Section(name, (*parts, Picture(svg, said, said, wide=True))))
    settings = found.settings
    sizes = len(next(iter(found.networks.values())).runs)
    answer = (
        f"Descent on {counted(settings.samples, 'image')} at {counted(sizes, 'step size')}, next to the flow itself."
    )
    return Document("experiment", "descent and flow on images", answer, (*shown, reproduction(None, command, "")))


def _ends(dev: Deviation) -> tuple[Note, ...]:
    return tuple(Note(f"Some bounds end early: {reason}.", warning=True) for reason in reasons_of_ends(dev))


def warnings(dev: Deviation) -> tuple[Note, ...]:
    """What a reader must not pass over."""
    found: list[str] = []
    sharp, stable = sharpness(dev), dev.stable_sharpness
    if sharp is not None and stable is not None and sharp >= float(stable * dev.step_size):
        found.append(
            f"η·λ_max reaches {short(sharp)}; the method is unstable on quadratics from "
            f"{short(float(stable * dev.step_size))} on"
        )
    if dev.error.how != "certified":
        found.append(f"the error of the deviations is {dev.error.how}, not proved")
    if dev.error.value > dev.max:
        found.append("the deviation is smaller than its error: nothing is known of it but that it is small")
    if any(b.status == "sampled" for b in dev.bounds.values()):
        found.append("the bounds called sampled rest on sampled curvature and are not proved")
    return tuple(Note(text[0].upper() + text[1:] + ".", warning=True) for text in found)


def deviation_picture(dev: Deviation) -> bytes:
    """The deviation with its bounds, as SVG."""
    from symflow.plots.deviation import deviation_figure
    from symflow.plots.style import render

    return render(deviation_figure(dev), "svg")


def pictures(dev: Deviation, svg: bytes) -> tuple[Picture, ...]:
    """The deviation with its bounds (given as `svg`), the loss, and the Hessian's eigenvalues."""
    from symflow.plots.deviation import loss_figure, sharpness_figure
    from symflow.plots.style import render

    largest = max(range(len(dev.values)), key=dev.values.__getitem__)
    names = ", ".join(name for name, b in dev.bounds.items() if b.status != "not applicable") or "no bound"
    most = f"at most {short(dev.max)}, at t = {brief_time(dev.times[largest])}"
    loss, sharp = (s.loss for s in (dev.flow_series, dev.descent_series)), sharpness(dev)
    ends = " and ".join(f"{short(x[0], 4)} to {short(x[-1], 4)}" for x in loss)
    eigenvalues = "not computed" if sharp is None else f"η·λ_max at most {short(sharp)}"
    low = dev.flow_series.min_eigenvalue
    gaps = ", missing where it slides along a kink" if low is not None and np.isnan(low).any() else ""
    return (
        Picture(
            svg,
            f"Deviation of descent from flow against time on a logarithmic scale: {most}; with {names}.",
            f"How far descent is from flow: {most}. Dashed lines are bounds and the leading order.",
            wide=True,
        ),
        Picture(
            render(loss_figure(dev), "svg"),
            f"Loss against time: of flow and of descent it goes from {ends}.",
            "The loss along flow and along descent.",
        ),
        Picture(
            render(sharpness_figure(dev), "svg"),
            f"Largest and smallest Hessian eigenvalue against time: {eigenvalues}.",
            f"The largest and the smallest Hessian eigenvalue along flow (solid{gaps}) and descent (dashed).",
        ),
    )


def events_section(dev: Deviation) -> tuple[Section, ...]:
    """The kinks that the flow meets; nothing for a smooth objective."""
    if not dev.flow.objective.gates:
        return ()
    events = dev.flow.events[:MOST_EVENTS]
    if not events:
        return (Section("Events", (Note("The flow meets no kink."),)),)
    told = tuple(
        (e.time, e.kind, f"sample {e.sample}, layer {e.layer}, unit {e.unit}, {gate_words(e)}") for e in events
    )
    known = ["certified" if e.radius is not None else "estimated" for e in events]
    rows = tuple((*row, how) for row, how in zip(event_rows(events), known, strict=True))
    parts: list[Part] = [
        TimeLine(told, dev.flow.horizon),
        Table("Kinks that the flow meets", (*EVENT_COLUMNS, "time known"), rows),
        Note("Samples and units are counted from 0, layers from 1. A gate is the slope of the activation."),
    ]
    if len(dev.flow.events) > MOST_EVENTS:
        later = counted(len(dev.flow.events) - MOST_EVENTS, "later event stands", "later events stand")
        parts.append(Note(f"{later} in report.json.", warning=True))
    return (Section("Events", tuple(parts)),)


def reproduction(problem: Problem | None, command: str, data: str = "") -> Section:
    """The problem, the command and the versions."""
    parts: list[Part] = [Code("The command:", command)]
    if problem is not None and has_file_form(problem.method) and problem.network is not None:
        tables = problem.to_dict()
        text = problem_toml(tables)
        if text.count(",") <= MOST_NUMBERS:
            parts.append(Code("The problem file, with the exact data and initial weights:", text))
    if data:
        parts.append(Note(f"All numbers with all their digits stand in {data} next to this page."))
    parts.append(Table("Versions", ("package", "version"), tuple(versions().items()), numbers=False))
    return Section("How to reproduce it", tuple(parts))
