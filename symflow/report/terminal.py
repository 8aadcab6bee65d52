"""What a person sees on the terminal: compact tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from symflow.analysis.verdict import comparison, sharpness, travelled
from symflow.errors import printable
from symflow.numbers.decimal import brief_time, short
from symflow.numbers.types import Mpf
from symflow.report.report import describe

if TYPE_CHECKING:
    from symflow.analysis.deviation import Deviation
    from symflow.analysis.flow_checks import Check
    from symflow.paths.trajectory import Event, Trajectory

SHOWN_EVENTS = 20
"""Longer lists of events are cut on the terminal; JSON has all of them."""
SHOWN_TIMES = 9
"""Rows of a deviation table."""


def _gate(value: Mpf | Fraction | None) -> str:
    """A gate's value: a slope, where it stands while sliding, or inert."""
    if value is None:
        return "inert"
    return str(value) if isinstance(value, Fraction) else short(value)


def _kinds(events: Sequence[Event]) -> str:
    """How many kinks of each kind."""
    names = {
        "crossing": "kink crossings",
        "sliding": "kinks slid along",
        "leaving": "kinks left",
        "revival": "gates revived",
        "inert": "gates turned inert",
    }
    counts = Counter(e.kind for e in events)
    return ", ".join(f"{counts[kind]} {name}" for kind, name in names.items() if counts[kind])


class _Shown:
    """A renderable with everything escaped that would act on a terminal; its styles are applied later."""

    def __init__(self, thing: RenderableType) -> None:
        self.thing = Text(thing) if isinstance(thing, str) else thing

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for text, style, control in console.render(self.thing, options):
            yield Segment(printable(text), style, control)


class _Screen(Console):
    """Standard output; text of problems and files is shown and never obeyed, neither as markup nor as escapes."""

    def print(self, *things: Any, **options: Any) -> None:
        super().print(*map(_Shown, things), **options)


def console() -> Console:
    """What tables and lines are printed on."""
    return _Screen(highlight=False, markup=False, emoji=False)


def new_table(title: str, *columns: str, numbers: bool = True) -> Table:
    table = Table(title=Text(title), title_justify="left", title_style="bold", box=None, pad_edge=False)
    for i, column in enumerate(columns):
        right = numbers and i > 0
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    return table


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
        shown.append(Text(f"{_error(trajectory)}, {stats.method}, {seconds:.2f} s"))
    return shown


def checks_table(checks: Sequence[Check]) -> Table:
    """Identities and closed forms, and to how many digits they hold."""
    table = new_table("checks", "identity", "source", "digits", numbers=False)
    for c in checks:
        table.add_row(c.name, c.result, f"{c.digits:.1f}")
    return table


def events_table(events: Sequence[Event]) -> Table:
    """Gate changes in order of time."""
    import mpmath

    table = new_table("events", "time", "kind", "sample", "layer", "unit", "gate")
    for e in events[:SHOWN_EVENTS]:
        before = "sliding" if e.kind == "leaving" else _gate(e.gate_before)
        gate = f"{before} to {_gate(e.gate_after)}"
        table.add_row(mpmath.nstr(e.time, 15), e.kind, str(e.sample), str(e.layer), str(e.unit), gate)
    if len(events) > SHOWN_EVENTS:
        table.add_row(f"and {len(events) - SHOWN_EVENTS} more")
    return table


def deviation_tables(dev: Deviation) -> list[Table | Text]:
    """The deviation and its bounds at some of the sampled times, and why values are missing."""
    names = list(dev.bounds)
    count = len(dev.times)
    rows = sorted({round(i * (count - 1) / (SHOWN_TIMES - 1)) for i in range(SHOWN_TIMES)})
    title = f"{describe(dev.problem)}, step size {dev.step_size}, {dev.steps} steps"
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


def _error(path: Trajectory) -> str:
    """What is known of the error of a path."""
    return "error not known" if path.error is None else f"{path.error.how} error {short(path.error.value, 2)}"


def run_rows(dev: Deviation) -> list[tuple[str, str]]:
    """Name and value of what `symflow run` says about a problem."""
    samples = "" if dev.problem.x is None else f", N = {len(dev.problem.x)} samples"
    largest = max(range(len(dev.values)), key=dev.values.__getitem__)
    way = travelled(dev)
    share = f", {short(100 * dev.max / way, 3)} % of the flow's way" if way else ""
    plain = dev.compared_with == "gradient flow"
    flow, said = ("gradient flow", "") if plain else ("flow", f"{dev.compared_with}; ")
    rows = [
        ("network", f"{describe(dev.problem)}, P = {len(dev.problem.theta0)} weights{samples}"),
        ("run", f"η = {dev.step_size}, {dev.steps} steps, horizon {brief_time(dev.times[-1])}"),
        (flow, f"{said}{dev.flow.stats.steps} Taylor steps, {_error(dev.flow)}"),
        ("descent", f"{dev.run.stats.method}, {_error(dev.run)}"),
    ]
    if dev.flow.objective.gates:
        events = dev.flow.events
        first = f", the first at t = {brief_time(events[0].time)}" if events else ""
        rows.append(("events", f"{_kinds(events)}{first}" if events else "none"))
    rows.append(("max deviation", f"{short(dev.max)} at t = {brief_time(dev.times[largest])}{share}"))
    if dev.transient is not None:
        after = f"{short(dev.on_manifold[-1])} at the end without the transient of the velocity"
        rows.append(("transient", f"at most {short(max(dev.transient))}; {after}"))
    rows.append(("its error", f"{short(dev.radii[largest], 2)}, {dev.error.how}"))
    if dev.rounding is not None:
        worst = max(dev.rounding)
        part = f" ({short(worst / dev.max, 2)} of the deviation)" if dev.max else ""
        rows.append(("of float64 rounding", f"{short(worst, 2)}{part}"))
    names = {"R18": "R18 leading order", "R22": "R22 bound", "R4": "R4 bound"}
    ordered = [*(n for n in names if n in dev.bounds), *(n for n in dev.bounds if n not in names)]
    rows += [(names.get(name, name), _compared(dev, name)) for name in ordered]
    rows += [("why no later" if i == 0 else "", why) for i, why in enumerate(_reasons_of_ends(dev))]
    sharp = sharpness(dev)
    limit = dev.stable_sharpness
    stable = "" if limit is None else f" (stable below {short(float(limit * dev.step_size))})"
    against = f"at most {short(sharp)}{stable}" if sharp is not None else f"not computed: {_no_spectrum(dev)}"
    rows.append(("η·λ_max", against))
    if dev.flow_series.min_eigenvalue is not None:
        lowest = float(dev.flow_series.min_eigenvalue.min())
        rows.append(
            ("λ_min along the flow", f"at least {short(lowest)}" + (" (not convex there)" if lowest < 0 else ""))
        )
    rows.append(
        (
            "loss at the end",
            f"flow {short(dev.flow_series.loss[-1], 6)}, descent {short(dev.descent_series.loss[-1], 6)}",
        )
    )
    return rows


def _no_spectrum(dev: Deviation) -> str:
    return dev.descent_series.reason or "no spectrum"


def _compared(dev: Deviation, name: str) -> str:
    bound = dev.bounds[name]
    found = comparison(dev, name)
    if found["value"] is None:
        return f"not applicable: {bound.reason}"
    ratio = "" if found["ratio"] is None else f" = {short(found['ratio'])} × deviation"
    later = "" if found["until_end"] else "; not applicable later"
    return f"{short(found['value'])}{ratio} at t = {brief_time(found['time'])} ({bound.status}){later}"


def _reasons_of_ends(dev: Deviation) -> list[str]:
    """Why bounds end before the run does; each reason once."""
    ends = {name: comparison(dev, name) for name in dev.bounds}
    reasons = [
        dev.bounds[n].reason for n, found in ends.items() if found["value"] is not None and not found["until_end"]
    ]
    return list(dict.fromkeys(reason for reason in reasons if reason is not None))
