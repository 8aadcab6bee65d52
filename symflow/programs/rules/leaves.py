"""Inputs and constants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from symflow.programs.rules.arithmetic import Arithmetic, Array
from symflow.programs.rules.axes import Axis, shape_of
from symflow.programs.rules.node import Node

Role = Literal["parameter", "data", "state", "direction", "hyper", "gate"]


class Leaf(Node):
    """A node without arguments, whose axes are given."""

    __slots__ = ()

    def parts(self) -> tuple[Node, ...]:
        return ()

    def shape(self) -> tuple[Axis, ...]:
        return self.axes

    def operations(self) -> int:
        return 0

    def written_size(self, sizes: Sequence[int]) -> int:
        return 0


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Input(Leaf):
    """A named array that is given from outside; `latex` is how it prints."""

    name: str
    axes: tuple[Axis, ...]
    role: Role
    latex: str

    def evaluate(self, values: Sequence[Array], arithmetic: Arithmetic) -> Array:
        raise ValueError(f"input {self.name} ({self.role}) has no value; bind it before evaluating")

    def __repr__(self) -> str:
        return f"<Input {self.name} {self.role}>"


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Const(Leaf):
    """An array whose entries all equal the rational `value`."""

    value: Fraction
    axes: tuple[Axis, ...]

    def evaluate(self, values: Sequence[Array], arithmetic: Arithmetic) -> Array:
        return arithmetic.constant(self.value, shape_of(self.axes))

    def source(self, names: Sequence[str]) -> str:
        return f"xp.full({shape_of(self.axes)}, {number_source(self.value)})"


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Identity(Leaf):
    """The identity matrix on one axis."""

    axes: tuple[Axis, Axis]

    def evaluate(self, values: Sequence[Array], arithmetic: Arithmetic) -> Array:
        return arithmetic.identity(shape_of(self.axes)[0])

    def source(self, names: Sequence[str]) -> str:
        return f"xp.eye({shape_of(self.axes)[0]})"


def number_source(q: Fraction) -> str:
    """A rational number in Python source."""
    return str(q.numerator) if q.denominator == 1 else f"{q.numerator} / {q.denominator}"


def zero(axes: tuple[Axis, ...]) -> Const:
    """The array of zeros."""
    return Const(Fraction(0), axes)


def is_zero(x: Node) -> bool:
    """Whether the node is zero by structure."""
    return isinstance(x, Const) and x.value == 0
