"""Programs as runnable Python source: one line an operation, over any NumPy-like array module."""

from __future__ import annotations

import keyword
import re

from symflow.derivatives.derived import Derived
from symflow.programs.nodes import Input, Map, Node
from symflow.programs.program import Program


def _input_names(program: Program) -> dict[Node, str]:
    """An identifier for each input: its name, unless Python or this module gives that another meaning."""
    names: dict[Node, str] = {}
    taken = {"xp", *keyword.kwlist}
    for x in program.inputs:
        name = re.sub(r"\W", "_", x.name)
        if re.match(r"\d|v\d+$", name):
            name = f"_{name}"
        while name in taken:
            name += "_"
        taken.add(name)
        names[x] = name
    return names


def python_source(derived: Derived) -> str:
    """A function `evaluate(inputs..., xp)` that computes the outputs of a derived result by name."""
    program = derived.program
    name = _input_names(program)
    lines: list[str] = []
    for x in program.nodes:
        if isinstance(x, Input):
            continue
        name[x] = f"v{len(lines) + 1}"
        lines.append(f"    {name[x]} = {x.source([name[a] for a in x.arguments])}")
    head = f"def evaluate({', '.join(name[x] for x in program.inputs)}, xp):"
    about = f"{derived.kind}: " + ", ".join(program.outputs)
    if derived.citation is not None:
        about += f"; {derived.citation}"
    outputs = ", ".join(f'"{key}": {name[x]}' for key, x in program.outputs.items())
    preambles = dict.fromkeys(x.record.preamble for x in program.nodes if isinstance(x, Map) and x.record.preamble)
    before = ["import math", "", "", *(f"{text}\n" for text in preambles)] if preambles else []
    return "\n".join([*before, head, f'    """{about}."""', *lines, f"    return {{{outputs}}}", ""])
