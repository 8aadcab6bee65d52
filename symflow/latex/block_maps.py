r"""Blocks of the Hessian as linear maps, for networks whose weights are arrays of more than two axes.

Entry by entry such a block has six indices or more, and a max pool multiplies its terms. As a map it remains in matrix
notation: H_{jk} Delta_k is the derivative of nabla_{W_j} f in the direction of Delta_k alone, and so are the dotted
intermediate results, \dot Z_{i|k}.
"""

from __future__ import annotations

import re
from dataclasses import replace

from symflow.derivatives.derived import Derived, gradient_nodes, parameter_directions
from symflow.latex.fragments import dotted
from symflow.latex.names import program_names
from symflow.networks.convolutional import Convolutional
from symflow.programs.differentiate import jvp
from symflow.programs.nodes import Node
from symflow.programs.program import Program


def with_block_maps(derived: Derived) -> Derived:
    """The Hessian of a convolutional network with its blocks as maps; any other result as it is."""
    objective = derived.objective
    if derived.kind != "hessian" or not isinstance(objective.architecture, Convolutional):
        return derived
    gradient, _ = gradient_nodes(objective)
    named = program_names(derived)
    directions = parameter_directions(objective)
    outputs: dict[str, Node] = {}
    names = dict(named)
    for k, (w, direction) in enumerate(zip(objective.parameters, directions, strict=True), 1):
        rows = objective.parameters[:k]
        dot = jvp([*named, *(gradient[v] for v in rows)], {w: direction})
        outputs |= {f"H_{v.name}_{w.name}": dot[gradient[v]] for v in rows}
        for x, name in named.items():
            names.setdefault(dot[x], re.sub(r"_\{(.*)\}$|$", rf"_{{\1|{k}}}", dotted(name), count=1))
    program = Program((*objective.program.inputs, *directions), outputs, names)
    return replace(derived, program=program, directions=directions)
