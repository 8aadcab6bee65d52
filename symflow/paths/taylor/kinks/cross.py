"""The common kink: one gate alone, reached with a definite slope, and left on the other side."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from symflow.dynamics.sliding import sliding_field
from symflow.dynamics.vector_field import VectorField
from symflow.evaluate.blocks.steps import acting
from symflow.evaluate.series import Recurrence
from symflow.paths.taylor.kinks.gates import Position, separate, slope, value_of, with_values
from symflow.paths.taylor.kinks.region import Point, Region, is_definite


def cross(base: VectorField, before: Region, a: Position, point: Point, order: int) -> Region | None:
    """The region beyond a kink, where the flow crosses it; None where all sides must be tried (`settle`).

    With the gate as it was, the pre-activation moves to the other side: that slope is definite where it is called. So
    the flow cannot remain on this side, and if with the other value it moves away from the kink, it does so and does
    not slide: the surface does not attract from there.

    Gates that slide, definitely between their slopes with both values of this one, continue to, if all are `separate`.
    Then c, the normals and the ends of p do not depend on this gate's value, whose share of the velocity is -p_a n_a.
    For any p_a the box problem of `minimal_norm` for the sliding gates has one solution, since their Gram matrix is
    positive definite. It is affine in p_a while it lies between their slopes, as it does for both values of the gate,
    and so for those between. With it the slope of z_a is affine in p_a too and has one sign for both values: the gate
    does not slide. Other gates are decided by `settle`: those that vanish at the same time, are held in another layer
    of a sample, or act only together with this one.

    Args:
        base: the flow in smooth regions.
        before: the region that ends.
        a: the gate, which alone comes to its kink.
        point: where.
        order: of the expansion beyond.
    """
    objective = base.objective
    if not separate(objective, (a, *before.sliding)):
        return None
    flow = sliding_field(objective, before.ties, before.followers) if before.ties else base
    if flow is None:
        return None
    gate = objective.gates[a[0]]
    on = value_of(objective, before.gates, a) == gate.alpha
    gates = with_values(objective, before.gates, {a: slope(objective, a, not on)})
    recurrence = point.compiled(flow, gates)
    others = [recurrence]
    if gate.alpha and gate.alpha_bar:
        others.append(point.compiled(flow, with_values(objective, before.gates, {a: Fraction(0)})))
    if not all(_same(r, before.recurrence) for r in others):
        return None
    recurrence.expand(point.values, order, point.tau)
    z = recurrence.switching[a[0]][a[1]]
    assert isinstance(z, list)  # it acts before, and so it does now
    recurrence.read([z])
    if point.leading(z, 1) != 1 or (z[1] > 0) == on:
        return None
    firsts = [point.series(m)[0] for m in recurrence.monitors[: 2 * len(before.ties)]]
    if any(m < 0 or not is_definite(m, point.noise) for m in firsts):
        return None
    return Region(gates, before.ties, recurrence, resting={a: 1})


def _same(one: Recurrence, other: Recurrence) -> bool:
    """Whether the same pre-activations are zero by structure."""
    pairs = zip(one.switching, other.switching, strict=True)
    return all(np.array_equal(acting(a), acting(b)) for a, b in pairs)
