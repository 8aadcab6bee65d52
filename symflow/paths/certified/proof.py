"""The proof of a flow's error: R23 over the cells of its steps, in balls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from math import sqrt

import numpy as np
from flint import arb

from symflow.dynamics.vector_field import VectorField
from symflow.evaluate.rounded import length_bound
from symflow.numbers.balls import FLOAT64_BITS, Ball, ball, ball_precision, float_above, from_fixed, from_mpf, upper
from symflow.numbers.types import Mpf
from symflow.paths.certified.cells import Cell, cells
from symflow.paths.certified.observed import Step
from symflow.paths.certified.record import FlowProof, ProofCell
from symflow.paths.certified.windows import cost
from symflow.paths.taylor.dense import TaylorSteps
from symflow.theory.cells import after_step
from symflow.theory.functions import BALLS

PROOF_BITS = 128
"""Bits of the balls that errors are computed in."""


def prove(
    field: VectorField,
    steps: TaylorSteps,
    observed: Sequence[Step],
    radius: Mpf,
    initial: Mpf | None = None,
    weights: np.ndarray | None = None,
    check: Callable[[float], None] = lambda done: None,
) -> FlowProof:
    """Bounds the error of a Taylor solution on all of its steps, or on as many as can be.

    Args:
        field: the flow's.
        steps: the Taylor solution.
        observed: what was proved of each step while it was made.
        radius: of the tube, which the error must not reach.
        initial: at most how far the true start is from the first state, beyond its rounding.
        weights: powers of 2, at least 1, of a smooth field: all is meant in the norm ||W .||, where W is diagonal.
        check: called between parts of steps with the fraction that is done; what it raises ends the proof.
    """
    # What is beyond float64 is infinite or no number, and is refused where it is used.
    with ball_precision(PROOF_BITS), np.errstate(all="ignore"):
        start = ball(0) if initial is None else from_mpf(initial)
        return _fold(field, steps, observed, from_mpf(radius), start, weights, check)


def _fold(
    field: VectorField,
    steps: TaylorSteps,
    observed: Sequence[Step],
    radius: Ball,
    initial: Ball,
    weights: np.ndarray | None,
    check: Callable[[float], None],
) -> FlowProof:
    unit, scales = from_fixed(1, steps.bits), np.ones(field.dimension) if weights is None else weights
    root = sqrt(float(scales @ scales)) * (1 + 2.0**-40)
    error, largest = initial + root * unit, initial
    proved: list[ProofCell] = []
    reason, beyond = "", False

    @cache
    def defect_of(number: int) -> Ball:
        """Of a step; its parts have it in common."""
        tau = steps.segments[number].tau
        return arb(length_bound(observed[number].defect * scales)) * unit * from_fixed(1, tau)

    for cell in cells(field, steps, observed, float_above(radius), weights, check):
        number = cell.part.number
        reason = cell.reason
        if reason:
            break
        terms = len(steps.segments[number].coefficients[0])
        jump = arb(root * (terms + 2)) * unit if cell.part.low == 0 and number else ball(0)
        defect, time = defect_of(number), _length(steps, cell)
        crossed, aside = arb(cell.correction.cost) * unit, arb(cell.correction.distance) * unit
        jump += aside
        before = error + jump
        error = after_step(error, jump, arb(cell.rate), time, defect, BALLS)
        growth = BALLS.exp(BALLS.maximum(arb(cell.rate), ball(0)) * time)
        crossed += cost(cell.crossings, unit, before.max(error) + crossed * growth, aside, growth) / growth
        error = (error + crossed * growth + aside).upper()
        beyond = beyond or not (before < radius and error < radius)
        if beyond:
            continue
        largest = largest.max(before).max(error)
        d, j, c, r, e = (upper(v) for v in (defect, jump, crossed, radius, error))
        proved.append(ProofCell(number, cell.part.low, cell.part.high, cell.rate, d, j, c, r, e, cell.open))
    needed = upper(error) if beyond and not reason else None
    if beyond:
        reason = f"the error may exceed the radius {float_above(radius):.3g} of the tube"
    reading = max((_reading(steps, s, root, scales) for s in observed), default=0.0)
    complete = not reason and bool(proved) and proved[-1].segment == len(observed) - 1 and proved[-1].end == 1
    named = () if weights is None else tuple(map(float, weights))
    with ball_precision(FLOAT64_BITS):  # what is printed with 17 digits is then the number itself
        value = upper(largest + arb(reading) * unit)
    return FlowProof(tuple(proved), value, complete, _reached(steps, proved), reason, named, needed)


def _length(steps: TaylorSteps, cell: Cell) -> Ball:
    """The time that a part of a step takes."""
    segment = steps.segments[cell.part.number]
    return from_fixed(segment.end - segment.start, steps.clock) * ball(cell.part.high - cell.part.low)


def _reading(steps: TaylorSteps, step: Step, root: float, scales: np.ndarray) -> float:
    """By how much a state that is read from a polynomial misses it, in units of the last place.

    Horner's rule rounds once for every coefficient, and the time is rounded twice.
    """
    return root * (len(steps.segments[0].coefficients[0]) + 2) + 2 * length_bound(step.speed * scales)


def _reached(steps: TaylorSteps, proved: Sequence[ProofCell]) -> Mpf:
    """The time that a proof reaches."""
    from symflow.numbers.fixed_point import to_mpf

    if not proved:
        return to_mpf(0, 0)
    segment, share = steps.segments[proved[-1].segment], proved[-1].end
    length = (segment.end - segment.start) * share.numerator // share.denominator
    return to_mpf(segment.start + length, steps.clock)
