r"""How far solutions from a box stray from a quadratic image of the box: one cell of time.

Solutions are written

    x = x~ + y,    y = Phi p,    p = C r + 1/2 S[r, r] + B v,

with the initial box r in [-1, 1]^P, x~ and Phi the computed centre and first variation, and C, S and B fixed. By
Taylor's formula, with the defects d of x~ and R of Phi, and xi between x~ and x,

    (Phi B) v' = 1/2 D^2 G(xi) [y, y] - R p - d
               = 1/2 D^2 G(x~) [Phi C r, Phi C r] + 1/2 (D^2 G(xi) - D^2 G(x~)) [y, y]
                 + D^2 G(x~) [Phi C r, g] + 1/2 D^2 G(x~) [g, g] - R p - d,    g = y - Phi C r.

What is of first order in r cancels. The first term on the right, a quadratic form in r known up to the width of the
cell, is added to S at the end of the cell; the others are of third order and are what v gathers.

On a cell of length h, if v = v_0 at first and f contains the right-hand side for all v in V, and v_0 + [0, h] f is
inside V, then v stays in V: up to the first time at which it would leave V, v is v_0 plus an integral of values in f.
At the end v is in v_0 + h f. (Picard and Lindelöf; Lohner 1988 for moving frames; Makino and Berz 2003 for polynomials
in the initial box.)
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from flint import arb

from symflow.dynamics.variational import SecondDerivatives
from symflow.evaluate.balls import ball_arithmetic
from symflow.evaluate.interpret import interpret
from symflow.numbers.balls import Ball, ball
from symflow.paths.boxes.course import Step
from symflow.paths.boxes.matrices import UNIT_INTERVAL, inverse, lifted, middles, vector

ATTEMPTS = 6
WIDER = "0.02"
"""How much wider than needed the tube is tried, as a part of its radius."""


@dataclass(frozen=True)
class Frame:
    """C, S and B of p = C r + 1/2 S[r, r] + B v."""

    box: np.ndarray
    bend: np.ndarray
    rest: np.ndarray

    def carried(self, variation: np.ndarray) -> Frame:
        """The frame of Phi p."""
        bend = np.tensordot(variation, self.bend, axes=(1, 0))
        return Frame(variation.dot(self.box), bend, variation.dot(self.rest))

    def reach(self, v: np.ndarray) -> np.ndarray:
        """All p."""
        return np.asarray(image(self.box, self.bend) + self.rest.dot(v))


@dataclass(frozen=True)
class Advanced:
    """v during a cell; the frame and v at its end."""

    during: np.ndarray
    frame: Frame
    v: np.ndarray


def advance(
    second: SecondDerivatives, step: Step, frame: Frame, low: Fraction, high: Fraction, v: np.ndarray
) -> Advanced | None:
    """Where v is during the cell [low, high] of a step, and at its end; None where that cannot be shown.

    Args:
        second: D^2 G.
        step: its centre and variation.
        frame: C, S and B.
        low: where the cell begins, in the variable of the step.
        high: where it ends.
        v: where v is at first.
    """
    try:
        slope = _Slope(second, step, frame, low, high)
    except ZeroDivisionError:
        return None
    length, wider = ball(high - low), arb(0, arb(WIDER).upper())
    whole, form = length.union(arb(0)), slope.form
    swing = half_forms(form)
    found = slope(v) + swing
    for _ in range(ATTEMPTS):
        needed = v + whole * found
        tube = vector([x + x.rad() * wider + wider * length * step.unit / (1 << step.bits) for x in needed])
        if not all(x.is_finite() for x in tube):
            return None
        third = slope(tube)
        found = third + swing
        if all(t.contains_interior(x) for t, x in zip(tube, v + whole * found, strict=True)):
            taken = middles(length * form)
            end = v + length * third + half_forms(length * form - taken)
            bend = frame.bend + np.tensordot(frame.rest, taken, axes=(1, 0))
            return Advanced(tube, Frame(frame.box, bend, frame.rest), end)
    return None


class _Slope:
    """v -> a ball vector that contains, on the cell, all v' but for the quadratic form 1/2 `form`."""

    def __init__(self, second: SecondDerivatives, step: Step, frame: Frame, low: Fraction, high: Fraction) -> None:
        self.second, self.frame, self.unit = second, frame, step.unit
        self.centre, variation = step.on(low, high)
        self.moved = frame.carried(variation)
        self.beyond = Frame(self.moved.box * 0, self.moved.bend, self.moved.rest)
        self.away = inverse(self.moved.rest)
        self.data = {x: np.asarray(lifted(a), dtype=object) for x, a in second.field.data.items()}
        self.steady = self.away.dot(step.defect)
        self.lost = self.away.dot(step.variation_defect)
        self.at_centre = self.curvature(self.centre)
        self.once = np.tensordot(self.at_centre, self.moved.box, axes=(2, 0))
        self.form = self.unit * np.tensordot(self.once, self.moved.box, axes=(1, 0))

    def curvature(self, at: np.ndarray) -> np.ndarray:
        """(Phi B)^-1 D^2 G, shape (P, P, P)."""
        outputs = interpret(self.second.program, self.data | self.second.field.cut(at), ball_arithmetic()).values()
        return np.asarray(np.tensordot(self.away, self.second.joined(list(outputs)), axes=(1, 0)))

    def __call__(self, v: np.ndarray) -> np.ndarray:
        y, beyond = self.moved.reach(v), self.beyond.reach(v)
        moved = self.curvature(self.centre + y) - self.at_centre
        # D^2 G(x~) [Phi C r, g] by the columns of Phi C: once_iaj g_a r_j
        crossed = np.tensordot(self.once, beyond, axes=(1, 0)).dot(vector([UNIT_INTERVAL] * len(v)))
        third = vector([half_form(a, y) + half_form(b, beyond) for a, b in zip(moved, self.at_centre, strict=True)])
        return np.asarray(self.unit * (third + crossed) + self.lost.dot(self.frame.reach(v)) + self.steady)


def image(linear: np.ndarray, bend: np.ndarray) -> np.ndarray:
    """All C r + 1/2 S[r, r] for r in [-1, 1]^P."""
    found = []
    for row, form in zip(linear, bend, strict=True):
        total = arb(0)
        for j, c in enumerate(row):
            total += _parabola(c, form[j, j] / 2)
            for k in range(j):
                total += (form[j, k] + form[k, j]) / 2 * UNIT_INTERVAL
        found.append(total)
    return vector(found)


def half_forms(forms: np.ndarray) -> np.ndarray:
    """All 1/2 S[r, r] for r in [-1, 1]^P."""
    unit = vector([UNIT_INTERVAL] * forms.shape[1])
    return vector([half_form(form, unit) for form in forms])


def half_form(form: np.ndarray, z: np.ndarray) -> Ball:
    """1/2 sum_jk form_jk z_j z_k over a box of z; squares are not negative."""
    total = arb(0)
    for j, a in enumerate(z):
        square = (a.abs_lower() ** 2).union(a.abs_upper() ** 2)
        total += form[j, j] * square / 2
        for k in range(j):
            total += (form[j, k] + form[k, j]) / 2 * a * z[k]
    return total


def _parabola(c: Ball, q: Ball) -> Ball:
    """All c r + q r^2 for r in [-1, 1]: monotone where |c| >= 2 |q|."""
    if c.abs_lower() >= 2 * q.abs_upper():
        return (q - c).union(q + c)
    if q.contains(arb(0)):
        return c * UNIT_INTERVAL + q * arb(0).union(arb(1))
    return (q - c).union(q + c).union(-c * c / (4 * q))
