"""Polynomials over the rationals: programs evaluated on them, and the vector fields that they are potentials of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, TypeAlias

import flint
import numpy as np

from symflow.analysis.laws.lie import Fields
from symflow.analysis.laws.residues import pivots, residue
from symflow.evaluate.object_arrays import ObjectArithmetic

Polynomial: TypeAlias = Any
"""A `flint.fmpq_mpoly`."""
Ring: TypeAlias = Any
"""A `flint.fmpq_mpoly_ctx`."""
Monomial: TypeAlias = tuple[int, ...]
"""The variables of a product, in ascending order, each as often as it occurs."""


def polynomial_ring(variables: int) -> Ring:
    """Q[t_0, ..., t_{N-1}]."""
    names = [f"t{i}" for i in range(variables)] or ["t"]
    return flint.fmpq_mpoly_ctx.get(names, flint.Ordering.lex)


def constant(ring: Ring, value: Fraction | int) -> Polynomial:
    """A rational number as a polynomial."""
    q = Fraction(value)
    return ring.constant(flint.fmpq(q.numerator, q.denominator))


class PolynomialArithmetic(ObjectArithmetic):
    """Arrays of polynomials; gates must be given."""

    def combine(self, coefficients: Sequence[Fraction], arrays: Sequence[np.ndarray]) -> np.ndarray:
        # NumPy would take a polynomial that multiplies an array for a sequence: it stands in an array without axes.
        factors = [self.constant(c, ()) for c in coefficients]
        return np.asarray(sum(x * c for x, c in zip(arrays[1:], factors[1:], strict=True)) + arrays[0] * factors[0])


def polynomial_arithmetic(ring: Ring) -> PolynomialArithmetic:
    """Arrays over a ring."""

    def select(z: object, alpha: Fraction, alpha_bar: Fraction) -> object:
        raise TypeError("a gate of a polynomial has no value; give it")

    return PolynomialArithmetic(lambda q: constant(ring, q), select, "exact", {})


def rational(q: Any) -> Fraction:
    """A `flint.fmpq` as a `Fraction`."""
    return Fraction(int(q.p), int(q.q))


def monomial(exponents: Sequence[int]) -> Monomial:
    """The variables of a product from their exponents."""
    return tuple(i for i, e in enumerate(exponents) if e for _ in range(int(e)))


def terms(polynomial: Polynomial) -> list[tuple[Monomial, Fraction]]:
    """Monomials and coefficients."""
    return [(monomial(e), rational(c)) for e, c in polynomial.terms()]


def from_terms(ring: Ring, given: Iterable[tuple[Monomial, Fraction]]) -> Polynomial:
    """The polynomial of monomials and coefficients."""
    generators, total = ring.gens(), constant(ring, 0)
    for variables, c in given:
        factor = constant(ring, c)
        for i in variables:
            factor = factor * generators[i]
        total = total + factor
    return total


@dataclass(frozen=True, eq=False)
class Auxiliary:
    """A function y of the parameters that is no polynomial in them, as a variable of its own.

    Attributes:
        gradient: dy/dtheta_p by p, polynomials in all variables.
        exponent: q where y = exp(q), a polynomial in the parameters and inputs.
        reciprocal: D where y = 1/D, without reciprocals.
    """

    gradient: Mapping[int, Polynomial]
    exponent: Polynomial | None = None
    reciprocal: Polynomial | None = None


@dataclass(frozen=True, eq=False)
class System:
    """Functions of theta whose gradients are the vector fields.

    Attributes:
        ring: its variables are the parameters, then auxiliary functions of them, then inputs.
        parameters: P.
        potentials: polynomials in the variables.
        auxiliary: the functions that follow the parameters.
    """

    ring: Ring
    parameters: int
    potentials: tuple[Polynomial, ...]
    auxiliary: tuple[Auxiliary, ...] = ()

    def gradient(self, polynomial: Polynomial) -> list[Polynomial]:
        """The derivatives with respect to theta, the auxiliary functions differentiated too."""
        found = [polynomial.derivative(p) for p in range(self.parameters)]
        for position, y in enumerate(self.auxiliary, start=self.parameters):
            outer = polynomial.derivative(position)
            if outer != 0:
                for p, inner in y.gradient.items():
                    found[p] = found[p] + outer * inner
        return found

    @cached_property
    def gradients(self) -> tuple[list[Polynomial], ...]:
        """Those of the potentials."""
        return tuple(map(self.gradient, self.potentials))

    def reduced(self, *, exactly: bool) -> System:
        """Potentials that are independent of those before them, and not constant.

        Args:
            exactly: over the rationals, so that the others are in their span; otherwise modulo the prime, where a
                potential may be dropped that is not.
        """
        kept = independent(self.potentials, exactly=exactly)
        return System(self.ring, self.parameters, tuple(self.potentials[i] for i in kept), self.auxiliary)

    def fields(self) -> Fields:
        """The gradients modulo the prime, and those of the auxiliary functions."""
        variables = self.parameters + len(self.auxiliary)
        slopes = None
        if self.auxiliary:
            zero, every = constant(self.ring, 0), range(self.parameters)
            listed = [[y.gradient.get(p, zero) for p in every] for y in self.auxiliary]
            slopes = modular_fields(listed, self.parameters, variables)
        return replace(modular_fields(self.gradients, self.parameters, variables), slopes=slopes)


def independent(polynomials: Sequence[Polynomial], *, exactly: bool) -> list[int]:
    """The positions of polynomials that are independent, modulo constants, of those before them.

    Independent residues come from independent rationals; where residues are dependent the rationals decide.
    """
    place: dict[tuple[int, ...], int] = {}
    entries = []
    for column, polynomial in enumerate(polynomials):
        for exponents, c in polynomial.terms():
            if any(exponents):
                entries.append((place.setdefault(tuple(exponents), len(place)), column, c))
    matrix = np.zeros((len(place), len(polynomials)), dtype=np.int64)
    for row, column, c in entries:
        matrix[row, column] = residue(rational(c))
    found = pivots(matrix)
    if not exactly or len(found) == len({column for _, column, _ in entries}):
        return found
    table = flint.fmpq_mat(len(place), len(polynomials))
    for row, column, c in entries:
        table[row, column] = c
    reduced, rank = table.rref()
    return [next(c for c in range(len(polynomials)) if reduced[r, c] != 0) for r in range(rank)]


def modular_fields(components: Sequence[Sequence[Polynomial]], parameters: int, variables: int) -> Fields:
    """Vector fields given by their components."""
    place: dict[tuple[int, Monomial], int] = {}
    found: list[tuple[int, int, int]] = []
    for field, listed in enumerate(components):
        for component, polynomial in enumerate(listed):
            for product, c in terms(polynomial):
                term = place.setdefault((component, product), len(place))
                if value := residue(c):
                    found.append((term, field, value))
    degree = max((len(product) for _, product in place), default=0)
    factors = np.array([[*product, *[variables] * (degree - len(product))] for _, product in place], dtype=np.int64)
    table = np.array(found, dtype=np.int64).reshape(-1, 3)
    return Fields(
        parameters,
        variables,
        factors.reshape(len(place), degree),
        np.array([component for component, _ in place], dtype=np.int64),
        table[:, 0],
        table[:, 1],
        table[:, 2],
        len(components),
    )
