"""RMSProp (Tieleman & Hinton 2012)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from symflow.dynamics.method import Arrays, Method, Setting, share_below_one, times
from symflow.numbers.arguments import positive
from symflow.programs.nodes import Const, Node, add, hadamard, power

HALF = Fraction(1, 2)


@dataclass(frozen=True, repr=False)
class RMSProp(Method):
    """s_{k+1} = rho s_k + (1 - rho) g^2, theta_{k+1} = theta_k - eta g / sqrt(s_{k+1} + epsilon), s_0 = 0.

    Entry by entry, g = grad f(theta_k). `epsilon_inside` (the default) is as written, the form of which R28 gives the
    modified equation, and optax's; with `epsilon_inside=False` the denominator is sqrt(s_{k+1}) + epsilon, as in
    PyTorch. It has a square root: not for exact rationals. `weight_decay`, `decoupled` and `batches` are those of
    every `Method`.

    Attributes:
        decay: rho, an exact rational in [0, 1); a float means its shortest decimal. PyTorch calls it alpha.
        epsilon: above 0, likewise.
        epsilon_inside: whether epsilon stands inside the root.

    Raises:
        ProblemError: another decay or epsilon.

    Source: Tieleman & Hinton 2012; R28: Cattaneo, Klusowski & Shigida 2024.

    Example:
        >>> import symflow as sf
        >>> problem = sf.load_problem("examples/linear.toml")
        >>> run = sf.descend(problem, step_size="1/100", steps=2, method=sf.RMSProp(0.9, 1e-8))
        >>> run.method, sorted(run.steps.carried)
        (RMSProp(decay=Fraction(9, 10), epsilon=Fraction(1, 100000000)), ['square'])
    """

    decay: Setting = Setting(share_below_one)
    epsilon: Setting = Setting(positive)
    epsilon_inside: bool = True
    name: ClassVar[str] = "RMSProp"
    carries: ClassVar[tuple[str, ...]] = ("square",)

    def step(self, now: Arrays, gradient: Node, step_size: Node) -> Arrays:
        """s_{k+1} and theta_{k+1}."""
        square = mean_square(now["square"], gradient, self.decay)
        move = hadamard(gradient, over_root(square, self.epsilon, inside=self.epsilon_inside))
        return {"theta": add([(1, now["theta"]), (-1, times(step_size, move))]), "square": square}


def mean_square(square: Node, gradient: Node, decay: Fraction) -> Node:
    """rho s + (1 - rho) g^2."""
    return add([(decay, square), (1 - decay, hadamard(gradient, gradient))])


def over_root(square: Node, epsilon: Fraction, *, inside: bool) -> Node:
    """1 / sqrt(s + epsilon), or 1 / (sqrt(s) + epsilon)."""
    added = Const(epsilon, square.axes)
    if inside:
        return power(add([(1, square), (1, added)]), -HALF)
    return power(add([(1, power(square, HALF)), (1, added)]), -1)
