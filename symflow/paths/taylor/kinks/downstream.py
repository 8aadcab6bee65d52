"""Deeper gates whose input vanishes together with gates at their kink: on which side they are beyond it."""

from __future__ import annotations

from fractions import Fraction

from symflow.dynamics.sliding import TiedGate, gram_field
from symflow.paths.taylor.kinks.gates import Gates, Position, kink_at, slope, with_values
from symflow.paths.taylor.kinks.region import Corner, Undecided


def downstream_of_several(corner: Corner) -> Position | None:
    """A gate downstream of several independent ones of its sample: it could slide too, but that is not tried."""
    objective = corner.objective
    meeting = [{kink_at(objective, a).sample for a in tie.members} for tie in corner.ties]
    for a in corner.dependent:
        if sum(kink_at(objective, a).sample in samples for samples in meeting) > 1:
            return a
    return None


def downstream_sides(corner: Corner, gates: Gates, tie: TiedGate, on: bool) -> dict[Position, Fraction]:
    """The gates downstream of a tie that stands on one side: their z moves with the tie's where <grad z, n> > 0."""
    base, objective, point = corner.base, corner.objective, corner.point
    samples = {kink_at(objective, a).sample for a in tie.members}
    found: dict[Position, Fraction] = {}
    for layer in sorted({gate for gate, _ in corner.dependent}):
        alive = with_values(objective, gates, found)
        switching = point.compiled(base, alive).switching[layer]
        for a in corner.dependent:
            if a[0] != layer or kink_at(objective, a).sample not in samples or not isinstance(switching[a[1]], list):
                continue
            recurrence = point.compiled(gram_field(objective, (tie.first, a)), alive)
            recurrence.expand(point.values[: objective.parameter_count], 0, 0)
            entry = recurrence.monitors[1]
            along = entry[0] if isinstance(entry, list) else entry or 0
            found[a] = slope(objective, a, (along >= 0) == on)
    return found


def followers(corner: Corner, gates: Gates, tie: TiedGate) -> dict[Position, Fraction] | Undecided:
    """The gates that act only next to a sliding tie: where they stand then (the tie's b depends on them)."""
    objective = corner.objective
    result: dict[Position, Fraction] = {}
    for on in (True, False):
        aside = {a: slope(objective, a, (sign > 0) == on) for a, sign in zip(tie.members, tie.signs, strict=True)}
        found = downstream_sides(corner, with_values(objective, gates, aside), tie, on)
        for a in found:
            if objective.gates[a[0]].alpha_bar != 0:
                return Undecided("coincident", a, "a leaky gate slides together with the one upstream of it")
            if a in result:
                return Undecided("coincident", a, "a gate slides together with those upstream of it on both sides")
        result |= found
    return result
