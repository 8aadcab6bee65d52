"""The defect of a Taylor step: how far its polynomial is from solving the equation, looked at where the step ends.

The step rule extrapolates from the last two coefficients. Where those vanish (a lacunary series, an exponential below
the last place) it says nothing, and only the field itself, evaluated afresh, tells whether the polynomial still solves
the equation: |theta~'(s) - F(theta~(s))| s / (p + 1) is what the step adds to the error, to leading order.
"""

from __future__ import annotations

from collections.abc import Sequence

from gmpy2 import mpz

from symflow.evaluate.fixed_point import FixedSeries
from symflow.evaluate.native.words import terms_of
from symflow.evaluate.products import Coefficients
from symflow.evaluate.series import Recurrence
from symflow.paths.taylor.step_size import log2_abs

ALLOWED = 6
"""A step is accepted where its local error is at most 2^ALLOWED times the tolerance: the step rule aims at 1."""


def log2_local_error(
    recurrence: Recurrence, coefficients: Sequence[Coefficients], s: mpz, tau: int
) -> tuple[list[mpz], float]:
    """The state at s, and log2 of the local error there in units of the last place.

    Args:
        recurrence: the field's; its series are those of another point afterwards.
        coefficients: those of the state, up to order p, in s = t / 2^tau.
        s: where, fixed point.
        tau: of the variable.
    """
    arithmetic = recurrence.arithmetic
    assert isinstance(arithmetic, FixedSeries)
    values, slopes = recurrence.land(coefficients, s, tau)
    moved = (abs(v - arithmetic.integrate(r, 0, tau)) for v, r in zip(slopes, recurrence.rates(), strict=True))
    largest = max(moved, default=mpz(0))
    return values, log2_abs(largest * s) - arithmetic.bits - log2_abs(mpz(terms_of(coefficients)))


def log2_strayed(
    recurrence: Recurrence, followed: Sequence[Coefficients], before: Sequence[Coefficients], s: mpz
) -> float:
    """log2 of how far series that are watched are from their values at s, in units of the last place.

    Args:
        recurrence: expanded at s by now.
        followed: the series.
        before: the same, expanded at the step's start.
        s: where, fixed point.
    """
    return log2_abs(recurrence.strayed(followed, before, s)) if followed else float("-inf")
