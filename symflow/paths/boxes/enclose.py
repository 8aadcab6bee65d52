"""Encloses the solutions from a box of starts, stretch by stretch: the frame is chosen anew where one ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from symflow.dynamics.variational import second_derivatives
from symflow.dynamics.vector_field import VectorField
from symflow.errors import FlowStopped
from symflow.numbers.balls import Ball, ball, ball_precision, exact_fraction
from symflow.paths.boxes.course import Step, stretch
from symflow.paths.boxes.growth import Frame, advance, spread
from symflow.paths.boxes.matrices import floats, from_floats, identity, inverse, middles, vector
from symflow.paths.taylor.limits import Limits, Precision

CELLS = 8
"""Cells of a Taylor step, at first."""
HALVINGS = 12
"""How often a cell is halved at most."""
TURNED, TURNED_TOO_FAR = 1.5, 3.0
"""Stretches are made longer below and shorter above these ||Phi|| ||Phi^-1||."""
SHORTEST = Fraction(1, 2**40)


@dataclass(frozen=True)
class Cell:
    """v during a part of a Taylor step, and at its end."""

    low: Fraction
    high: Fraction
    during: np.ndarray
    end: np.ndarray


@dataclass(frozen=True)
class Stretch:
    """One Taylor step with its frame and cells."""

    step: Step
    frame: Frame
    cells: tuple[Cell, ...]

    def at(self, time: Fraction) -> np.ndarray:
        """A box that contains all solutions at a time of this step."""
        s = (time - self.step.start) / Fraction(2) ** self.step.segment.tau
        cell = next(c for c in self.cells if s <= c.high)
        return self._solutions(s, s, cell.end if s == cell.high else cell.during)

    def _solutions(self, low: Fraction, high: Fraction, v: np.ndarray) -> np.ndarray:
        centre, variation = self.step.on(low, high)
        return np.asarray(centre + self._strays(variation, v))

    def _strays(self, variation: np.ndarray, v: np.ndarray) -> np.ndarray:
        return np.asarray(spread(variation.dot(self.frame.box)) + variation.dot(self.frame.rest).dot(v))

    def largest(self) -> list[Ball]:
        """At least |x - x~| in each component, cell by cell."""
        found = []
        for cell in self.cells:
            _, variation = self.step.on(cell.low, cell.high)
            found += [x.abs_upper() for x in self._strays(variation, cell.during)]
        return found


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
        self.second = second_derivatives(field)
        size, scale = len(start), 1 << precision.bits
        self.state = [Fraction(round(q * scale), scale) for q in start]
        box = np.array([[ball(r if i == j else 0) for j in range(size)] for i, r in enumerate(radii)], dtype=object)
        exact = middles(box)
        self.frame = Frame(exact, identity(size))
        rounding = vector([ball(q - x) for q, x in zip(start, self.state, strict=True)])
        self.v = spread(box - exact) + rounding
        self.time, self.length = Fraction(0), Fraction(1, 2)
        self.done: list[Stretch] = []

    def to(self, end: Fraction, progress: Callable[[float], None] | None = None) -> None:
        """Goes on to a time.

        Raises:
            FlowStopped: the box has become too wide, or the centre cannot be followed.
        """
        while self.time < end:
            length = min(self.length, end - self.time)
            steps = stretch(self.field, self.state, self.time, length, self.precision, self.limits)
            _, variation = steps[-1].on(steps[-1].length, steps[-1].length)
            turned = _condition(floats(variation))
            if turned > TURNED_TOO_FAR and length > SHORTEST:
                self.length = length / 2
                continue
            for i, step in enumerate(steps):
                if i:
                    self._join(steps[i - 1], step)
                self._across(step)
            self._turn(steps[-1])
            self.time += length
            if turned < TURNED and length == self.length:
                self.length *= 2
            if progress is not None:
                progress(float(self.time / end))

    def _across(self, step: Step) -> None:
        """Along one Taylor step, cell by cell."""
        cells: list[Cell] = []
        low, size = Fraction(0), step.length / CELLS
        while low < step.length:
            high = min(low + size, step.length)
            found = advance(self.second, step, self.frame, low, high, self.v)
            if found is None:
                size /= 2
                if size < step.length / 2**HALVINGS:
                    raise _too_wide(float(step.start))
                continue
            during, self.v = found
            cells.append(Cell(low, high, during, self.v))
            low = high
        self.done.append(Stretch(step, self.frame, tuple(cells)))

    def _join(self, before: Step, after: Step) -> None:
        """Rounding where one Taylor step follows another: Phi (C r + B v) and x~ jump, x does not."""
        (old, old_variation), (new, new_variation) = before.on(before.length, before.length), after.on(Fraction(0), Fraction(0))
        moved = spread(self.frame.box) + self.frame.rest.dot(self.v)
        jump = (old - new) + (old_variation - new_variation).dot(moved)
        self.v = self.v + inverse(new_variation.dot(self.frame.rest)).dot(jump)

    def _turn(self, last: Step) -> None:
        """A new stretch: Phi is I again, C moves on with Phi, B is an orthogonal frame whose first axes are the longest."""
        centre, variation = last.on(last.length, last.length)
        self.state = [exact_fraction(x.mid()) for x in centre]
        moved = variation.dot(self.frame.box)
        box = middles(moved)
        image = variation.dot(self.frame.rest)
        sizes = np.array([float(x.abs_upper()) for x in self.v])
        columns = floats(image) * np.where(sizes > 0, sizes, 1.0)
        order = np.argsort(-np.linalg.norm(columns, axis=0))
        rest = from_floats(np.linalg.qr(columns[:, order])[0])
        away = inverse(rest)
        rounding = spread(moved - box) + (centre - middles(centre))
        self.v = away.dot(image).dot(self.v) + away.dot(rounding)
        self.frame = Frame(box, rest)


def _condition(variation: np.ndarray) -> float:
    return float(np.linalg.cond(variation)) if np.isfinite(variation).all() else float("inf")


def _too_wide(time: float) -> FlowStopped:
    return FlowStopped(
        f"the solutions from the box cannot be enclosed beyond t = {time:.6g}: they spread too far for their centre",
        "give a smaller radius, cut the box into parts, or choose an earlier horizon",
        cause="box",
    )


def enclose(
    field: VectorField,
    start: Sequence[Fraction],
    radii: Sequence[Fraction],
    end: Fraction,
    precision: Precision,
    limits: Limits,
    progress: Callable[[float], None] | None = None,
) -> tuple[Stretch, ...]:
    """Follows a box of starts to a time.

    Raises:
        FlowStopped: it cannot be done.
    """
    box = Encloser(field, start, radii, precision, limits)
    with ball_precision(precision.bits):
        box.to(end, progress)
    return tuple(box.done)
