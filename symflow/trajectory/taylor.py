"""Order and step size of the Taylor method (Jorba & Zou, Experimental Mathematics 14, 2005)."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log
from typing import Any

from gmpy2 import mpz


def log2_abs(value: Any) -> float:
    """log2 |value| of a big integer, to about 1e-15; -inf for 0."""
    magnitude = abs(mpz(value))
    if magnitude == 0:
        return float("-inf")
    length = magnitude.bit_length()
    shift = max(0, length - 60)
    return shift + log(int(magnitude >> shift), 2)


def taylor_order(digits: float) -> int:
    """p = ceil(-ln(eps)/2) + 1 for a local tolerance eps = 10^-digits (their section 3.1)."""
    return ceil(digits * log(10) / 2) + 1


def log2_step(coefficients: Sequence[Sequence[Any]], order: int, log2_tolerance: float) -> float:
    """log2 of the largest s at which the last two terms stay below the tolerance.

    s = min over j in {p-1, p} of (eps / max_i |c_i,j|)^(1/j)  (their equation 3-3 with an explicit tolerance).  Where
    both vanish the nearest lower nonzero order stands in, or one unit in the last place at order p if that allows
    more; a constant solution allows any step (+inf).

    Args:
        coefficients: one coefficient list per state entry, fixed point.
        order: p.
        log2_tolerance: log2 of the tolerance in units of the last place.
    """
    best = float("inf")
    for j in range(order, 0, -1):
        largest = max(log2_abs(c[j]) for c in coefficients)
        if largest > float("-inf"):
            best = min(best, (log2_tolerance - largest) / j)
        if best < float("inf") and j < order:
            return best if j == order - 1 else max(best, log2_tolerance / order)
    return best
