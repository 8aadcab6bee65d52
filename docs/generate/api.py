"""The reference of the Python interface: the names of symflow/__init__.pyi, grouped as there by room."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = {
    "problem": "Problems",
    "networks": "Networks, losses, objectives",
    "derivatives": "Derivatives",
    "evaluate": "Evaluation",
    "dynamics": "Methods and vector fields",
    "paths": "Flow and descent",
    "analysis": "Deviation, bounds, certificates",
    "theory": "Results",
    "programs": "Programs",
    "numbers": "Vectors of many digits",
    "progress": "Progress",
    "errors": "Errors",
}
"""The title of each room's page, in the order of a reader."""


def rooms() -> dict[str, list[str]]:
    """Room -> the full names of what it exports, in the order of the interface.

    Raises:
        KeyError: a room has no title.
    """
    found: dict[str, list[str]] = {room: [] for room in ROOMS}
    for x in ast.parse((ROOT / "symflow/__init__.pyi").read_text(encoding="utf-8")).body:
        if isinstance(x, ast.ImportFrom) and x.module and x.module != "symflow.versions":
            room = x.module.split(".")[1]
            if room not in found:
                raise KeyError(f"docs/generate/api.py has no title for the room {room}; add one to ROOMS")
            found[room] += [f"{x.module}.{alias.name}" for alias in x.names]
    return found


def pages() -> dict[str, str]:
    """A page for each room, after a page with all names."""
    exported = rooms()
    index = ["# Python", "Every public name, each with an example that the tests run; `import symflow as sf`."]
    found = {}
    for room, names in exported.items():
        last = [name.rpartition(".")[2] for name in names]
        links = ", ".join(f"[`{short}`][{name}]" for short, name in sorted(zip(last, names, strict=True)))
        index.append(f"**[{ROOMS[room]}]({room}.md)**: {links}")
        found[f"reference/{room}.md"] = f"# {ROOMS[room]}\n\n" + "\n\n".join(f"::: {name}" for name in names) + "\n"
    return {"reference/index.md": "\n\n".join(index) + "\n", **found}
