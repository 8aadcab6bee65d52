"""Distances of descent from flow, with their errors: what the norm rounds and what is known of both paths."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, log2

import mpmath
import numpy as np
from flint import arb

from symflow.numbers.balls import RADIUS_BITS, Ball, ball_precision, distance, from_mpf, midpoint, upper
from symflow.numbers.types import Mpf
from symflow.paths.path_error import PathError
from symflow.paths.trajectory import Trajectory

GUARD = 15
"""Digits beyond those of the paths that distances are given with."""
GUARD_BITS = 64


def distance_error(flow: Trajectory, run: Trajectory, count: int) -> PathError:
    """How far the distance of two paths' values may be from that of the true ones, and how that is known.

    sqrt(P) (e + e^D), from the largest errors of a component of the flow and of descent. Given iterates are what they
    are: they have no error.
    """
    known = [error for error in (flow.error, run.error) if error is not None]
    with ball_precision(GUARD_BITS):
        value = upper(arb(count).sqrt() * sum((from_mpf(e.value) for e in known), arb(0)))
    certified = flow.error is not None and all(e.how == "certified" for e in known)
    names = ("flow", "descent")
    said = [f"{name}: {e.reason}" for name, e in zip(names, (flow.error, run.error), strict=True) if e and e.reason]
    return PathError(value, "certified" if certified else "estimated", "; ".join(said))


def distances(a: np.ndarray, b: np.ndarray, dps: int, error: Mpf) -> Iterator[tuple[Mpf, Mpf]]:
    """Euclidean distances of corresponding rows, each with its radius: the true distance is within it.

    A distance that cannot be told from 0 is given as 0.

    Args:
        a: numbers (mpf or float64), shape (S, P); exact.
        b: the same.
        dps: digits of the paths.
        error: how far the true distances may be from those of these numbers.
    """
    with ball_precision(ceil((dps + 2 * GUARD) * log2(10)) + GUARD_BITS):
        slack = from_mpf(error)
        for row, other in zip(a, b, strict=True):
            found = distance(map(_ball, row), map(_ball, other))
            value = midpoint(found)
            with mpmath.workdps(dps + GUARD):
                value = +value if value > error else mpmath.mpf(0)
            radius = upper(abs(found - from_mpf(value)) + slack)
            yield value, mpmath.fadd(radius, 0, prec=RADIUS_BITS, rounding="u")


def _ball(x: Mpf) -> Ball:
    """A number of a path, exactly."""
    return from_mpf(x) if hasattr(x, "_mpf_") else arb(float(x))
