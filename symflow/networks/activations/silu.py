"""SiLU, also called swish."""

from __future__ import annotations

from dataclasses import dataclass

from symflow.networks.activations.activation import ActivationKind, Smooth
from symflow.programs.nodes import Node, apply, hadamard


@dataclass(frozen=True)
class SiLU(Smooth):
    """sigma(z) = z/(1 + e^-z) (Elfwing, Uchibe, Doya 2018)."""

    name = "silu"
    latex = r"z/(1 + e^{-z})"

    def of(self, z: Node) -> Node:
        """z/(1 + e^-z)."""
        return hadamard(z, apply("sigmoid", z))


KINDS = {"silu": ActivationKind((), SiLU)}
