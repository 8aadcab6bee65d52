"""The end of a step on the surface of held gates, with gates that agree, and without those that let go."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symflow.paths.float64.gated.crossings import Crossing, begun
from symflow.paths.float64.gated.frozen import Frozen
from symflow.paths.float64.gated.held import Gone, Place, companion, forces, let_go, with_value
from symflow.paths.float64.gated.point import Point, agreeing


def settled(
    frozen: Frozen, point: Point, wrong: bool, h: float, jumps: Sequence[Crossing] = ()
) -> tuple[Point, tuple[tuple[Gone, float], ...], int, Place | None]:
    """The end of a step of size h from what its walks led to, gates that let go and since when, gradients, a companion.

    A gate that let go within the step was held too long: what that did is taken back, its value linear in time. Where
    gates change at the end, or begin to be held, values jump there (`jumps`): gates that let go before are known
    without the changes, and those that let go because of them do so at the end.

    Args:
        frozen: what is compiled.
        point: the end, not yet on the surface of its held gates.
        wrong: whether gates disagree with their pre-activations.
        h: the step size.
        jumps: kinks at the end of the step.
    """
    if not point.held:
        found, count = agreeing(frozen, point.theta, point.gates, ()) if wrong else (point, 0)
        return found, (), count, None
    at = forces(frozen, point.theta, point.gates, point.held)
    same = companion(frozen, at, point.gates, point.held)
    found, count = agreeing(frozen, at.theta, point.gates, point.held, (at.slope, at.z))
    held, left = point.held, []
    if jumps:
        new, gates = begun(frozen, jumps), found.gates.copy()
        for c in jumps:
            gates[c.place.unit, c.place.sample] = c.before
        gone: tuple[Gone, ...] = ()
        held = tuple(place for place in held if place not in new)
        if held:
            held, _, _, gone = let_go(frozen, forces(frozen, at.theta, gates, held), gates, held)
            count += 1
        held += new
        left = [(g, g.since(float(point.gates[g.place.unit, g.place.sample]), h)) for g in gone]
        gates = found.gates.copy()
        for g in gone:
            with_value(frozen, gates, g.place, g.bound)
        found, more = agreeing(frozen, at.theta, gates, held, gone=tuple(g.place for g in gone))
        count += more
    if held and (jumps or not np.array_equal(found.gates, point.gates)):
        at = forces(frozen, at.theta, found.gates, held)
    held, slope, gates, gone = let_go(frozen, at._replace(slope=found.slope), found.gates, held)
    if not gone and not left:
        return Point(at.theta, slope, found.z, gates, held), (), count, same
    for g in gone:
        left.append((g, 0.0 if jumps else g.since(float(point.gates[g.place.unit, g.place.sample]), h)))
    theta = at.theta + sum(since / 2 * g.beyond * g.pull for g, since in left)
    found, more = agreeing(frozen, theta, gates, held, gone=tuple(g.place for g, _ in left))
    return found, tuple(left), count + more, same
