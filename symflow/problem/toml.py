"""Problem files, written."""

from __future__ import annotations

import json
from collections.abc import Mapping


def problem_toml(tables: Mapping[str, object], note: str = "") -> str:
    """The tables of `Problem.to_dict` as TOML; strings, numbers, lists and booleans are written as JSON writes them."""
    lines = [f"# {line}" for line in note.splitlines()]
    lines += [f"{key} = {json.dumps(value)}" for key, value in tables.items() if not isinstance(value, Mapping)]
    for name, table in tables.items():
        if not isinstance(table, Mapping):
            continue
        lines += ["", f"[{name}]"]
        later: list[str] = []
        for key, value in table.items():
            if isinstance(value, list) and value and isinstance(value[0], Mapping):
                for part in value:
                    later += ["", f"[[{name}.{key}]]", *(f"{k} = {json.dumps(v)}" for k, v in part.items())]
            else:
                lines.append(f"{key} = {json.dumps(value)}")
        lines += later
    return "\n".join(lines)
