"""The logistic sigmoid."""

from __future__ import annotations

from dataclasses import dataclass

from symflow.networks.activations.activation import ActivationKind, Smooth
from symflow.programs.nodes import Node, apply


@dataclass(frozen=True)
class Sigmoid(Smooth):
    """sigma(z) = 1/(1 + e^-z)."""

    name = "sigmoid"
    latex = r"1/(1 + e^{-z})"

    def of(self, z: Node) -> Node:
        """1/(1 + e^-z)."""
        return apply("sigmoid", z)


KINDS = {"sigmoid": ActivationKind((), Sigmoid)}
