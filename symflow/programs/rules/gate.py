"""Gates, the derivatives of activations with a kink."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from symflow.programs.rules.arithmetic import Arithmetic, Array
from symflow.programs.rules.leaves import Const, number_source, zero
from symflow.programs.rules.node import Node


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Gate(Node):
    """sigma'(z), elementwise: `alpha` where z >= 0 and `alpha_bar` where z < 0.

    This is the one place where the kink convention lives: a gate is a function of z when it is evaluated
    (sigma'(0) = alpha) and a constant when it is differentiated. Max pooling uses the same node: the maximum of a and
    b is b + s(a - b) (a - b) with slopes 1 and 0, so at a tie the first one counts.

    `layer` counts the network's layers from 1; the axes are units (one or more) and, last, samples.
    """

    z: Node
    alpha: Fraction
    alpha_bar: Fraction
    layer: int

    def rebuild(self, arguments: Sequence[Node]) -> Node:
        return gate(arguments[0], self.alpha, self.alpha_bar, self.layer)

    def tangent(self, tangents: Sequence[Node]) -> Node:
        return zero(self.axes)

    def evaluate(self, values: Sequence[Array], arithmetic: Arithmetic) -> Array:
        return arithmetic.gate(values[0], self.alpha, self.alpha_bar)

    def source(self, names: Sequence[str]) -> str:
        return f"xp.where({names[0]} >= 0, {number_source(self.alpha)}, {number_source(self.alpha_bar)})"


def gate(z: Node, alpha: Fraction, alpha_bar: Fraction, layer: int) -> Node:
    """sigma'(z) for sigma(z) = alpha z (z >= 0), alpha_bar z (z < 0); a constant when both are equal."""
    if alpha == alpha_bar:
        return Const(alpha, z.axes)
    return Gate(z, alpha, alpha_bar, layer)
