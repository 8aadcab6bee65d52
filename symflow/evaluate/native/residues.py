"""The moduli, and the tables that the kernel needs of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import prod

import numpy as np

from symflow.evaluate.native.layout import DIGIT, PACK, TERMS

MOST_MODULI = TERMS // PACK * PACK
"""The sums over moduli are words, too."""


@cache
def moduli(count: int) -> tuple[int, ...]:
    """The largest primes below 2^28, in descending order."""
    span = 1 << 13  # some 400 primes
    sieve = np.ones(span, dtype=bool)
    sieve[0] = False
    for q in range(2, 1 << (DIGIT // 2)):
        sieve[(1 << DIGIT) % q :: q] = False  # 2^28 - i with i = 2^28 mod q, q more, ...
    return tuple((1 << DIGIT) - int(i) for i in np.flatnonzero(sieve)[:count])


def packed(values: list[int]) -> np.ndarray:
    """Numbers below 2^32, two in a word: of sixteen the first eight are the low halves."""
    array = np.array(values, dtype=np.uint32).reshape(-1, 2, PACK // 2)
    return np.ascontiguousarray(array.transpose(0, 2, 1)).reshape(-1).view(np.uint64)


def digits_of(value: int, count: int) -> list[int]:
    """The lowest digits, in base 2^28."""
    return [(value >> (DIGIT * i)) & ((1 << DIGIT) - 1) for i in range(count)]


@dataclass(frozen=True, eq=False)
class Moduli:
    """The tables of the first `count` moduli, a multiple of 16."""

    count: int
    product: int
    arrays: dict[str, np.ndarray]

    def bits(self, terms: int) -> int:
        """The most bits of numbers for which sums of so many products of two are recovered: |T| < 0.49 P."""
        return ((self.product * 49 // 100 // terms).bit_length() - 1) // 2


@cache
def tables(count: int) -> Moduli:
    """The tables of the explicit Chinese remainder theorem."""
    primes = moduli(count)
    whole = prod(primes)
    cofactors = [whole // p for p in primes]
    delta = [(1 << DIGIT) - p for p in primes]
    arrays = {
        "delta": packed(delta),
        "delta16": packed([16 * d for d in delta]),
        "inverses": packed([pow(c, -1, p) for c, p in zip(cofactors, primes, strict=True)]),
        "reciprocals": np.array([1 / p for p in primes]),
        "cofactors": np.concatenate([packed(digits_of(c, count)) for c in cofactors]),
        "product": np.array(digits_of(whole, count), dtype=np.uint64),
    }
    return Moduli(count, whole, arrays)


@cache
def reduction_tables(count: int, limbs: int) -> dict[str, np.ndarray]:
    """What reduces numbers of some limbs: 2^(28 c) and -2^(64 limbs - 1) modulo each prime."""
    primes = moduli(count)
    chunks = -(-64 * limbs // DIGIT)
    return {
        "powers": np.concatenate([packed([pow(2, DIGIT * c, p) for p in primes]) for c in range(chunks)]),
        "sign": packed([-pow(2, 64 * limbs - 1, p) % p for p in primes]),
    }
