"""Keys of problem files in messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from symflow.errors import brief, shorten


def did_you_mean(unknown: object, known: Iterable[str], table: str) -> str:
    """The nearest of the known names, or all of those in the table."""
    known = list(known)
    near = difflib.get_close_matches(str(unknown)[:100], known, n=1)
    where = f" in [{table}]" if table else ""
    return f"did you mean {near[0]}?" if near else f"known are {shorten(', '.join(known), 200)}{where}"


def key_text(part: object) -> str:
    """A key as it is written, quoted where it is no plain name."""
    return part if isinstance(part, str) and part.isidentifier() and len(part) < 40 else brief(part)
