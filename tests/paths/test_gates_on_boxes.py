"""Gates on boxes of states: which may change, and on which values of the others their faces are judged."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import symflow as sf
from symflow.dynamics.sliding import TiedGate
from symflow.dynamics.vector_field import gradient_flow_field
from symflow.evaluate.fixed_point import FixedSeries
from symflow.evaluate.rounded import Rounded
from symflow.evaluate.series import compile_recurrence
from symflow.paths.certified.gates import on_boxes
from symflow.paths.taylor.kinks.region import Region


def chain(target: int) -> sf.Problem:
    """x -> w_3 relu(w_2 relu(w_1 x)), one sample x = 1, at w = (0, 1, 1)."""
    network = {"widths": [1, 1, 1, 1], "activation": "relu"}
    return sf.Problem(network=network, data={"x": [[1]], "y": [[target]]}, init={"theta": [0, 1, 1]})


@pytest.mark.parametrize("ties", [(), (TiedGate(((0, 0),), (1,)),)], ids=["crossed", "held"])
@pytest.mark.parametrize(("target", "convex"), [(-2, True), (2, False)])
def test_a_face_is_judged_with_what_revives_behind_it(target: int, convex: bool, ties: tuple[TiedGate, ...]) -> None:
    """b_1 = w_2 w_3 (h - y) where the second unit lives, whatever its gate was while it was dead.

    With the dead unit's old gate b_1 would be 0 for either target; a gate that is held is open from
    the start, so that nothing but the second gate's value changes then.
    """
    p = chain(target)
    field = gradient_flow_field(p.compact)
    dead = {g: np.full((1, 1), Fraction(0), dtype=object) for g in field.gates}
    region = Region(dead, ties, compile_recurrence(field, dead, FixedSeries(100)))
    box = Rounded(np.array([[0.0, 1.0, 1.0]]), np.full((1, 3), 1e-3))
    found = on_boxes(field, box, [region])
    assert found.open == [[(0, 0)]]  # the second gate has one sign or no influence
    assert found.low[1].item() == found.high[1].item() == 1
    assert (not found.concave[0]) == convex
