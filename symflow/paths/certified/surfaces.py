"""Pre-activations that vanish on one surface: multiples of each other."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from symflow.caching import kept
from symflow.dynamics.faces import normal_program
from symflow.evaluate.interpret import interpret
from symflow.evaluate.object_arrays import EXACT
from symflow.networks.objective import Objective
from symflow.paths.taylor.kinks.gates import Position
from symflow.paths.taylor.kinks.region import Region
from symflow.programs.nodes import Gate
from symflow.programs.program import shape_of


def multiple(
    objective: Objective, region: Region, a: Position, b: Position, *, everywhere: bool = False
) -> Fraction | None:
    """c with z_b = c z_a for all theta in the region, where that is known: one formula, or linear ones of theta.

    With `everywhere`, for all theta: what is one formula with the gates of the region need not be with others.
    """
    first, second = (region.pre_activation(x) for x in (a, b))
    if not everywhere and isinstance(first, list) and first is second:
        return Fraction(1)
    one, other = (linear_form(objective, x) for x in (a, b))
    if one is None or other is None:
        return None
    pivot = next((i for i, q in enumerate(one) if q), None)
    if pivot is None or not other[pivot]:
        return None
    factor = other[pivot] / one[pivot]
    return factor if all(q == factor * p for p, q in zip(one, other, strict=True)) else None


def surfaces(
    objective: Objective, region: Region, positions: Sequence[Position]
) -> list[list[tuple[Position, Fraction]]]:
    """The gates that may change, by the surface on which they do, each with its z over that of the first one."""
    found: list[list[tuple[Position, Fraction]]] = []
    first = min((gate for gate, _ in positions), default=0)  # gates behind one that may change have no one formula
    for a in positions:
        for group in found:
            factor = multiple(objective, region, group[0][0], a, everywhere=a[0] > first)
            if factor is not None:
                group.append((a, factor))
                break
        else:
            found.append([(a, Fraction(1))])
    return found


@kept
def linear_form(objective: Objective, a: Position) -> tuple[Fraction, ...] | None:
    """grad z_a where it does not depend on theta or on gates, exactly."""
    program, pick = normal_program(objective, a[0])
    if any(isinstance(x, Gate) or x in objective.parameters for x in program.nodes):
        return None
    chosen = np.full(shape_of(pick.axes), Fraction(0), dtype=object)
    chosen.reshape(-1)[a[1]] = Fraction(1)
    found = interpret(program, {**objective.data, pick: chosen}, EXACT)
    return tuple(q for v in found.values() for q in v.flat)
