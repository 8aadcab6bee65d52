r"""A path next to theta~ that lies exactly where its gates say: on the kinks that are held, off those that are not.

Where all faces are convex, R3 wants a path with a small distance of its slope from -df, the convex hull of the fields
around it. theta~ misses its kinks by rounding: a held pre-activation is not quite 0, one that has just been left may
still have the other sign. So let theta^ = theta~ + N lambda, N the normals of these gates at one point, with

    z(theta^) = z(theta~) + Delta(s),    Delta = -z(theta~) where held, max(0, r - side z~(s)) side elsewhere,

z~ the computed series and r its remainder: then theta^ is on the held faces and nowhere on a wrong side. With the Gram
matrix A = grad z^T N, |A - B| small on the tube and K >= ||A^-1||, the map lambda + B^-1 (z(theta~) + Delta - z(theta~
+ N lambda)) contracts, so lambda exists, ||lambda|| <= K ||Delta||, and

    ||lambda'|| <= K (||Delta'|| + ||grad^2 z|| ||theta^ - theta~|| ||theta~'||).

theta^ has the defect of theta~ and, in addition, ||N lambda'|| + Lip(F) ||N lambda|| + what its gates lie outside their
slopes. Held: grad z is orthogonal to the field by construction, so that |Delta'| <= ||grad z|| times the defect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from symflow.caching import kept
from symflow.dynamics.faces import normal_program
from symflow.dynamics.sliding import TiedGate, sliding_field
from symflow.dynamics.vector_field import VectorField, gradient_flow_field
from symflow.evaluate.rounded import Rounded, length_bound, norm_bound
from symflow.evaluate.running_error import RoundedArithmetic, rounded_boxes
from symflow.networks.objective import Objective
from symflow.paths.certified.gates import OnBoxes, known_gates
from symflow.paths.certified.observed import Step, Watched
from symflow.paths.certified.steepness import Slopes, slopes_of
from symflow.paths.certified.surfaces import linear_form, multiple
from symflow.paths.certified.windows import Part, at, lowest, normals
from symflow.paths.taylor.dense import TaylorSteps
from symflow.paths.taylor.kinks.gates import Position, value_of
from symflow.paths.taylor.kinks.region import Region
from symflow.programs.nodes import Input, Node
from symflow.programs.program import shape_of

UP = 1 + 2.0**-30


@dataclass(frozen=True, eq=False)
class Correction:
    """theta^ - theta~ on a part of a step, in units of the last place.

    Attributes:
        distance: at least ||theta^ - theta~||.
        cost: at least the integral over the part of what is added to the defect, in time.
    """

    distance: float
    cost: float


NONE = Correction(0.0, 0.0)


@dataclass(frozen=True, eq=False)
class _Constraint:
    """One gate's Delta: its size and its variation, in units of the last place."""

    gate: Position
    size: float
    variation: float


def correction(
    field: VectorField,
    steps: TaylorSteps,
    step: Step,
    part: Part,
    end: float,
    box: Rounded,
    on: OnBoxes,
    late: Sequence[Position],
    near: Callable[[], Stratum],
) -> Correction | None:
    """The correction on a part of a step; None where there is none that is known.

    Args:
        field: the flow's.
        steps: the Taylor solution.
        step: what is known of its step.
        part: of the step.
        end: s at the step's end.
        box: the tube around the part, shape (1, P).
        on: the gates there.
        late: open gates that are not held, and whose faces are convex.
        near: what is known of the stratum around the part.
    """
    length = end * float(part.high - part.low) * UP
    wanted: list[_Constraint] = []
    for a in late:
        depth = _depth(field, steps, step, part, a, end)
        if depth is None:
            return None
        if depth:
            wanted.append(_Constraint(a, depth, 2 * depth))
    held = [tie.first for tie in step.region.ties]
    wanted = _independent(field, step.region, held, wanted)
    if not wanted and not held:
        return NONE
    known = known_gates(field.gates, on.low, on.high)
    gates = [*held, *(c.gate for c in wanted)]
    many: dict[Node, Rounded] = {g: v.repeated(len(gates)) for g, v in known.items()}
    found = normals(field, box.repeated(len(gates)), gates, many)
    sizes = norm_bound(found)
    defect, speed = length_bound(step.defect), length_bound(step.speed)
    for a, size in zip(held, sizes, strict=False):
        z = step.pre_activations.get(a)
        if z is None:
            return None
        moved = float(size) * defect * length
        off = abs(at(z.series, steps, steps.segments[part.number], part.low)) + z.remainder + len(z.series) + 4
        wanted.append(_Constraint(a, off + moved, moved))
    order = [*range(len(held), len(sizes)), *range(len(held))]
    rows = Rounded(found.value[order], found.error[order])
    inverse = _inverse_gram(rows)
    if inverse is None:
        return None
    lever = inverse * float(np.linalg.norm(rows.value)) * UP
    distance = lever * length_bound(np.array([c.size for c in wanted]))
    bent = max(_bend(field, box, known, c.gate) for c in wanted) * len(wanted)
    variation = sum(c.variation for c in wanted) + bent * distance * speed * length
    stratum = near()
    shifts = [v * distance for v in stratum.gradients]
    outside = _outside(stratum, steps, step, part, end, sizes[: len(held)], shifts)
    if outside is None:
        return None
    unit = 2.0 ** steps.segments[part.number].tau
    cost = lever * variation + (stratum.steep * distance + outside) * length * unit
    return Correction(distance * UP, cost * UP) if np.isfinite(cost) else None


def unsupported(field: VectorField, step: Step) -> str:
    """Why a step that holds gates on their kinks is not proved; empty where it can be tried."""
    region = step.region
    if region.parked or region.implied:
        return "a pre-activation rests at its kink, and nothing moves it"
    if region.followers:
        return "a gate behind one that is held on its kink takes part in how it is held"
    pairs = ((tie.first, a) for tie in region.ties for a in tie.members[1:])
    if any(multiple(field.objective, region, a, b) is None for a, b in pairs):
        return "gates are held together on a kink that is not known to be one surface"
    return ""


def _independent(
    field: VectorField, region: Region, held: Sequence[Position], wanted: Sequence[_Constraint]
) -> list[_Constraint]:
    """The constraints without those that others imply: of a multiple of a held pre-activation, or of another one."""
    found: list[_Constraint] = []
    for c in wanted:
        first = next((d for d in found if _agree(field, region, d.gate, c.gate)), None)
        if any(multiple(field.objective, region, a, c.gate) is not None for a in held):
            continue
        if first is None:
            found.append(c)
    return found


def _agree(field: VectorField, region: Region, a: Position, b: Position) -> bool:
    """Whether two gates' pre-activations are multiples of each other, and on their right sides at once."""
    factor = multiple(field.objective, region, a, b)
    if factor is None:
        return False
    on = [value_of(field.objective, region.gates, x) == field.gates[x[0]].alpha for x in (a, b)]
    return (factor > 0) == (on[0] == on[1])


def _depth(field: VectorField, steps: TaylorSteps, step: Step, part: Part, a: Position, end: float) -> float | None:
    """At most r - side z~(s) on the part, in units of the last place, where positive; None where it is not known."""
    watched = step.pre_activations.get(a)
    if watched is None:  # z vanishes along theta~ and near it, so that the gate does not matter
        return 0.0
    on = value_of(field.objective, step.region.gates, a) == field.gates[a[0]].alpha
    least = lowest(watched, steps, part, end, 1.0 if on else -1.0)
    return None if least is None else max(watched.remainder + len(watched.series) + 4 - least, 0.0)


def _inverse_gram(rows: Rounded) -> float | None:
    """At least ||A^-1|| for every A = grad z^T N, with N the middle of the normals; None where A may be singular."""
    gram = RoundedArithmetic().einsum("ip,jp->ij", [Rounded(rows.value[None], rows.error[None]), _exact(rows.value)])
    middle, reach = gram.value[0], float(np.sqrt((gram.error[0] ** 2).sum())) * UP
    try:
        inverse = np.linalg.inv(middle)
    except np.linalg.LinAlgError:
        return None
    both = RoundedArithmetic().einsum(
        "ij,jk->ik",
        [Rounded(inverse[None], np.zeros_like(inverse[None])), Rounded(middle[None], np.zeros_like(middle[None]))],
    )
    size = float(np.sqrt((inverse**2).sum())) * UP
    away = float(np.sqrt((np.abs(both.value[0] - np.eye(len(middle))) ** 2).sum() + (both.error[0] ** 2).sum())) * 2
    share = away + size * reach
    return size / (1 - share) * UP if share < 0.5 else None


def _exact(matrix: np.ndarray) -> Rounded:
    return Rounded(matrix[None], np.zeros_like(matrix[None]))


@kept
def _held(objective: Objective, ties: tuple[TiedGate, ...]) -> Slopes:
    """Of the field that holds ties of gates on their kinks; then of its monitors."""
    field = sliding_field(objective, ties) if ties else gradient_flow_field(objective)
    assert field is not None
    return slopes_of(field, list(field.program.outputs.values()), field.program.inputs)


@kept
def _bent(objective: Objective, gate: int) -> tuple[Slopes, Input]:
    """Of the gradient of a pre-activation."""
    program, pick = normal_program(objective, gate)
    outputs = list(program.outputs.values())
    return slopes_of(gradient_flow_field(objective), outputs, program.inputs), pick


def _bend(field: VectorField, box: Rounded, known: Mapping[Node, Rounded], a: Position) -> float:
    """At least ||grad^2 z_a|| on a box."""
    if linear_form(field.objective, a) is not None:
        return 0.0
    slopes, pick = _bent(field.objective, a[0])
    chosen = np.zeros((1, *shape_of(pick.axes)))
    chosen.reshape(-1)[a[1]] = 1.0
    return length_bound(np.array(slopes.norms(box, {**known, pick: Rounded(chosen, np.zeros_like(chosen))})))


def _own_gates(field: VectorField, region: Region) -> dict[Node, Rounded]:
    """The gates of a region; those that slide are cut."""
    values = {g: np.asarray(region.gates[g], dtype=np.float64)[None] for g in field.gates}
    return {g: Rounded(v, 2.0**-53 * np.abs(v)) for g, v in values.items()}


@dataclass(frozen=True, eq=False)
class Stratum:
    """The field that is followed, on a box, and its monitors.

    Attributes:
        steep: at least the norm of its Jacobian.
        gradients: at least the norm of the gradient of each monitor.
        positive: whether each monitor is positive on the whole box.
    """

    steep: float
    gradients: tuple[float, ...]
    positive: tuple[bool, ...]

    @property
    def known(self) -> bool:
        """Whether the bounds are finite."""
        return bool(np.isfinite([self.steep, *self.gradients]).all())


def stratum_on(field: VectorField, region: Region, box: Rounded) -> Stratum:
    """What is known of the field in a region, and of its monitors, on a box of shape (1, P)."""
    flowing, known, states = _held(field.objective, region.ties), _own_gates(field, region), len(field.state)
    norms = flowing.norms(box, known)
    monitors = rounded_boxes(flowing.field, flowing.field.program, box, known)[states:] if region.ties else []
    positive = tuple(bool((m.value - m.error).min() > 0) for m in monitors)
    return Stratum(length_bound(np.array(norms[:states])), tuple(norms[states:]), positive)


def _outside(
    stratum: Stratum,
    steps: TaylorSteps,
    step: Step,
    part: Part,
    end: float,
    sizes: np.ndarray,
    moved: Sequence[float],
) -> float | None:
    """By how much the gates that slide lie outside their slopes on theta^, as a vector; None where it is not known.

    Args:
        stratum: the field that holds them, with its monitors.
        steps: the Taylor solution.
        step: what is known of its step.
        part: of the step.
        end: s at the step's end.
        sizes: at least ||grad z_a|| of each.
        moved: at most how far each monitor is on theta^ from what it is on theta~, in units of the last place.
    """
    total = 0.0
    for number, positive in enumerate(stratum.positive):
        if positive:
            continue
        monitor = step.monitors[number]
        if not isinstance(monitor, Watched):  # by structure the same everywhere
            if monitor is not None and monitor < 0:
                return None
            continue
        least = lowest(monitor, steps, part, end, 1.0)
        if least is None:
            return None
        rounding = monitor.remainder + len(monitor.series) + 4
        total += float(sizes[number // 2]) * max(rounding + moved[number] - least, 0.0)
    return total
