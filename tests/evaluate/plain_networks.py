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
        count = self.network.parameter_count
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

        def loss(theta: Any) -> Any:
            return plain_loss(self.loss, plain_network(self.network, theta, x), y)

        return loss


def plain_activation(sigma: Any) -> Callable[[Any], Any]:
    """sigma in plain JAX, from the record of one layer."""
    if sigma.slopes is None:
        return SMOOTH[getattr(sigma, "expression", sigma.name)]
    alpha, alpha_bar = map(float, sigma.slopes)
    return lambda z: jnp.where(z >= 0, alpha * z, alpha_bar * z)


def pooled(part: sf.Pool, a: Any) -> Any:
    """A pool by reduce_window."""
    window, stride = (1, 1, *part.size), (1, 1, *part.stride)
    if part.kind == "max":
        return jax.lax.reduce_window(a, -jnp.inf, jax.lax.max, window, stride, "VALID")
    return jax.lax.reduce_window(a, 0.0, jax.lax.add, window, stride, "VALID") / np.prod(part.size)


def multiplied(part: Any, w: Any, a: Any) -> Any:
    """What a layer with weights makes of its inputs; `part` is None in a fully connected network."""
    if isinstance(part, sf.Convolution):
        return jax.lax.conv_general_dilated(a, w, part.stride, [(p, p) for p in part.padding])
    a = a.reshape(a.shape[0], -1)
    return a * w if w.ndim == 1 else a @ w.reshape(w.shape[0], -1).T


def plain_network(network: Network, theta: Any, x: Any) -> Any:
    """h(x), samples first: a_j = sigma_j(W_j a_{j-1} + b_j) + the skip connections that end in layer j, h = c a_n."""
    at = 0

    def take(shape: tuple[int, ...]) -> Any:
        nonlocal at
        at += int(np.prod(shape))
        return theta[at - int(np.prod(shape)) : at].reshape(shape)

    parts = list(network.parts) if isinstance(network, sf.Convolutional) else [None] * network.depth
    a = jnp.asarray(x)
    if isinstance(network, sf.Convolutional):
        a = a.reshape(x.shape[0], *network.input)
    passed, shapes, last = [a], iter(network.weight_axes), len(parts)
    weighted = 0
    for j, part in enumerate(parts, 1):
        if isinstance(part, sf.Pool):
            a = pooled(part, passed[-1])
        else:
            weighted += 1
            a = multiplied(part, take(tuple(int(axis.size) for axis in next(shapes))), passed[-1])
            if network.biases[j - 1]:
                a = a + take((a.shape[1],)).reshape(1, -1, *[1] * (a.ndim - 2))
            if j < last:
                a = plain_activation(network.sigma.at(weighted))(a)
        passed.append(sum((passed[i] for i, k in network.skip if k == j), a))
    return float(network.output_scale) * passed[-1]


@st.composite
def options(draw: st.DrawFn, plain: Network, activations: Sequence[Any]) -> dict[str, Any]:
    """Biases, skip connections, diagonal layers, an output scale and activations by layers for an architecture."""
    depth, count, shapes = plain.depth, plain.layer_count, plain.boundaries
    found: dict[str, Any] = {"activation": [draw(st.sampled_from(activations)) for _ in range(depth - 1)]}
    if not found["activation"] or draw(st.booleans()):
        found["activation"] = draw(st.sampled_from(activations))
    has = iter(draw(st.lists(st.booleans(), min_size=depth, max_size=depth)))
    found["biases"] = [j in plain.layer_numbers and next(has) for j in range(1, count + 1)]
    equal = [[i, j] for j in range(1, count + 1) for i in range(j) if shapes[i] == shapes[j]]
    square = [j for j in range(1, count + 1) if plain.matrices[j - 1] and shapes[j - 1] == shapes[j]]
    for key, choice in (("skip", equal), ("diagonal", square)):
        keep = draw(st.lists(st.booleans(), min_size=len(choice), max_size=len(choice)))
        found[key] = [c for c, kept in zip(choice, keep, strict=True) if kept]
    return found | {"output_scale": draw(st.sampled_from(["1", "1/3", "-3/2"]))}


@st.composite
def cases(draw: st.DrawFn, activations: Sequence[Any] = ACTIVATIONS, optional: bool = False) -> Case:
    """Small networks of every kind with every loss; `optional` adds biases, skip connections and the other options."""
    loss = draw(st.sampled_from(LOSSES))
    outputs = 1 if loss in ("logistic", "exponential") else draw(st.integers(1, 3))
    if draw(st.booleans()):
        most = 2 if optional else 4  # equal widths are what options need
        widths = draw(st.lists(st.integers(1, most), min_size=1, max_size=4))
        kind, arguments = sf.FullyConnected, ((*widths, outputs),)
    else:
        kind, arguments = sf.Convolutional, draw(convolutional(outputs))
    activation = draw(st.sampled_from(activations))
    network: Network = kind(*arguments, activation=activation)
    if optional:
        network = kind(*arguments, **draw(options(network, activations)))
    return Case(network, loss, draw(st.integers(1, 4)), draw(st.integers(0, 2**31)))


@st.composite
def convolutional(draw: st.DrawFn, outputs: int) -> tuple[Any, ...]:
    """Input and parts: one or two spatial dimensions, strides, padding, both pools, then dense layers."""
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
    return image, (*parts, sf.Dense(outputs))
