r"""Every step of descent between the kept iterates, in float64, with its defect.

From each kept iterate (of many digits, rounded once) the steps up to the next are walked again, all blocks at once, so
that rounding does not add up over a run. The defect of a step, v(s) = g(theta_k - s g_k) - g_k for 0 <= s <= eta, is
looked at in its middle and at its end, and more closely where these do not resemble a straight line: on a piece whose
middle is c away from the mean of its ends, a quadratic v has mean norm <= (mean of the ends' norms) + (2/3) c. Pieces
that are not resolved are cut in two, those of all steps at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from symflow.analysis.observables import gradients
from symflow.derivatives.derived import gradient
from symflow.evaluate.running_error import rounded_result
from symflow.networks.objective import Objective
from symflow.numbers.vectors import norms

STRAIGHT = 0.05
"""A piece of a step is resolved where its middle is at most so far from its ends' mean, relative to the defect."""
LEAST = 2.0**-40
"""Defects that are smaller, relative to the gradient, are not looked at more closely: that is near rounding."""
COARSEST, FINEST = 2, 5
"""A step that is looked at more closely is cut into pieces of 2^-COARSEST of it, and where it jumps of 2^-FINEST."""
KNOWN = 0.1
"""How much, relative to the largest defect of a step, its pieces that are not resolved may add to the mean."""
STORED = 20_000_000
"""Most numbers of a path that is kept."""
AT_ONCE = 4_000_000
"""Most numbers in the points of the steps that are looked at together."""
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


@dataclass(frozen=True, eq=False)
class _Steps:
    """Some steps of descent: their numbers k, theta_k and theta_{k+1}, and the gradients at both."""

    at: np.ndarray
    here: np.ndarray
    slopes: np.ndarray
    ends: np.ndarray
    following: np.ndarray


@np.errstate(over="ignore", invalid="ignore")
def iterates(objective: Objective, kept: np.ndarray, indices: Sequence[int], eta: float) -> np.ndarray:
    """theta_k for every step k, walked again from the kept iterates, which stand in their places; shape (K + 1, P)."""
    states = np.empty((int(indices[-1]) + 1, kept.shape[1]))
    for steps in _lockstep(objective, kept, indices, eta):
        states[steps.at] = steps.here
    states[np.asarray(indices)] = kept
    return states


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
    mean, peak, slope, apart = np.zeros((4, total))
    known, rising = np.ones((2, total), dtype=bool)
    keep = path is None and fits(total, kept.shape[1])
    states = np.empty((total + 1, kept.shape[1])) if keep else None
    made = _lockstep(objective, kept, indices, eta) if path is None else _along(objective, path)
    for steps in made:
        at, here = steps.at, steps.here
        found = _defects(objective, steps)
        mean[at], peak[at], rising[at], known[at] = found.mean, found.peak, found.rising, found.known
        slope[at] = norms(steps.slopes)
        apart[at] = norms(here - eta * steps.slopes - steps.ends)
        if states is not None:
            states[at] = here
    if states is not None:
        states[np.asarray(indices)] = kept
    error = rounded_result(objective, gradient(objective), kept).error
    error = norms(np.nan_to_num(error, nan=np.inf))
    per_block = 2 * np.maximum(error[:-1], error[1:])  # twice: for the steps between them
    block = np.repeat(np.arange(len(blocks)), blocks)
    apart = np.maximum.reduceat(apart, np.asarray(indices[:-1], dtype=int)) if total else apart
    slope += per_block[block]
    mean += 2 * per_block[block]  # a defect is the difference of two gradients
    peak += 2 * per_block[block]
    size = np.maximum(norms(kept[1:]), norms(kept[:-1]))
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
    return Walk(path if states is None else states, mean, peak, slope, rising, apart, end, reason)


def _lockstep(objective: Objective, kept: np.ndarray, indices: Sequence[int], eta: float) -> Iterator[_Steps]:
    """All steps: the first after each kept iterate, then the second after each, ...

    The last step of a block ends where descent did, whatever rounding made of the gradients on the way.
    """
    first, counts = np.asarray(indices[:-1], dtype=int), np.diff(np.asarray(indices))
    theta, g = kept[:-1].copy(), gradients(objective, kept[:-1])
    for j in range(int(counts.max(initial=0))):
        rows = np.flatnonzero(counts > j)
        ends = theta[rows] - eta * g[rows]
        last = counts[rows] == j + 1
        ends[last] = kept[rows[last] + 1]
        following = gradients(objective, ends)
        yield _Steps(first[rows] + j, theta[rows], g[rows], ends, following)
        theta[rows], g[rows] = ends, following


def _along(objective: Objective, path: np.ndarray) -> Iterator[_Steps]:
    """All steps of a path that is known."""
    total, many = len(path) - 1, max(1, AT_ONCE // path.shape[1])
    for start in range(0, total, many):
        states = path[start : start + many + 1]
        g = gradients(objective, states)
        yield _Steps(np.arange(start, start + len(states) - 1), states[:-1], g[:-1], states[1:], g[1:])


def _defects(objective: Objective, steps: _Steps) -> _Defects:
    """The defects of some steps."""
    here, g, there = steps.here, steps.slopes, steps.ends
    half, whole = gradients(objective, 0.5 * (here + there)) - g, steps.following - g
    middle, end = norms(half), norms(whole)
    bend = norms(half - 0.5 * whole)
    peak = np.maximum(middle, end)
    mean, rising, known = 0.5 * end + bend * (2 / 3), middle <= end, np.ones(len(here), dtype=bool)
    least = LEAST * norms(g)  # so small a defect is rounding
    rows = np.flatnonzero(~(bend <= np.maximum(STRAIGHT * peak, least)))
    many = max(1, AT_ONCE // (here.shape[1] * (2 ** (COARSEST + 1) + 1)))
    for start in range(0, len(rows), many):
        some = rows[start : start + many]
        closer = _closely(objective, here[some], g[some], there[some])
        mean[some], peak[some], rising[some], known[some] = closer.mean, closer.peak, closer.rising, closer.known
    return _Defects(mean, peak, rising, known)


def _closely(objective: Objective, here: np.ndarray, g: np.ndarray, there: np.ndarray) -> _Defects:
    """The defects of S steps from more points, most of them where they jump."""
    count, way = len(here), there - here

    def defects(owner: np.ndarray, share: np.ndarray) -> np.ndarray:
        return np.asarray(gradients(objective, here[owner] + share[:, None] * way[owner]) - g[owner])

    pieces = 2**COARSEST
    shares = np.linspace(0.0, 1.0, 2 * pieces + 1)
    v = defects(np.repeat(np.arange(count), len(shares)), np.tile(shares, count)).reshape(count, len(shares), -1)
    owner, start = np.repeat(np.arange(count), pieces), np.tile(shares[:-1:2], count)
    ends = np.stack([v[:, :-2:2], v[:, 1::2], v[:, 2::2]], axis=2).reshape(count * pieces, 3, -1)
    peak, found = np.zeros(count), []
    for level in range(COARSEST, FINEST + 1):
        sizes = norms(ends)
        bends = norms(ends[:, 1] - 0.5 * (ends[:, 0] + ends[:, 2]))
        np.maximum.at(peak, owner, sizes.max(axis=1))
        cut = (bends > STRAIGHT * peak[owner]) & (level < FINEST)
        found.append((owner[~cut], np.full((~cut).sum(), 2.0**-level), sizes[~cut], bends[~cut]))
        if not cut.any():
            break
        owner, start, ends = owner[cut], start[cut], ends[cut]
        half = 2.0 ** -(level + 1)
        first, second = defects(owner, start + half / 2), defects(owner, start + half * 1.5)
        left, right = (np.stack(p, axis=1) for p in ((ends[:, 0], first, ends[:, 1]), (ends[:, 1], second, ends[:, 2])))
        owner, start, ends = np.tile(owner, 2), np.concatenate([start, start + half]), np.concatenate([left, right])
    owner, size, sizes, bends = (np.concatenate(a) for a in zip(*found, strict=True))
    before, middle, after = sizes.T
    jumps = bends > STRAIGHT * peak[owner]  # or what looks like one: its largest value stands for the whole piece
    mean = np.where(jumps, sizes.max(axis=1) + bends, 0.5 * (before + after) + bends * (2 / 3))
    unknown = np.bincount(owner, np.where(jumps, size * bends, 0.0), count)
    falls = np.bincount(owner, ~((before <= middle) & (middle <= after)), count)
    finite = np.isfinite(peak)
    return _Defects(
        np.where(finite, np.bincount(owner, size * mean, count), np.inf),
        np.where(finite, peak, np.inf),
        finite & (falls == 0),
        finite & (unknown <= KNOWN * peak),
    )
