"""Adam (Kingma & Ba 2015) and, with decoupled weight decay, AdamW (Loshchilov & Hutter 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from symflow.dynamics.method import Arrays, Method, Setting, share_below_one, times
from symflow.dynamics.methods.rmsprop import mean_square, over_root
from symflow.numbers.arguments import positive
from symflow.programs.nodes import Const, Node, add, hadamard, power

ONE = Const(Fraction(1), ())


@dataclass(frozen=True, repr=False)
class Adam(Method):
    """m_{k+1} = beta m_k + (1 - beta) g, s_{k+1} = rho s_k + (1 - rho) g^2, theta_{k+1} = theta_k - eta M / sqrt(S + e)

    Entry by entry, g = grad f(theta_k), m_0 = s_0 = 0, e epsilon. With bias correction M = m_{k+1} / (1 - beta^{k+1})
    and S = s_{k+1} / (1 - rho^{k+1}); without, M = m_{k+1} and S = s_{k+1}. The two denominators are carried as single
    numbers a_{k+1} = beta a_k + 1 - beta, so that a step need not know its number.

    `epsilon_inside` (the default) is as written, the form of which R28 gives the modified equation; optax has it as
    eps_root. With `epsilon_inside=False` the denominator is sqrt(S) + epsilon, as in Kingma & Ba, in PyTorch and in
    optax's eps. It has a square root: not for exact rationals. With `decoupled` weight decay it is AdamW (PyTorch
    multiplies by 1 - eta lambda too; optax's adamw likewise). `weight_decay` and `batches` are those of every `Method`.

    Attributes:
        momentum: beta, an exact rational in [0, 1); a float means its shortest decimal. PyTorch's beta_1.
        decay: rho, likewise. PyTorch's beta_2.
        epsilon: above 0, likewise.
        bias_correction: whether the means are divided by the sums of their weights.
        epsilon_inside: whether epsilon stands inside the root.

    Raises:
        ProblemError: another momentum, decay or epsilon.

    Source: Kingma & Ba 2015; R28: Cattaneo, Klusowski & Shigida 2024.

    Example:
        >>> import symflow as sf
        >>> problem = sf.load_problem("examples/linear.toml")
        >>> method = sf.Adam(0.9, 0.999, 1e-8, epsilon_inside=False)
        >>> run = sf.descend(problem, step_size="1/100", steps=3, method=method)
        >>> round(float(abs(run.iterates[1] - run.iterates[0]).max()), 8)  # |M| / sqrt(S) = 1 in the first step
        0.01
        >>> run.steps.carried["mean_weight"].round(3)
        array([0.   , 0.1  , 0.19 , 0.271])
    """

    momentum: Setting = Setting(share_below_one)
    decay: Setting = Setting(share_below_one)
    epsilon: Setting = Setting(positive)
    bias_correction: bool = True
    epsilon_inside: bool = True
    name: ClassVar[str] = "Adam"
    carries: ClassVar[tuple[str, ...]] = ("mean", "square")
    counts: ClassVar[tuple[str, ...]] = ("mean_weight", "square_weight")

    def step(self, now: Arrays, gradient: Node, step_size: Node) -> Arrays:
        """Both means, the sums of their weights, and theta_{k+1}."""
        beta, rho = self.momentum, self.decay
        mean = add([(beta, now["mean"]), (1 - beta, gradient)])
        square = mean_square(now["square"], gradient, rho)
        weights = [add([(b, now[name]), (1 - b, ONE)]) for b, name in zip((beta, rho), self.counts, strict=True)]
        top, below = mean, square
        if self.bias_correction:
            top, below = (times(power(w, -1), x) for w, x in zip(weights, (mean, square), strict=True))
        move = hadamard(top, over_root(below, self.epsilon, inside=self.epsilon_inside))
        theta = add([(1, now["theta"]), (-1, times(step_size, move))])
        return {"theta": theta, "mean": mean, "square": square} | dict(zip(self.counts, weights, strict=True))
