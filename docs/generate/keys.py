"""The reference of problem files, from the schema that reads them; `keys.toml` says what each key means."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from symflow.problem.fields import Section
from symflow.problem.schema import ProblemFile, _section_of

HEADINGS = {
    "top": "At the top",
    "activation": "An entry of a list of activations",
    "layers": "`[[network.layers]]`",
}
"""Headings of tables that are not those of a file."""


def section() -> str:
    """Every table with its keys, as the end of a page.

    Raises:
        KeyError: a key has no meaning in `keys.toml`, or the other way round.
    """
    meanings = tomllib.loads((Path(__file__).parent / "keys.toml").read_text(encoding="utf-8"))
    parts = ["", "## Every key"]
    for heading, model in tables():
        known = meanings.pop(heading)
        parts += [f"### {HEADINGS.get(heading, f'`[{heading}]`')}", _table(model, known)]
        if known:
            raise KeyError(f"keys.toml: {heading} has no key {', '.join(known)}; remove it")
    if meanings:
        raise KeyError(f"keys.toml: problem files have no table {', '.join(meanings)}; remove it")
    return "\n\n".join(parts) + "\n"


def tables() -> list[tuple[str, type[Section]]]:
    """Every table of a problem file with its heading, in the order of the schema."""
    found: list[tuple[str, type[Section]]] = [("top", ProblemFile)]
    pending = list(ProblemFile.model_fields.items())
    for name, field in pending:
        if (model := _section_of(field.annotation)) is not None:
            found.append((name, model))
            pending += model.model_fields.items()
    return found


def _table(model: type[Section], meanings: dict[str, str]) -> str:
    rows = []
    for key, field in model.model_fields.items():
        if model is ProblemFile and _section_of(field.annotation) is not None:
            continue  # a table of its own
        if key not in meanings:
            raise KeyError(f"keys.toml does not say what {model.__name__}.{key} means; add a line")
        rows.append(f"| `{key}` | {_cell(field.description or '')} | {_default(field)} | {_cell(meanings.pop(key))} |")
    return "\n".join(["| key | value | if left out | meaning |", "|---|---|---|---|", *rows])


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.default
    if default is None or default is PydanticUndefined:
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
