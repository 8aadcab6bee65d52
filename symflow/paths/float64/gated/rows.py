"""Rows that compiled functions take, filled up to one of few sizes, so that few are compiled for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

Array: TypeAlias = Any
"""NumPy's where a function is called, JAX's where it is traced."""


@dataclass(frozen=True)
class Sizes:
    """Numbers of rows that functions are compiled for: `least`, and again and again `ratio` times more."""

    least: int
    ratio: int

    def holding(self, count: int) -> int:
        """The least of them that is not below a number."""
        size = self.least
        while size < count:
            size *= self.ratio
        return size

    def padded(self, rows: np.ndarray) -> np.ndarray:
        """Rows repeated up to one of these numbers."""
        return np.concatenate([rows, np.repeat(rows[:1], self.holding(len(rows)) - len(rows), axis=0)])


WALKED, SPANNED = Sizes(32, 8), Sizes(64, 4)
"""Samples that walks are compiled for, and rows of the basis that they project off: compiling them takes long."""
FEW_PARAMETERS, MANY_PARAMETERS = Sizes(32, 2), Sizes(16, 2)
"""Held gates that other functions are compiled for: with many parameters each of them costs more than that."""


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
