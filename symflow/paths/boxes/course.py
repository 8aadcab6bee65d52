"""The centre of a box and the first variation along it: Taylor polynomials of a stretch of time, and their defects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from flint import arb_poly
from gmpy2 import mpz

from symflow.dynamics.vector_field import VectorField
from symflow.evaluate.series_remainders import remainders
from symflow.numbers.balls import Ball, around, ball, from_fixed
from symflow.paths.boxes.matrices import symmetric, vector
from symflow.paths.taylor.dense import Segment
from symflow.paths.taylor.kinks.region import Region
from symflow.paths.taylor.limits import Limits, Precision
from symflow.paths.taylor.run import integrate

BEYOND = 2
"""The last step of a stretch may end this many units of the last place after the polynomials' end."""


@dataclass(frozen=True)
class Step:
    """x~(s) and Phi(s) on [0, length] in s = t / 2^tau, and what is proved of them.

    Attributes:
        segment: the Taylor polynomials of x~ and of the columns of Phi.
        start: the time at its beginning, exactly.
        length: in s, exactly.
        bits: of the polynomials.
        size: P.
        defects: balls around 0 that contain x~' - 2^tau G(x~) and the entries of Phi' - 2^tau DG(x~) Phi.
    """

    segment: Segment
    start: Fraction
    length: Fraction
    bits: int
    size: int
    defects: np.ndarray

    @property
    def unit(self) -> Ball:
        """2^tau."""
        return ball(Fraction(2) ** self.segment.tau)

    @property
    def end(self) -> Fraction:
        """The time at its end, exactly."""
        return self.start + self.length * Fraction(2) ** self.segment.tau

    @property
    def defect(self) -> np.ndarray:
        """Of the centre, shape (P,)."""
        return self.defects[: self.size]

    @property
    def variation_defect(self) -> np.ndarray:
        """Of Phi, shape (P, P)."""
        return self.defects[self.size :].reshape(self.size, self.size).T

    @cached_property
    def _polynomials(self) -> list[tuple[arb_poly, arb_poly]]:
        """Each component and its derivative in s."""
        found = [arb_poly([from_fixed(c, self.bits) for c in series]) for series in self.segment.coefficients]
        return [(p, p.derivative()) for p in found]

    def on(self, low: Fraction, high: Fraction) -> tuple[np.ndarray, np.ndarray]:
        """Balls that contain x~ and Phi on [low, high]: p(s) in p(middle) + p'([low, high]) (s - middle)."""
        middle, reach = ball((low + high) / 2), ball((high - low) / 2)
        whole, away = around(middle, reach), around(ball(0), reach)
        if low == high:
            values = vector([p(middle) for p, _ in self._polynomials])
        else:
            values = vector([p(middle) + slope(whole) * away for p, slope in self._polynomials])
        return values[: self.size], values[self.size :].reshape(self.size, self.size).T

    def rounding(self) -> Ball:
        """How far x~ may be from itself where it is evaluated in fixed point: by Horner's rule at a rounded s <= 1."""
        ulp, whole = ball(Fraction(1, 1 << self.bits)), around(ball(self.length / 2), ball(self.length / 2))
        steepest = max((slope(whole).abs_upper() for _, slope in self._polynomials[: self.size]), default=ball(0))
        return ulp * (steepest + 2 * len(self.segment.coefficients[0]) + 2)


def stretch(
    variational: VectorField,
    start: Sequence[Fraction],
    begin: Fraction,
    length: Fraction,
    precision: Precision,
    limits: Limits,
) -> tuple[Step, ...]:
    """Solves x' = G(x), Phi' = DG(x) Phi, Phi = I at first, over a time.

    Args:
        variational: the field of x and Phi.
        start: x at first.
        begin: the time at first.
        length: how long.
        precision: of the run.
        limits: what it may cost.

    Raises:
        FlowStopped: it cannot be done.
    """
    size = len(start)
    state = [*start, *(Fraction(int(i == j)) for j in range(size) for i in range(size))]

    def observe(region: Region, s: mpz, tau: int) -> np.ndarray:
        return remainders(region.recurrence, s + BEYOND, tau).defect

    run = integrate(variational, state, length, precision, limits=limits, observer=observe)
    if run.ended is not None:
        raise run.ended
    steps = []
    for segment, defect in zip(run.segments, run.observed, strict=True):
        after = Fraction(int(segment.start), 1 << run.clock)
        end = length if segment is run.segments[-1] else Fraction(int(segment.end), 1 << run.clock)
        ulp = ball(Fraction(1, 1 << precision.bits))
        bounds = symmetric(vector([ball(Fraction(float(v))) * ulp for v in defect]))
        taken = (end - after) / Fraction(2) ** segment.tau
        steps.append(Step(segment, begin + after, taken, precision.bits, size, bounds))
    return tuple(steps)
