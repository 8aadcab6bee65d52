"""Networks with random rational data, for the tests of statements and curvature bounds."""

from __future__ import annotations

import random
from fractions import Fraction
from math import prod

import numpy as np

import symflow as sf
from symflow.networks.network import Network

LEAKY = (Fraction(1), Fraction(1, 5))
STEEP = (Fraction(3, 2), Fraction(-4, 7))
RELU = (Fraction(1), Fraction(0))
NETWORKS: dict[str, Network] = {
    "linear-1": sf.FullyConnected((3, 2)),
    "linear-2": sf.FullyConnected((2, 3, 2)),
    "linear-3": sf.FullyConnected((2, 3, 3, 1)),
    "linear-4": sf.FullyConnected((3, 2, 3, 2, 2)),
    "linear-5": sf.FullyConnected((2, 3, 2, 3, 2, 2)),
    "linear-6": sf.FullyConnected((2, 2, 3, 1, 2, 2, 2)),
    "scaled-3": sf.FullyConnected((2, 2, 3, 2), Fraction(-3, 2), Fraction(-3, 2)),
    "relu-3": sf.FullyConnected((2, 3, 3, 2), *RELU),
    "steep-4": sf.FullyConnected((2, 3, 2, 2, 1), *STEEP),
    "average": sf.Convolutional(
        (2, 6),
        (
            sf.Convolution(2, (3,), (1,), (1,)),
            sf.Pool("average", (2,), (1,)),
            sf.Convolution(2, (3,), (2,), (0,)),
            sf.Dense(1),
        ),
        *LEAKY,
    ),
    "max": sf.Convolutional(
        (1, 4, 4),
        (
            sf.Convolution(2, (2, 2), (1, 1), (0, 0)),
            sf.Pool("max", (2, 2), (1, 1)),
            sf.Dense(2),
            sf.Dense(1),
        ),
        *STEEP,
    ),
    "smooth": sf.Convolutional(
        (1, 5),
        (sf.Convolution(2, (3,), (1,), (1,)), sf.Convolution(1, (2,), (1,), (0,)), sf.Pool("average", (2,), (2,))),
    ),
}
LINEAR = [name for name in NETWORKS if name.startswith(("linear", "scaled"))]
FULLY_CONNECTED = [name for name, network in NETWORKS.items() if isinstance(network, sf.FullyConnected)]
CONVOLUTIONAL = [name for name in NETWORKS if name not in FULLY_CONNECTED]


def nonzero_rationals(rng: random.Random, *shape: int) -> np.ndarray:
    """Small random rationals without a zero."""
    values = [Fraction(rng.choice([-1, 1]) * rng.randint(1, 9), rng.randint(2, 6)) for _ in range(prod(shape))]
    return np.array(values, dtype=object).reshape(shape)


def objective(name: str, loss: str = "square", samples: int = 3, seed: int = 0) -> sf.Objective:
    """The training loss of a network on random data."""
    network, rng = NETWORKS[name], random.Random(seed)
    inputs, outputs = (prod(int(a.size) for a in axes) for axes in (network.input_axes, network.output_axes))
    x, y = nonzero_rationals(rng, samples, inputs), nonzero_rationals(rng, samples, outputs)
    if loss in ("logistic", "exponential"):
        y = np.array([[Fraction(rng.choice([-1, 1]))] for _ in range(samples)], dtype=object)
    if loss == "cross-entropy":
        y = np.array([[Fraction(int(c == i % outputs)) for c in range(outputs)] for i in range(samples)], dtype=object)
    return sf.network_objective(network, x, y, sf.Loss(loss))  # type: ignore[arg-type]


def point(o: sf.Objective, seed: int = 0) -> np.ndarray:
    """P random rationals."""
    return nonzero_rationals(random.Random(1000 + seed), o.parameter_count)
