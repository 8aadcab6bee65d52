"""What is done to docstrings before the site shows them: the section "Example" is one of Google's form, "Examples"."""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^Example:$", re.MULTILINE)


class Sections(griffe.Extension):
    """Without it an example would be a quotation: its prompts begin with ">"."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Renames the section, if the object has one."""
        if obj.docstring is not None:
            obj.docstring.value = EXAMPLE.sub("Examples:", obj.docstring.value)
