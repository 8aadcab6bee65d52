"""Residues of exponentials and quotients at a point.

At almost every point the exponentials of polynomials that are linearly independent modulo constants are algebraically
independent (Ax 1971), and the number e is transcendental. So residues of their values may be chosen freely, as long as
exponentials of dependent exponents are chosen alike: a matrix over the ring that they generate has at least the rank
that it has after this choice.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction
from math import lcm

import flint

from symflow.analysis.laws.polynomials import Polynomial, System, rational
from symflow.analysis.laws.residues import PRIME, residue
from symflow.errors import ProblemError


def auxiliary_values(system: System, point: Sequence[Fraction]) -> tuple[int, ...]:
    """The residues of the auxiliary functions at a point, in their order.

    Raises:
        ProblemError: a denominator vanishes there.
    """
    exponentials = iter(_exponentials([y.exponent for y in system.auxiliary if y.exponent is not None]))
    values = [residue(v) for v in point]
    for y in system.auxiliary:
        values.append(next(exponentials) if y.reciprocal is None else _inverse(_at(y.reciprocal, values)))
    return tuple(values[len(point) :])


def _inverse(value: int) -> int:
    if value == 0:
        raise ProblemError("no denominator of the map may be 0 at the point, got one that is; give another at=")
    return pow(value, -1, PRIME)


def _exponentials(exponents: Sequence[Polynomial]) -> list[int]:
    """exp of each exponent, from free residues of exp of a basis."""
    place: dict[tuple[int, ...], int] = {}
    listed = [[(tuple(map(int, e)), c) for e, c in q.terms()] for q in exponents]
    for terms in listed:
        for e, _ in terms:
            place.setdefault(e, len(place))
    if not place:
        return [1] * len(exponents)
    matrix = flint.fmpq_mat(len(place), len(exponents) + 1)
    constants = [row for e, row in place.items() if not any(e)]
    for where in constants:
        matrix[where, 0] = 1
    for column, terms in enumerate(listed, start=1):
        for e, c in terms:
            matrix[place[e], column] = c
    reduced, rank = matrix.rref()
    combinations = [[rational(reduced[r, c]) for r in range(rank)] for c in range(1, len(exponents) + 1)]
    scale = lcm(*(q.denominator for row in combinations for q in row))
    source = random.Random(3)
    basis = [source.randrange(2, PRIME) for _ in range(rank)]
    values = []
    for row in combinations:
        value = 1
        for base, q in zip(basis, row, strict=True):
            value = value * pow(base, int(q * scale) % (PRIME - 1), PRIME) % PRIME
        values.append(value)
    return values


def _at(polynomial: Polynomial, values: Sequence[int]) -> int:
    """A polynomial at residues."""
    total = 0
    for exponents, c in polynomial.terms():
        term = residue(rational(c))
        for v, e in zip(values, exponents, strict=False):
            term = term * pow(v, int(e), PRIME) % PRIME if e else term
        total += term
    return total % PRIME
