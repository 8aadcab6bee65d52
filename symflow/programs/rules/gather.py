"""Reading entries of an axis at places of a constant table, and adding them up where they were read from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from symflow.programs.rules.add import scale, split_scale
from symflow.programs.rules.arithmetic import Arithmetic, Array
from symflow.programs.rules.axes import Axis, Table, entries, shape_of
from symflow.programs.rules.leaves import is_zero, zero
from symflow.programs.rules.node import Node


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Gather(Node):
    """Replaces the axis at `position` by the table's targets: out[.., a, b, ..] = x[.., table[a, b], ..]."""

    x: Node
    table: Table
    position: int

    def shape(self) -> tuple[Axis, ...]:
        before, after = self.x.axes[: self.position], self.x.axes[self.position + 1 :]
        return before + self.table.targets + after

    def rebuild(self, arguments: Sequence[Node]) -> Node:
        return gather(arguments[0], self.table, self.position)

    def tangent(self, tangents: Sequence[Node]) -> Node:
        return gather(tangents[0], self.table, self.position)

    def cotangents(self, bar: Node, linear: Sequence[bool]) -> list[Node | None]:
        return [scatter_add(bar, self.table, self.position)]

    def evaluate(self, values: Sequence[Array], arithmetic: Arithmetic) -> Array:
        return arithmetic.gather(values[0], self.table, self.position)

    def written_size(self, sizes: Sequence[int]) -> int:
        return sizes[0]

    def source(self, names: Sequence[str]) -> str:
        return _reading(names[0], self.table.positions, self.x.axes, self.position)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class ScatterAdd(Node):
    """The adjoint of `Gather`: out[.., p, ..] = sum over (a, b) with table[a, b] = p of x[.., a, b, ..]."""

    x: Node
    table: Table
    position: int

    @property
    def end(self) -> int:
        """The position after the table's targets."""
        return self.position + len(self.table.targets)

    def shape(self) -> tuple[Axis, ...]:
        return (*self.x.axes[: self.position], self.table.source, *self.x.axes[self.end :])

    def rebuild(self, arguments: Sequence[Node]) -> Node:
        return scatter_add(arguments[0], self.table, self.position)

    def tangent(self, tangents: Sequence[Node]) -> Node:
        return scatter_add(tangents[0], self.table, self.position)

    def cotangents(self, bar: Node, linear: Sequence[bool]) -> list[Node | None]:
        return [gather(bar, self.table, self.position)]

    def evaluate(self, values: Sequence[Array], arithmetic: Arithmetic) -> Array:
        return arithmetic.scatter_add(values[0], self.table, self.position)

    def written_size(self, sizes: Sequence[int]) -> int:
        return -(-entries(self.x.axes) // max(1, entries(self.axes))) * (1 + sizes[0])

    def source(self, names: Sequence[str]) -> str:
        """Sums of what was read from each position."""
        axes = self.x.axes
        merged = (*axes[: self.position], Axis("flat", len(self.table.index)), *axes[self.end :])
        flat = f"{names[0]}.reshape({shape_of(merged)})"
        return f"xp.sum({_reading(flat, self.table.readers, merged, self.position)}, {self.position + 1})"


def _reading(array: str, index: np.ndarray, axes: Sequence[Axis], position: int) -> str:
    """The entries of an array at `index` along one axis; -1 reads the zero that is appended."""
    if (index < 0).any():
        edge = [1 if p == position else size for p, size in enumerate(shape_of(axes))]
        array = f"xp.concatenate([{array}, xp.zeros({tuple(edge)})], {position})"
    return f"xp.take({array}, xp.array({index.tolist()}), {position})"


def gather(x: Node, table: Table, position: int) -> Node:
    """Replaces an axis by the table's targets.

    Raises:
        ValueError: the table reads another axis.
    """
    if x.axes[position] != table.source:
        raise ValueError(f"the table reads axis {table.source}, got {x.axes[position]}")
    factor, base = split_scale(x)
    node = Gather(base, table, position)
    return zero(node.axes) if is_zero(x) else scale(factor, node)


def scatter_add(x: Node, table: Table, position: int) -> Node:
    """Adds the entries of the table's target axes, which begin at `position`, up where they were read from.

    Raises:
        ValueError: the table has other targets.
    """
    found = x.axes[position : position + len(table.targets)]
    if found != table.targets:
        raise ValueError(f"the table's targets are {table.targets}, got {found}")
    factor, base = split_scale(x)
    node = ScatterAdd(base, table, position)
    return zero(node.axes) if is_zero(x) else scale(factor, node)
