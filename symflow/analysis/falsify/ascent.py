"""Gradient ascent on the margin of a claim, within the ranges of a family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from symflow.analysis.falsify.draws import Points, log_eta_range
from symflow.analysis.falsify.family import Family, Setup
from symflow.analysis.falsify.search import Evaluator

ITERATIONS = 60
RATE = 0.1
"""Length of the first steps of Adam, in units of the variables; it falls to a tenth."""


@dataclass(frozen=True, eq=False)
class Found:
    """The best points of an ascent, best first.

    Attributes:
        points: one from each start.
        margins: of the claim there.
        ties: whether float64 cannot tell the violation from 0.
    """

    points: Points
    margins: np.ndarray
    ties: np.ndarray


def ascend(
    run: Evaluator, family: Family, setup: Setup, points: Points, *, moving: bool, on: Callable[[], bool]
) -> Found:
    """Gradient ascent on the margin from up to `BATCH` points, within the family (Adam; Kingma & Ba 2015).

    Args:
        run: the claim.
        family: the ranges.
        setup: the shape.
        points: where to start.
        moving: whether time passes.
        on: asked before every iteration whether to go on.
    """
    low, high = log_eta_range(family, points.steps, moving)
    most = float(family.weights), float(family.data)
    ends: list[tuple[float | np.ndarray, float | np.ndarray]] = [
        (-most[0], most[0]),
        (-most[1], most[1]),
        (-most[1], most[1]),
        (low, high),
    ]
    free = [points.exact is None, True, setup.loss.known.labels is None, True]
    first = [np.zeros_like(a) for a in points.moving]
    second = [np.zeros_like(a) for a in points.moving]
    best, ties, slopes = run(points)
    kept = points
    for i in range(1, ITERATIONS + 1):
        if not on():
            break
        rate = RATE * 0.1 ** (i / ITERATIONS)
        arrays = []
        for p, (a, g) in enumerate(zip(points.moving, slopes, strict=True)):
            first[p] = 0.9 * first[p] + 0.1 * g
            second[p] = 0.99 * second[p] + 0.01 * g * g
            step = first[p] / (1 - 0.9**i) / (np.sqrt(second[p] / (1 - 0.99**i)) + 1e-12)
            arrays.append(np.clip(a + rate * step, *ends[p]) if free[p] else a)
        points = points.moved(arrays)
        margins, tied, slopes = run(points)
        better = margins > best
        best, ties = np.where(better, margins, best), np.where(better, tied, ties)
        kept = kept.moved([
            np.where(better.reshape(-1, *[1] * (a.ndim - 1)), a, b)
            for a, b in zip(points.moving, kept.moving, strict=True)
        ])  # fmt: skip
    order = np.argsort(-best, kind="stable")
    return Found(kept.take(order), best[order], ties[order])
