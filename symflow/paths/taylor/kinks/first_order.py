"""Assumptions about gates at their kinks that their rates contradict, in float64 with bounds on all errors.

What every side of every gate does to the flow is evaluated at once, as balls. A pre-activation that moves to the other
side, or a sliding gate beyond one of its slopes, refutes an assumption: few remain to be tried with all digits. Gates
whose normals are independent by their Gram matrix need not be grouped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

import numpy as np

from symflow.dynamics.sliding import corner_field
from symflow.evaluate.rounded import UNIT, Rounded, rounded_input
from symflow.evaluate.running_error import RoundedArithmetic, evaluated, field_boxes
from symflow.networks.objective import Objective
from symflow.numbers.fixed_point import to_float
from symflow.paths.taylor.kinks.gates import Gates, Position, slope
from symflow.paths.taylor.kinks.minimal_norm import Side
from symflow.paths.taylor.kinks.region import Point
from symflow.programs.nodes import Node
from symflow.programs.program import Program, operation_count

ARITHMETIC = RoundedArithmetic()
SIDES: tuple[Side, ...] = ("on", "off", "slide")
TOGETHER = 5_000_000
"""Scalar products that are evaluated at once."""
CLEAR = 1001
"""What is larger than this multiple of the noise counts with all digits too (`is_definite`)."""


@dataclass(frozen=True)
class FirstOrder:
    """What is known of gates at their kinks.

    Attributes:
        independent: whether all normals are proved to be pairwise independent.
        refuted: the assumptions, a side for each gate, that are proved to be wrong.
    """

    independent: bool
    refuted: frozenset[tuple[Side, ...]]


def first_order(objective: Objective, cut: Gates, positions: Sequence[Position], point: Point) -> FirstOrder:
    """The assumptions about gates that their rates refute.

    Args:
        objective: whose gradient flow it is.
        cut: all gate values, 0 for those at their kink.
        positions: the gates at their kink; no other one changes with them.
        point: where.
    """
    assumptions = list(product(SIDES, repeat=len(positions)))
    with np.errstate(all="ignore"):
        return _judged(
            objective, positions, point, assumptions, _monitors(objective, cut, positions, point, assumptions)
        )


def _judged(
    objective: Objective,
    positions: Sequence[Position],
    point: Point,
    assumptions: Sequence[tuple[Side, ...]],
    found: Sequence[Rounded],
) -> FirstOrder:
    """What the monitors say of the assumptions."""
    noise = CLEAR * to_float(point.noise, point.arithmetic.bits) * (1 + 2.0**-40)
    step = 2.0 ** min(1000, max(-1000, point.tau))  # with all digits, rates are those in s = t / 2^tau
    wrong = np.zeros(len(assumptions), dtype=bool)
    for i, a in enumerate(positions):
        rate, share, brought = found[3 * i : 3 * i + 3]
        side = np.array([sides[i] for sides in assumptions])
        moved, sure = rate.value * step, rate.error * step * (1 + 4 * UNIT) + noise
        wrong |= (side == "on") & (moved < -sure) | (side == "off") & (moved > sure)
        for sign, on in ((1, False), (-1, True)):  # p - p_off and p_on - p
            q = slope(objective, a, on)
            distance = ARITHMETIC.combine([Fraction(sign), -sign * q], [share, brought])
            wrong |= (side == "slide") & (distance.value < -(distance.error + noise))
    gram = found[3 * len(positions) :]
    alone = next(row for row, sides in enumerate(assumptions) if set(sides) == {"slide"})
    independent = _independent([k[alone : alone + 1] for k in gram], noise)
    return FirstOrder(independent, frozenset(a for a, no in zip(assumptions, wrong.tolist(), strict=True) if no))


def _monitors(
    objective: Objective, cut: Gates, positions: Sequence[Position], point: Point, assumptions: Sequence[Sequence[Side]]
) -> list[Rounded]:
    """The monitors of `corner_field`, a row for each assumption."""
    field = corner_field(objective, tuple(positions))
    names = list(field.program.outputs)[len(objective.parameters) :]
    program = Program(field.program.inputs, {name: field.program.outputs[name] for name in names})
    bits = point.arithmetic.bits
    state = np.array([[to_float(v, bits) for v in point.values[: objective.parameter_count]]])
    given = rounded_input(state)
    inputs = field_boxes(field, Rounded(given.value, given.error + 2.0 ** -min(bits, 1000)))
    masks = {x: i for i in range(len(positions)) for x in field.program.inputs if x.name == f"held_{i}"}
    parts = []
    run = max(1, TOGETHER // max(1, operation_count(program)))
    for start in range(0, len(assumptions), run):
        part = assumptions[start : start + run]
        known: dict[Node, Rounded] = dict(_gates(objective, cut, positions, part))
        for x, i in masks.items():
            slides = np.array([float(sides[i] == "slide") for sides in part])
            known[x] = Rounded(slides, np.zeros_like(slides))
        found = evaluated(program, {**inputs, **known}, ARITHMETIC)
        parts.append([_rows(found[name], len(part)) for name in names])
    return [
        Rounded(*(np.concatenate(v) for v in zip(*((x.value, x.error) for x in column), strict=True)))
        for column in zip(*parts, strict=True)
    ]


def _rows(x: Rounded, count: int) -> Rounded:
    """Scalars, one for each of the batch."""
    value, error = (np.broadcast_to(v.reshape(-1), (count,)) for v in (x.value, x.error))
    return Rounded(value, error)


def _gates(
    objective: Objective, cut: Gates, positions: Sequence[Position], assumptions: Sequence[Sequence[Side]]
) -> dict[Node, Rounded]:
    """The values of all gates, a row for each assumption; the arrays that none of them changes have one row."""
    known: dict[Node, Rounded] = {}
    for i, gate in enumerate(objective.gates):
        mine = [(k, entry) for k, (g, entry) in enumerate(positions) if g == i]
        exact = cut[gate].astype(np.float64)
        rows = np.repeat(exact[None], len(assumptions) if mine else 1, axis=0)
        flat = rows.reshape(len(rows), -1)
        for k, entry in mine:
            slopes = {"on": gate.alpha, "off": gate.alpha_bar, "slide": Fraction(0)}
            flat[:, entry] = [float(slopes[sides[k]]) for sides in assumptions]
        known[gate] = Rounded(rows, UNIT * np.abs(rows))
    return known


def _independent(gram: Sequence[Rounded], noise: float) -> bool:
    """Whether all pairs of normals are proved not to be parallel, and none to be zero."""
    entries = iter(gram)
    rows: list[list[Rounded]] = []
    while (k := next(entries, None)) is not None:
        rows.append([k, *(next(entries) for _ in range(len(rows)))])
    for i, row in enumerate(rows):
        if not row[i].value[0] - row[i].error[0] > noise:
            return False
        for j in range(i):
            a, b, both = row[i], rows[j][j], row[j]
            lengths = ARITHMETIC.einsum(",->", [a, b])
            defect = ARITHMETIC.combine([Fraction(1), Fraction(-1)], [lengths, ARITHMETIC.einsum(",->", [both, both])])
            if not defect.value[0] - defect.error[0] > noise * (a.size[0] + b.size[0]):
                return False
    return True
