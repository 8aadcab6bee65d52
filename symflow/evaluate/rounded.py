"""float64 balls: arrays of numbers with bounds on their errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from symflow.numbers.outward import TINY as TINY
from symflow.numbers.outward import UNIT as UNIT


@dataclass(frozen=True, eq=False)
class Rounded:
    """An array whose first axis is the batch, and at most how far its entries are from the true ones."""

    value: np.ndarray
    error: np.ndarray

    @property
    def size(self) -> np.ndarray:
        """At least the absolute values of the true entries."""
        return np.asarray(np.abs(self.value) + self.error)

    def __getitem__(self, rows: slice | np.ndarray | list[int]) -> Rounded:
        """Some of the batch."""
        return Rounded(self.value[rows], self.error[rows])

    def repeated(self, count: int) -> Rounded:
        """Every row so many times."""
        return Rounded(np.repeat(self.value, count, axis=0), np.repeat(self.error, count, axis=0))


def rounded_input(value: np.ndarray) -> Rounded:
    """Numbers that were rounded to float64."""
    return Rounded(value, UNIT * np.abs(value) + TINY)


def between(low: np.ndarray, high: np.ndarray) -> Rounded:
    """Balls that contain [low, high]."""
    with np.errstate(invalid="ignore", over="ignore"):
        middle = low / 2 + high / 2
        reach = np.maximum(high - middle, middle - low)
    return Rounded(middle, reach * (1 + 4 * UNIT) + 4 * UNIT * np.abs(middle) + TINY)


def norm_bound(x: Rounded) -> np.ndarray:
    """At least the Euclidean norms of the vectors along the last axis."""
    size = x.size
    largest = size.max(axis=-1, initial=0.0)
    with np.errstate(invalid="ignore"):
        shares = size / np.where(largest > 0, largest, 1.0)[..., None]
        found = largest * np.sqrt((shares**2).sum(axis=-1)) * (1 + 4 * (size.shape[-1] + 4) * UNIT) + TINY
    return np.asarray(np.nan_to_num(found, nan=np.inf, posinf=np.inf))


def length_bound(sizes: np.ndarray) -> float:
    """At least the Euclidean norm of one vector, from bounds on the sizes of its entries."""
    return float(norm_bound(Rounded(sizes, np.zeros_like(sizes))))


def flattened(parts: Sequence[Rounded]) -> Rounded:
    """Arrays with the same batch as one vector a row."""
    value, error = (
        np.concatenate([a.reshape(len(a), -1) for a in arrays], axis=1)
        for arrays in zip(*((x.value, x.error) for x in parts), strict=True)
    )
    return Rounded(value, error)
