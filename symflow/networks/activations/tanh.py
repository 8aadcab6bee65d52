"""tanh."""

from __future__ import annotations

from dataclasses import dataclass

from symflow.networks.activations.activation import ActivationKind, Smooth
from symflow.programs.nodes import Node, apply


@dataclass(frozen=True)
class Tanh(Smooth):
    """sigma(z) = tanh(z)."""

    name = "tanh"
    latex = r"\tanh(z)"

    def of(self, z: Node) -> Node:
        """tanh(z)."""
        return apply("tanh", z)


KINDS = {"tanh": ActivationKind((), Tanh)}
