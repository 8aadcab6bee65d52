r"""Faces: where a pre-activation vanishes, and what the gradient of the loss does there.

Across the face z_a = 0 the gradient jumps by (alpha - alpha_bar) b_a grad z_a, b_a the coefficient that
back-propagation brings to the activation behind gate a. Where (alpha - alpha_bar) b_a >= 0 on every face that a line
meets, f plus a multiple of ||theta||^2 that makes its smooth pieces convex is convex along it (R23).
"""

from __future__ import annotations

from fractions import Fraction

from symflow.caching import kept
from symflow.derivatives.derived import parameter_directions
from symflow.networks.objective import Objective
from symflow.programs.differentiate import jvp, transpose
from symflow.programs.nodes import Const, Einsum, Gate, Input, Node, zero
from symflow.programs.program import Program


def activations(objective: Objective) -> dict[Gate, Einsum]:
    """Of each gate the activation sigma(z) that it makes."""
    products = (x for x in objective.program.nodes if isinstance(x, Einsum))
    return {g: x for x in products for g in x.args if isinstance(g, Gate)}


@kept
def face_program(objective: Objective) -> Program:
    """The pre-activation "z_i" and the coefficient "b_i" of every gate, i its number in `objective.gates`."""
    gates, directions = objective.gates, parameter_directions(objective)
    dot = jvp([objective.loss, *(g.z for g in gates)], dict(zip(objective.parameters, directions, strict=True)))
    cotangents = transpose(dot[objective.loss], directions, Const(Fraction(1), ()))
    behind = activations(objective)
    outputs: dict[str, Node] = {}
    for i, g in enumerate(gates):
        outputs[f"z_{i}"] = g.z
        outputs[f"b_{i}"] = cotangents.get(dot[behind[g]], zero(g.z.axes))
    return Program(objective.program.inputs, outputs)


@kept
def normal_program(objective: Objective, gate: int) -> tuple[Program, Input]:
    """grad z_a for an entry a of a gate, an output per parameter array; the input is 1 at that entry, 0 elsewhere."""
    z, directions = objective.gates[gate].z, parameter_directions(objective)
    pick = Input(f"pick_{gate}", z.axes, "data", rf"E_{{{gate}}}")
    dot = jvp([z], dict(zip(objective.parameters, directions, strict=True)))
    normal = transpose(dot[z], directions, pick)
    outputs = {w.name: normal[d] for w, d in zip(objective.parameters, directions, strict=True)}
    return Program((*objective.program.inputs, pick), outputs), pick
