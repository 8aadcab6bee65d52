"""Conservation laws of bounded degree, and rotations, by linear algebra over the rationals.

h is conserved along every field grad g_i iff <grad h, grad g_i> is the zero polynomial: linear equations in the
coefficients of h. They fall into connected parts, each of which is solved by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import combinations, combinations_with_replacement
from math import gcd, lcm
from typing import Any, TypeAlias

import flint

from symflow.analysis.laws.blocks import joined_parts
from symflow.analysis.laws.polynomials import Monomial, Polynomial, System, constant, from_terms, rational

Column: TypeAlias = dict[tuple[int, tuple[int, ...]], Fraction]
"""The equations that an unknown enters, with its coefficient in each."""
LARGEST = 60_000
"""Most products of unknowns and potentials that are formed."""


def searchable(system: System, degree: int) -> bool:
    """Whether a search up to a degree is within the budget."""
    p, unknowns = system.parameters, 1
    for d in range(1, degree + 1):
        unknowns = unknowns * (p + d) // d
    return unknowns * max(len(system.potentials), 1) <= LARGEST


def conserved(system: System, terms: Iterable[tuple[Monomial, Fraction]]) -> bool:
    """Whether <grad h, grad g_i> vanishes identically for every potential g_i."""
    h = from_terms(system.ring, terms)
    slopes = [h.derivative(p) for p in range(system.parameters)]
    return all(_cleared(system, _pairing(system, slopes, g)) == 0 for g in system.gradients)


def polynomial_laws(system: System, variables: Sequence[int], degree: int) -> list[list[tuple[Monomial, Fraction]]]:
    """A basis of the conserved polynomials up to a degree without constant term, in some of the parameters."""
    unknowns = [m for d in range(1, degree + 1) for m in combinations_with_replacement(sorted(variables), d)]
    generators = system.ring.gens()

    def slopes(product: Monomial) -> Mapping[int, Polynomial]:
        found = {}
        for p in set(product):
            at = product.index(p)
            value = constant(system.ring, product.count(p))
            for i in product[:at] + product[at + 1 :]:
                value = value * generators[i]
            found[p] = value
        return found

    columns = [_column(system, slopes(m)) for m in unknowns]
    return [[(unknowns[i], c) for i, c in vector] for vector in null_vectors(columns)]


def skew_generators(system: System, variables: Sequence[int]) -> list[list[tuple[int, int, Fraction]]]:
    """A basis of the antisymmetric A with <A theta, grad g_i> = 0 identically: (p, q, c), c (E_qp - E_pq)."""
    generators = system.ring.gens()
    unknowns = list(combinations(sorted(variables), 2))
    columns = [_column(system, {q: generators[p], p: -generators[q]}) for p, q in unknowns]
    return [[(*unknowns[i], c) for i, c in vector] for vector in null_vectors(columns)]


def _pairing(system: System, slopes: Sequence[Polynomial], gradient: Sequence[Polynomial]) -> Polynomial:
    return sum((a * b for a, b in zip(slopes, gradient, strict=True) if a != 0), constant(system.ring, 0))


def _column(system: System, slopes: Mapping[int, Polynomial]) -> Column:
    found: Column = {}
    for i, gradient in enumerate(system.gradients):
        total = sum((s * gradient[p] for p, s in slopes.items()), constant(system.ring, 0))
        for exponents, c in _cleared(system, total, _top_powers(system, i)).terms():
            found[i, tuple(map(int, exponents))] = rational(c)
    return found


def _top_powers(system: System, potential: int) -> dict[int, int]:
    """The highest power of each reciprocal in the gradient of a potential."""
    return {
        v: max((int(d.degrees()[v]) for d in system.gradients[potential] if d != 0), default=0)
        for v, y in enumerate(system.auxiliary, start=system.parameters)
        if y.reciprocal is not None
    }


def _cleared(system: System, polynomial: Polynomial, powers: Mapping[int, int] | None = None) -> Polynomial:
    """The polynomial times the denominators to given powers, without reciprocals: 0 iff the function is 0.

    The later reciprocals are cleared first, since their denominators may contain earlier ones.
    """
    for v in range(system.parameters + len(system.auxiliary) - 1, system.parameters - 1, -1):
        denominator = system.auxiliary[v - system.parameters].reciprocal
        if denominator is None or polynomial == 0:
            continue
        top = int(polynomial.degrees()[v])
        top = max(top, powers.get(v, 0)) if powers is not None else top
        parts: dict[int, Any] = {}
        for exponents, c in polynomial.terms():
            power, rest = int(exponents[v]), [*map(int, exponents)]
            rest[v] = 0
            parts.setdefault(power, {})[tuple(rest)] = c
        total = constant(system.ring, 0)
        for power, part in parts.items():
            total = total + system.ring.from_dict(part) * denominator ** (top - power)
        polynomial = total
    return polynomial


def null_vectors(columns: Sequence[Column]) -> list[list[tuple[int, Fraction]]]:
    """A basis of the vectors c with sum_i c_i columns[i] = 0, in coprime integers, as (i, c_i)."""
    found: list[list[tuple[int, Fraction]]] = []
    for part in _connected(columns):
        rows = {key: r for r, key in enumerate(sorted({key for i in part for key in columns[i]}))}
        if not rows:
            found.extend([(i, Fraction(1))] for i in part)
            continue
        matrix = flint.fmpq_mat(len(rows), len(part))
        for c, i in enumerate(part):
            for key, value in columns[i].items():
                matrix[rows[key], c] = flint.fmpq(value.numerator, value.denominator)
        found.extend([(part[c], q) for c, q in vector] for vector in _kernel(matrix))
    return found


def _kernel(matrix: Any) -> Iterator[list[tuple[int, Fraction]]]:
    """The kernel of a matrix, one vector for each column without pivot."""
    reduced, rank = matrix.rref()
    width = matrix.ncols()
    pivot = [next(c for c in range(width) if reduced[r, c] != 0) for r in range(rank)]
    for free in sorted(set(range(width)) - set(pivot)):
        vector = {free: Fraction(1)}
        for r, c in enumerate(pivot):
            if value := rational(reduced[r, free]):
                vector[c] = -value
        yield _primitive(sorted(vector.items()))


def _primitive(vector: list[tuple[int, Fraction]]) -> list[tuple[int, Fraction]]:
    """The multiple with coprime integers and a positive first entry."""
    scale = Fraction(lcm(*(c.denominator for _, c in vector)), gcd(*(c.numerator for _, c in vector)))
    scale *= 1 if vector[0][1] > 0 else -1
    return [(i, c * scale) for i, c in vector]


def _connected(columns: Sequence[Column]) -> list[list[int]]:
    """The columns in parts that share no equation."""
    sharing: dict[Any, list[int]] = {}
    for i, column in enumerate(columns):
        for key in column:
            sharing.setdefault(key, []).append(i)
    return joined_parts(len(columns), sharing.values())
