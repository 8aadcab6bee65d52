"""The reference of the command line, from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from symflow.cli.app import app


def section() -> str:
    """Every command with its arguments and options, as the end of a page."""
    group: Any = typer.main.get_command(app)
    parts = ["", "## Every option"]
    for name, command in group.commands.items():
        parts += [f"### `symflow {name}`", (command.help or "").strip(), *_parameters(command)]
    return "\n\n".join(parts) + "\n"


def _parameters(command: Any) -> Iterator[str]:
    rows = [_row(p) for p in command.params if p.name != "help"]
    yield "\n".join(["| option | if left out | meaning |", "|---|---|---|", *rows])


def _row(parameter: Any) -> str:
    is_argument = parameter.param_type_name == "argument"
    names = "" if is_argument else ", ".join([*parameter.opts, *parameter.secondary_opts])
    value = parameter.metavar or ((parameter.name or "").upper() if is_argument else "")
    default = parameter.default
    left_out = "required" if parameter.required else f"`{default}`" if isinstance(default, str | int | float) else ""
    left_out = "" if default is False else left_out
    meaning = " ".join((parameter.help or "").split()).replace("|", "\\|")
    return f"| `{' '.join(x for x in (names, value) if x)}` | {left_out} | {meaning} |"
