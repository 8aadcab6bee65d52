"""Extrapolation (Gragg, Bulirsch, Stoer) in mpmath numbers: for fields that have no power series recurrence.

A step of length H is made by the modified midpoint rule with 2, 4, 6, ... substeps. Its error has an expansion in even
powers of the substep, so that each further row of Neville's table gains two orders. (Hairer, Norsett & Wanner 1993,
section II.9.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import mpmath
import numpy as np

from symflow.errors import ComputationError
from symflow.numbers.types import Mpf

State: TypeAlias = np.ndarray
"""Shape (P,), entries mpf or mpc."""
Field: TypeAlias = Callable[[State], State]

MOST_STEPS = 2000
"""Steps of one integration."""
SHORTEST = 2.0**-60
"""Shortest step, as a part of the whole."""


def integrate(field: Field, start: State, length: Mpf, tolerance: Mpf) -> State:
    """y(length) for y' = field(y), y(0) = start, at the precision of the enclosing `mpmath.workdps` block.

    Args:
        field: autonomous, analytic near the solution.
        start: y(0).
        length: the time, at least 0.
        tolerance: the largest difference of the last two entries of the table, per step, relative to max(1, |y|).

    Raises:
        ComputationError: too many or too short steps: a singularity of the field is near.
    """
    rows = 6 + int(mpmath.mp.dps / 3)
    done, step, y = mpmath.mpf(0), mpmath.mpf(length), start
    for _ in range(MOST_STEPS):
        if done >= length:
            return y
        step = min(step, length - done)
        found, row = _extrapolated(field, y, step, tolerance, rows)
        if found is None:
            step /= 4
            if step < length * SHORTEST:
                break
            continue
        done, y = done + step, found
        if row <= rows // 2:
            step *= 2
    raise ComputationError(
        f"the flow could not be continued beyond {mpmath.nstr(done, 6)} of {mpmath.nstr(length, 6)} within "
        f"{MOST_STEPS} steps; a singularity of its field is near, take a shorter horizon or fewer digits"
    )


def _extrapolated(field: Field, y: State, step: Mpf, tolerance: Mpf, rows: int) -> tuple[State | None, int]:
    """The end of one step, and how many rows of the table it took; None where they do not settle."""
    slope = field(y)
    before: list[State] = []
    last = mpmath.inf
    for k in range(1, rows + 1):
        row = [_midpoint(field, y, slope, step, 2 * k)]
        for j, earlier in enumerate(before):
            ratio = mpmath.mpf(k) / (k - j - 1)
            row.append(row[j] + (row[j] - earlier) / (ratio * ratio - 1))
        if before:
            difference = _size(row[-1] - before[-1], row[-1])
            if not mpmath.isfinite(difference):
                return None, k
            if difference <= tolerance:
                return row[-1], k
            if k > 4 and difference > last:
                return None, k
            last = difference
        before = row
    return None, rows


def _midpoint(field: Field, y: State, slope: State, step: Mpf, count: int) -> State:
    """The modified midpoint rule with Gragg's smoothing left out (its even expansion holds at even counts)."""
    h = step / count
    here, there = y, y + slope * h  # array times number: the other way round mpmath tries to convert the array
    for _ in range(count - 1):
        here, there = there, here + field(there) * (2 * h)
    return there


def _size(difference: State, y: State) -> Mpf:
    """The largest entry, relative to max(1, |y|)."""
    one = mpmath.mpf(1)
    return max((abs(d) / max(one, abs(v)) for d, v in zip(difference, y, strict=True)), default=mpmath.mpf(0))
