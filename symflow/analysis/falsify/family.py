"""Families of problems: which networks, losses, data, initial weights, step sizes and times are searched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import prod
from typing import Any

import numpy as np

from symflow.displays import displayed
from symflow.dynamics.method import Method
from symflow.dynamics.methods.gradient_descent import GRADIENT_DESCENT
from symflow.errors import ProblemError, brief
from symflow.networks.convolutional import Convolution, Convolutional, Dense, Pool
from symflow.networks.layers import Layer
from symflow.networks.losses import LOSSES, Loss, as_loss
from symflow.networks.network import FullyConnected, Network
from symflow.numbers.arguments import positive, whole
from symflow.problem.architecture import called
from symflow.problem.descent import has_file_form
from symflow.programs.program import shape_of

ACTIVATIONS = {"linear": Fraction(1), "relu": Fraction(0), "leaky-relu": Fraction(1, 5)}
"""The slope for z < 0; that for z >= 0 is 1."""
INITIALIZATIONS = ("gaussian", "sparse", "grid", "balanced")
NETWORK_KINDS = ("fully-connected", "convolutional")
MOST_STEPS = 1024
MOST_WIDTH = 8
MOST_SAMPLES = 32
MOST_DEPTH = 8


@dataclass(frozen=True)
class Setup:
    """h_theta, l and N: problems of one shape.

    Attributes:
        network: the architecture h_theta.
        loss: l, of one sample.
        samples: N.
        balanced: whether theta(0) is exactly balanced.
        method: of descent.
    """

    network: Network
    loss: Loss
    samples: int
    balanced: bool = False
    method: Method = GRADIENT_DESCENT

    def __str__(self) -> str:
        start = ", balanced" if self.balanced else ""
        return f"{called(self.network)}, {self.loss.kind} loss, N = {self.samples}{start}"


@displayed
@dataclass(frozen=True)
class Family:
    """(theta(0), x, y, eta, t): the problems among which a counterexample is searched.

    Attributes:
        depths: n, the depths that are tried.
        widths: the smallest and the largest width.
        samples: the smallest and the largest N.
        kinds: "fully-connected", "convolutional" (one-dimensional with small kernels, then a dense layer).
        activations: "linear", "relu", "leaky-relu" (slope 1/5).
        losses: kinds such as "square", or `Loss` records.
        networks: these architectures instead of drawn ones; depths, widths, kinds and activations are then unused.
        initializations: how theta(0) is drawn: "gaussian"; "sparse", with entries and whole layers 0; "grid", small
            multiples of 1/2; these are where gradient ascent starts from. "balanced", exactly balanced (fully
            connected linear networks), is kept while data, step size and time are varied.
        weights: the largest absolute weight of theta(0).
        data: the largest absolute entry of inputs and targets.
        step_sizes: the smallest and the largest eta.
        times: the smallest and the largest t = k eta.
        steps: the largest k; where the claim contains quantities of the tube of R4, k is between it and 256 times as
            large.
        method: of descent, over all samples; its flow of order 0 is then the flow. Claims about the tube of R4 are
            about gradient descent alone.

    Raises:
        ProblemError: a setting outside its range.

    Example:
        >>> family = sf.Family(depths=(2,), widths=(1, 2), activations=("relu",))
        >>> claim = sf.claim_quantities()["lambda_min"].symbol >= 0
        >>> sf.falsify(claim, family, seconds=20).problem.network.activation
        'relu'
    """

    depths: Sequence[int] = (2, 3)
    widths: tuple[int, int] = (1, 3)
    samples: tuple[int, int] = (1, 3)
    kinds: Sequence[str] = ("fully-connected",)
    activations: Sequence[str] = ("linear",)
    losses: Sequence[str | Loss] = ("square",)
    networks: Sequence[Network] = ()
    initializations: Sequence[str] = ("gaussian", "sparse", "grid")
    weights: float = 2.0
    data: float = 2.0
    step_sizes: tuple[float, float] = (1e-6, 1.0)
    times: tuple[float, float] = (1e-2, 10.0)
    steps: int = 256
    method: Method = GRADIENT_DESCENT

    def __post_init__(self) -> None:
        for x in _listed(self.depths, "depths"):
            whole(x, "Family: depths", 1, MOST_DEPTH)
        _range(self.widths, "widths", lambda x: whole(x, "Family: widths", 1, MOST_WIDTH))
        _range(self.samples, "samples", lambda x: whole(x, "Family: samples", 1, MOST_SAMPLES))
        _choices(self.kinds, "kinds", NETWORK_KINDS)
        _choices(self.activations, "activations", tuple(ACTIVATIONS))
        _choices(self.initializations, "initializations", INITIALIZATIONS)
        kinds = [x for x in _listed(self.losses, "losses") if not isinstance(x, Loss)]
        if kinds:
            _choices(kinds, "losses", tuple(name for name, kind in LOSSES.items() if not kind.takes_expression))
        for x in _listed(self.networks, "networks", empty=True):
            if not isinstance(x, FullyConnected | Convolutional):
                raise ProblemError(
                    f"Family: networks must be records such as sf.FullyConnected((2, 2, 1)), got {brief(x)}"
                )
        positive(self.weights, "Family: weights")
        positive(self.data, "Family: data")
        _range(self.step_sizes, "step_sizes", lambda x: positive(x, "Family: step_sizes"))
        _range(self.times, "times", lambda x: positive(x, "Family: times"))
        whole(self.steps, "Family: steps", 1, MOST_STEPS)
        _check_method(self.method)
        if next(self.setups(np.random.default_rng(0)), None) is None:
            raise ProblemError(
                "Family: no network of the family goes with its losses and initializations (logistic and exponential "
                'need one output, "balanced" fully connected linear networks); add others'
            )

    def setups(self, rng: np.random.Generator) -> Iterator[Setup]:
        """Endless setups: all combinations of the choices in turn, sizes drawn anew each time."""
        losses = [as_loss(x) for x in self.losses]
        shapes: Sequence[Any] = self.networks or list(product(self.depths, self.kinds, self.activations))
        starts = sorted({x == "balanced" for x in self.initializations})
        while True:
            fitting = False
            for shape, loss, balanced in product(shapes, losses, starts):
                network = shape if self.networks else self._network(rng, loss, *shape)
                linear = isinstance(network, FullyConnected) and network.linear
                if (loss.known.labels == "signs" and _outputs(network) > 1) or (balanced and not linear):
                    continue
                fitting = True
                yield Setup(network, loss, _between(rng, self.samples), balanced, self.method)
            if not fitting:
                return

    def _network(self, rng: np.random.Generator, loss: Loss, depth: int, kind: str, activation: str) -> Network:
        """An architecture; small ones are as likely as all others together."""
        low, high = self.widths
        most = low if rng.random() < 0.3 else high
        slope = ACTIVATIONS[activation]
        outputs = 1 if loss.known.labels == "signs" else _between(rng, (low, most))
        if loss.known.labels == "one-hot":
            outputs = max(2, outputs)
        if kind == "fully-connected":
            widths = [_between(rng, (low, most)) for _ in range(depth)]
            return FullyConnected((*widths, outputs), alpha_bar=slope)
        channels, length = _between(rng, (1, min(2, most))), int(rng.integers(3, 7))
        size, parts = length, list[Layer]()
        for _ in range(depth - 1):
            kernel = int(rng.integers(1, min(3, size) + 1))
            stride = int(rng.integers(1, min(2, kernel) + 1))
            parts.append(Convolution(_between(rng, (1, min(2, most))), (kernel,), (stride,), (0,)))
            size = (size - kernel) // stride + 1
        if size >= 2 and rng.random() < 0.3:
            parts.append(Pool("average" if rng.random() < 0.5 else "max", (2,), (2,)))
        return Convolutional((channels, length), (*parts, Dense(outputs)), alpha_bar=slope)


def _outputs(network: Network) -> int:
    return prod(shape_of(network.output_axes))


def _between(rng: np.random.Generator, ends: tuple[int, int]) -> int:
    return int(rng.integers(ends[0], ends[1] + 1))


# Checks -------------------------------------------------------------------------------------------------------------


def _check_method(method: object) -> None:
    if not isinstance(method, Method):
        raise ProblemError(f'Family: method must be a Method such as sf.HeavyBall("9/10"), got {brief(method)}')
    if method.speed is None or method.batches is not None or not has_file_form(method):
        raise ProblemError(
            f"Family: method must be gradient descent, heavy ball or Nesterov's method over all samples, got "
            f"{method.called}"
        )


def _listed(values: object, name: str, empty: bool = False) -> Sequence[Any]:
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise ProblemError(f"Family: {name} must be a tuple or list, got {brief(values)}; write it in brackets")
    if not values and not empty:
        raise ProblemError(
            f"Family: {name} must not be empty, got {brief(list(values))}; an empty family has no problems"
        )
    return values


def _range(ends: object, name: str, check: Callable[[object], object]) -> None:
    if isinstance(ends, str) or not isinstance(ends, Sequence) or len(ends) != 2:
        raise ProblemError(f"Family: {name} must be a pair (smallest, largest), got {brief(ends)}")
    for x in ends:
        check(x)
    if ends[0] > ends[1]:
        raise ProblemError(f"Family: {name} must be a pair (smallest, largest), got {brief(list(ends))}; swap them")


def _choices(values: object, name: str, known: Sequence[str]) -> None:
    for x in _listed(values, name):
        if x not in known:
            raise ProblemError(f"Family: {name} must be among {', '.join(known)}, got {brief(x)}")
