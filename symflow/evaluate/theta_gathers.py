"""Arrays that only rearrange theta are read from it in one go.

Embedding weight matrices into a larger one is a sum of many paddings; all of it says which entry of theta, if any,
stands where. That is found by evaluating the formula on theta = 1, 2, ..., P.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from symflow.evaluate.data_folding import evaluate
from symflow.programs.nodes import Add, Einsum, Gather, Input, Node, ScatterAdd
from symflow.programs.program import Program, substitute


def _rearranges(x: Node) -> bool:
    """Whether every entry of x is a sum of entries of its arguments."""
    if isinstance(x, Add):
        return all(c == 1 for c, _ in x.terms)
    return isinstance(x, Gather | ScatterAdd) or (isinstance(x, Einsum) and len(x.args) == 1)


def selections(program: Program, places: Mapping[Input, np.ndarray]) -> tuple[Program, dict[Input, np.ndarray]]:
    """Replaces what only rearranges the parameters by inputs that are read from theta.

    Args:
        program: what to evaluate.
        places: for every parameter where its entries stand in theta.

    Returns:
        The program, and for each new input the places in theta of its entries; -1 stands for zero.
    """
    linear: set[Node] = set(places)
    for x in program.nodes:
        if x.arguments and _rearranges(x) and all(a in linear for a in x.arguments):
            linear.add(x)
    users = [x for x in program.nodes if x not in linear]
    roots = [x for x in dict.fromkeys(a for x in users for a in x.arguments) if x in linear and x not in places]
    if not roots:
        return program, {}
    found = Program(tuple(places), {f"selected{n}": x for n, x in enumerate(roots)})
    dtype = np.dtype(np.float64)
    read = evaluate(found, {w: a + 1.0 for w, a in places.items()}, dtype)
    hits = evaluate(found, {w: np.ones(a.shape) for w, a in places.items()}, dtype)
    kept = {x: name for x, name in zip(roots, found.outputs, strict=True) if hits[name].max() <= 1}
    inputs = {x: Input(name, x.axes, "data", name) for x, name in kept.items()}
    return substitute(program, inputs), {inputs[x]: read[name].astype(np.int32) - 1 for x, name in kept.items()}
