"""Order and step size of the Taylor method (Jorba & Zou, Experimental Mathematics 14, 2005)."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log

from gmpy2 import mpz


def log2_abs(value: mpz) -> float:
    """log2 |value| of a big integer, to about 1e-15; -inf for 0."""
    magnitude = abs(mpz(value))
    if magnitude == 0:
        return float("-inf")
    length = magnitude.bit_length()
    shift = max(0, length - 60)
    return shift + log(int(magnitude >> shift), 2)


FAST_PRODUCTS_DIGITS = 170
"""Digits of tolerance from which on series are multiplied in much less than order^2 operations, kernel or not."""


def taylor_order(digits: float, *, smooth: bool = False) -> int:
    """The order for a local tolerance eps = 10^-digits: p = ceil(-ln(eps)/2) + 1 (their section 3.1).

    For smooth flows, and from `FAST_PRODUCTS_DIGITS` on, a fifth more. Steps are proportional to eps^(1/p), so
    -ln(eps)/2 is the best order where a step costs p^2. With the kernel (and with `relaxed_products`) it costs less,
    the best order is higher, and what a step costs in Python is paid more rarely. Time of the integration relative to
    order -ln(eps)/2 on linear networks:

    | order factor        | 1.0 | 1.2  | 1.35 | 1.5  |
    |---------------------|-----|------|------|------|
    | 2-2-2-1, 30 digits  | 1   | 0.87 | 0.85 | 0.89 |
    | 2-2-2-1, 50 digits  | 1   | 0.97 | 0.84 | 0.93 |
    | 2-3-3-2, 30 digits  | 1   | 0.98 | 0.91 | 0.85 |
    | 6-6-6-6, 30 digits  | 1   | 0.96 | 0.95 | 0.95 |
    | 2-3-3-2, 100 digits | 1   | 0.92 | 0.88 | 0.92 |
    | 2-3-3-2, 200 digits | 1   | 1.03 | 1.04 | 1.26 |

    Proofs take 0.81 to 0.91 of their time at 1.2. Where a flow crosses kinks steps end early, which speaks for the
    lower order.
    """
    factor = 1.2 if smooth or digits >= FAST_PRODUCTS_DIGITS else 1
    return ceil(factor * digits * log(10) / 2) + 1


def log2_step(last: Sequence[mpz], before: Sequence[mpz], order: int, log2_tolerance: float) -> float:
    """log2 of the largest s at which the last two terms stay below the tolerance.

    s = min over j in {p-1, p} of (eps / max_i |c_i,j|)^(1/j) (their equation 3-3 with an explicit tolerance); +inf
    where both vanish, which says nothing: of a constant any step is right, of x' = 1 - x^59 none of length 1. So this
    only proposes a step; `defect.py` decides.

    Args:
        last: coefficient p of every entry of the state, fixed point.
        before: coefficient p - 1.
        order: p.
        log2_tolerance: log2 of the tolerance in units of the last place.
    """
    best = float("inf")
    for j, coefficients in ((order, last), (order - 1, before)):
        largest = log2_abs(max(map(abs, coefficients)))
        if largest > float("-inf"):
            best = min(best, (log2_tolerance - largest) / j)
    return best
