"""Programs on boxes of parameters, in float64 with outward rounding: what holds on a whole box at once."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from symflow.derivatives.derived import Derived
from symflow.evaluate.rounded import UNIT, Rounded
from symflow.evaluate.running_error import RoundedArithmetic, box_inputs, evaluated, joined
from symflow.networks.objective import Objective
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
    places = zip(objective.parameters, objective.slices(), strict=True)
    return evaluated(program, box_inputs(objective, places, boxes), BoxArithmetic())


def box_result(objective: Objective, derived: Derived, boxes: Rounded) -> Rounded:
    """A derived result such as the gradient, shape (S, P), or the Hessian, (S, P, P), on S boxes."""
    return joined(derived, box_program(objective, derived.program, boxes), len(boxes.value))
