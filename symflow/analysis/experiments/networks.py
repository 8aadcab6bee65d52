"""The four networks of the paper's experiments, as problems."""

from __future__ import annotations

import random
from fractions import Fraction
from functools import lru_cache

from symflow.analysis.experiments.images import CLASSES, Images
from symflow.errors import ProblemError
from symflow.networks.convolutional import Convolution, Convolutional, Dense, Pool
from symflow.networks.layers import Layer
from symflow.networks.losses import Loss
from symflow.networks.network import FullyConnected, Network
from symflow.problem import Problem
from symflow.problem.initialize import glorot

NETWORKS = ("linear", "relu", "conv", "conv-max-pool")
"""Fully connected with linear and with ReLU activation, convolutional without and with max pooling."""
LOSS = Loss("cross-entropy")
SMALL = 16
"""Images smaller than this get windows of 3 instead of 5, with padding 1 instead of 2: otherwise they do not fit."""


def architecture(name: str, extents: tuple[int, int]) -> Network:
    """A network of the paper for images of this size.

    linear, relu: H W - 50 - 50 - 10. conv: two convolutions of 6 and 16 channels, windows of 5, stride 2, then
    120 - 84 - 10. conv-max-pool: LeNet-5 with ReLU, the same convolutions with stride 1, each followed by max pooling
    of 2x2, and biases everywhere. The first convolution pads its input by 2.

    Args:
        name: one of `NETWORKS`.
        extents: H and W; small images (8x8) get windows of 3 and padding 1.

    Raises:
        ProblemError: images that the convolutions do not fit.

    Source: Elkabetz & Cohen 2021, section 6 and the code published with it.
    """
    height, width = extents
    if name in ("linear", "relu"):
        slope = Fraction(1 if name == "linear" else 0)
        return FullyConnected((height * width, 50, 50, CLASSES), Fraction(1), slope)
    kernel = 3 if min(extents) < SMALL else 5
    pooled = name == "conv-max-pool"
    stride = 1 if pooled else 2

    def spatial(channels: int, padding: int) -> list[Layer]:
        layer = Convolution(channels, (kernel, kernel), (stride, stride), (padding, padding))
        return [layer, Pool("max", (2, 2), (2, 2))] if pooled else [layer]

    parts = [*spatial(6, kernel // 2), *spatial(16, 0), Dense(120), Dense(84), Dense(CLASSES)]
    try:
        return Convolutional((1, height, width), tuple(parts), Fraction(1), Fraction(0), biases=pooled)
    except ValueError as error:
        raise ProblemError(f"network {name} must fit images of {height}x{width} pixels: {error}") from None


@lru_cache(maxsize=4)
def network_problem(name: str, images: Images, seed: int) -> Problem:
    """The training loss of a network of the paper (cross-entropy) with initial weights; kept, with what is compiled.

    Weights are drawn by Xavier's (Glorot's) uniform distribution. Biases are uniform on +-1/sqrt(fan-in), PyTorch's
    default, which the paper's code leaves in place; at zero the start would be on kinks wherever an image is blank.

    Args:
        name: one of `NETWORKS`.
        images: the data.
        seed: of the initial weights.

    Raises:
        ProblemError: images that the network does not fit.
    """
    network = architecture(name, images.extents)
    problem = Problem(
        network=network,
        loss=LOSS,
        data={"x": images.pixels, "labels": images.labels.tolist()},
        init={"scheme": "xavier", "seed": seed},
    )
    return problem.replace(theta0=_with_biases(problem, network, seed)) if any(network.biases) else problem


def _with_biases(problem: Problem, network: Network, seed: int) -> list[Fraction]:
    """theta(0) with biases that are not 0."""
    rng, found = random.Random(f"biases {seed}"), list(problem.theta0)
    biases = problem.objective.biases
    places = [where for w, (where, _) in zip(problem.objective.parameters, problem.objective.slices(), strict=True)
              if w in biases]  # fmt: skip
    fans = (fan for (fan, _), has in zip(network.fans, network.biased, strict=True) if has)
    for where, fan in zip(places, fans, strict=True):
        # sqrt(6 / (fan + 5 fan)) = 1 / sqrt(fan)
        found[where] = glorot(rng, fan, 5 * fan, where.stop - where.start)
    return found
