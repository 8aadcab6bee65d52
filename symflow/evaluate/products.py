"""Products of truncated power series, the newest coefficient at a time."""

from __future__ import annotations

from collections.abc import Sequence
from operator import mul
from typing import TypeAlias

import gmpy2
from gmpy2 import mpz

Coefficients: TypeAlias = "list[mpz]"
"""Coefficients c_0, ..., c_k of one truncated series, in fixed point."""
Pairs = Sequence[tuple[Coefficients, Coefficients]]
"""Factors a, b in a sum of products a b of series; both may be the same list."""
Scaled = Sequence[tuple[mpz, Coefficients]]
"""Factors c, x in a sum of products c x of a number and a series."""


def newest_coefficient(pairs: Pairs) -> mpz:
    """Coefficient n of sum a b for series known up to n: sum over the pairs and over i + j = n of a_i b_j."""
    total: mpz = 0
    for a, b in pairs:
        if a is b:
            n = len(a)
            half = n >> 1
            total += 2 * sum(map(mul, a[:half], reversed(a)))
            if n & 1:
                total += a[half] * a[half]
        else:
            total += sum(map(mul, a, reversed(b)))
    return total


def sum_of_squares(polynomials: Sequence[Coefficients]) -> Coefficients:
    """The coefficients of sum a^2 for polynomials of equal length with integer coefficients.

    Each is evaluated at a power of 2 that keeps the coefficients of the result apart (Kronecker's substitution).
    """
    terms = len(polynomials[0])
    if not terms:
        return []
    size = max(max(map(abs, a)).bit_length() for a in polynomials)
    place = 2 * size + (terms * len(polynomials)).bit_length() + 2
    half = mpz(1) << (place - 1)
    shift = gmpy2.pack([half] * terms, place)  # `pack` takes numbers >= 0
    total = sum((gmpy2.pack([c + half for c in a], place) - shift) ** 2 for a in polynomials)
    found = gmpy2.unpack(total + gmpy2.pack([half] * (2 * terms - 1), place), place)
    return [c - half for c in found]
