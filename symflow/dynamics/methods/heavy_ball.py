"""Gradient descent with momentum (Polyak 1964)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from symflow.dynamics.methods.momentum import Momentum


@dataclass(frozen=True, repr=False)
class HeavyBall(Momentum):
    """v_{k+1} = beta v_k - eta grad f(theta_k), theta_{k+1} = theta_k + v_{k+1}, from rest: v_0 = 0.

    Its flow of order 0 is theta' = -grad f / (1 - beta) (R25; Kovachki & Stuart 2021).

    `weight_decay`, `decoupled` and `batches` are those of every `Method`.

    Attributes:
        momentum: beta, an exact rational in [0, 1); a float means its shortest decimal.

    Raises:
        ProblemError: another momentum.

    Source: Polyak 1964.

    Example:
        >>> import symflow as sf
        >>> problem = sf.load_problem("examples/linear.toml")
        >>> run = sf.descend(problem, step_size="1/100", steps=2, method=sf.HeavyBall(0.9))
        >>> run.method.momentum, run.velocity.shape
        (Fraction(9, 10), (3, 14))
    """

    name: ClassVar[str] = "heavy ball"
