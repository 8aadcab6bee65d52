"""How steep the outputs of a program are on a box: bounds on the norms of their Jacobians."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from symflow.dynamics.vector_field import VectorField
from symflow.evaluate.rounded import Rounded, length_bound
from symflow.evaluate.running_error import rounded_boxes
from symflow.programs.differentiate import jvp
from symflow.programs.nodes import Input, Node, zero
from symflow.programs.program import Program, shape_of


@dataclass(frozen=True, eq=False)
class Slopes:
    """The derivatives of outputs in a direction; with all directions in a cube, bounds on their gradients."""

    field: VectorField
    program: Program
    directions: tuple[Input, ...]

    def norms(self, box: Rounded, known: Mapping[Node, Rounded]) -> list[float]:
        """At least the norm of the Jacobian of each output on a box: all unit vectors have entries in [-1, 1]."""
        cube: dict[Node, Rounded] = {}
        for d in self.directions:
            shape = (1, *shape_of(d.axes))
            cube[d] = Rounded(np.zeros(shape), np.ones(shape))
        found = rounded_boxes(self.field, self.program, box, {**known, **cube})
        return [length_bound(x.size.reshape(-1)) for x in found]


def slopes_of(field: VectorField, outputs: Sequence[Node], inputs: Sequence[Input]) -> Slopes:
    """The slopes of some nodes, functions of the field's state and of further inputs."""
    directions = tuple(Input(f"direction_{x.name}", x.axes, "direction", x.latex) for x in field.state)
    dot = jvp(outputs, dict(zip(field.state, directions, strict=True)))
    program = Program((*inputs, *directions), {f"{i}": dot.get(x, zero(x.axes)) for i, x in enumerate(outputs)})
    return Slopes(field, program, directions)
