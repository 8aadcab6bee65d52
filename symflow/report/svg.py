"""Pictures inside a page: matplotlib's files without what a page must not repeat, and the time line of events."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from symflow.numbers.decimal import brief_time, counted
from symflow.numbers.types import Mpf

_ID = re.compile(r'\bid="([^"]+)"')
_REFERENCE = re.compile(r'(xlink:href="#|url\(#)([^")]+)')
_BLACK = re.compile(r"#000000\b")
_WHITE = re.compile(r"fill: #ffffff\b")
_GREY = re.compile(r"#8a8a8a\b")
SHAPES = {
    "crossing": "M0 -6 L5 4 L-5 4 Z",
    "sliding": "M-5 -5 H5 V5 H-5 Z",
    "leaving": "M0 -6 L6 0 L0 6 L-6 0 Z",
    "revival": "M0 6 L5 -4 L-5 -4 Z",
    "inert": "M-6 -2 H6 V2 H-6 Z",
}
"""A mark for every kind of event: kinds are told apart without colours."""
OTHER = "M-4 -4 L4 4 M4 -4 L-4 4"


def inline(svg: bytes, alternative: str, name: str) -> str:
    """A matplotlib picture as an element of a page, in the page's own colours of text and background.

    Args:
        svg: the content of the file.
        alternative: what it shows.
        name: of the picture in its page: its ids begin with it.
    """
    text = svg.decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = _ID.sub(rf'id="{name}-\1"', text)
    text = _REFERENCE.sub(rf"\g<1>{name}-\g<2>", text)
    text = _GREY.sub("var(--faint)", _WHITE.sub("fill: none", _BLACK.sub("currentColor", text)))
    text = re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2)
    label = f'<title id="{name}-title">{escape(alternative)}</title>'
    return re.sub(r"<svg([^>]*)>", rf'<svg\1 role="img" aria-labelledby="{name}-title">{label}', text, count=1)


def time_line(events: Sequence[tuple[Mpf, str, str]], end: Mpf) -> str:
    """Events on a line from 0 to the end; crowded ones in up to four rows."""
    width, left, right = 440.0, 10.0, 14.0
    length = float(end) or 1.0
    ends = [-1e9] * 4
    marks = []
    lowest = 0
    for time, kind, said in events:
        x = left + (width - left - right) * float(time) / length
        row = next((i for i, e in enumerate(ends) if x - e >= 14), min(range(4), key=ends.__getitem__))
        ends[row], lowest = x, max(lowest, row)
        y = 22 + 16 * row
        shape = SHAPES.get(kind, OTHER)
        what = escape(f"{kind} at t = {brief_time(time)}: {said}")
        place = f'transform="translate({x:.1f} {y})"'
        marks.append(f'<path class="event {escape(kind)}" {place} d="{shape}"><title>{what}</title></path>')
        marks.append(f'<path class="stem" d="M{x:.1f} {y + 6} V{{axis}}"/>')
    axis = 36 + 16 * lowest
    ticks = [f'<path class="axis" d="M{left} {axis} H{width - right}"/>']
    for i in range(5):
        x = left + (width - left - right) * i / 4
        anchor = "start" if i == 0 else "end" if i == 4 else "middle"
        ticks.append(f'<path class="axis" d="M{x:.1f} {axis} v5"/>')
        ticks.append(f'<text x="{x:.1f}" y="{axis + 18}" text-anchor="{anchor}">{brief_time(end * i / 4)}</text>')
    drawn = "".join(m.replace("{axis}", str(axis)) for m in marks)
    said = f"time line of {counted(len(events), 'event')} from 0 to {brief_time(end)}; the table lists them"
    return (
        f'<svg class="timeline" viewBox="0 0 {width:.0f} {axis + 26}" role="img" aria-label="{escape(said)}">'
        f"{''.join(ticks)}{drawn}</svg>"
    )
