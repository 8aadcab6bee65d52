r"""How far solutions from a box stray from the affine image of the box: one cell of time.

Solutions are written x = x~ + Phi (C r + B v), with the initial box r in [-1, 1]^P, x~ and Phi the computed centre and
first variation, C and B fixed matrices. With y = x - x~, Taylor's formula and the defects d of x~ and R of Phi,

    v' = (Phi B)^-1 (1/2 D^2 G(xi) [y, y] - R (C r + B v) - d),    xi between x~ and x:

what is of first order in r cancels, so that v gathers the terms of second order alone. On a cell of length h, if v = v_0
at first and f contains the right-hand side for all v in V, and v_0 + [0, h] f lies inside V, then v stays in V: up to
the first time at which it would leave V, v is v_0 plus an integral of values in f. At the end v is in v_0 + h f.
(Picard and Lindelöf; Lohner 1988 for moving frames.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from flint import arb

from symflow.dynamics.variational import SecondDerivatives
from symflow.evaluate.balls import ball_arithmetic
from symflow.evaluate.interpret import interpret
from symflow.numbers.balls import Ball, ball
from symflow.paths.boxes.course import Step
from symflow.paths.boxes.matrices import UNIT_INTERVAL, inverse, lifted, vector

ATTEMPTS = 6
WIDER = "0.05"
"""How much wider than needed the tube is tried, as a part of its radius."""


@dataclass(frozen=True)
class Frame:
    """The matrices C and B, exact, of x = x~ + Phi (C r + B v)."""

    box: np.ndarray
    rest: np.ndarray


def spread(matrix: np.ndarray, v: np.ndarray | None = None) -> np.ndarray:
    """matrix times v, or times all of [-1, 1]^P."""
    return np.asarray(matrix.dot(vector([UNIT_INTERVAL] * matrix.shape[1]) if v is None else v))


def advance(
    second: SecondDerivatives, step: Step, frame: Frame, low: Fraction, high: Fraction, v: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Where v is during the cell [low, high] of a step, and at its end; None where that cannot be shown.

    Args:
        second: D^2 G.
        step: its centre and variation.
        frame: C and B.
        low: where the cell begins, in the variable of the step.
        high: where it ends.
        v: where v is at first.
    """
    length = ball(high - low)
    try:
        slope = _slope(second, step, frame, low, high)
    except ZeroDivisionError:
        return None
    whole = length.union(arb(0))
    wider = arb(0, arb(WIDER).upper())
    found = slope(v)
    for _ in range(ATTEMPTS):
        needed = v + whole * found
        tube = vector([x + x.rad() * wider + wider * length * step.unit / (1 << step.bits) for x in needed])
        if not all(x.is_finite() for x in tube):
            return None
        found = slope(tube)
        if all(t.contains_interior(x) for t, x in zip(tube, v + whole * found, strict=True)):
            return tube, v + length * found
    return None


def _slope(
    second: SecondDerivatives, step: Step, frame: Frame, low: Fraction, high: Fraction
) -> Callable[[np.ndarray], np.ndarray]:
    """v -> a ball vector with all v' on the cell."""
    centre, variation = step.on(low, high)
    rest = variation.dot(frame.rest)
    away = inverse(rest)
    both = np.concatenate([variation.dot(frame.box), rest], axis=1)
    steady = away.dot(step.defect)
    lost, size = away.dot(step.variation_defect), len(centre)
    data = {x: np.asarray(lifted(a), dtype=object) for x, a in second.field.data.items()}

    def slope(v: np.ndarray) -> np.ndarray:
        z = vector([*[UNIT_INTERVAL] * size, *v])
        at = centre + both.dot(z)
        outputs = interpret(second.program, data | second.field.cut(at), ball_arithmetic()).values()
        curvature = np.tensordot(away, second.joined(list(outputs)), axes=(1, 0))
        forms = np.tensordot(np.tensordot(curvature, both, axes=(2, 0)), both, axes=(1, 0))
        quadratic = vector([_half_form(form, z) for form in forms])
        moved = spread(frame.box) + frame.rest.dot(v)
        return np.asarray(step.unit * quadratic + lost.dot(moved) + steady)

    return slope


def _half_form(form: np.ndarray, z: np.ndarray) -> Ball:
    """1/2 sum_jk form_jk z_j z_k over a box of z; squares are not negative."""
    total = arb(0)
    for j, a in enumerate(z):
        total += form[j, j] * _square(a) / 2
        for k in range(j):
            total += (form[j, k] + form[k, j]) / 2 * a * z[k]
    return total


def _square(x: Ball) -> Ball:
    """The squares of a ball."""
    return (x.abs_lower() ** 2).union(x.abs_upper() ** 2)
