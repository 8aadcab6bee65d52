"""How tuples of numbers and of records show themselves, in text and in notebooks: never all of many."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import mpmath

from symflow.errors import shorten
from symflow.numbers.decimal import counted
from symflow.numbers.vectors import Digits
from symflow.paths.event import Event
from symflow.report.html import fragment
from symflow.report.parts import Code, Facts, Table
from symflow.report.quantities import EVENT_COLUMNS, event_rows
from symflow.report.records import LONGEST, MOST_ROWS, brief_number, words

FEW, ENDS, LONG = 6, 3, 10**6
"""So many numbers are all shown; of more, so many at each end; ratios with such a denominator are decimals."""

NOUNS = {"Event": "event", "Law": "law", "PhaseLaw": "law", "Example": "example", "Guarantee": "guarantee"}
"""What records are called together."""


def listed_text(found: Sequence[Any]) -> str:
    """Numbers on a line (a few exact ones as any tuple does), records one a line."""
    if len(found) <= FEW and all(isinstance(v, int | Fraction) for v in found):
        return repr(tuple(found))
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
        rows = [("", "first", _number(found[0])), ("", "last", _number(found[-1]))]
        rows += [("", "least", _number(min(known))), ("", "largest", _number(max(known)))] if known else []
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
    return "number" if _numbers(found) else NOUNS.get(type(found[0]).__name__, "record")


def _ends(found: Sequence[Any]) -> list[str]:
    if len(found) <= FEW:
        return [_number(v) for v in found]
    return [*map(_number, found[:ENDS]), "...", *map(_number, found[-ENDS:])]


def _number(value: Any) -> str:
    """A number in at most ten digits; a ratio of long numbers as a decimal."""
    long = isinstance(value, Fraction) and value.denominator >= LONG
    return brief_number(mpmath.mpf(value.numerator) / value.denominator) if long else words(value)


def _line(entry: Any) -> str:
    return shorten(repr(entry).removeprefix("<").removesuffix(">"), LONGEST)
