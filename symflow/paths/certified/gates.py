"""Gates on boxes of states: which pre-activations may vanish there, and whether their faces are convex."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import TypeAlias

import numpy as np

from symflow.dynamics.faces import activations, face_program
from symflow.dynamics.vector_field import VectorField
from symflow.evaluate.interpret import interpret
from symflow.evaluate.rounded import UNIT, Rounded
from symflow.evaluate.running_error import field_boxes, rounded_boxes
from symflow.evaluate.signs import SignArithmetic, Signs, signs_of
from symflow.paths.certified.surfaces import surfaces
from symflow.paths.taylor.kinks.gates import Position
from symflow.paths.taylor.kinks.region import Region
from symflow.programs.nodes import Gate, Node
from symflow.programs.program import Program

MOST_TOGETHER = 3
"""Most surfaces that may meet one box on whose sides gates are tried in turn; of more, gates are intervals."""
Bounds: TypeAlias = list[np.ndarray]
"""One array for each gate node."""


@dataclass(frozen=True, eq=False)
class OnBoxes:
    """Gates on S boxes.

    Attributes:
        low: for each gate node its least values, shape (S, *gate).
        high: its largest values.
        open: for each box the gates whose pre-activation may vanish on it.
        concave: for each box the open gates whose faces there are not known to be convex.
        force: for each box the largest |jump of the gradient| / ||grad z_a|| of each open gate.
    """

    low: list[np.ndarray]
    high: list[np.ndarray]
    open: list[list[Position]]
    concave: list[set[Position]]
    force: list[dict[Position, float]]

    def only(self, box: int) -> OnBoxes:
        """The gates on one box."""
        one = slice(box, box + 1)
        low, high = [v[one] for v in self.low], [v[one] for v in self.high]
        return OnBoxes(low, high, self.open[one], self.concave[one], self.force[one])


def on_boxes(
    field: VectorField, boxes: Rounded, regions: Sequence[Region], certain: frozenset[Position] = frozenset()
) -> OnBoxes:
    """The gates on boxes, each of which lies around a piece of the path in a region.

    Args:
        field: gradient flow, or one without gates.
        boxes: where.
        regions: the gates on the path.
        certain: gates that are known to be those of the region wherever the solution may be on the boxes.
    """
    gates, count = field.gates, len(regions)
    if not gates:
        return OnBoxes([], [], [[] for _ in regions], [set() for _ in regions], [{} for _ in regions])
    low = [_values(g, regions) for g in gates]
    high = [v.copy() for v in low]
    is_open = [np.array([_positions(r.at_zero, i, v.shape[1:]) for r in regions]) for i, v in enumerate(low)]
    program = face_program(field.objective)
    for _ in range(len(gates) + 1):  # a gate is final once those upstream are; the last round sees final ones alone
        _open(gates, low, high, is_open)
        found = rounded_boxes(field, program, boxes, known_gates(gates, low, high))
        before = [v.copy() for v in (*is_open, *low, *high)]
        _decide(field, boxes, regions, found[::2], low, high, is_open)
        for i, entry in certain:
            is_open[i].reshape(count, -1)[:, entry] = False
            for v, given in ((low[i], _values(gates[i], regions)), (high[i], _values(gates[i], regions))):
                v.reshape(count, -1)[:, entry] = given.reshape(count, -1)[:, entry]
        if all((a == b).all() for a, b in zip(before, (*is_open, *low, *high), strict=True)):
            break
    concave: list[set[Position]] = [set() for _ in regions]
    positions: list[list[Position]] = [[] for _ in regions]
    force: list[dict[Position, float]] = [{} for _ in regions]
    for i, (g, b, o) in enumerate(zip(gates, found[1::2], is_open, strict=True)):
        rise = float(g.alpha - g.alpha_bar)
        convex = (np.sign(rise) * b.value - b.error >= 0).reshape(count, -1)
        for box, entry in zip(*np.nonzero(o.reshape(count, -1)), strict=True):
            positions[box].append((i, int(entry)))
            if not convex[box, entry]:
                concave[box].add((i, int(entry)))
            force[box][i, int(entry)] = abs(rise) * float(b.size.reshape(count, -1)[box, entry]) * (1 + 8 * UNIT)
    for box, region in enumerate(regions):
        if concave[box] and len(positions[box]) > 1:
            concave[box] -= _convex_together(field, region, positions[box], [b[box : box + 1] for b in found[1::2]])
    return OnBoxes(low, high, positions, concave, force)


def _convex_together(
    field: VectorField, region: Region, positions: Sequence[Position], coefficients: Sequence[Rounded]
) -> set[Position]:
    """The gates on surfaces whose gates make a convex face together, whatever each of them does.

    Where z_a = c_a z vanish together, the gradient jumps by (alpha - alpha_bar) sum_a |c_a| b_a grad z.
    """
    found: set[Position] = set()
    for group in surfaces(field.objective, region, positions):
        total = lost = 0.0
        for (i, entry), factor in group:
            b, rise = coefficients[i], float(field.gates[i].alpha - field.gates[i].alpha_bar) * abs(float(factor))
            value, error = (float(v.reshape(-1)[entry]) for v in (b.value, b.error))
            total += rise * value - abs(rise) * error
            lost += abs(rise) * (abs(value) + error)
        if len(group) > 1 and total >= 8 * (len(group) + 4) * UNIT * lost:
            found |= {a for a, _ in group}
    return found


def known_gates(gates: Sequence[Gate], low: Sequence[np.ndarray], high: Sequence[np.ndarray]) -> dict[Node, Rounded]:
    """The gates as float64 balls."""
    known: dict[Node, Rounded] = {}
    for g, a, b in zip(gates, low, high, strict=True):
        known[g] = Rounded(a / 2 + b / 2, (b - a) / 2 * (1 + 4 * UNIT) + 2 * UNIT * np.maximum(np.abs(a), np.abs(b)))
    return known


def choices(field: VectorField, found: OnBoxes, regions: Sequence[Region]) -> tuple[np.ndarray, Bounds, Bounds]:
    """All values of the open gates of each box in turn: the box of each row, and the gates' least and largest values.

    Gates that change on one surface change together. Where gates of more than `MOST_TOGETHER` surfaces are open, one
    row with intervals.
    """
    rows: list[int] = []
    fixed: list[tuple[int, Position, bool]] = []
    for box, (positions, region) in enumerate(zip(found.open, regions, strict=True)):
        groups = (
            surfaces(field.objective, region, positions)
            if len(positions) > 1
            else [[(a, Fraction(1))] for a in positions]
        )
        if len(groups) > MOST_TOGETHER:
            rows.append(box)
            continue
        for sides in product((False, True), repeat=len(groups)):
            pairs = ((group, side) for group, side in zip(groups, sides, strict=True))
            fixed += [(len(rows), a, (factor > 0) == side) for group, side in pairs for a, factor in group]
            rows.append(box)
    index = np.array(rows, dtype=int)
    low, high = [v[index] for v in found.low], [v[index] for v in found.high]
    for row, (i, entry), on in fixed:
        g = field.gates[i]
        for v in (low[i], high[i]):
            v.reshape(len(rows), -1)[row, entry] = float(g.alpha if on else g.alpha_bar)
    return index, low, high


def _values(g: Gate, regions: Sequence[Region]) -> np.ndarray:
    """The values of a gate in each region."""
    return np.array([np.asarray(r.gates[g], dtype=np.float64) for r in regions])


def _live(regions: Sequence[Region], gate: int, shape: tuple[int, ...]) -> np.ndarray:
    """Where theta~'s own pre-activations are not zero by structure."""
    rows = [[isinstance(z, list) for z in r.recurrence.switching[gate]] for r in regions]
    return np.array(rows, dtype=bool).reshape(len(regions), *shape)


def _positions(held: frozenset[Position], gate: int, shape: tuple[int, ...]) -> np.ndarray:
    """Where gates of one node are held."""
    found = np.zeros(shape, dtype=bool)
    for i, entry in held:
        if i == gate:
            found.reshape(-1)[entry] = True
    return found


def _open(gates: Sequence[Gate], low: list[np.ndarray], high: list[np.ndarray], is_open: Sequence[np.ndarray]) -> None:
    """Lets open gates take all values between their slopes."""
    for g, a, b, o in zip(gates, low, high, is_open, strict=True):
        ends = sorted((float(g.alpha), float(g.alpha_bar)))
        a[o], b[o] = ends


def _decide(
    field: VectorField,
    boxes: Rounded,
    regions: Sequence[Region],
    found: Sequence[Rounded],
    low: list[np.ndarray],
    high: list[np.ndarray],
    is_open: list[np.ndarray],
) -> None:
    """Opens the gates whose pre-activation may have another sign than the region says; what was open remains so.

    Signs are known from sizes, or by structure: behind a unit that is 0 on one side of its kink, z may be of one sign
    or 0 on the whole box. Where z is 0 its gate does not matter, so that it may have the value of that sign.
    """
    behind = activations(field.objective)
    known: dict[Node, Signs] = {x: signs_of(v) for x, v in field_boxes(field, boxes).items()}
    for i, (g, z) in enumerate(zip(field.gates, found, strict=True)):
        sign = interpret(Program(field.program.inputs, {"z": g.z}), known, SignArithmetic())["z"]
        may = Signs(sign.positive * ~(z.value <= -z.error), sign.negative * ~(z.value >= z.error))
        on, off = float(g.alpha), float(g.alpha_bar)
        given, live = _values(g, regions), _live(regions, i, z.value.shape[1:])
        is_open[i] |= (may.positive > 0) & (may.negative > 0)
        for value, excluded in ((on, may.negative), (off, may.positive)):
            is_open[i] |= live & (excluded == 0) & (given != value)
            settled = ~is_open[i] & (excluded == 0)
            low[i][settled] = high[i][settled] = value
        known[g] = Signs(*(np.ones_like(low[i]) * flag for flag in (max(on, off) > 0, min(on, off) < 0)))
        moves = [may.positive * (on > 0) + may.negative * (off < 0), may.positive * (on < 0) + may.negative * (off > 0)]
        known[behind[g]] = Signs(*((m > 0).astype(float) for m in moves))
