"""Random networks and losses with their training loss in plain JAX (lax.conv, reduce_window): the tests' oracle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy
from hypothesis import strategies as st

import symflow as sf
from symflow.networks.network import Network

ACTIVATIONS = ("linear", "relu", ("leaky-relu", "1/5"), ("homogeneous", "3/2", "-1/2"))
Z = sympy.Symbol("z", real=True)
MISH = Z * sympy.tanh(sympy.log(1 + sympy.exp(Z)))
BENT = (Z + sympy.sqrt(Z**2 + 1)) / 2 + sympy.erf(Z) / 4
SMOOTH: dict[Any, Callable[[Any], Any]] = {
    "tanh": jnp.tanh,
    "sigmoid": lambda z: 1 / (1 + jnp.exp(-z)),
    "softplus": lambda z: jnp.log1p(jnp.exp(z)),
    "gelu": lambda z: z * (1 + jax.scipy.special.erf(z / np.sqrt(2))) / 2,
    "gelu-tanh": lambda z: z * (1 + jnp.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))) / 2,
    "silu": lambda z: z / (1 + jnp.exp(-z)),
    MISH: lambda z: z * jnp.tanh(jnp.log1p(jnp.exp(z))),
    BENT: lambda z: (z + jnp.sqrt(z**2 + 1)) / 2 + jax.scipy.special.erf(z) / 4,
}
"""Smooth activations, and the same written from the definitions."""
P, Y = sympy.symbols("p y", real=True)
OWN = {
    "quartic": (P - Y) ** 4 / 4 + (P - Y) ** 2 / 2,
    "pseudo-huber": sympy.sqrt((P - Y) ** 2 + 1),
    "exp-square": sympy.exp((P - Y) ** 2 / 4),
}
LOSSES = ("square", "logistic", "exponential", "cross-entropy", *OWN)


def plain_loss(kind: str, prediction: Any, y: Any) -> Any:
    """The mean loss, samples first; written from the definitions."""
    count = prediction.shape[0]
    p, y = prediction.reshape(count, -1), y.reshape(count, -1)
    r = p - y
    values = {
        "square": lambda: 0.5 * r * r,
        "logistic": lambda: jnp.logaddexp(0.0, -y * p),
        "exponential": lambda: jnp.exp(-y * p),
        "cross-entropy": lambda: -y * jax.nn.log_softmax(p, axis=1),
        "quartic": lambda: r**4 / 4 + r**2 / 2,
        "pseudo-huber": lambda: jnp.sqrt(r**2 + 1),
        "exp-square": lambda: jnp.exp(r**2 / 4),
    }
    return jnp.sum(values[kind]()) / count


@dataclass(frozen=True)
class Case:
    """A network, a loss and a seed; everything else is drawn from it, in multiples of 1/8."""

    network: Network
    loss: str
    samples: int
    seed: int

    @property
    def objective(self) -> sf.Objective:
        own = OWN.get(self.loss)
        loss = sf.Loss(self.loss) if own is None else sf.expression_loss(own, P, Y)  # type: ignore[arg-type]
        x, y, *_ = self.arrays
        return sf.network_objective(self.network, x, y, loss)

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """x, y, theta, direction."""
        rng = np.random.default_rng(self.seed)
        inputs, outputs = (
            int(np.prod([a.size for a in axes])) for axes in (self.network.input_axes, self.network.output_axes)
        )
        count = sum(int(np.prod([a.size for a in axes])) for axes in self.network.weight_axes)
        if self.loss in ("logistic", "exponential"):
            y = rng.choice([-1.0, 1.0], size=(self.samples, 1))
        elif self.loss == "cross-entropy":
            y = np.eye(outputs)[rng.integers(outputs, size=self.samples)]
        else:
            y = self._draw(rng, (self.samples, outputs))
        # A spread of odd multiples of 1/16 keeps ties and zeros of pre-activations rare; tests skip those left.
        return self._draw(rng, (self.samples, inputs)), y, self._draw(rng, (count,)), self._draw(rng, (count,))

    @staticmethod
    def _draw(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return (2 * rng.integers(-10, 10, size=shape) + 1) / 16

    def plain(self) -> Callable[[Any], Any]:
        """The loss of theta in plain JAX."""
        x, y, _, _ = self.arrays
        activate = plain_activation(self.network)

        def loss(theta: Any) -> Any:
            return plain_loss(self.loss, plain_network(self.network, theta, x, activate), y)

        return loss


def plain_activation(network: Network) -> Callable[[Any], Any]:
    """sigma in plain JAX."""
    if network.sigma.slopes is None:
        key = getattr(network.sigma, "expression", network.activation)
        return SMOOTH[key]
    alpha, alpha_bar = map(float, network.sigma.slopes)
    return lambda z: jnp.where(z >= 0, alpha * z, alpha_bar * z)


def plain_network(network: Network, theta: Any, x: Any, activate: Callable[[Any], Any]) -> Any:
    """h(x), samples first."""
    weights, start = [], 0
    for axes in network.weight_axes:
        shape = tuple(int(a.size) for a in axes)
        size = int(np.prod(shape))
        weights.append(theta[start : start + size].reshape(shape))
        start += size
    count, n = x.shape[0], len(weights)
    if isinstance(network, sf.FullyConnected):
        a = jnp.asarray(x)
        for j, w in enumerate(weights):
            a = a @ w.T if j == n - 1 else activate(a @ w.T)
        return a
    assert isinstance(network, sf.Convolutional)
    a, used = jnp.asarray(x).reshape(count, *network.input), 0
    for part in network.parts:
        if isinstance(part, sf.Pool):
            window, stride = (1, 1, *part.size), (1, 1, *part.stride)
            if part.kind == "max":
                a = jax.lax.reduce_window(a, -jnp.inf, jax.lax.max, window, stride, "VALID")
            else:
                a = jax.lax.reduce_window(a, 0.0, jax.lax.add, window, stride, "VALID") / np.prod(part.size)
            continue
        w, used = weights[used], used + 1
        if isinstance(part, sf.Dense):
            z = a.reshape(count, -1) @ w.reshape(w.shape[0], -1).T
        else:
            z = jax.lax.conv_general_dilated(a, w, part.stride, [(p, p) for p in part.padding])
        a = z if used == n else activate(z)
    return a


@st.composite
def cases(draw: st.DrawFn, activations: Sequence[Any] = ACTIVATIONS) -> Case:
    """Small networks of every kind with every loss."""
    loss = draw(st.sampled_from(LOSSES))
    activation = draw(st.sampled_from(activations))
    outputs = 1 if loss in ("logistic", "exponential") else draw(st.integers(1, 3))
    if draw(st.booleans()):
        widths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
        network: Network = sf.FullyConnected((*widths, outputs), activation=activation)
    else:
        network = draw(convolutional(outputs, activation))
    return Case(network, loss, draw(st.integers(1, 4)), draw(st.integers(0, 2**31)))


@st.composite
def convolutional(draw: st.DrawFn, outputs: int, activation: Any) -> sf.Convolutional:
    """One or two spatial dimensions, strides, padding, both pools, then dense layers."""
    dimensions = draw(st.integers(1, 2))
    extents = [draw(st.integers(3, 6 if dimensions == 1 else 4)) for _ in range(dimensions)]
    image = (draw(st.integers(1, 2)), *extents)
    parts: list[sf.Convolution | sf.Pool | sf.Dense] = []
    for _ in range(draw(st.integers(1, 3))):
        size = tuple(draw(st.integers(1, min(3, e))) for e in extents)
        stride = tuple(draw(st.integers(1, 2)) for _ in extents)
        padding = (0,) * dimensions
        if draw(st.sampled_from(["convolution", "convolution", "pool"])) == "convolution":
            padding = tuple(draw(st.integers(0, 1)) for _ in extents)
            parts.append(sf.Convolution(draw(st.integers(1, 2)), size, stride, padding))
        else:
            parts.append(sf.Pool(draw(st.sampled_from(["average", "max"])), size, stride))
        extents = [(e + 2 * p - k) // s + 1 for e, k, s, p in zip(extents, size, stride, padding, strict=True)]
    if draw(st.booleans()):
        parts.append(sf.Dense(draw(st.integers(1, 3))))
    return sf.Convolutional(image, (*parts, sf.Dense(outputs)), activation=activation)
