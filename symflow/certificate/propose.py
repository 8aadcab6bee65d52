"""What a certificate claims of a flow: defects, cells, tubes, rates and errors, read off the flow's polynomials.

The cells are chosen here, by trial; whether a claim holds is the checker's to prove. Its bounds are asked for first,
so that what is claimed is what it can prove, rounded up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from flint import arb, arb_poly

from symflow.certificate import certificate_check as checker
from symflow.certificate.numbers import Table, dyadic, number, rounded_up
from symflow.certificate.slopes import sliding_gates, slope_tables
from symflow.paths.taylor.dense import Segment, TaylorSteps
from symflow.progress import SILENT, Reporter

MOST_CUTS = 9
"""A cell is halved at most so often."""
CLEARANCE = 1024
"""Where a cell at the end of a step gives way to one without kinks, tubes may be so many times wider than the error."""
MOST_RADII = 8
"""So many radii of a tube are tried."""
MOST_HALVES = 5
"""A step is halved at most so often."""
WIDE = 0.1
"""A cell is halved while the widths of its Hessian's entries, times its length, exceed this."""


class NotProposed(Exception):
    """No cells were found with which the error could be followed; its text says where and why."""


@dataclass(frozen=True)
class Enclosure:
    """The steps of a certificate with their claims, and what they claim of the flow.

    Attributes:
        tables: the steps.
        steps: the same as the checker reads them.
        errors: of each step, the largest error claimed along it.
    """

    tables: tuple[Table, ...]
    steps: tuple[checker.Step, ...]
    errors: tuple[arb, ...]

    @property
    def end(self) -> Fraction:
        """The time to which the flow is enclosed."""
        return self.steps[-1].end

    def box(self, time: Fraction) -> list[arb]:
        """A box that contains the flow at a time."""
        k = min(bisect_left([step.end for step in self.steps], time), len(self.steps) - 1)
        return [v + checker.around(self.errors[k]) for v in self.steps[k].at(time)]


def step_table(segment: Segment, bits: int, clock: int) -> Table:
    """A Taylor step as a table, without its claims."""
    length = Fraction(int(segment.end - segment.start), 1 << clock) / Fraction(2) ** segment.tau
    return {
        "unit": int(segment.tau),
        "length": dyadic(length),
        "exponent": -bits,
        "coefficients": [[int(c) for c in row] for row in segment.coefficients],
        "slopes": [],
        "defect": [0, 0],
        "cells": [],
    }


def halves(table: Table) -> list[Table]:
    """A step as two, each around its own beginning; coefficients are rounded to the exponent of the step."""
    half = checker.rational(table["length"]) / 2
    shift = arb_poly([checker.ball(half), 1])
    later = [arb_poly([arb(c) for c in row])(shift) for row in table["coefficients"]]
    rows = [[_nearest(c) for c in p.coeffs()] for p in later]
    first, second = ({**table, "length": dyadic(half), "coefficients": c} for c in (table["coefficients"], rows))
    return [first, second]


def _nearest(value: arb) -> int:
    """The whole number nearest to the midpoint of a ball."""
    m, e = number(value)
    return m << e if e >= 0 else ((m >> (-e - 1)) + 1) >> 1


def propose_flow(net: checker.Network, steps: TaylorSteps, rate: Fraction, report: Reporter = SILENT) -> Enclosure:
    """The steps of a certificate with their claims.

    Args:
        net: the network, as the checker reads it.
        steps: the flow.
        rate: c of the flow theta' = -c grad f.
        report: told the time that is reached.

    Raises:
        NotProposed: the error could not be followed to the end.
    """
    time, error, before = Fraction(0), arb(0), net.theta0
    todo = [(step_table(segment, steps.bits, steps.clock), 0) for segment in reversed(steps.segments)]
    tables: list[Table] = []
    done: list[checker.Step] = []
    errors: list[arb] = []
    while todo:
        table, cuts = todo.pop()
        step = checker.Step(table, time, net, checker.ball(rate), f"step {len(tables)}")
        step, defect = _with_slopes(step, table, steps.bits)
        if not defect.is_finite():
            if cuts == MOST_HALVES:
                raise NotProposed(f"t = {float(time):.6g}: the loss has no bound on a disc around the step")
            todo += [(part, cuts + 1) for part in reversed(halves(table))]
            continue
        table["defect"] = rounded_up(defect)
        step.defect = checker.ball(checker.rational(table["defect"]))
        jump = checker.norm(a - b for a, b in zip(step.at(step.start), before, strict=True))
        cells = Cells(step, (error + jump).abs_upper())
        table["cells"], error = cells.cover()
        time, before = step.end, step.at(step.end)
        tables.append(table)
        done.append(step)
        errors.append(cells.largest)
        report.at(float(time), float(steps.end), len(done))
    return Enclosure(tuple(tables), tuple(done), tuple(errors))


def _with_slopes(step: checker.Step, table: Table, bits: int) -> tuple[checker.Step, arb]:
    """The step with the slopes of the gates that slide along it, which are written into its table, and its defect."""
    sliding = sliding_gates(step, arb(2) ** (-bits // 2))
    try:
        if sliding:
            step.slopes = dict.fromkeys(sliding, arb_poly([]))
            step.find_defect()
            table["slopes"] = slope_tables(step, sliding, int(0.23 * bits) + 8)
            step = checker.Step(table, step.start, step.net, step.rate, step.name)
        return step, step.find_defect()
    except checker.Rejected as why:
        raise NotProposed(f"t = {float(step.start):.6g}: {why}") from None


def tube_box(step: checker.Step, low: arb, high: arb, radius: arb) -> list[arb]:
    """A box that contains the tube on a cell."""
    return [checker.on(p, low, high) + checker.around(radius) for p in step.theta]


def rounded_rate(value: float) -> list[int]:
    """A rate rounded up to a multiple of 2^-20."""
    return [int(np.ceil(value * 2.0**20)), -20]


MOST_TRIED = 12
"""Cells that are tried at the beginning of a step, each four times as long as the one before: z grows as errors do."""


@dataclass(frozen=True)
class _Trial:
    kind: str
    high: Fraction
    radius: arb
    rate: list[int]
    after: arb


class Cells:
    """The cells of one step."""

    def __init__(self, step: checker.Step, error: arb) -> None:
        self.step, self.error, self.largest = step, error, error
        self.reasons: list[str] = []

    def cover(self) -> tuple[list[Table], arb]:
        """All cells from 0 to the end of the step, and the error there."""
        cells: list[Table] = []
        low, end = Fraction(0), self.step.length
        if not self.step.net.linear:
            for trial in self.start():
                low = self.add(cells, trial)
        last = end - self.tail() if not self.step.net.linear else end
        while low < last:
            low = self.add(cells, self.longest(low, last))
        if low < end:
            low = self.add(cells, self.last(low))
        if not cells:
            cells.append(
                {
                    "kind": "kink",
                    "end": dyadic(end),
                    "radius": rounded_up(2 * self.error + arb(2) ** -2000, Fraction(2)),
                    "rate": [0, 0],
                    "error": rounded_up(self.error),
                }
            )
            self.error = checker.ball(checker.rational(cells[-1]["error"]))
        return cells, self.error

    def add(self, cells: list[Table], trial: _Trial) -> Fraction:
        claimed = rounded_up(trial.after, Fraction(1025, 1024))
        cells.append(
            {
                "kind": trial.kind,
                "end": dyadic(trial.high),
                "radius": number(trial.radius),
                "rate": trial.rate,
                "error": claimed,
            }
        )
        self.error = checker.ball(checker.rational(claimed))
        self.largest = self.largest.max(self.error)
        return trial.high

    # The ends of a step, where gates change

    def clear(self, low: Fraction, high: Fraction, radius: arb) -> bool:
        """Whether every gate that does not slide is certain on the tube of this cell."""
        step, a, b = self.step, checker.ball(low), checker.ball(high)
        try:
            box = tube_box(step, a, b, radius)
            _, doubtful = step.tube_gates("convex", box, a, b, radius, "")
        except checker.Rejected as why:
            self.reasons.append(str(why))
            return False
        return set(doubtful) <= set(step.slopes)

    def lengths(self) -> Iterator[Fraction]:
        """Lengths of a cell at an end of the step, to try from the shortest on."""
        m, e = number(self.error)
        for exponent in range(max(-e - m.bit_length(), 8) + 8 if m else checker.flint.ctx.prec, 1, -2):
            yield self.step.length / 2**exponent

    def tail(self) -> Fraction:
        """How far from the step's end its gates are certain on the tube; 0 where they are up to it."""
        length = self.step.length
        radius = self.around_all(self.error)
        if self.clear(length * 15 / 16, length, radius):
            return Fraction(0)
        for delta in self.lengths():
            if self.clear(length - min(delta * 16, length / 2), length - delta, radius):
                return delta
        raise self.stays_close(self.step.end)

    def start(self) -> Iterator[_Trial]:
        """The cell at the beginning of a step at which a pre-activation vanishes there; nothing where none does."""
        length = self.step.length
        if self.clear(Fraction(0), length / 16, self.around_all(self.error)):
            return
        tried = 0
        for delta in self.lengths():
            if not self.clear(delta, min(delta * 16, length / 2), self.around_all(self.error)):
                continue  # the error will hardly be smaller
            tried += 1
            if tried > MOST_TRIED:
                break
            trials = [self.attempt(kind, Fraction(0), delta) for kind in ("crossing", "convex", "kink")]
            for trial in sorted((t for t in trials if t is not None), key=lambda t: float(t.after)):
                if self.clear(delta, min(delta * 16, length / 2), self.around_all(trial.after)):
                    yield trial
                    return
        raise self.stays_close(self.step.start)

    def around_all(self, error: arb) -> arb:
        """The radius of a tube that is wider than those of the cells without kinks will be."""
        added = self.step.defect * checker.ball(self.step.length * self.step.unit) + arb(2) ** -checker.flint.ctx.prec
        return (CLEARANCE * (self.growth * (error + added))).abs_upper()

    @cached_property
    def growth(self) -> arb:
        """About how much the error grows over the step."""
        step, middle = self.step, checker.ball(self.step.length) / 2
        matrix = step.net.hessian([p(middle) for p in step.theta], self.middle_gate)
        low = np.linalg.eigvalsh(np.array([[float(v.mid()) for v in row] for row in matrix]))[0] * float(step.rate)
        return arb(float(np.exp(max(0.0, -low) * float(step.length * step.unit))))

    def middle_gate(self, *at: object) -> arb:
        slope = self.step.gates[at[:3]]
        return slope(checker.ball(self.step.length) / 2) if at[:3] in self.step.slopes else slope

    def stays_close(self, time: Fraction) -> NotProposed:
        why = self.reasons[-1].lstrip(", ") if self.reasons else "its sign is not certain on any part of the step"
        return NotProposed(f"t = {float(time):.6g}: a pre-activation stays too close to zero: {why}")

    def last(self, low: Fraction) -> _Trial:
        """The cell at the end of a step at which a pre-activation vanishes there."""
        trials = [self.attempt(kind, low, self.step.length) for kind in ("crossing", "convex", "kink")]
        found = [t for t in trials if t is not None]
        if not found:
            raise self.stays_close(self.step.end)
        return min(found, key=lambda t: float(t.after))

    # One cell

    def longest(self, low: Fraction, last: Fraction) -> _Trial:
        """The longest of the cells from `low` on that is narrow enough and can be proved."""
        high = last
        kind = "convex" if self.step.slopes else "smooth"
        for cut in range(MOST_CUTS + 1):
            found = self.attempt(kind, low, high, wide=cut == MOST_CUTS)
            if found is not None:
                return found
            high = low + (high - low) / 2
        raise NotProposed(f"t = {float(self.step.start):.6g}: {self.reasons[-1]}")

    def attempt(self, kind: str, low: Fraction, high: Fraction, wide: bool = True) -> _Trial | None:
        step, name = self.step, ""
        a, b = checker.ball(low), checker.ball(high)
        tiny = arb(2) ** -checker.flint.ctx.prec
        radius = ((self.error + step.defect * checker.ball((high - low) * step.unit) + tiny) * 4).abs_upper()
        for _ in range(MOST_RADII):
            try:
                rate = [0, 0] if kind == "kink" else self.rate(kind, a, b, radius, wide)
                if rate is None:
                    return None
                m = checker.ball(checker.rational(rate))
                after = step.error_after(kind, low, high, radius, m, self.error, name)
            except checker.Rejected as why:
                self.reasons.append(str(why))
                return None
            if after * checker.ball(Fraction(9, 8)) < radius:
                return _Trial(kind, high, radius, rate, after)
            radius = (radius * 2).max(after * 3).abs_upper()
        self.reasons.append(f"the error grows too much: {float(self.error):.3g} to {float(after):.3g}")
        return None

    def rate(self, kind: str, a: arb, b: arb, radius: arb, wide: bool) -> list[int] | None:
        """A rate that can be proved; None where the Hessian's entries are too wide."""
        step = self.step
        box = tube_box(step, a, b, radius)
        gates, _ = step.tube_gates(kind, box, a, b, radius, "")
        matrix = step.net.hessian(box, lambda *at: gates[at[:3]])
        c = float(step.rate)
        middle = np.array([[float(v.mid()) for v in row] for row in matrix]) * c
        width = float(checker.norm(v.rad() for row in matrix for v in row).abs_upper()) * c
        size = float(np.linalg.norm(middle))
        if not np.isfinite(width + size):
            self.reasons.append("the Hessian is not finite on the tube")
            return None
        if not wide and width * float((b - a) / step.pace) > WIDE:
            return None
        low = float(np.linalg.eigvalsh((middle + middle.T) / 2)[0])
        return rounded_rate(-low + 2.5 * width + 1e-9 * (1 + size))
