"""Homogeneous activations: linear, ReLU, leaky ReLU, and the general one with two slopes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from symflow.errors import ProblemError, brief
from symflow.networks.activations.activation import ActivationKind
from symflow.numbers.rational import rational
from symflow.programs.nodes import Node, gate, hadamard, scale


@dataclass(frozen=True)
class Homogeneous:
    """sigma(z) = alpha z for z >= 0 and alpha_bar z for z < 0; equal slopes are a linear activation.

    Raises:
        ProblemError: a slope that is not a rational number; a float is a single setting, so that 0.1 means 1/10.
    """

    alpha: Fraction = Fraction(1)
    alpha_bar: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        for name in ("alpha", "alpha_bar"):
            object.__setattr__(self, name, rational(getattr(self, name), name))

    @property
    def name(self) -> str:
        """linear, relu, leaky-relu or homogeneous."""
        if self.alpha == self.alpha_bar == 1:
            return "linear"
        if self.alpha == 1 and self.alpha_bar == 0:
            return "relu"
        return "leaky-relu" if self.alpha == 1 and 0 < self.alpha_bar < 1 else "homogeneous"

    @property
    def settings(self) -> Mapping[str, Fraction]:
        """The slope of a leaky ReLU, both slopes of the general one."""
        if self.name == "leaky-relu":
            return {"slope": self.alpha_bar}
        return {"alpha": self.alpha, "alpha_bar": self.alpha_bar} if self.name == "homogeneous" else {}

    @property
    def slopes(self) -> tuple[Fraction, Fraction]:
        """(alpha, alpha_bar)."""
        return self.alpha, self.alpha_bar

    @property
    def smooth(self) -> bool:
        """Whether both slopes are equal."""
        return self.alpha == self.alpha_bar

    @property
    def latex(self) -> str:
        """Both cases."""
        positive, negative = ("" if a == 1 else _latex(a) for a in self.slopes)
        below = "0" if negative == "0" else rf"{negative}\,z"
        return rf"\begin{{cases}} {positive}\,z, & z \ge 0, \\ {below}, & z < 0 \end{{cases}}"

    def apply(self, z: Node, layer: int, names: dict[Node, str]) -> Node:
        """sigma(z), with Z, D and A of this layer named where it bends."""
        if self.smooth:
            return scale(self.alpha, z)
        d = gate(z, self.alpha, self.alpha_bar, layer)
        a = hadamard(d, z)
        names |= {z: f"Z_{{{layer}}}", d: f"D_{{{layer}}}", a: f"A_{{{layer}}}"}
        return a


def _latex(q: Fraction) -> str:
    if q.denominator == 1:
        return str(q.numerator)
    return f"{'-' if q < 0 else ''}\\tfrac{{{abs(q.numerator)}}}{{{q.denominator}}}"


def _leaky(slope: Any) -> Homogeneous:
    found = Homogeneous(Fraction(1), rational(slope, "slope"))
    if found.name != "leaky-relu":
        raise ProblemError(f"the slope of leaky-relu must be a number between 0 and 1, got {brief(slope)}")
    return found


KINDS = {
    "linear": ActivationKind((), Homogeneous),
    "relu": ActivationKind((), lambda: Homogeneous(Fraction(1), Fraction(0))),
    "leaky-relu": ActivationKind(("slope",), _leaky),
    "homogeneous": ActivationKind(("alpha", "alpha_bar"), Homogeneous),
}
