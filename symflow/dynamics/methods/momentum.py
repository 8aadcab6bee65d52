"""What heavy ball and Nesterov's method share: a velocity that decays by the factor beta."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from symflow.dynamics.method import Arrays, Method, Setting, share_below_one, times
from symflow.programs.nodes import Node, add


@dataclass(frozen=True, repr=False)
class Momentum(Method):
    """v_{k+1} = beta v_k - eta g, theta_{k+1} = theta_k + v_{k+1}; g is the gradient at the method's `point`.

    Attributes:
        momentum: beta, an exact rational in [0, 1); a float means its shortest decimal.

    Raises:
        ProblemError: another momentum.
    """

    momentum: Setting = Setting(share_below_one)
    carries: ClassVar[tuple[str, ...]] = ("velocity",)

    @property
    def speed(self) -> Fraction:
        """1 / (1 - beta)."""
        return 1 / (1 - self.momentum)

    def step(self, now: Arrays, gradient: Node, step_size: Node) -> Arrays:
        """v_{k+1} and theta_{k+1}."""
        velocity = add([(self.momentum, now["velocity"]), (-1, times(step_size, gradient))])
        return {"theta": add([(1, now["theta"]), (1, velocity)]), "velocity": velocity}
