"""Linear combinations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from symflow.programs.rules.arithmetic import Arithmetic, Array
from symflow.programs.rules.axes import Axis, entries
from symflow.programs.rules.leaves import Const, is_zero, number_source, zero
from symflow.programs.rules.node import Node


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Add(Node):
    """A linear combination sum_i c_i x_i with rational coefficients; a single term is a scaling."""

    terms: tuple[tuple[Fraction, Node], ...]

    def parts(self) -> tuple[Node, ...]:
        return tuple(x for _, x in self.terms)

    def _combined(self, arguments: Sequence[Node]) -> Node:
        return add([(c, a) for (c, _), a in zip(self.terms, arguments, strict=True)])

    def rebuild(self, arguments: Sequence[Node]) -> Node:
        return self._combined(arguments)

    def tangent(self, tangents: Sequence[Node]) -> Node:
        return self._combined(tangents)

    def cotangents(self, bar: Node, linear: Sequence[bool]) -> list[Node | None]:
        if not all(linear):
            raise TypeError("only linear maps can be transposed; a sum has a constant term")
        return [scale(c, bar) for c, _ in self.terms]

    def evaluate(self, values: Sequence[Array], arithmetic: Arithmetic) -> Array:
        return arithmetic.combine([c for c, _ in self.terms], values)

    def operations(self) -> int:
        return entries(self.axes) * len(self.terms)

    def written_size(self, sizes: Sequence[int]) -> int:
        return sum(1 + size for size in sizes)

    def source(self, names: Sequence[str]) -> str:
        factors = ["" if c == 1 else f"({number_source(c)}) * " for c, _ in self.terms]
        return " + ".join(factor + name for factor, name in zip(factors, names, strict=True))


ONE = Fraction(1)


def split_scale(x: Node) -> tuple[Fraction, Node]:
    """Writes x as (rational factor, node without one)."""
    if isinstance(x, Add) and len(x.terms) == 1:
        return x.terms[0]
    if isinstance(x, Const) and x.value not in (0, 1):
        return x.value, Const(ONE, x.axes)
    return ONE, x


def add(terms: Iterable[tuple[Fraction | int, Node]]) -> Node:
    """The linear combination sum_i c_i x_i, with equal nodes merged and zeros dropped.

    Raises:
        ValueError: no terms, or terms of different axes.
    """
    merged: dict[Node, Fraction] = {}
    axes: tuple[Axis, ...] | None = None
    for coefficient, x in terms:
        if axes is not None and x.axes != axes:
            raise ValueError(f"terms of a sum must have equal axes, got {axes} and {x.axes}")
        axes = x.axes
        factor, base = split_scale(x)
        if not is_zero(base):
            c = factor if coefficient == 1 else coefficient * factor
            merged[base] = merged[base] + c if base in merged else c
    if axes is None:
        raise ValueError("a sum needs at least one term; use zero(axes) for an empty one")
    kept = tuple((c, x) for x, c in merged.items() if c != 0)
    if not kept:
        return zero(axes)
    if len(kept) == 1:
        (c, x) = kept[0]
        if c == 1:
            return x
        if isinstance(x, Const):
            return Const(c * x.value, axes)
    return Add(kept)


def scale(coefficient: Fraction | int, x: Node) -> Node:
    """The multiple c x."""
    return x if coefficient == 1 else add([(coefficient, x)])
