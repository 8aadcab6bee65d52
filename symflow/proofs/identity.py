r"""Polynomial identity testing: exact rational evaluation at random points.

*Schwartz-Zippel.*  A polynomial of total degree <= d that is not 0 vanishes at a point drawn uniformly from S^m with
probability <= d/|S|; at k independent points, <= (d/|S|)^k.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import log10
from typing import Any, ClassVar

import numpy as np

from symflow.proofs.outcome import Kind, Outcome

RANGE = 10**9
"""Points are drawn from the integers -RANGE, ..., RANGE."""


class Draw:
    """Draws the coordinates of a random point: independent, uniform integers, as exact rationals."""

    def __init__(self, seed: str) -> None:
        self._source = random.Random(seed)

    def number(self) -> Fraction:
        """One coordinate."""
        return Fraction(self._source.randint(-RANGE, RANGE))

    def array(self, *shape: int) -> np.ndarray:
        """An object array of coordinates."""
        found = np.empty(shape, dtype=object)
        for index in np.ndindex(*shape):
            found[index] = self.number()
        return found

    def matrices(self, widths: Sequence[int]) -> list[np.ndarray]:
        """Weight matrices W_1, ..., W_n of a network with the widths d_0, ..., d_n."""
        return [self.array(rows, columns) for columns, rows in pairwise(widths)]


@dataclass(frozen=True)
class IdentityTest:
    r"""Polynomials that vanish exactly at random points.

    Attributes:
        scope: what the cases are, LaTeX text.
        cases: sizes for which it is tested, such as depths or tuples of widths.
        degree: a bound on the total degree of the residual for a case.
        residual: the difference of the two sides at a point whose coordinates come from the `Draw`; all its
            numbers must be drawn there and be exact.
        points: how many points a case.
    """

    scope: str
    cases: Sequence[Any]
    degree: Callable[[Any], int]
    residual: Callable[[Any, Draw], Iterable[Fraction]]
    points: int = 2
    kind: ClassVar[Kind] = "identity tested"

    @property
    def log_bound(self) -> int:
        """An exponent e such that a false identity passes a case with probability <= 10^e."""
        return -int(self.points * (log10(2 * RANGE + 1) - log10(max(map(self.degree, self.cases)))))

    def run(self) -> Outcome:
        """Evaluates the residuals; fails at the first case where one is not 0."""
        for case in self.cases:
            for point in range(self.points):
                values = list(self.residual(case, Draw(f"{case} {point}")))
                if not values or any(value != 0 for value in values):
                    return Outcome(False, f"the two sides differ in the case {case}")
        degree = max(map(self.degree, self.cases))
        return Outcome(
            True,
            f"exactly 0 at {self.points} random integer points, cases: {len(self.cases)}; a false identity "
            f"passes a case with probability at most 1e{self.log_bound} (degree at most {degree}, coordinates up to "
            f"{RANGE:.0e} in modulus)",
        )
