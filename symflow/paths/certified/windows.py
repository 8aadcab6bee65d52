r"""Pre-activations along theta~, and kinks that are crossed in one direction.

Where a face is not convex, theta may be on another side of it than theta~ is, near theta~'s switch. If the slope of z
along *every* solution on the tube has one strict sign, theta crosses once, and is on another side than the gate of the
step says for no longer than (z of theta~ at that end + ||grad z|| e) / (the least slope), e the error when that begins.
R3 holds for theta' = G(t, theta), G switched when theta is: the gap is a defect (R23), the difference of two fields
whose gates a differ. With F_g the field with the slope g at a, dF_g/dg = -grad (b z), so that

    ||F_alpha - F_alpha_bar|| <= |alpha - alpha_bar| sup (|b| ||grad z|| + |z| ||grad b||).

Several kinks in one window: what the gap of one adds to e widens the gaps of those that are met later (`cost`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import inf, isnan, ldexp
from sys import float_info
from typing import TypeAlias

import numpy as np
from flint import arb

from symflow.caching import kept
from symflow.dynamics.faces import face_program, normal_program
from symflow.dynamics.vector_field import VectorField, gradient_flow_field
from symflow.evaluate.fixed_point import FixedSeries
from symflow.evaluate.products import Coefficients
from symflow.evaluate.rounded import Rounded, flattened, norm_bound
from symflow.evaluate.running_error import RoundedArithmetic, rounded_boxes
from symflow.networks.objective import Objective
from symflow.numbers.balls import Ball, ball
from symflow.numbers.fixed_point import to_float
from symflow.paths.certified.boxes import on_parts, scaled_floats, slopes
from symflow.paths.certified.gates import OnBoxes, choices, known_gates
from symflow.paths.certified.observed import Step, Watched
from symflow.paths.certified.steepness import Slopes, slopes_of
from symflow.paths.taylor.dense import Segment, TaylorSteps
from symflow.paths.taylor.kinks.gates import Position, value_of
from symflow.paths.taylor.kinks.region import Region
from symflow.programs.nodes import Node
from symflow.programs.program import shape_of
from symflow.theory.functions import BALLS


@dataclass(frozen=True, eq=False)
class Part:
    """A part of a Taylor step.

    Attributes:
        number: of the step.
        low: where it begins, as a share of the step.
        high: where it ends.
    """

    number: int
    low: Fraction
    high: Fraction


def lowest(watched: Watched, steps: TaylorSteps, part: Part, end: float, side: float) -> float | None:
    """At most side z~ on a part of a step, in units of the last place; None where nothing is known.

    Either z~ is away from 0, or monotone, or side z~ is convex: then its least value is at least that of the tangent
    where the part begins, less (slope)^2 / (2 z~'').
    """
    segment, bits = steps.segments[part.number], steps.bits
    z = on_part(watched, 0, part, end, bits)
    away = side * z[0] - z[1]
    if away > 0:
        return _in_ulps(away, bits)
    slope = on_part(watched, 1, part, end, bits)
    if abs(slope[0]) > slope[1]:
        return side * at(watched.series, steps, segment, part.low if side * slope[0] > 0 else part.high)
    bend = on_part(watched, 2, part, end, bits)
    least = side * bend[0] - bend[1]
    if not least > 0:
        return None
    derivative = [k * c for k, c in enumerate(watched.series)][1:]
    rounding = len(watched.series) + 4
    falls = max((rounding - side * at(derivative, steps, segment, part.low)) * end * (1 + 2.0**-40), 0.0)
    found = side * at(watched.series, steps, segment, part.low) - falls * ldexp(falls, -min(bits, 1000)) / (2 * least)
    return None if isnan(found) else found


def _in_ulps(value: float, bits: int) -> float:
    """At most a positive number in units of the last place."""
    try:
        return ldexp(value, bits)
    except OverflowError:
        return float_info.max


@dataclass(frozen=True, eq=False)
class Crossing:
    """A kink that is crossed in one direction, on a part of a step.

    Attributes:
        offset: how far theta~ is beyond the kink at the end of the part where it may be, in units of the last place;
            negative where it is not.
        normal: at least ||grad z||.
        slope: at most |z'| along any solution, per unit of time.
        difference: at least the distance of the fields on both sides.
    """

    offset: float
    normal: float
    slope: float
    difference: float


def crossing(
    field: VectorField, steps: TaylorSteps, step: Step, part: Part, a: Position, end: float, box: Rounded, on: OnBoxes
) -> Crossing | None:
    """A crossing of an open gate's kink; None where z has not one direction on the tube.

    Args:
        field: the flow's.
        steps: the Taylor solution.
        step: what is known of its step.
        part: of the step.
        a: the gate.
        end: s at the step's end.
        box: the tube around the part, shape (1, P).
        on: the gates there.
    """
    watched = step.pre_activations.get(a)
    if watched is None:
        return None
    slope = on_part(watched, 1, part, end, steps.bits)
    rising = slope[0] > 0
    own = (abs(slope[0]) - slope[1]) / end * 2.0 ** -steps.segments[part.number].tau
    rates = directions(field, box, a, on, step.region) if own > 0 else Rounded(np.zeros(1), np.ones(1))
    least = min(own, float(((rates.value if rising else -rates.value) - rates.error).min()))
    if not least > 0:
        return None
    positive = value_of(field.objective, step.region.gates, a) == field.gates[a[0]].alpha
    value = at(watched.series, steps, steps.segments[part.number], part.low if positive == rising else part.high)
    known = known_gates(field.gates, on.low, on.high)
    normal = float(norm_bound(normals(field, box, [a], known))[0])
    offset = (-value if positive else value) + 2 * watched.remainder + len(watched.series) + 4
    return Crossing(offset, normal, least * (1 - 2.0**-30), _difference(field, box, a, on, known, normal))


def _difference(
    field: VectorField, box: Rounded, a: Position, on: OnBoxes, known: Mapping[Node, Rounded], normal: float
) -> float:
    """At least the distance of the fields on both sides of a gate's kink, wherever on the box."""
    gate = field.gates[a[0]]
    z = rounded_boxes(field, face_program(field.objective), box, known)[2 * a[0]]
    beside = float(z.size.reshape(-1)[a[1]]) * _bends(field.objective, a[0]).norms(box, known)[0]
    return (on.force[0][a] * normal + abs(float(gate.alpha - gate.alpha_bar)) * beside) * (1 + 2.0**-30)


@kept
def _bends(objective: Objective, gate: int) -> Slopes:
    """Of the back-propagated coefficients of a gate."""
    program = face_program(objective)
    return slopes_of(gradient_flow_field(objective), [program.outputs[f"b_{gate}"]], program.inputs)


def cost(met: Sequence[Crossing], unit: Ball, error: Ball, aside: Ball, growth: Ball) -> Ball:
    """At least what some kinks in one window add to the error at its end.

    With the error u when a gap begins, it adds growth d (o + n (u + aside)) / v, or nothing where that is negative: a
    map u -> (1 + a) u + b with a = growth d n / v. In whatever order some of them are applied, the result is at most

        prod (1 + a) u + sum_k b_k prod_{j != k} (1 + a_j),

    and kinks that are out of reach of that are not met.

    Args:
        met: the kinks.
        unit: of the last place.
        error: at least what it is in the window without them.
        aside: at least how far the path that the error is of is from theta~.
        growth: at least that of errors in the window.
    """
    reached: list[Crossing] = []
    total = error
    while True:
        more = [c for c in met if c not in reached and not arb(c.offset) * unit + arb(c.normal) * (total + aside) <= 0]
        if not more:
            return total - error
        reached += more
        total, factor = ball(0), ball(1)
        for c in reached:
            steep = growth * arb(c.difference) / arb(c.slope)
            own = steep * (BALLS.maximum(arb(c.offset) * unit, ball(0)) + arb(c.normal) * aside)
            total, factor = total * (1 + steep * arb(c.normal)) + own * factor, factor * (1 + steep * arb(c.normal))
        total += factor * error


def directions(field: VectorField, box: Rounded, a: Position, on: OnBoxes, region: Region) -> Rounded:
    """grad z_a times the field on a box, for all values that its open gates may have."""
    rows, low, high = choices(field, on, [region])
    if any(gate < a[0] for gate, _ in on.open[0]):  # z itself depends on them, and not by the side of the field alone
        rows, low, high = np.zeros(1, dtype=int), on.low, on.high
    known = known_gates(field.gates, low, high)
    many = box.repeated(len(rows))
    speed = flattened(rounded_boxes(field, field.program, many, known)[: len(field.state)])
    return RoundedArithmetic().einsum("i,i->", [normals(field, many, [a] * len(rows), known), speed])


Range: TypeAlias = tuple[float, float]
"""Middle and reach."""


def on_part(watched: Watched, derivative: int, part: Part, end: float, bits: int) -> Range:
    """A computed series, or its first or second derivative in u, on a part of the step."""
    series = _derivatives(watched, end, bits)[derivative]
    found = on_parts(series, np.array([float(part.low)]), np.array([float(part.high)]))
    return found.value.item(), found.error.item()


@kept
def _derivatives(watched: Watched, end: float, bits: int) -> tuple[Rounded, Rounded, Rounded]:
    """A series in u, and its first two derivatives: it is looked at on many parts."""
    floats = scaled_floats([watched.series], end, bits)
    first = slopes(floats)
    return floats, first, slopes(first)


def at(series: Coefficients, steps: TaylorSteps, segment: Segment, share: Fraction) -> float:
    """A series at a share of its step, in units of the last place."""
    length = (segment.end - segment.start) >> (segment.tau + steps.clock - steps.bits)
    s = (length * share.numerator) // share.denominator
    return to_float(FixedSeries(steps.bits).horner(series, s), 0)


def normals(
    field: VectorField, boxes: Rounded, positions: Sequence[Position], known: Mapping[Node, Rounded]
) -> Rounded:
    """grad z_a on boxes, one gate of each box, shape (S, P); `known` holds the gates there."""
    value = np.zeros((len(positions), field.dimension))
    error = np.full_like(value, inf)
    for i, g in enumerate(field.gates):
        rows = [k for k, a in enumerate(positions) if a[0] == i]
        if not rows:
            continue
        program, pick = normal_program(field.objective, i)
        shape = shape_of(g.z.axes)
        chosen = np.zeros((len(rows), *shape))
        for row, k in enumerate(rows):
            chosen[row].reshape(-1)[positions[k][1]] = 1.0
        there = {x: v[rows] for x, v in known.items()}
        there[pick] = Rounded(chosen, np.zeros_like(chosen))
        normal = flattened(rounded_boxes(field, program, boxes[rows], there))
        value[rows], error[rows] = normal.value, normal.error
    return Rounded(value, error)
