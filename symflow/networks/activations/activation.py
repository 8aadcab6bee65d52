"""What a network asks of its activation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy

from symflow.programs.nodes import Node


class Activation:
    """sigma, applied to every entry of a pre-activation z: base of frozen records, equal where their fields are.

    Attributes:
        name: in problem files.
        latex: sigma(z), for formulas.
        settings: its settings in problem files, such as the slope.
        slopes: (alpha, alpha_bar) with sigma(z) = alpha z for z >= 0 and alpha_bar z for z < 0; None of others.
        smooth: whether it has no kink.
    """

    name: str
    latex: str
    settings: Mapping[str, Fraction | sympy.Expr] = {}
    slopes: tuple[Fraction, Fraction] | None = None
    smooth: bool = True

    def apply(self, z: Node, layer: int, names: dict[Node, str]) -> Node:
        """sigma(z) as a node; LaTeX names of what deserves one are added to `names`."""
        raise NotImplementedError

    def at(self, layer: int) -> Activation:
        """The activation after the given layer with weights, from 1: this one after each."""
        return self

    @property
    def given(self) -> Any:
        """What a network takes as its activation in Python: the name, or a tuple of the name and the settings."""
        return (self.name, *map(str, self.settings.values())) if self.settings else self.name


class Smooth(Activation):
    """An activation without kinks that is not homogeneous: a subclass says what it is in `of`."""

    def of(self, z: Node) -> Node:
        """sigma(z)."""
        raise NotImplementedError

    def apply(self, z: Node, layer: int, names: dict[Node, str]) -> Node:
        """sigma(z), with Z and A of this layer named."""
        a = self.of(z)
        names |= {z: f"Z_{{{layer}}}", a: f"A_{{{layer}}}"}
        return a


@dataclass(frozen=True)
class ActivationKind:
    """An activation by its name in problem files.

    Attributes:
        settings: what must be given with the name, in this order.
        make: the activation from these settings.
    """

    settings: tuple[str, ...]
    make: Callable[..., Activation]
