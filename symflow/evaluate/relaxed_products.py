"""Online products of power series: coefficient by coefficient, in the time of a few fast polynomial products.

A Taylor recurrence needs coefficient n of a product as soon as its factors are known up to n. The sum over all
i + j = n costs order^2 / 2 multiplications in the end. Relaxed multiplication (van der Hoeven, "Relax, but don't be
too lazy", J. Symbolic Comput. 34, 2002) does most of them in advance: the factors are cut into blocks of B
coefficients, and whenever a block is complete, runs of 1, 2, 4, ... known blocks that only later coefficients need are
multiplied as polynomials. Coefficients are integers and nothing is rounded, so both ways give the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import mul

from flint import fmpz, fmpz_poly
from gmpy2 import mpz

from symflow.evaluate.products import Coefficients, Pairs, newest_coefficient

BLOCK = 16
"""Coefficients per block. From 200 to 1000 digits lengths from 8 to 32 differ by less than a fifth."""


class Mirror:
    """A growing series as FLINT's integers, each converted once."""

    def __init__(self, series: Coefficients) -> None:
        self.series = series
        self.copy: list[fmpz] = []

    def polynomial(self, start: int, stop: int) -> fmpz_poly:
        """The coefficients start, ..., stop - 1."""
        known = len(self.copy)
        if known < stop:
            self.copy += [fmpz(int(c)) for c in self.series[known:stop]]
        return fmpz_poly(self.copy[start:stop])


def online_product(pairs: Pairs, order: int, mirrors: dict[int, Mirror], block: int = BLOCK) -> Iterator[mpz]:
    """Coefficients 0, ..., order of sum a b, for series that grow meanwhile.

    Coefficient n may be asked for when each series has its coefficients up to n; those never change. Products with a
    coefficient from a factor's first block are taken when they are needed (`_stripes`), all others in `_completed`.

    Args:
        pairs: the factors.
        order: the last coefficient.
        mirrors: the factors as FLINT's integers, by the ids of their lists; for the products of one expansion to share.
        block: B.
    """
    for _ in range(min(2 * block, order + 1)):
        yield newest_coefficient(pairs)
    doubles = [(mirrors.setdefault(id(a), Mirror(a)), mirrors.setdefault(id(b), Mirror(b))) for a, b in pairs]
    heads = [(a, b, a[:block], b[:block]) for a, b in pairs]
    ahead = fmpz_poly()
    for start in range(2 * block, order + 1, block):
        ahead = ahead.right_shift(block) + _completed(doubles, start // block, block, order + 1 - start)
        for i in range(min(block, order + 1 - start)):
            yield _stripes(heads, block) + mpz(int(ahead[i]))


def _stripes(heads: Sequence[tuple[Coefficients, Coefficients, Coefficients, Coefficients]], block: int) -> mpz:
    """The newest coefficient's products with a factor's first block: sum over i < B of a_i b_{n-i} + b_i a_{n-i}."""
    total: mpz = 0
    last = -block - 1
    for a, b, first_a, first_b in heads:
        if a is b:
            total += 2 * sum(map(mul, first_a, a[:last:-1]))
        else:
            total += sum(map(mul, first_a, b[:last:-1])) + sum(map(mul, first_b, a[:last:-1]))
    return total


def _completed(doubles: Sequence[tuple[Mirror, Mirror]], count: int, block: int, length: int) -> fmpz_poly:
    """The products that become possible with the last of `count` blocks.

    For each power of two p that divides `count` the p blocks [p, 2p) meet the last p, [count - p, count), unless these
    begin earlier. So each pair of blocks from block 1 on meets once, and in time: such a product contributes to
    coefficient count B and later ones only.

    Returns:
        The contributions to coefficients count B, count B + 1, ... as a polynomial, of which the first `length` are
        complete.
    """
    total = fmpz_poly()
    p = 1
    while count % p == 0 and 2 * p <= count:
        size = min(p * block, length)
        low, high = p * block, (count - p) * block
        for a, b in doubles:
            if low == high:
                x = a.polynomial(low, low + size)
                total += x * (x if a is b else b.polynomial(low, low + size))
            elif a is b:
                total += 2 * (a.polynomial(low, low + size) * a.polynomial(high, high + size))
            else:
                total += a.polynomial(low, low + size) * b.polynomial(high, high + size)
                total += a.polynomial(high, high + size) * b.polynomial(low, low + size)
        p *= 2
    return total
