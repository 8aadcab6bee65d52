"""Softplus."""

from __future__ import annotations

from dataclasses import dataclass

from symflow.networks.activations.activation import ActivationKind, Smooth
from symflow.programs.nodes import Node, apply


@dataclass(frozen=True)
class Softplus(Smooth):
    """sigma(z) = log(1 + e^z)."""

    name = "softplus"
    latex = r"\log(1 + e^{z})"

    def of(self, z: Node) -> Node:
        """log(1 + e^z)."""
        return apply("softplus", z)


KINDS = {"softplus": ActivationKind((), Softplus)}
