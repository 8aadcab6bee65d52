"""GELU (Hendrycks, Gimpel 2016): exact, and as the formula in tanh that stands for it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from symflow.networks.activations.activation import ActivationKind, Smooth
from symflow.programs.nodes import Const, Node, add, apply, einsum, hadamard, scale

CUBIC = Fraction(44715, 10**6)


@dataclass(frozen=True)
class GELU(Smooth):
    """sigma(z) = z Phi(z), Phi(z) = (1 + erf(z/sqrt 2))/2."""

    name = "gelu"
    latex = r"\tfrac{z}{2} (1 + \operatorname{erf}(z/\sqrt{2}))"

    def of(self, z: Node) -> Node:
        """z Phi(z)."""
        return hadamard(z, apply("normal_cdf", z))


@dataclass(frozen=True)
class GELUTanh(Smooth):
    """sigma(z) = (z/2)(1 + tanh(sqrt(2/pi)(z + 0.044715 z^3))), `approximate="tanh"` in PyTorch.

    It is computed as z sigmoid(2 sqrt(2/pi)(z + 0.044715 z^3)), which keeps its digits where z is far below 0.
    """

    name = "gelu-tanh"
    latex = r"\tfrac{z}{2} (1 + \tanh(\sqrt{2/\pi}\,(z + 0.044715\,z^3)))"

    def of(self, z: Node) -> Node:
        """z sigmoid(4 phi(0) (z + 0.044715 z^3)), since phi(0) = 1/sqrt(2 pi)."""
        rank = tuple(range(len(z.axes)))
        factor = apply("normal_density", Const(Fraction(0), ()))
        cube = add([(1, z), (CUBIC, hadamard(z, hadamard(z, z)))])
        return hadamard(z, apply("sigmoid", scale(4, einsum((factor, cube), ((), rank), rank))))


KINDS = {"gelu": ActivationKind((), GELU), "gelu-tanh": ActivationKind((), GELUTanh)}
