"""Documents as one self-contained HTML page: no script, no font, no picture and no style from elsewhere."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from html import escape
from itertools import groupby
from pathlib import Path
from uuid import uuid4

from symflow.errors import printable
from symflow.latex.results import keys
from symflow.numbers.decimal import counted
from symflow.report.mathml import aligned, mathml, with_formulas
from symflow.report.parts import (
    Code,
    Display,
    Document,
    Facts,
    Note,
    Part,
    Picture,
    Prose,
    Section,
    Stated,
    Table,
    TimeLine,
)
from symflow.report.quantities import EVENT_NAMES
from symflow.report.svg import OTHER, SHAPES, inline, time_line
from symflow.theory.registry import find
from symflow.theory.result import SOURCES
from symflow.versions import __version__

MANY_ROWS = 24
"""Longer tables are folded."""
KNOWN = ("certified on a box", "certified", "estimated", "sampled", "exact", "not applicable", "proved", "refuted")
"""Words that say how a number is known; they are marked in tables."""


def html_document(document: Document) -> str:
    """The page of a report."""
    body = "\n".join(map(_section, document.sections))
    links = "".join(f'<li><a href="#{_anchor(s.title)}">{_text(s.title)}</a></li>' for s in document.sections)
    title = _text(document.title)
    about = f'\n<meta name="symflow:file" content="{_text(document.file)}">' if document.file else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="symflow {__version__}">{about}
<title>{title} – {_text(document.kind)}</title>
<style>
{_style()}</style>
</head>
<body>
<header>
<p class="kind">symflow · {_text(document.kind)}</p>
<h1>{title}</h1>
<p class="answer">{_text(document.answer)}</p>
</header>
<nav aria-label="Sections"><ul>{links}</ul></nav>
<main>
{body}
{_literature(document)}</main>
<footer><p>Written by symflow {__version__}.</p></footer>
</body>
</html>
"""


def is_about(page: bytes, file: str) -> bool:
    """Whether a page is the report on the file of this name."""
    return f'<meta name="symflow:file" content="{_text(file)}">'.encode() in page


def fragment(parts: tuple[Part, ...]) -> str:
    """Parts inside somebody else's page, such as a notebook, whose colours they take."""
    text = "\n".join(_part(part, f"symflow-{uuid4().hex[:12]}") for part in parts)
    return f'<div class="symflow"><style>{_INSIDE}</style>{text}</div>'


_INSIDE = (
    ".symflow{--faint:#8a8a8a;--mark:#d55e00}.symflow th,.symflow td{text-align:left!important;vertical-align:top;"
    "padding:.15em .9em .15em 0}.symflow caption{text-align:left;font-weight:600}"
    ".symflow table.numbers td{text-align:right!important;font-variant-numeric:tabular-nums}"
    ".symflow .scroll{overflow-x:auto}.symflow figure{margin:.5em 0}"
    ".symflow figure svg{max-width:34rem;width:100%;height:auto;fill:currentColor}"
    ".symflow .known{font-weight:600}.symflow .unseen{display:none}"
)


@cache
def _style() -> str:
    return Path(__file__).with_name("report.css").read_text(encoding="utf-8")


def _text(text: str) -> str:
    """Plain text of problems and files, which acts nowhere."""
    return escape(printable(text))


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "section"


def _section(section: Section) -> str:
    anchor = _anchor(section.title)
    drawn = [(part, _part(part, f"{anchor}-{at}")) for at, part in enumerate(section.parts, 1)]
    body = []
    for pictures, group in groupby(drawn, lambda pair: isinstance(pair[0], Picture)):
        text = "\n".join(html for _, html in group)
        body.append(f'<div class="pictures">{text}</div>' if pictures else text)
    head = f'<section aria-labelledby="{anchor}">\n<h2 id="{anchor}">{_text(section.title)}</h2>'
    return "\n".join([head, *body, "</section>"])


def _part(part: Part, name: str) -> str:
    match part:
        case Prose(latex):
            return f"<p>{with_formulas(latex)}</p>"
        case Display(latex, lines):
            return f"<p>{with_formulas(latex)}</p>\n{_scrolled(aligned(lines), 'formula')}"
        case Stated(result):
            return _stated(result)
        case Facts(rows, title):
            return _facts(rows, title)
        case Note(text, warning):
            shown = f"<strong>Warning:</strong> {_text(text)}" if warning else _text(text)
            return f'<p class="warning">{shown}</p>' if warning else f"<p>{shown}</p>"
        case Table():
            return _table(part)
        case Picture(svg, alternative, caption, wide):
            drawn = inline(svg, alternative, name)
            style = "picture wide" if wide else "picture"
            return f'<figure class="{style}" tabindex="0">{drawn}<figcaption>{_text(caption)}</figcaption></figure>'
        case TimeLine(events, end):
            return f'<figure class="line">{time_line(events, end)}{_legend(events)}</figure>'
        case Code(title, text):
            label = f"<p>{_text(title)}</p>\n" if title else ""
            return f'{label}<pre tabindex="0"><code>{_text(text)}</code></pre>'
    raise TypeError(f"a page has no {type(part).__name__}")


def _scrolled(content: str, kind: str) -> str:
    """What may be wider than a screen scrolls by itself, with the keyboard too."""
    return f'<div class="scroll {kind}" tabindex="0">{content}</div>'


def _stated(name: str) -> str:
    """A result with its assumptions, formulas and remark."""
    result = find(name)
    cited = ", ".join(keys(result.source))
    head = f"{result.id} ({result.title})" + (f" [{cited}]" if cited else "")
    assumed = "; ".join(a.latex for a in result.assumptions)
    parts = [f"<h3>{with_formulas(head)}</h3>", f"<p>{with_formulas(f'Suppose {assumed}. Then')}</p>"]
    parts.append(_scrolled(mathml(result.main.latex(), display=True), "formula"))
    if result.remark:
        parts.append(f"<p>{with_formulas(result.remark)}</p>")
    return '<div class="result">' + "\n".join(parts) + "</div>"


def _facts(rows: tuple[tuple[str, str, str], ...], title: str) -> str:
    lines = []
    for symbol, meaning, value in rows:
        name = f"{mathml(symbol)} " if symbol else ""
        lines.append(_row(f"{name}<span>{_text(meaning)}</span>", [value]))
    head = f"<caption>{_text(title)}</caption>" if title else ""
    columns = '<thead class="unseen"><tr><th scope="col">quantity</th><th scope="col">value</th></tr></thead>'
    return f'<table class="facts" role="table">{head}{columns}<tbody>{"".join(lines)}</tbody></table>'


def _table(table: Table) -> str:
    kind, title = "numbers" if table.numbers else "words", _text(table.title)
    head = "".join(f'<th scope="col">{_text(c)}</th>' for c in table.columns)
    rows = [_row(_text(first), others) for first, *others in table.rows]
    caption = f"<caption>{title}</caption>" if title else ""
    start = f'<table class="{kind}" role="table">{caption}<thead><tr role="row">{head}</tr></thead>'
    drawn = f"{start}<tbody>{''.join(rows)}</tbody></table>"
    shown = _scrolled(drawn, "table")
    if len(table.rows) <= MANY_ROWS:
        return shown
    return f"<details><summary>{title} ({len(table.rows)} rows)</summary>{shown}</details>"


def _row(head: str, cells: Sequence[str]) -> str:
    """A row of a table; the roles stay where a narrow screen shows rows as blocks."""
    shown = "".join(f'<td role="cell">{_known(x)}</td>' for x in cells)
    return f'<tr role="row"><th scope="row" role="rowheader">{head}</th>{shown}</tr>'


def _known(text: str) -> str:
    """A cell; where it is nothing but how a number is known, it is marked."""
    shown = _text(text)
    if text not in KNOWN:
        return shown
    return f'<span class="known {text.split()[0]}">{shown}</span>'


def _legend(events: tuple[tuple[object, str, str], ...]) -> str:
    marks = []
    for kind, count in Counter(kind for _, kind, _ in events).items():
        said = counted(count, *EVENT_NAMES.get(kind, (kind, kind)))
        drawn = f'<path class="event {escape(kind)}" d="{SHAPES.get(kind, OTHER)}"/>'
        marks.append(f'<li><svg viewBox="-7 -7 14 14" aria-hidden="true">{drawn}</svg> {_text(said)}</li>')
    return f'<figcaption><ul class="legend">{"".join(marks)}</ul></figcaption>'


def _literature(document: Document) -> str:
    """What the results of the page cite."""
    stated = [part.result for section in document.sections for part in section.parts if isinstance(part, Stated)]
    cited = {key for name in stated for key in keys(find(name).source)}
    listed = "".join(f"<dt>[{key}]</dt><dd>{_text(text)}.</dd>" for key, text in SOURCES.items() if key in cited)
    if not listed:
        return ""
    return (
        f'<section aria-labelledby="literature">\n<h2 id="literature">Literature</h2>\n<dl>{listed}</dl>\n</section>\n'
    )
