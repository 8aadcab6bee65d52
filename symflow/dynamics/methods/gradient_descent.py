"""Gradient descent."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from symflow.dynamics.method import Arrays, Method, times
from symflow.programs.nodes import Node, add


@dataclass(frozen=True, repr=False)
class GradientDescent(Method):
    """theta_{k+1} = theta_k - eta grad f(theta_k); its flow of order 0 is gradient flow theta' = -grad f.

    `weight_decay`, `decoupled` and `batches` are those of every `Method`.

    Example:
        >>> import symflow as sf
        >>> sf.GradientDescent(), sf.GradientDescent().flow_rate
        (GradientDescent(), Fraction(1, 1))
    """

    name: ClassVar[str] = "gradient descent"

    @property
    def speed(self) -> Fraction:
        """1."""
        return Fraction(1)

    def step(self, now: Arrays, gradient: Node, step_size: Node) -> Arrays:
        """theta_{k+1}."""
        return {"theta": add([(1, now["theta"]), (-1, times(step_size, gradient))])}


GRADIENT_DESCENT = GradientDescent()
"""The default of what takes a method."""
