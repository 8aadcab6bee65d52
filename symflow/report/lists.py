"""How tuples of numbers and of records show themselves, in text and in notebooks: never all of many."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from symflow.errors import shorten
from symflow.numbers.decimal import counted
from symflow.numbers.vectors import Digits
from symflow.paths.event import Event
from symflow.report.html import fragment
from symflow.report.parts import Code, Facts, Table
from symflow.report.quantities import EVENT_COLUMNS, event_rows
from symflow.report.records import LONGEST, MOST_ROWS, words

FEW, ENDS = 6, 3
"""So many numbers are all shown; of more, so many at each end."""


def listed_text(found: Sequence[Any]) -> str:
    """Numbers on a line, records one a line."""
    if _numbers(found):
        return f"<{counted(len(found), 'number')}: {', '.join(_ends(found))}>"
    lines = [f"  {_line(entry)}" for entry in found[:MOST_ROWS]]
    more = [f"  ... and {len(found) - MOST_ROWS} more"] if len(found) > MOST_ROWS else []
    return "\n".join([f"<{counted(len(found), _noun(found))}:", *lines, *more]) + ">"


def listed_html(found: Sequence[Any]) -> str:
    """The ends and the extremes of numbers; a table of records."""
    title = counted(len(found), _noun(found))
    shown = found[:MOST_ROWS]
    if _numbers(found):
        known = [v for v in found if v is not None]
        rows = [("", "first", words(found[0])), ("", "last", words(found[-1]))]
        rows += [("", "least", words(min(known))), ("", "largest", words(max(known)))] if known else []
        return fragment((Facts(tuple(rows), title),))
    if len(shown) < len(found):
        title += f", the first {MOST_ROWS}"
    if all(isinstance(entry, Event) for entry in found):
        return fragment((Table(title, EVENT_COLUMNS, tuple(event_rows(shown)), numbers=False),))
    if all(hasattr(entry, "latex") for entry in found):
        return fragment((Facts(tuple((entry.latex(), "", _line(entry)) for entry in shown), title),))
    return fragment((Facts(tuple(("", str(at), _line(entry)) for at, entry in enumerate(shown)), title),))


def digits_html(found: Digits) -> str:
    """A number, or a row of a matrix, a line, with all digits that were asked for."""
    size = " x ".join(map(str, found.shape))
    return fragment((Code(f"{size} numbers, {found.digits} digits", "\n".join(found.lines())),))


def _numbers(found: Sequence[Any]) -> bool:
    return all(v is None or isinstance(v, int | float | Fraction) or hasattr(v, "_mpf_") for v in found)


def _noun(found: Sequence[Any]) -> str:
    return "number" if _numbers(found) else type(found[0]).__name__.lower()


def _ends(found: Sequence[Any]) -> list[str]:
    if len(found) <= FEW:
        return [words(v) for v in found]
    return [*(words(v) for v in found[:ENDS]), "...", *(words(v) for v in found[-ENDS:])]


def _line(entry: Any) -> str:
    return shorten(repr(entry).removeprefix("<").removesuffix(">"), LONGEST)
