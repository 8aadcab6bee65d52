"""Kinks of (leaky) ReLU flows: which gates are on, when one reaches its kink, and whether the flow crosses it.

A gate opens or closes where its pre-activation z vanishes.  The flow *crosses* when z moves in the same direction
under the fields of both sides; for several zeros at once, under the fields of all combinations of gate values (the
velocities are multi-affine in the gates, so the corners decide).  Everything else -- sliding, repulsion, the revival
of inert gates, tangency -- is reported as a typed stop, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np

from symflow.compile.interpret import interpret
from symflow.compile.objects import EXACT
from symflow.compile.series import Recurrence, SeriesArithmetic, compile_recurrence
from symflow.symbolic.field import VectorField
from symflow.symbolic.nodes import Gate
from symflow.symbolic.program import Program

MAX_SIMULTANEOUS = 6
"""Most gates at their kink at once whose 2^m combinations are tried."""

Gates = Mapping[Gate, np.ndarray]


@dataclass(frozen=True, order=True)
class Kink:
    """One gate: `layer` counted from 1, `unit` and `sample` from 0; `gate` and `entry` locate it in the program."""

    layer: int
    unit: int
    sample: int
    gate: int
    entry: int

    def __str__(self) -> str:
        return f"sample {self.sample}, layer {self.layer}, unit {self.unit}"


@dataclass(frozen=True)
class Undecided:
    """Why a flow stops at a kink."""

    cause: str
    kink: Kink
    explanation: str


def kink_of(field: VectorField, gate: int, entry: int) -> Kink:
    """The kink at a flat position of a gate's pre-activation (axes: unit, sample)."""
    node = field.gates[gate]
    layer = field.objective.gates.index(node) + 1
    samples = int(node.axes[1].size)
    return Kink(layer, entry // samples, entry % samples, gate, entry)


def initial_gates(field: VectorField, theta0: Sequence[Fraction]) -> tuple[dict[Gate, np.ndarray], list[Kink]]:
    """The gates at theta0 in exact arithmetic, and those exactly at their kink there (set to alpha for now)."""
    gates = field.gates
    objective = field.objective
    if not gates:
        return {}, []
    program = Program(objective.program.inputs, {str(i): g.z for i, g in enumerate(gates)})
    flat = np.empty(len(theta0), dtype=object)
    flat[:] = list(theta0)
    values = dict(objective.data)
    for w, (where, shape) in zip(objective.parameters, objective.slices(), strict=True):
        values[w] = flat[where].reshape(shape)
    signs = interpret(program, values, EXACT)
    result: dict[Gate, np.ndarray] = {}
    kinks: list[Kink] = []
    for i, g in enumerate(gates):
        z = signs[str(i)]
        result[g] = EXACT.gate(z, g.alpha, g.alpha_bar)
        kinks += [kink_of(field, i, e) for e, v in enumerate(z.reshape(-1)) if v == 0]
    return result, kinks


def with_gates(field: VectorField, gates: Gates, values: Mapping[Kink, Fraction]) -> dict[Gate, np.ndarray]:
    """The gates with some of them changed."""
    result = {g: a.copy() for g, a in gates.items()}
    for kink, value in values.items():
        result[field.gates[kink.gate]].reshape(-1)[kink.entry] = value
    return result


def inert(recurrence: Recurrence) -> set[tuple[int, int]]:
    """The gates (gate, entry) whose pre-activation is zero by structure: they never act."""
    return {(i, e) for i, entries in enumerate(recurrence.switching) for e, z in enumerate(entries) if z is None}


def velocities(recurrence: Recurrence, values: Sequence[Any], kinks: Sequence[Kink]) -> list[Any]:
    """dz/dt of some pre-activations at a point; None for an inert one."""
    recurrence.expand(values, 1, 0)
    result = []
    for k in kinks:
        z = recurrence.switching[k.gate][k.entry]
        result.append(None if z is None else z[1] if isinstance(z, list) else 0)
    return result


def resolve(
    field: VectorField,
    gates: Gates,
    kinks: Sequence[Kink],
    values: Sequence[Any],
    arithmetic: SeriesArithmetic,
    threshold: int,
) -> dict[Kink, Fraction] | Undecided:
    """Decides the gates of all pre-activations that vanish at a point.

    Args:
        field: the flow.
        gates: all gate values; those of `kinks` are ignored.
        kinks: the pre-activations that vanish here.
        values: the state, fixed point.
        arithmetic: the numbers.
        threshold: velocities up to this size (fixed point) count as undecided.

    Returns:
        The gate values after a transversal crossing, or why it is none.
    """
    if len(kinks) > MAX_SIMULTANEOUS:
        return Undecided("coincident", kinks[0], f"{len(kinks)} gates reach their kink at once")
    sides = [(field.gates[k.gate].alpha, field.gates[k.gate].alpha_bar) for k in kinks]
    seen: list[list[Any]] = []
    for corner in product(*sides):
        trial = with_gates(field, gates, dict(zip(kinks, corner, strict=True)))
        recurrence = compile_recurrence(field, trial, arithmetic)
        seen.append(velocities(recurrence, values, kinks))
    decided: dict[Kink, Fraction] = {}
    for position, kink in enumerate(kinks):
        speeds = [corner[position] for corner in seen]
        on, off = sides[position]
        if any(v is None for v in speeds):
            return Undecided("revival", kink, "an upstream unit dies or revives at the same time")
        if any(abs(v) <= threshold for v in speeds):
            return Undecided("tangency", kink, "the pre-activation vanishes together with its velocity")
        if all(v > 0 for v in speeds):
            decided[kink] = on
        elif all(v < 0 for v in speeds):
            decided[kink] = off
        elif len(kinks) > 1:
            return Undecided("coincident", kink, f"{len(kinks)} gates reach their kink at once and do not all cross")
        elif speeds[0] < 0:
            return Undecided("sliding", kink, "the flow is pushed onto the kink from both sides and slides along it")
        else:
            return Undecided("repelling", kink, "the flow can leave the kink to either side")
    return decided
