"""JSON as text: imported by itself, so that an error is printed before what computes is loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping


def to_json(data: Mapping[str, object]) -> str:
    """The one way symflow writes JSON: ASCII, strict (no NaN), one space of indentation."""
    return json.dumps(data, indent=1, allow_nan=False)
