r"""Descent with errors by R3: blocks of steps from exact points in balls, and how far a step can pull runs apart.

Balls grow entry by entry, also where errors contract. Here every block of steps starts again from the exact midpoints
of the one before. With e the distance of these from the true iterate, d what the balls of the block have for radii at
its end, and L the Lipschitz constant of a step, the distance at the end of n steps is at most L^n e + d: the map of R3.
L comes from the spectrum of H on a box around the points where gradients are taken, in float64 with outward rounding,
one box for a run of blocks that stay close together. The segments between the true iterates and ours lie in the box,
since the box is enlarged by `TUBE` times what the error may be; and no gate changes on them, since each pre-activation
is decided for all parameters so near.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from flint import arb

from symflow.derivatives.derived import hessian
from symflow.evaluate.boxes import box_result
from symflow.evaluate.eigenvalue_bounds import eigenvalue_bounds
from symflow.evaluate.rounded import TINY, UNIT, Rounded
from symflow.networks.objective import Objective
from symflow.numbers.balls import Ball, around, ball, ball_precision, float_above
from symflow.paths.certified.linear_methods import StepMap
from symflow.paths.fixed_descent import Seen
from symflow.paths.loops import MethodStep
from symflow.theory.cells import fold

TUBE = 4
"""The tube's radius over the largest error that is allowed."""
BLOCK = 16
"""Most steps of a block."""
WIDTH = 2.0**-8
"""Width of a box over max(1, largest parameter), at which the block ends and the next box begins."""
ENTRIES = 2_000_000
"""Most entries of the Hessians that are held at once."""
COARSE_BITS = 64
"""Errors and Lipschitz constants need no more."""


@dataclass(frozen=True)
class Block:
    """Steps from an exact state.

    Attributes:
        steps: how many.
        width: the largest radius of its states and points, exact.
    """

    steps: int
    width: Ball


@dataclass
class Box:
    """A box around the points of some blocks.

    Attributes:
        low: its least corner.
        high: its largest corner.
        blocks: those that lie in it.
    """

    low: np.ndarray
    high: np.ndarray
    blocks: list[Block] = field(default_factory=list)


@dataclass(frozen=True)
class Kept:
    """A kept state.

    Attributes:
        state: balls around it from the exact points at the beginning of its block.
        block: how many blocks there were before.
        steps: how many steps of its block.
    """

    state: list[Ball]
    block: int
    steps: int


@dataclass
class FoldedRun:
    """What one run through `march` leaves.

    Attributes:
        start: the largest radius at the start, exact.
        boxes: boxes of blocks, one after the other.
        kept: the kept states.
    """

    start: Ball
    boxes: list[Box]
    kept: list[Kept]


def march(
    step: MethodStep,
    decided: Callable[[Sequence[Ball]], None] | None,
    start: list[Ball],
    indices: Sequence[int],
    bits: int,
    tube: Ball,
    seen: Seen | None,
) -> FoldedRun:
    """All steps, block by block.

    Args:
        step: of the method, in balls.
        decided: refuses parameters whose gates are not decided; None without gates.
        start: the state at the start.
        indices: which to keep, from 0 to the last.
        bits: of the balls.
        tube: its radius, exact.
        seen: told of every step.

    Raises:
        GateUndecided: by `decided`, or by a step.
    """
    run = FoldedRun(_widest(start), [], [Kept(start, 0, 0)])
    wanted, last, k, blocks, state = set(indices), indices[-1], 0, 0, start
    while k < last:
        with ball_precision(bits):
            state, points, width, first = [x.mid() for x in state], [], arb(0), k
            for k in range(first + 1, min(first + BLOCK, last) + 1):
                point = step.point(state)
                points.append([float(x) for x in point])
                if decided is not None:
                    decided([around(x, tube) for x in point])
                state = list(step.update(*state, *step.velocity(k - 1)(*point)))
                width = max(width, _widest(point), _widest(state))
                if k in wanted:
                    run.kept.append(Kept(state, blocks, k - first))
                if seen is not None:
                    seen(k, 1, partial(one_row, state))
                if _apart(points) > WIDTH / 2:
                    break
            blocks += 1
            _add(run.boxes, np.array(points), Block(k - first, width))
    return run


def one_row(state: Sequence[Ball]) -> np.ndarray:
    """A state in float64, as a row."""
    return np.array([[float(x) for x in state]])


def _apart(points: Sequence[Sequence[float]]) -> float:
    """How far the last point is from the first, over max(1, largest parameter)."""
    distance = max(abs(x - y) for x, y in zip(points[0], points[-1], strict=True))
    return distance if distance <= WIDTH / 2 else distance / max(1.0, max(abs(x) for x in points[-1]))


def _widest(state: Sequence[Ball]) -> Ball:
    """The largest radius, exact."""
    return max((x.rad() for x in state), default=arb(0))


def _add(boxes: list[Box], points: np.ndarray, block: Block) -> None:
    """A block: in the last box where it fits, in a new one otherwise."""
    low, high = points.min(axis=0), points.max(axis=0)
    if boxes:
        joined = np.minimum(boxes[-1].low, low), np.maximum(boxes[-1].high, high)
        if (joined[1] - joined[0]).max() <= WIDTH * max(1.0, np.abs(points).max()):
            boxes[-1].low, boxes[-1].high = joined
            boxes[-1].blocks.append(block)
            return
    boxes.append(Box(low, high, [block]))


def spectra_on_boxes(objective: Objective, run: FoldedRun, tube: float) -> tuple[np.ndarray, np.ndarray]:
    """For each box numbers below and above the spectra of H on it and within `tube` of it."""
    low, high = (np.array([getattr(box, end) for box in run.boxes]) for end in ("low", "high"))
    centre = low / 2 + high / 2
    # Points were rounded to float64, and so is the centre.
    reach = (high - low) / 2 * (1 + 8 * UNIT) + 8 * UNIT * np.maximum(np.abs(low), np.abs(high)) + tube + TINY
    size, derived = objective.parameter_count, hessian(objective)
    parts = []
    chunk = max(1, ENTRIES // size**2)
    for i in range(0, len(centre), chunk):
        ends = eigenvalue_bounds(box_result(objective, derived, Rounded(centre[i : i + chunk], reach[i : i + chunk])))
        parts.append((ends.smallest_low, ends.largest_high))
    least, largest = zip(*parts, strict=True)
    return np.concatenate(least), np.concatenate(largest)


@dataclass(frozen=True)
class Errors:
    """What R3 makes of a run.

    Attributes:
        kept: for each kept state at most how far what its balls enclose is from the true state.
        used: the largest distance from the true point over the tube's radius; unless it is at most 1 nothing is proved.
    """

    kept: list[Ball]
    used: Ball


def errors(objective: Objective, steps: StepMap, run: FoldedRun, tube: Ball) -> Errors | None:
    """The errors of a run; None where the Hessian is unbounded on a box."""
    low, high = spectra_on_boxes(objective, run, float_above(tube))
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        return None
    counts = np.array([sum(block.steps for block in box.blocks) for box in run.boxes], dtype=float)
    with ball_precision(COARSE_BITS):
        coordinates = steps.coordinates(low, high, counts)
        rates = [steps.growth(a, b, coordinates).upper() for a, b in zip(low.tolist(), high.tolist(), strict=True)]
        length = (arb(len(run.kept[0].state)).sqrt() * coordinates.widening).upper()
        each = [(rate, block) for box, rate in zip(run.boxes, rates, strict=True) for block in box.blocks]
        cells = [(rate**block.steps, block.width * length, 1) for rate, block in each]
        start = run.start * length
        after = [start, *fold(cells, start)]
        tops = [(e * rate.max(arb(1)) ** block.steps, block) for e, (rate, block) in zip(after, each, strict=False)]
        weight = coordinates.narrowing * ball(steps.point)
        used = [((e * weight + block.width) / tube).abs_upper() for e, block in tops]
        grown = [after[kept.block] * (each[kept.block][0] ** kept.steps if kept.steps else 1) for kept in run.kept]
        return Errors([(e * coordinates.narrowing).upper() for e in grown], max(used))
