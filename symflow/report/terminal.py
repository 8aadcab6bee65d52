"""What a person sees on the terminal: compact tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from symflow.numbers.decimal import brief_time, counted, short
from symflow.report.parts import Quantity
from symflow.report.quantities import (
    EVENT_COLUMNS,
    error_words,
    event_rows,
    reasons_of_ends,
    run_quantities,
    series_quantities,
)
from symflow.report.report import describe
from symflow.report.screen import new_table

if TYPE_CHECKING:
    from symflow.analysis.deviation import Deviation
    from symflow.analysis.flow_checks import Check
    from symflow.paths.event import Event
    from symflow.paths.trajectory import Trajectory

SHOWN_EVENTS = 20
"""Longer lists of events are cut on the terminal; JSON has all of them."""
SHOWN_TIMES = 9
"""Rows of a deviation table."""


def flow_tables(trajectory: Trajectory, at: Mapping[str, Fraction], seconds: float | None) -> list[Table | Text]:
    """theta at the times asked for, the events, and how accurate it is."""
    import mpmath

    names = trajectory.objective.parameter_names()
    shown: list[Table | Text] = []
    for key, time in at.items():
        table = new_table(f"theta({key})", "parameter", "value", numbers=False)
        for name, value in zip(names, trajectory(time), strict=True):
            sign = "" if value < 0 else " "
            number = value if hasattr(value, "_mpf_") else mpmath.mpf(value)  # of a float64, exactly
            table.add_row(name, Text(sign + mpmath.nstr(number, trajectory.digits, strip_zeros=False)))
        shown.append(table)
    if trajectory.events:
        shown.append(events_table(trajectory.events))
    elif trajectory.objective.gates:
        shown.append(Text("no events"))
    if seconds is not None:
        stats = trajectory.stats
        shown.append(Text(f"{error_words(trajectory)}, {stats.method}, {seconds:.2f} s"))
    return shown


def checks_table(checks: Sequence[Check]) -> Table:
    """Identities and closed forms, and to how many digits they hold."""
    table = new_table("checks", "identity", "source", "digits", numbers=False)
    for c in checks:
        table.add_row(c.name, c.result, f"{c.digits:.1f}")
    return table


def events_table(events: Sequence[Event]) -> Table:
    """Gate changes in order of time."""
    table = new_table("events", *EVENT_COLUMNS)
    for row in event_rows(events[:SHOWN_EVENTS]):
        table.add_row(*row)
    if len(events) > SHOWN_EVENTS:
        table.add_row(f"and {len(events) - SHOWN_EVENTS} more")
    return table


def deviation_tables(dev: Deviation) -> list[Table | Text]:
    """The deviation and its bounds at some of the sampled times, and why values are missing."""
    names = list(dev.bounds)
    count = len(dev.times)
    rows = sorted({round(i * (count - 1) / (SHOWN_TIMES - 1)) for i in range(SHOWN_TIMES)})
    title = f"{describe(dev.problem)}, step size {dev.step_size}, {counted(dev.steps, 'step')}"
    title += "" if dev.compared_with == "gradient flow" else f" of {dev.method.called}"
    table = new_table(title, "time", "deviation", *[f"{name} {_kind(dev, name)}" for name in names], "of it rounding")
    for i in rows:
        values = [dev.bounds[name].values[i] for name in names]
        rounding = None if dev.rounding is None else dev.rounding[i]
        table.add_row(brief_time(dev.times[i]), *[short(v) for v in (dev.values[i], *values, rounding)])
    return [table, *_reasons(dev)]


def _kind(dev: Deviation, name: str) -> str:
    return "leading" if dev.bounds[name].kind == "leading order" else "bound"


def _reasons(dev: Deviation) -> list[Text]:
    """Why bounds do not apply, names with the same reason together."""
    reasons: dict[str, list[str]] = {}
    for name, bound in dev.bounds.items():
        if bound.reason is not None:
            reasons.setdefault(bound.reason, []).append(name)
    return [Text(f"{', '.join(names)}: {reason}") for reason, names in reasons.items()]


def run_table(dev: Deviation) -> Table:
    """The verdict on one problem, a quantity a row."""
    table = Table.grid(padding=(0, 2))
    table.title, table.title_justify, table.title_style = Text(dev.problem.name or "problem"), "left", "bold"
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for quantity, value in run_rows(dev):
        table.add_row(quantity, Text(value))
    return table


def run_rows(dev: Deviation) -> list[tuple[str, str]]:
    """Name and value of what `symflow run` says about a problem."""
    ends = [Quantity("why no later" if i == 0 else "", why) for i, why in enumerate(reasons_of_ends(dev))]
    return [(q.name, q.said) for q in (*run_quantities(dev), *ends, *series_quantities(dev))]
