"""Homogeneous activations: linear, ReLU, leaky ReLU, and the general one with two slopes."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from symflow.errors import ProblemError, brief
from symflow.networks.activations.activation import Activation, ActivationKind
from symflow.numbers.rational import rational, rational_latex
from symflow.programs.nodes import Node, gate, hadamard, scale


@dataclass(frozen=True)
class Homogeneous(Activation):
    """sigma(z) = alpha z for z >= 0 and alpha_bar z for z < 0; equal slopes are a linear activation.

    Raises:
        ProblemError: a slope that is not a rational number; a float is a single setting, so that 0.1 means 1/10.
    """

    alpha: Fraction = Fraction(1)
    alpha_bar: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        alpha, alpha_bar = (rational(getattr(self, key), key) for key in ("alpha", "alpha_bar"))
        name, settings = "homogeneous", {"alpha": alpha, "alpha_bar": alpha_bar}
        if alpha == 1 and 0 <= alpha_bar <= 1:
            name = "relu" if alpha_bar == 0 else "linear" if alpha_bar == 1 else "leaky-relu"
            settings = {"slope": alpha_bar} if name == "leaky-relu" else {}
        found = {"alpha": alpha, "alpha_bar": alpha_bar, "name": name, "settings": settings}
        found |= {"slopes": (alpha, alpha_bar), "smooth": alpha == alpha_bar, "latex": _cases(alpha, alpha_bar)}
        for key, value in found.items():
            object.__setattr__(self, key, value)

    def apply(self, z: Node, layer: int, names: dict[Node, str]) -> Node:
        """sigma(z), with Z, D and A of this layer named where it bends."""
        if self.smooth:
            return scale(self.alpha, z)
        d = gate(z, self.alpha, self.alpha_bar, layer)
        a = hadamard(d, z)
        names |= {z: f"Z_{{{layer}}}", d: f"D_{{{layer}}}", a: f"A_{{{layer}}}"}
        return a


def _cases(alpha: Fraction, alpha_bar: Fraction) -> str:
    """sigma(z) in LaTeX."""
    positive, negative = ("" if a == 1 else rational_latex(a) for a in (alpha, alpha_bar))
    below = "0" if negative == "0" else rf"{negative}\,z"
    return rf"\begin{{cases}} {positive}\,z, & z \ge 0, \\ {below}, & z < 0 \end{{cases}}"


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
