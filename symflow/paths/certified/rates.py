r"""The one-sided rate on boxes: m >= lambda_max(sym dF/dx) on all smooth pieces that meet the box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from symflow.dynamics.jacobian import jacobian
from symflow.dynamics.vector_field import VectorField
from symflow.evaluate.eigenvalue_bounds import eigenvalue_bounds
from symflow.evaluate.rounded import Rounded
from symflow.evaluate.running_error import rounded_boxes
from symflow.paths.certified.gates import OnBoxes, choices, known_gates, on_boxes
from symflow.paths.taylor.kinks.gates import Position
from symflow.paths.taylor.kinks.region import Region

ENTRIES = 500_000
"""Most entries of the Jacobians that are held at once."""


@dataclass(frozen=True, eq=False)
class Rates:
    """m on S boxes, shape (S,).

    Attributes:
        rate: at least the rate.
        spread: how much of it is due to the size of the box.
        gates: the gates on the boxes.
    """

    rate: np.ndarray
    spread: np.ndarray
    gates: OnBoxes


def rates(
    field: VectorField,
    boxes: Rounded,
    regions: Sequence[Region],
    weights: np.ndarray | None = None,
    certain: frozenset[Position] = frozenset(),
) -> Rates:
    """m on boxes, each of which lies around a piece of the path in a region.

    Args:
        field: F.
        boxes: where.
        regions: the gates there.
        weights: powers of 2, of the norm ||W .|| that the rate is meant in (`symflow.paths.certified.weights`).
        certain: gates that are known to be those of the region.
    """
    gates, count = on_boxes(field, boxes, regions, certain), len(regions)
    rows, low, high = choices(field, gates, regions) if field.gates else (np.arange(count), [], [])
    size = field.dimension
    rate, spread = np.full(count, -np.inf), np.zeros(count)
    derived = jacobian(field)
    step = max(1, ENTRIES // size**2)
    for first in range(0, len(rows), step):
        some = rows[first : first + step]
        where = slice(first, first + len(some))
        known = known_gates(field.gates, [v[where] for v in low], [v[where] for v in high])
        blocks = rounded_boxes(field, derived.program, boxes[some], known)
        value, error = (derived.joined([getattr(b, name) for b in blocks], np, 1) for name in ("value", "error"))
        if weights is not None:
            value, error = (a * (weights[:, None] / weights) for a in (value, error))
        found = eigenvalue_bounds(Rounded(value, error))
        np.maximum.at(rate, some, found.largest_high)
        with np.errstate(invalid="ignore"):
            np.maximum.at(spread, some, np.nan_to_num((found.largest_high - found.largest_low) / 2, nan=np.inf))
    return Rates(rate, spread, gates)
