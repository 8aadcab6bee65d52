"""Programs on boxes of parameters, in float64 with outward rounding: what holds on a whole box at once."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from symflow.derivatives.derived import Derived
from symflow.evaluate.interpret import interpret
from symflow.evaluate.rounded import UNIT, Rounded, rounded_input
from symflow.evaluate.running_error import RoundedArithmetic
from symflow.networks.objective import Objective
from symflow.programs.nodes import Input
from symflow.programs.program import Program


class BoxArithmetic(RoundedArithmetic):
    """A gate whose pre-activation may have both signs on the box may have any value between its slopes."""

    def gate(self, z: Rounded, alpha: Fraction, alpha_bar: Fraction) -> Rounded:
        found = super().gate(z, alpha, alpha_bar)
        on, off = float(alpha), float(alpha_bar)
        doubtful = ~((z.value - z.error >= 0) | (z.value + z.error < 0))  # differences of floats have the right sign
        reach = abs(on - off) / 2 + 4 * UNIT * (abs(on) + abs(off))
        return Rounded(np.where(doubtful, (on + off) / 2, found.value), np.where(doubtful, reach, found.error))


def box_program(objective: Objective, program: Program, boxes: Rounded) -> dict[str, Rounded]:
    """The outputs of a program on S boxes of parameters, shape (S, P)."""
    inputs: dict[Input, Rounded] = {
        x: rounded_input(np.asarray(a, dtype=np.float64)[None]) for x, a in objective.data.items()
    }
    for w, (where, shape) in zip(objective.parameters, objective.slices(), strict=True):
        inputs[w] = Rounded(*(v[:, where].reshape(len(v), *shape) for v in (boxes.value, boxes.error)))
    with np.errstate(all="ignore"):
        found = interpret(program, inputs, BoxArithmetic())
    return {name: Rounded(v.value, np.nan_to_num(v.error, nan=np.inf)) for name, v in found.items()}


def box_result(objective: Objective, derived: Derived, boxes: Rounded) -> Rounded:
    """A derived result such as the gradient, shape (S, P), or the Hessian, (S, P, P), on S boxes."""
    count = len(boxes.value)

    def joined(arrays: list[np.ndarray]) -> np.ndarray:
        batched = [np.broadcast_to(a, (count, *a.shape[1:])) for a in arrays]
        return np.asarray(derived.joined(batched, np, 1))

    found = list(box_program(objective, derived.program, boxes).values())
    return Rounded(joined([x.value for x in found]), joined([x.error for x in found]))
