"""The first variation of a vector field, and its second derivatives: how solutions depend on where they start."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from symflow.dynamics.jacobian import jacobian
from symflow.dynamics.vector_field import VectorField
from symflow.programs.blocks import jacobian_blocks
from symflow.programs.differentiate import jvp
from symflow.programs.nodes import Input
from symflow.programs.program import Program


def variational_field(field: VectorField) -> VectorField:
    """x' = G(x), Phi' = DG(x) Phi: the state x is followed by the columns of the P x P matrix Phi."""
    outputs = dict(field.program.outputs)
    nodes = list(outputs.values())
    columns: list[Input] = []
    for j in range(field.dimension):
        column = [Input(f"Phi{j}_{x.name}", x.axes, "state", rf"\Phi_{{{j},{x.latex}}}") for x in field.state]
        dot = jvp(nodes, dict(zip(field.state, column, strict=True)))
        outputs |= {x.name: dot[y] for x, y in zip(column, nodes, strict=True)}
        columns += column
    program = Program((*field.program.inputs, *columns), outputs)
    return VectorField(program, (*field.state, *columns), field.source, data=field.data)


@dataclass(frozen=True, eq=False)
class SecondDerivatives:
    """d^2 G_i / dx_j dx_k, shape (P, P, P).

    Attributes:
        field: G.
        program: one output for each triple of an output of G and two state arrays, the first slowest.
    """

    field: VectorField
    program: Program

    def joined(self, outputs: list[Any]) -> np.ndarray:
        """The array from the program's outputs."""
        sizes = [prod(shape) for _, shape in self.field.slices()]
        found = iter(outputs)

        def block(*shape: int) -> np.ndarray:
            return np.asarray(next(found), dtype=object).reshape(shape)

        slabs = []
        for i in sizes:
            rows = [np.concatenate([block(i, j, k) for k in sizes], axis=2) for j in sizes]
            slabs.append(np.concatenate(rows, axis=1))
        return np.concatenate(slabs, axis=0)


def second_derivatives(field: VectorField) -> SecondDerivatives:
    """All second derivatives of a vector field, as one program."""
    outputs = list(jacobian(field).program.outputs.values())
    blocks = jacobian_blocks(outputs, field.state)
    found = {f"H_{a}_{k}": blocks[a, k] for a in range(len(outputs)) for k in range(len(field.state))}
    return SecondDerivatives(field, Program(field.program.inputs, found))
