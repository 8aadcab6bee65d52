"""Series that nothing else is computed from: their coefficients are computed when somebody asks for them."""

from __future__ import annotations

import numpy as np

from symflow.evaluate.native.compiled import Compiled
from symflow.evaluate.native.table import Table


class Deferred:
    """Which of the deferred series of a table are known in the last expansion.

    Args:
        kernel: the compiled functions.
        table: what they execute.

    Attributes:
        known: which series have all coefficients.
    """

    def __init__(self, kernel: Compiled, table: Table) -> None:
        self.kernel = kernel
        self.known = np.ones(table.series, dtype=bool)
        self.series, starts = table.deferred
        self._starts = np.zeros(table.series, dtype=np.int64)
        self._starts[self.series] = starts
        self._begun = True

    def forget(self) -> None:
        """Another expansion begins."""
        self.known[self.series] = False
        self._begun = not len(self.series)

    def compute(self, address: int, series: np.ndarray, order: int, terms: int) -> bool:
        """Whether some coefficients of series could be computed: none is too large.

        The first ones of all series are computed together, all up to the order only of those that are named.
        """
        first = terms == 1
        if (self._begun and first) or self.known[series].all():
            return True
        chosen, last = (self.series, 0) if first else (np.unique(series[~self.known[series]]), order)
        starts = np.ascontiguousarray(self._starts[chosen])
        if self.kernel.complete(address, starts.ctypes.data, len(starts), last):
            return False
        self._begun = self._begun or first
        if order == 0 or not first:
            self.known[chosen] = True
        return True
