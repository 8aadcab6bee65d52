"""Encloses the solutions from a box of starts, stretch by stretch: the frame is chosen anew where one ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from flint import arb

from symflow.dynamics.variational import second_derivatives, variational_field
from symflow.dynamics.vector_field import VectorField
from symflow.errors import FlowStopped
from symflow.numbers.balls import Ball, ball, exact_fraction
from symflow.paths.boxes.course import Step, stretch
from symflow.paths.boxes.growth import Advanced, Frame, advance, half_forms
from symflow.paths.boxes.matrices import UNIT_INTERVAL, floats, from_floats, identity, inverse, middles, vector
from symflow.paths.taylor.limits import Limits, Precision
from symflow.progress import SILENT, Reporter

HALVINGS = 12
"""How often a cell is halved at most."""
SHORTEST = Fraction(1, 2**40)
ZERO = Fraction(0)


@dataclass(frozen=True)
class Pace:
    """How finely time is cut.

    Attributes:
        cells: of a Taylor step, at first.
        calm, fast: stretches are made longer where ||Phi|| ||Phi^-1|| is below the one, shorter above the other.
    """

    cells: int
    calm: float
    fast: float


WIDE, POINT = Pace(8, 1.1, 1.3), Pace(2, 1.5, 3.0)
"""For boxes, whose curved image is followed the better the finer time is cut, and for single starts."""


@dataclass(frozen=True)
class Cell:
    """The frame and v at the beginning of a part of a Taylor step, during it, and at its end."""

    low: Fraction
    high: Fraction
    frame: Frame
    before: np.ndarray
    after: Advanced

    def strays(self, step: Step, time: Fraction) -> np.ndarray:
        """All x at a time of the cell, in the variable of the step."""
        centre, variation = step.on(time, time)
        if time == self.high:
            return np.asarray(centre + self.after.frame.carried(variation).reach(self.after.v))
        v = self.before if time == self.low else self.after.during
        return np.asarray(centre + self.frame.carried(variation).reach(v))

    def largest(self, step: Step) -> Ball:
        """At least |x_i - x~_i| during the cell, for all i."""
        _, variation = step.on(self.low, self.high)
        return max(x.abs_upper() for x in self.frame.carried(variation).reach(self.after.during))


@dataclass(frozen=True)
class Stretch:
    """One Taylor step with its cells."""

    step: Step
    cells: tuple[Cell, ...]

    def at(self, time: Fraction) -> np.ndarray:
        """A box that contains all solutions at a time of this step, balls of shape (P,)."""
        s = (time - self.step.start) / Fraction(2) ** self.step.segment.tau
        return next(c for c in self.cells if s <= c.high).strays(self.step, s)

    def largest(self) -> Ball:
        """At least |x_i - x~_i| at all times and for all i."""
        return self.step.rounding() + max(cell.largest(self.step) for cell in self.cells)


class Encloser:
    """One box on its way."""

    def __init__(
        self,
        field: VectorField,
        start: Sequence[Fraction],
        radii: Sequence[Fraction],
        precision: Precision,
        limits: Limits,
    ) -> None:
        self.field, self.precision, self.limits = field, precision, limits
        self.pace = WIDE if any(radii) else POINT
        self.second, self.variational = second_derivatives(field), variational_field(field)
        size, scale = len(start), 1 << precision.bits
        self.state = [Fraction(round(q * scale), scale) for q in start]
        box = np.array([[ball(r if i == j else 0) for j in range(size)] for i, r in enumerate(radii)], dtype=object)
        exact = middles(box)
        self.frame = Frame(exact, np.full((size,) * 3, arb(0), dtype=object), identity(size))
        rounding = vector([ball(q - x) for q, x in zip(start, self.state, strict=True)])
        self.v = box_image(box - exact) + rounding
        self.time, self.length = Fraction(0), Fraction(1, 2)
        self.done: list[Stretch] = []

    def to(self, end: Fraction, report: Reporter = SILENT) -> None:
        """Goes on to a time.

        Raises:
            FlowStopped: the box has become too wide, or the centre cannot be followed.
        """
        while self.time < end:
            length = min(self.length, end - self.time)
            steps = stretch(self.variational, self.state, self.time, length, self.precision, self.limits)
            _, variation = steps[-1].on(steps[-1].length, steps[-1].length)
            turned = _condition(floats(variation))
            if turned > self.pace.fast and length > SHORTEST:
                self.length = length / 2
                continue
            for i, step in enumerate(steps):
                if i:
                    self._join(steps[i - 1], step)
                self._across(step)
            self._turn(steps[-1])
            self.time += length
            if turned < self.pace.calm and length == self.length:
                self.length *= 2
            report.at(float(self.time), float(end), len(self.done))

    def _across(self, step: Step) -> None:
        """Along one Taylor step, cell by cell."""
        cells: list[Cell] = []
        low, size = Fraction(0), step.length / self.pace.cells
        while low < step.length:
            high = min(low + size, step.length)
            found = advance(self.second, step, self.frame, low, high, self.v)
            if found is None:
                size /= 2
                if size < step.length / 2**HALVINGS:
                    raise _too_wide(step.start)
                continue
            cells.append(Cell(low, high, self.frame, self.v, found))
            self.frame, self.v, low = found.frame, found.v, high
        self.done.append(Stretch(step, tuple(cells)))

    def _join(self, before: Step, after: Step) -> None:
        """Rounding where one Taylor step follows another: Phi and x~ jump, x does not."""
        (old, old_variation), (new, new_variation) = before.on(before.length, before.length), after.on(ZERO, ZERO)
        jump = (old - new) + (old_variation - new_variation).dot(self.frame.reach(self.v))
        self.v = self.v + inverse(new_variation.dot(self.frame.rest)).dot(jump)

    def _turn(self, last: Step) -> None:
        """A new stretch: Phi is I again, C and S move on with Phi, B is an orthogonal frame, its longest axes first."""
        centre, variation = last.on(last.length, last.length)
        self.state = [exact_fraction(x.mid()) for x in centre]
        moved = self.frame.carried(variation)
        box, bend = middles(moved.box), middles(moved.bend)
        sizes = np.array([float(x.abs_upper()) for x in self.v])
        columns = floats(moved.rest) * np.where(sizes > 0, sizes, 1.0)
        order = np.argsort(-np.linalg.norm(columns, axis=0))
        rest = from_floats(np.linalg.qr(columns[:, order])[0])
        away = inverse(rest)
        rounding = box_image(moved.box - box) + half_forms(moved.bend - bend) + (centre - middles(centre))
        self.v = away.dot(moved.rest).dot(self.v) + away.dot(rounding)
        self.frame = Frame(box, bend, rest)


def box_image(matrix: np.ndarray) -> np.ndarray:
    """A matrix times all of [-1, 1]^P."""
    return np.asarray(matrix.dot(vector([UNIT_INTERVAL] * matrix.shape[1])))


def _condition(variation: np.ndarray) -> float:
    return float(np.linalg.cond(variation)) if np.isfinite(variation).all() else float("inf")


def _too_wide(time: Fraction) -> FlowStopped:
    return FlowStopped(
        f"the solutions from the box cannot be enclosed beyond t = {float(time):.6g}: they spread too far",
        "give a smaller radius, cut the box into parts, or choose an earlier horizon",
        cause="box",
    )
