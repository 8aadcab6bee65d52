"""What a network asks of its activation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from symflow.programs.nodes import Node


class Activation(Protocol):
    """sigma, applied to every entry of a pre-activation z; equal ones are equal as records."""

    @property
    def name(self) -> str:
        """Its name in problem files."""
        ...

    @property
    def settings(self) -> Mapping[str, Fraction]:
        """Its settings in problem files, such as the slope."""
        ...

    @property
    def slopes(self) -> tuple[Fraction, Fraction] | None:
        """(alpha, alpha_bar) with sigma(z) = alpha z for z >= 0 and alpha_bar z for z < 0; None of other functions."""
        ...

    @property
    def smooth(self) -> bool:
        """Whether it has no kink."""
        ...

    @property
    def latex(self) -> str:
        """sigma(z), for formulas."""
        ...

    def apply(self, z: Node, layer: int, names: dict[Node, str]) -> Node:
        """sigma(z) as a node; LaTeX names of what deserves one are added to `names`."""
        ...


@dataclass(frozen=True)
class ActivationKind:
    """An activation by its name in problem files.

    Attributes:
        settings: what must be given with the name, in this order.
        make: the activation from these settings.
    """

    settings: tuple[str, ...]
    make: Callable[..., Activation]

    def named(self, given: Mapping[str, Any]) -> Activation:
        """The activation from settings by name."""
        return self.make(*(given[key] for key in self.settings))
