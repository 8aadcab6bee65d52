"""Programs as runnable Python source: one line an operation, over any NumPy-like array module."""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from symflow.derivatives.derived import Derived
from symflow.evaluate.interpret import readers, subscripts, table_index
from symflow.programs.nodes import (
    Add,
    Axis,
    Const,
    Einsum,
    Gate,
    Gather,
    Identity,
    Input,
    LargestEigenvalue,
    LogSumExp,
    Map,
    Maximum,
    Node,
    ScatterAdd,
    SpectralNorm,
    Stack,
    Table,
)
from symflow.programs.program import Program, shape_of


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
        return f"xp.{x.function}({name[x.x]})" if x.function not in _WRITTEN else _WRITTEN[x.function].format(name[x.x])
    if isinstance(x, Gather):
        return _reading(name[x.x], table_index(x.table), x.x.axes, x.position)
    if isinstance(x, ScatterAdd):
        return _adding(name[x.x], x.table, x)
    if isinstance(x, LogSumExp):
        array, at = name[x.x], x.position
        return f"xp.log(xp.sum(xp.exp({array} - xp.max({array}, {at}, keepdims=True)), {at})) + xp.max({array}, {at})"
    if isinstance(x, Stack):
        return f"xp.stack([{', '.join(name[a] for a in x.args)}], -1)"
    if isinstance(x, Maximum):
        return f"xp.max(xp.stack([{', '.join(name[a] for a in x.args)}], -1), -1)"
    if isinstance(x, SpectralNorm):
        return f"xp.linalg.norm({name[x.x]}, 2, (-2, -1))"
    if isinstance(x, LargestEigenvalue):
        return f"xp.linalg.eigvalsh({name[x.x]})[..., -1]"
    raise TypeError(f"unknown node {type(x).__name__}")


_WRITTEN = {"softplus": "xp.logaddexp(0, {0})", "sigmoid": "xp.exp(-xp.logaddexp(0, -{0}))"}


def _reading(array: str, index: np.ndarray, axes: Sequence[Axis], position: int) -> str:
    """The entries of an array at `index` along one axis; -1 reads the zero that is appended."""
    if (index < 0).any():
        edge = [1 if p == position else size for p, size in enumerate(shape_of(axes))]
        array = f"xp.concatenate([{array}, xp.zeros({tuple(edge)})], {position})"
    return f"xp.take({array}, xp.array({index.tolist()}), {position})"


def _adding(array: str, table: Table, x: ScatterAdd) -> str:
    """Sums of what was read from each position."""
    axes = x.x.axes
    end = x.position + len(table.targets)
    flat = Axis("flat", len(table.index))
    merged = (*axes[: x.position], flat, *axes[end:])
    reading = _reading(f"{array}.reshape({shape_of(merged)})", readers(table), merged, x.position)
    return f"xp.sum({reading}, {x.position + 1})"


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
