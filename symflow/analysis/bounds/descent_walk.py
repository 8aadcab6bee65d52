r"""Every step of descent between the kept iterates, in float64, with its defect.

From each kept iterate (of many digits, rounded once) the steps up to the next are walked again, all blocks at once, so
that rounding does not add up over a run. The defect of a step, v(s) = g(theta_k - s g_k) - g_k for 0 <= s <= eta, is
looked at in its middle and at its end, and more closely where these do not resemble a straight line: on a piece whose
middle is c away from the mean of its ends, a quadratic v has mean norm <= (mean of the ends' norms) + (2/3) c.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from symflow.analysis.observables import gradients
from symflow.derivatives.derived import gradient
from symflow.evaluate.running_error import rounded_result
from symflow.networks.objective import Objective

STRAIGHT = 0.05
"""A piece of a step is resolved where its middle is at most so far from its ends' mean, relative to the defect."""
LEAST = 2.0**-40
"""Defects that are smaller, relative to the gradient, are not looked at more closely: that is near rounding."""
LEVELS = 6
"""A step is cut into at most 2^LEVELS pieces."""
KNOWN = 0.1
"""How much, relative to the largest defect of a step, its pieces that are not resolved may add to the mean."""
STORED = 20_000_000
"""Most numbers of a path that is kept."""
APART = 1e-6
"""How far, relative to its size, a walk may end from the next kept iterate: further, rounding decides where it goes."""


@dataclass(frozen=True, eq=False)
class Walk:
    """A run of descent, every step.

    Attributes:
        states: theta_0, theta_1, ..., shape (K + 1, P); None where they are too many to keep.
        mean: mean norm of each step's defect, at least, rounding included; shape (K,), as are the next three.
        peak: its largest sampled norm.
        slope: ||g(theta_k)||, rounding included.
        rising: whether the norm of the defect does not fall within the step, as far as it was sampled.
        apart: how far the walk of each block ends from the next kept iterate, shape (blocks,).
        end: how many of the blocks are in order, and
        reason: why not the next one; None where all are.
    """

    states: np.ndarray | None
    mean: np.ndarray
    peak: np.ndarray
    slope: np.ndarray
    rising: np.ndarray
    apart: np.ndarray
    end: int
    reason: str | None


@dataclass(frozen=True, eq=False)
class _Defects:
    """Of some steps: mean and peak norm, whether it rises, and whether the mean is known."""

    mean: np.ndarray
    peak: np.ndarray
    rising: np.ndarray
    known: np.ndarray


def fits(total: int, parameters: int) -> bool:
    """Whether a path of this many steps is kept."""
    return (total + 1) * parameters <= STORED


@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def walk(
    objective: Objective, kept: np.ndarray, indices: Sequence[int], eta: float, path: np.ndarray | None = None
) -> Walk:
    """Looks at every step from each kept iterate to the next; walks them where they are not given.

    Args:
        objective: in the form that is cheapest to evaluate.
        kept: theta_k at the indices, float64, shape (S, P).
        indices: 0 = k_0 < k_1 < ...
        eta: the step size.
        path: theta_k for all k, where they are known.
    """
    blocks, total = np.diff(np.asarray(indices)), int(indices[-1])
    known_at = np.asarray(indices) if path is None else np.arange(total + 1)
    ends_at = kept if path is None else path
    first, counts = known_at[:-1], np.diff(known_at)
    mean, peak, slope, known = np.zeros(total), np.zeros(total), np.zeros(total), np.ones(total, dtype=bool)
    rising = np.ones(total, dtype=bool)
    states = np.empty((total + 1, kept.shape[1])) if fits(total, kept.shape[1]) else None
    theta, g, apart = ends_at[:-1].copy(), gradients(objective, ends_at[:-1]), np.zeros(len(counts))
    for j in range(int(counts.max(initial=0))):
        rows = np.flatnonzero(counts > j)
        here, slopes, at = theta[rows], g[rows], first[rows] + j
        # The last step of a block ends where descent did, whatever rounding made of the gradients on the way.
        ends = here - eta * slopes
        last = counts[rows] == j + 1
        apart[rows[last]] = np.linalg.norm(ends[last] - ends_at[rows[last] + 1], axis=1)
        ends[last] = ends_at[rows[last] + 1]
        found, following = _defects(objective, here, slopes, ends)
        mean[at], peak[at], rising[at], known[at] = found.mean, found.peak, found.rising, found.known
        slope[at] = np.linalg.norm(slopes, axis=1)
        if states is not None:
            states[at] = here
        theta[rows], g[rows] = ends, following
    if states is not None:
        states[known_at] = ends_at
    error = rounded_result(objective, gradient(objective), kept).error
    error = np.linalg.norm(np.nan_to_num(error, nan=np.inf), axis=1)
    per_block = 2 * np.maximum(error[:-1], error[1:])  # twice: for the steps between them
    block = np.repeat(np.arange(len(blocks)), blocks)
    if path is not None:
        apart = np.maximum.reduceat(apart, np.asarray(indices[:-1]))
    slope += per_block[block]
    mean += 2 * per_block[block]  # a defect is the difference of two gradients
    peak += 2 * per_block[block]
    size = np.maximum(np.linalg.norm(kept[1:], axis=1), np.linalg.norm(kept[:-1], axis=1))
    end, reason = len(blocks), None
    lost = np.flatnonzero((blocks > 1) & ~(apart <= APART * size))
    blind = np.flatnonzero(~(known & np.isfinite(mean)))
    if len(lost):
        end = int(lost[0])
        reason = (
            f"from t = {indices[end] * eta:.6g} on descent depends on rounding between the samples, which are "
            f"{blocks[end]} steps apart; compare fewer steps"
        )
    if len(blind) and block[blind[0]] < end:
        end = int(block[blind[0]])
        reason = (
            f"the step of descent at t = {blind[0] * eta:.6g} is too long for its gradients to be sampled; take a "
            "smaller step size"
        )
    return Walk(states, mean, peak, slope, rising, apart, end, reason)


def _defects(objective: Objective, here: np.ndarray, g: np.ndarray, there: np.ndarray) -> tuple[_Defects, np.ndarray]:
    """The defects of one step from each of S points to its end, and the gradient there."""
    following = gradients(objective, there)
    half, whole = gradients(objective, 0.5 * (here + there)) - g, following - g
    middle, end = np.linalg.norm(half, axis=1), np.linalg.norm(whole, axis=1)
    bend = np.linalg.norm(half - 0.5 * whole, axis=1)
    peak = np.maximum(middle, end)
    mean, rising, known = 0.5 * end + bend * (2 / 3), middle <= end, np.ones(len(here), dtype=bool)
    least = LEAST * np.linalg.norm(g, axis=1)  # so small a defect is rounding
    for row in np.flatnonzero(~(bend <= np.maximum(STRAIGHT * peak, least))):
        mean[row], peak[row], rising[row], known[row] = _closely(objective, here[row], g[row], there[row])
    return _Defects(mean, peak, rising, known), following


def _closely(
    objective: Objective, here: np.ndarray, g: np.ndarray, there: np.ndarray
) -> tuple[float, float, bool, bool]:
    """Mean and peak of one step's defect, whether it rises, whether the mean is known; from more and more points."""
    mean = peak = np.inf
    rising = known = False
    for level in range(2, LEVELS + 1):
        shares = np.linspace(0.0, 1.0, 2**level + 1)
        v = gradients(objective, here + shares[:, None] * (there - here)) - g
        if not np.isfinite(v).all():
            return np.inf, np.inf, False, False
        norms = np.linalg.norm(v, axis=1)
        bends = np.linalg.norm(v[1::2] - 0.5 * (v[:-2:2] + v[2::2]), axis=1)
        peak = float(norms.max())
        before, middle, after = norms[:-2:2], norms[1::2], norms[2::2]
        jumps = bends > STRAIGHT * peak  # or what looks like one: its largest value stands for the whole piece
        largest = np.maximum(np.maximum(before, middle), after) + bends
        mean = float(np.where(jumps, largest, 0.5 * (before + after) + bends * (2 / 3)).mean())
        rising = bool(np.all(np.diff(norms) >= 0))
        known = float(np.where(jumps, bends, 0.0).mean()) <= KNOWN * peak
        if not jumps.any():
            break
    return mean, peak, rising, known
