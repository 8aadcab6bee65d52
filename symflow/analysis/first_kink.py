"""How far flow and descent lie in one smooth region."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import mpmath
import numpy as np

from symflow.analysis.bounds import before_kinks
from symflow.evaluate.derived_batches import evaluate_batch
from symflow.evaluate.interpret import interpret
from symflow.evaluate.object_arrays import mpmath_arithmetic
from symflow.networks.objective import Objective
from symflow.paths.float64.kinks import pre_activations
from symflow.paths.trajectory import Trajectory
from symflow.programs.program import Program


def _gate_patterns(objective: Objective, points: np.ndarray, dps: int | None) -> list[tuple[bool, ...]]:
    """Which pre-activations are nonnegative at each point, in multiprecision, or in float64 (dps None)."""
    if not objective.gates or not len(points):
        return [()] * len(points)
    if dps is None:
        found = evaluate_batch(objective, pre_activations, points.astype(np.float64)) >= 0
        return [tuple(row) for row in found.reshape(len(points), -1).tolist()]
    program = Program(objective.program.inputs, {str(i): g.z for i, g in enumerate(objective.gates)})
    patterns = []
    with mpmath.workdps(dps + 15):
        arithmetic = mpmath_arithmetic()
        lift = np.frompyfunc(arithmetic.lift, 1, 1)
        values = {x: np.asarray(lift(a), dtype=object) for x, a in objective.data.items()}
        for point in points:
            theta = np.array([mpmath.mpf(v) for v in point], dtype=object)
            z = interpret(program, values | objective.cut(theta), arithmetic)
            patterns.append(tuple(bool(v >= 0) for a in z.values() for v in a.reshape(-1)))
    return patterns


def first_kink(
    objective: Objective,
    times: Sequence[Fraction],
    flow: Trajectory,
    states: np.ndarray,
    iterates: np.ndarray,
    dps: int | None,
) -> tuple[int, str | None]:
    """How many of the samples lie, flow and descent, in the first smooth region, and why the others do not."""
    if not objective.gates:
        return len(times), None
    smooth, reason = before_kinks(flow, times)
    here = _gate_patterns(objective, states[:smooth], dps)
    there = _gate_patterns(objective, iterates[:smooth], dps)
    for i, (a, b) in enumerate(zip(here, there, strict=True)):
        if a != b:
            return i, f"descent and flow lie on different sides of a kink at t = {float(times[i]):.6g}"
    return smooth, reason
