"""The one node that only printing knows: a named operator or function, applied to arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from symflow.programs.nodes import Axis, Gate, Map, Node


@dataclass(frozen=True)
class Operator:
    r"""How an operator prints: ``opening``, the arguments with ``separator`` between them, ``closing``.

    Attributes:
        opening: such as ``\mathcal{P}_{1}(``.
        notes: what explains the symbol, for the end of the formulas.
        closing: such as ``)``.
        separator: between arguments.
        linear: whether factors may be taken out of the last argument.
    """

    opening: str
    notes: tuple[str, ...] = ()
    closing: str = ")"
    separator: str = ", "
    linear: bool = False

    def __call__(self, arguments: list[str]) -> str:
        """The operator applied to printed arguments."""
        return f"{self.opening}{self.separator.join(arguments)}{self.closing}"


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Applied(Node):
    """An operator applied to arrays."""

    operator: Operator
    args: tuple[Node, ...]
    axes: tuple[Axis, ...]

    def shape(self) -> tuple[Axis, ...]:
        return self.axes


Function: TypeAlias = Gate | Map | Applied
"""Nodes that print as a function of their arguments."""
