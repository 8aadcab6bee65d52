"""Rows that compiled functions take, filled up to one of few sizes, so that few are compiled for."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np

Array: TypeAlias = Any
"""NumPy's where a function is called, JAX's where it is traced."""

LEAST = 16
"""Least number of rows that functions are compiled for."""
WALKED = 4
"""The ratio of such numbers for walks: they take longer to compile than to run."""


def padded(rows: np.ndarray, ratio: int = 2) -> np.ndarray:
    """Rows repeated up to one of few sizes, in this ratio to each other."""
    size = LEAST
    while size < len(rows):
        size *= ratio
    return np.concatenate([rows, np.repeat(rows[:1], size - len(rows), axis=0)])


class HeldRows(NamedTuple):
    """Held gates (Q,), filled up to one of few sizes.

    Attributes:
        samples: their samples.
        units: their units.
        real: which of them are meant.
    """

    samples: Array
    units: Array
    real: Array


class MemberRows(NamedTuple):
    """The gates that share kinks with held ones (E,), filled up to one of few sizes.

    Attributes:
        rows: which they are.
        owner: the held gate, a row of `HeldRows`.
        side: 1 where it is on with the held one, -1 where it is off, 0 where it fills up.
    """

    rows: HeldRows
    owner: Array
    side: Array
