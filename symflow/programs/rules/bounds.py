"""What bounds are made of: stacks, maxima, norms, eigenvalues and powers of matrices. They have no derivative here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from symflow.programs.rules.arithmetic import Arithmetic, Array
from symflow.programs.rules.axes import Axis, entries, shape_of
from symflow.programs.rules.leaves import Identity
from symflow.programs.rules.node import Node


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Stack(Node):
    """Arrays of equal axes joined along a new last axis."""

    args: tuple[Node, ...]
    axis: Axis

    def shape(self) -> tuple[Axis, ...]:
        return (*self.args[0].axes, self.axis)

    def rebuild(self, arguments: Sequence[Node]) -> Node:
        return Stack(tuple(arguments), self.axis)

    def evaluate(self, values: Sequence[Array], arithmetic: Arithmetic) -> Array:
        return arithmetic.stack(values)

    def written_size(self, sizes: Sequence[int]) -> int:
        return max(sizes)

    def source(self, names: Sequence[str]) -> str:
        return f"xp.stack([{', '.join(names)}], -1)"


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Maximum(Node):
    """The entrywise maximum of arrays of equal axes."""

    args: tuple[Node, ...]

    def rebuild(self, arguments: Sequence[Node]) -> Node:
        return maximum(arguments)

    def evaluate(self, values: Sequence[Array], arithmetic: Arithmetic) -> Array:
        return arithmetic.maximum(values)

    def written_size(self, sizes: Sequence[int]) -> int:
        return len(sizes) + sum(sizes)

    def source(self, names: Sequence[str]) -> str:
        return f"xp.max(xp.stack([{', '.join(names)}], -1), -1)"


class Spectral(Node):
    """A function of the matrix x in the last two axes."""

    __slots__ = ()

    def shape(self) -> tuple[Axis, ...]:
        return self.arguments[0].axes[:-2]

    def rebuild(self, arguments: Sequence[Node]) -> Node:
        rebuilt: Node = type(self)(*arguments)
        return rebuilt

    def operations(self) -> int:
        axes = self.arguments[0].axes
        return entries(axes) * min(shape_of(axes[-2:]))

    def written_size(self, sizes: Sequence[int]) -> int:
        return -(-entries(self.arguments[0].axes) // max(1, entries(self.axes))) * (1 + sizes[0])


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class SpectralNorm(Spectral):
    """The largest singular value of the matrix in the last two axes."""

    x: Node

    def evaluate(self, values: Sequence[Array], arithmetic: Arithmetic) -> Array:
        return arithmetic.spectral_norm(values[0])

    def source(self, names: Sequence[str]) -> str:
        return f"xp.linalg.norm({names[0]}, 2, (-2, -1))"


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class LargestEigenvalue(Spectral):
    """The largest eigenvalue of the symmetric matrix in the last two axes."""

    x: Node

    def evaluate(self, values: Sequence[Array], arithmetic: Arithmetic) -> Array:
        return arithmetic.largest_eigenvalue(values[0])

    def source(self, names: Sequence[str]) -> str:
        return f"xp.linalg.eigvalsh({names[0]})[..., -1]"


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class MatrixPower(Node):
    """The power x^exponent >= 0 of a symmetric positive semidefinite matrix, by its eigenvalues."""

    x: Node
    exponent: Fraction

    def rebuild(self, arguments: Sequence[Node]) -> Node:
        return matrix_power(arguments[0], self.exponent)

    def evaluate(self, values: Sequence[Array], arithmetic: Arithmetic) -> Array:
        return arithmetic.matrix_power(values[0], self.exponent)

    def operations(self) -> int:
        return entries(self.x.axes) * min(shape_of(self.x.axes[-2:]))


def stack(args: Sequence[Node], axis: Axis) -> Node:
    """Joins arrays of equal axes along a new last axis.

    Raises:
        ValueError: other than `axis.size` arrays, or different axes.
    """
    if len(args) != axis.size or any(x.axes != args[0].axes for x in args):
        raise ValueError(f"axis {axis} needs {axis.size} arrays of equal axes, got {[x.axes for x in args]}")
    return Stack(tuple(args), axis)


def maximum(args: Sequence[Node]) -> Node:
    """The entrywise maximum.

    Raises:
        ValueError: no arrays, or different axes.
    """
    distinct = tuple(dict.fromkeys(args))
    if not distinct or any(x.axes != distinct[0].axes for x in distinct):
        raise ValueError(f"a maximum needs arrays of equal axes, got {[x.axes for x in distinct]}")
    return distinct[0] if len(distinct) == 1 else Maximum(distinct)


def matrix_power(x: Node, exponent: Fraction | int) -> Node:
    """The power of a symmetric positive semidefinite matrix, with x^0 the identity (R14).

    Raises:
        ValueError: a negative exponent, or an array that is not a square matrix.
    """
    exponent = Fraction(exponent)
    if exponent < 0 or len(x.axes) != 2 or x.axes[0] != x.axes[1]:
        raise ValueError(f"a matrix power needs a square matrix and an exponent >= 0, got {x.axes} and {exponent}")
    if exponent == 0:
        return Identity((x.axes[0], x.axes[1]))
    return x if exponent == 1 else MatrixPower(x, exponent)
