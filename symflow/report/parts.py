"""What reports are made of: a document is sections of parts, whatever it is rendered as (text, LaTeX, HTML).

A part holds facts and no markup of its own: `latex_document`, `html` and `terminal` each say how it looks. Text is
plain, and is escaped, except in `Prose` and `Display`, which hold the package's own LaTeX sentences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from symflow.numbers.types import Mpf


@dataclass(frozen=True)
class Prose:
    """A sentence of the package in LaTeX text, with formulas between dollar signs."""

    latex: str


@dataclass(frozen=True)
class Display:
    """A sentence that ends in equations: lines of an ``align``; with a label they are numbered in LaTeX."""

    latex: str
    lines: tuple[str, ...]
    label: str = ""


@dataclass(frozen=True)
class Items:
    """Sentences of the package in LaTeX text, as a list."""

    latex: tuple[str, ...]


@dataclass(frozen=True)
class Stated:
    """A result of the theory by its id: title, sources, assumptions, formulas, remark."""

    result: str


@dataclass(frozen=True)
class Facts:
    """Rows (symbol, meaning, value); the symbol is mathematics in LaTeX or empty, the others are plain text."""

    rows: tuple[tuple[str, str, str], ...]
    title: str = ""


@dataclass(frozen=True)
class Note:
    """Plain text; a warning where a reader must not pass over it."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of plain text under columns; the first column names the row, numbers stand to the right."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: bool = True


@dataclass(frozen=True)
class Picture:
    """A figure.

    Attributes:
        svg: the content of its file.
        alternative: what it shows, for those who do not see it.
        caption: what to look at.
        wide: whether it takes the whole width of a page.
    """

    svg: bytes = field(repr=False)
    alternative: str
    caption: str
    wide: bool = False


@dataclass(frozen=True)
class TimeLine:
    """Events (time, kind, what happens) on [0, end]."""

    events: tuple[tuple[Mpf, str, str], ...]
    end: Mpf


@dataclass(frozen=True)
class Code:
    """Text to copy: a command, a file."""

    title: str
    text: str


Part: TypeAlias = Prose | Display | Items | Stated | Facts | Note | Table | Picture | TimeLine | Code


@dataclass(frozen=True)
class Section:
    """Parts under a heading."""

    title: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Document:
    """A report.

    Attributes:
        title: plain text.
        kind: what kind of report it is, in a few words.
        answer: the answer in a sentence.
        sections: the rest.
        file: the name of the file that the report is about, if there is one.
    """

    title: str
    kind: str
    answer: str
    sections: tuple[Section, ...]
    file: str = ""


@dataclass(frozen=True)
class Quantity:
    """A number that a report tells, with how it is known.

    Attributes:
        name: what it is.
        value: in words.
        how: "certified", "estimated", "sampled"; empty where it is exact, or given.
        later: what is added after that.
        remark: whether `value` says already how it is known.
    """

    name: str
    value: str
    how: str = ""
    later: str = ""
    remark: bool = False

    @property
    def said(self) -> str:
        """The value with how it is known, in a line of text."""
        known = f" ({self.how})" if self.how and not self.remark else ""
        return f"{self.value}{known}{self.later}"


def quantities_table(title: str, quantities: Sequence[Quantity]) -> Table:
    """The quantities with a column that says how each is known."""
    rows = tuple((q.name, q.value + q.later, q.how) for q in quantities)
    return Table(title, ("quantity", "value", "how it is known"), rows, numbers=False)
