"""The terminal: what tables and lines are printed on, and documents as tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from symflow.errors import printable
from symflow.report import parts as parts_of_reports
from symflow.report.parts import Note, Part


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


def as_text(parts: Iterable[Part]) -> list[Table | Text]:
    """The tables and notes of a document as what the terminal shows."""
    shown: list[Table | Text] = []
    for part in parts:
        if isinstance(part, parts_of_reports.Table):
            table = new_table(part.title, *part.columns, numbers=part.numbers)
            for row in part.rows:
                table.add_row(*row)
            shown.append(table)
        elif isinstance(part, Note):
            shown.append(Text(part.text))
    return shown


def new_table(title: str, *columns: str, numbers: bool = True) -> Table:
    table = Table(title=Text(title), title_justify="left", title_style="bold", box=None, pad_edge=False)
    for i, column in enumerate(columns):
        right = numbers and i > 0
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    return table
