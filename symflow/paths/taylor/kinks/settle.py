"""How the flow continues from a point where some pre-activations vanish: all combinations of sides are tried."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import product

from gmpy2 import mpz

from symflow.dynamics.sliding import TiedGate, gram_field
from symflow.dynamics.vector_field import VectorField
from symflow.evaluate.blocks.steps import acting
from symflow.evaluate.series import Recurrence
from symflow.networks.objective import Objective
from symflow.paths.taylor.kinks.downstream import downstream_of_several
from symflow.paths.taylor.kinks.first_order import SIDES, FirstOrder, first_order
from symflow.paths.taylor.kinks.gates import Gates, Position, live_positions, value_of, with_values
from symflow.paths.taylor.kinks.minimal_norm import Side, Surfaces, propose, read_surfaces
from symflow.paths.taylor.kinks.region import Corner, Point, Region, Undecided
from symflow.paths.taylor.kinks.try_sides import try_sides
from symflow.programs.program import operation_count

MAX_SIMULTANEOUS = 4
"""Most independent gates at their kink at once whose 3^m combinations are tried."""
LEAST_TRIED = 30_000
"""Scalar products of all combinations from which on those that rates refute are looked for first."""
PARALLEL = 100
"""Normals count as parallel where their Gram determinant is at most this multiple of its rounding noise."""


def settle(base: VectorField, gates: Gates, zeros: Sequence[Position], point: Point) -> Region | Undecided:
    """Decides how the flow continues from a point where some pre-activations vanish.

    Args:
        base: the flow in smooth regions.
        gates: all gate values; those of `zeros` are reconsidered.
        zeros: the gates whose pre-activation vanishes here (sliding ones included).
        point: where.

    Returns:
        The region or stratum beyond the point, or why it cannot be decided.
    """
    objective = base.objective
    cut = with_values(objective, gates, dict.fromkeys(zeros, Fraction(0)))
    recurrence = point.compiled(base, cut)
    if not any(point.values) and _at_rest(recurrence, point):
        return Region(cut, (), recurrence, frozenset(live_positions(recurrence)))
    independent = [a for a in zeros if recurrence.switching[a[0]][a[1]] is not None]
    dependent = _dependent(base, recurrence, cut, zeros, point)
    rates = None if dependent else _rates(base, cut, independent, point)
    ties = _ties(objective, cut, independent, point) if rates is None else _alone(independent)
    if isinstance(ties, Undecided):
        return ties
    corner = Corner(base, cut, ties, dependent, point)
    deeper = downstream_of_several(corner)
    if deeper is not None:
        explanation = "several gates and a deeper one whose input vanishes with them meet at their kinks"
        return Undecided("coincident", deeper, explanation)
    if len(ties) > MAX_SIMULTANEOUS:
        return _settle_many(corner)
    flows = _consistent_flows(corner, rates)
    return flows if isinstance(flows, Undecided) else _only_one(corner, flows, independent, len(zeros))


def _at_rest(recurrence: Recurrence, point: Point) -> bool:
    """Whether the flow stands still at theta = 0: every gradient has a factor that is zero, whatever the gates."""
    recurrence.expand(point.values, 0, 0)
    return len(recurrence.switching) > 1 and not any(recurrence.rates())


def _dependent(
    base: VectorField, recurrence: Recurrence, cut: Gates, zeros: Sequence[Position], point: Point
) -> tuple[Position, ...]:
    """The gates that act with those at their kink, and not without them, as the recurrence with cut gates has it."""
    active = [acting(entries) for entries in recurrence.switching]
    if all(entries.all() for entries in active):
        return ()
    alive = point.compiled(base, with_values(base.objective, cut, dict.fromkeys(zeros, Fraction(1))))
    return tuple(a for a in live_positions(alive) if not active[a[0]][a[1]])


def _ties(
    objective: Objective, cut: Gates, positions: Sequence[Position], point: Point
) -> tuple[TiedGate, ...] | Undecided:
    """Groups gates that vanish on the same surface: their gradients are parallel where they vanish together."""
    if len(positions) < 2:
        return _alone(positions)
    gram = _gram(objective, cut, positions, point)
    groups: list[list[tuple[int, int]]] = []
    for i, a in enumerate(positions):
        if gram[i, i] <= point.noise:
            return Undecided("tangency", a, "the pre-activation vanishes together with its gradient")
        for group in groups:
            first = group[0][0]
            defect = gram[i, i] * gram[first, first] - gram[i, first] ** 2
            # Parallel to what the numbers can tell: the defect of parallel normals is the rounding of its terms.
            if defect <= PARALLEL * point.noise * (gram[i, i] + gram[first, first]):
                if positions[first][0] != a[0]:
                    return Undecided("coincident", a, "gates of two layers reach one kink together")
                group.append((i, 1 if gram[i, first] > 0 else -1))
                break
        else:
            groups.append([(i, 1)])
    return tuple(TiedGate(tuple(positions[i] for i, _ in group), tuple(sign for _, sign in group)) for group in groups)


def _rates(base: VectorField, cut: Gates, positions: Sequence[Position], point: Point) -> FirstOrder | None:
    """The assumptions that rates refute; None where it isn't worth while, or where the gates must be grouped."""
    count = len(positions)
    if not base.slides or not 0 < count <= MAX_SIMULTANEOUS or 3**count * operation_count(base.program) < LEAST_TRIED:
        return None
    found = first_order(base.objective, cut, positions, point)
    return found if found.independent else None


def _alone(positions: Sequence[Position]) -> tuple[TiedGate, ...]:
    """Gates no two of which vanish on the same surface."""
    return tuple(TiedGate((a,), (1,)) for a in positions)


def _gram(objective: Objective, cut: Gates, positions: Sequence[Position], point: Point) -> dict[tuple[int, int], mpz]:
    """<n_i, n_j> for j <= i: the inner products of the gradients of some pre-activations."""
    recurrence = point.compiled(gram_field(objective, tuple(positions)), cut)
    recurrence.expand(point.values[: objective.parameter_count], 0, 0)
    entries = iter(recurrence.monitors)
    return {(i, j): point.series(next(entries))[0] for i in range(len(positions)) for j in range(i + 1)}


def _settle_many(corner: Corner) -> Region | Undecided:
    """More gates than combinations can be tried of: the one that the box problem proposes, if it is consistent."""
    ties = corner.ties
    surfaces = read_surfaces(corner) if corner.base.slides else None
    proposal = None if surfaces is None else propose(surfaces, ties)
    if proposal is None:
        return corner.undecided(f"{len(ties)} independent gates reach their kink at once")
    implied = frozenset(a for tie in proposal.implied for a in tie.members)
    outcome = try_sides(corner, proposal.sides, implied)
    if outcome is None or (isinstance(outcome, Region) and not implied <= outcome.parked):
        return corner.undecided(f"no continuation of {len(ties)} gates at their kink could be verified")
    return outcome


def _consistent_flows(corner: Corner, rates: FirstOrder | None) -> list[list[Region]] | Undecided:
    """The flows that agree with what they assume, each with all regions that describe it.

    Args:
        corner: where.
        rates: what is known of the assumptions to first order, if that is.
    """
    ties = corner.ties
    choices: tuple[Side, ...] = SIDES if corner.base.slides else ("on", "off")
    left = [sides for sides in product(choices, repeat=len(ties)) if rates is None or sides not in rates.refuted]
    mixed = any(0 < sides.count("slide") < len(sides) for sides in left)
    surfaces = read_surfaces(corner) if corner.base.slides and (rates is None or mixed) else None
    to_first_order = surfaces if rates is None and not corner.dependent else None
    flows: list[list[Region]] = []
    for sides in left:
        if len(ties) == 1 and sides == ("slide",) and any(not region.parked for flow in flows for region in flow):
            break  # a surface that the flow can leave does not attract it from both sides
        if to_first_order is not None and to_first_order.contradict(sides):
            continue
        outcome = try_sides(corner, sides, _implied(surfaces if len(ties) > 1 else None, ties, sides))
        if isinstance(outcome, Undecided):
            return outcome
        if outcome is None:
            continue
        same = next((flow for flow in flows if outcome.same_flow(corner.objective, flow[0])), None)
        if same is None:
            flows.append([outcome])
        else:
            same.append(outcome)
    return flows


def _implied(surfaces: Surfaces | None, ties: Sequence[TiedGate], sides: Sequence[Side]) -> frozenset[Position]:
    """The gates assumed on or off that rest on their kink because those that slide do."""
    if surfaces is None:
        return frozenset()
    slides = [i for i, side in enumerate(sides) if side == "slide"]
    return frozenset(a for i in surfaces.implied_by(slides) for a in ties[i].members)


def _only_one(
    corner: Corner, flows: Sequence[Sequence[Region]], independent: Sequence[Position], count: int
) -> Region | Undecided:
    """The flow, if there is exactly one; otherwise why it is not decided, with the number of gates at their kink."""
    if len(flows) == 1:
        # A gate at rest on its kink is held like a sliding one, which watches what could move it, where possible.
        return max(flows[0], key=lambda region: len(region.ties))
    if flows:
        first, second = (
            [value_of(corner.objective, flow[0].gates, a) for a in independent] for flow in (flows[0], flows[1])
        )
        changed = (a for a, x, y in zip(independent, first, second, strict=True) if x != y)
        return Undecided("repelling", next(changed, independent[0]), "the flow can continue in more than one way")
    if not corner.base.slides:
        return Undecided("sliding", independent[0], "the flow slides along the kink")
    return Undecided("coincident", independent[0], f"no continuation of {count} gates at their kink is consistent")
