"""Polynomials in the entries of theta as lists of terms."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, TypeAlias

from symflow.programs.nodes import Axis, Const, Node, Table, add, gather, hadamard, inner, zero

Terms: TypeAlias = tuple[tuple[tuple[int, ...], Fraction], ...]
"""Products of entries of theta, by their positions, with their coefficients."""


def derivative(terms: Sequence[tuple[tuple[int, ...], Any]], position: int) -> list[tuple[tuple[int, ...], Any]]:
    """The terms of the derivative with respect to one entry of theta."""
    found = []
    for product, c in terms:
        if times := product.count(position):
            at = product.index(position)
            found.append((product[:at] + product[at + 1 :], times * c))
    return found


def evaluate_terms(terms: Sequence[tuple[tuple[int, ...], Any]], theta: Sequence[Any]) -> Any:
    """The sum of coefficient times product, for numbers of any kind; whole coefficients are used as integers."""
    total: Any = 0
    for product, c in terms:
        value: Any = c.numerator if isinstance(c, Fraction) and c.denominator == 1 else c
        for i in product:
            value = theta[i] * value
        total = total + value
    return total


def polynomial_node(terms: Terms, theta: Node) -> Node:
    """The polynomial as a node: a scalar product of gathered entries for each degree and coefficient."""
    groups: dict[tuple[int, Fraction], list[tuple[int, ...]]] = {}
    for product, c in terms:
        groups.setdefault((len(product), c), []).append(product)
    parts: list[tuple[Fraction, Node]] = []
    for (degree, c), products in groups.items():
        axis = Axis(f"t{len(products)}", len(products))
        factors = [
            gather(theta, Table(theta.axes[0], (axis,), tuple(p[d] for p in products)), 0) for d in range(degree)
        ]
        value: Node = Const(Fraction(1), (axis,))
        for factor in factors[1:]:
            value = hadamard(value, factor)
        parts.append((c, inner(factors[0] if factors else value, value)))
    return add(parts) if parts else zero(())
