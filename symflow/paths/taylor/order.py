"""The order of the next step where kinks end the steps: low, as far as the series allow.

A step of order p costs about (p + OVERHEAD)^2. If kinks come at random with the mean distance H, a step that the series
limit to h has the mean length L(h) = H (1 - e^{-h/H}); h(p) is known from the coefficients of the last step. The order
chosen minimizes (p + OVERHEAD)^2 / L(h(p)). Where there are no kinks it is the order of the run (`taylor_order`).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import expm1, inf, isinf

from gmpy2 import mpz

from symflow.evaluate.products import Coefficients
from symflow.paths.taylor.step_size import log2_abs

OVERHEAD = 8
"""What a step costs besides products of series, in orders; measured on ReLU networks of 13 and of 450 parameters."""
LEAST = 6
"""Lowest order."""
LATEST = 6
"""So many distances between kinks are remembered."""
HIGHER = 4
"""By so many orders it may grow from one step to the next."""


class Order:
    """The order of the next step, from the kinks and the series that came before.

    Args:
        most: the order of the run.
    """

    def __init__(self, most: int) -> None:
        self.most = self.now = most
        self._distances: list[float] = []
        self._since = 0.0

    def step(self, log2_length: float, kink: bool) -> None:
        """A step of this length in time was made, to a kink or not."""
        self._since += 2.0**log2_length
        if kink:
            self._distances = [*self._distances, self._since][-LATEST:]
            self._since = 0.0

    def choose(self, series: Sequence[Coefficients], tau: int, log2_tolerance: float) -> None:
        """The next order.

        Args:
            series: the coefficients of the state in the last step, up to its order.
            tau: they are in s = t / 2^tau.
            log2_tolerance: of a step's error, in units of the last place.
        """
        if not self._distances:
            return
        distance = max(self._since, sum(self._distances) / len(self._distances))
        lengths = _lengths(series, tau, log2_tolerance, min(self.most, self.now + HIGHER))

        def cost(p: int) -> float:
            length = min(lengths[p], 1000.0 * distance)
            return float((p + OVERHEAD) ** 2 / -expm1(-length / distance)) if length else inf

        self.now = min(range(min(LEAST, self.most), len(lengths)), key=cost)


def _lengths(series: Sequence[Coefficients], tau: int, log2_tolerance: float, most: int) -> list[float]:
    """For every order up to `most` about the longest step whose last two terms are below the tolerance."""
    sizes = [log2_abs(max(map(abs, column), default=mpz(0))) for column in zip(*series, strict=True)]
    known = len(sizes) - 1
    decay = (sizes[known] - sizes[known // 2]) / max(1, known - known // 2) if known else -inf
    sizes += [sizes[known] + decay * k for k in range(1, most - known + 1)] if abs(decay) < inf else []
    single = [inf] + [(log2_tolerance - size) / k for k, size in enumerate(sizes[1 : most + 1], start=1)]
    pairs = [min(a, b) for a, b in zip([inf, *single], single, strict=False)]
    return [inf if isinf(x) else 2.0 ** min(900.0, x + tau) for x in pairs]
