"""Programs as runnable Python source: one line an operation, over any NumPy-like array module."""

from __future__ import annotations

import keyword
import re
from fractions import Fraction

from symflow.compile.interpret import subscripts
from symflow.symbolic.derived import Derived
from symflow.symbolic.nodes import Add, Const, Einsum, Gate, Identity, Input, Map, Node
from symflow.symbolic.program import Program, shape_of


def _number(q: Fraction) -> str:
    return str(q.numerator) if q.denominator == 1 else f"{q.numerator} / {q.denominator}"


def _expression(x: Node, name: dict[Node, str]) -> str:
    if isinstance(x, Const):
        return f"xp.full({shape_of(x.axes)}, {_number(x.value)})"
    if isinstance(x, Identity):
        return f"xp.eye({shape_of(x.axes)[0]})"
    if isinstance(x, Add):
        return " + ".join(name[a] if c == 1 else f"({_number(c)}) * {name[a]}" for c, a in x.terms)
    if isinstance(x, Einsum):
        text, missing = subscripts(x.labels, x.out)
        product = f'xp.einsum("{text}", {", ".join(name[a] for a in x.args)})'
        if not missing:
            return product
        return f"xp.broadcast_to(xp.expand_dims({product}, {tuple(missing)}), {shape_of(x.axes)})"
    if isinstance(x, Gate):
        return f"xp.where({name[x.z]} >= 0, {_number(x.alpha)}, {_number(x.alpha_bar)})"
    if isinstance(x, Map):
        if x.exponent is not None:
            return f"{name[x.x]} ** ({_number(x.exponent)})"
        return f"xp.{x.function}({name[x.x]})"
    raise TypeError(f"unknown node {type(x).__name__}")


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
        lines.append(f"    {name[x]} = {_expression(x, name)}")
    head = f"def evaluate({', '.join(name[x] for x in program.inputs)}, xp):"
    about = f"{derived.kind}: " + ", ".join(program.outputs)
    if derived.citation is not None:
        about += f"; {derived.citation}"
    outputs = ", ".join(f'"{key}": {name[x]}' for key, x in program.outputs.items())
    return "\n".join([head, f'    """{about}."""', *lines, f"    return {{{outputs}}}", ""])
