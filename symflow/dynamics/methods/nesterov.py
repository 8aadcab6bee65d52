"""Nesterov's accelerated gradient with constant momentum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from symflow.dynamics.method import Arrays
from symflow.dynamics.methods.momentum import Momentum
from symflow.programs.nodes import Node, add


@dataclass(frozen=True, repr=False)
class Nesterov(Momentum):
    """y_k = theta_k + beta v_k, v_{k+1} = beta v_k - eta grad f(y_k), theta_{k+1} = theta_k + v_{k+1}, v_0 = 0.

    That is y_k = theta_k + beta (theta_k - theta_{k-1}), theta_{k+1} = y_k - eta grad f(y_k), theta_{-1} = theta_0, in
    the form of Sutskever et al. PyTorch's and optax's `nesterov=True` run the same recursion and report the points y_k
    in place of theta_k. Its flow of order 0 is theta' = -grad f / (1 - beta) (R26).

    `weight_decay`, `decoupled` and `batches` are those of every `Method`.

    Attributes:
        momentum: beta, an exact rational in [0, 1); a float means its shortest decimal.

    Raises:
        ProblemError: another momentum.

    Source: Nesterov 1983; Sutskever, Martens, Dahl & Hinton 2013.

    Example:
        >>> import symflow as sf
        >>> problem = sf.load_problem("examples/linear.toml")
        >>> run = sf.descend(problem, step_size="1/100", steps=2, method=sf.Nesterov(0.9))
        >>> run.method.momentum, run.velocity.shape
        (Fraction(9, 10), (3, 14))
    """

    name: ClassVar[str] = "Nesterov's method"

    def point(self, now: Arrays) -> Node:
        """y_k."""
        return add([(1, now["theta"]), (self.momentum, now["velocity"])])
