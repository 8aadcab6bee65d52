"""What is done to docstrings before the site shows them, so that its reader of Google's form understands them."""

from __future__ import annotations

import re
from typing import Any

import griffe

CHANGES = (
    (re.compile(r"^Example:$", re.MULTILINE), "Examples:"),  # else a quotation, since prompts begin with ">"
    (re.compile(r"^(Returns:\n    )An? `(\w+)`: ", re.MULTILINE), r"\1\2: "),  # what stands before the colon is a type
)


class Sections(griffe.Extension):
    """Applies the changes."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Changes the docstring of one object, if it has one."""
        if obj.docstring is not None:
            for pattern, replacement in CHANGES:
                obj.docstring.value = pattern.sub(replacement, obj.docstring.value)
