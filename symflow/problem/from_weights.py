"""A network and its theta(0) from weights that were made elsewhere (`weights` reads them)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from symflow.errors import ProblemError
from symflow.networks.activations import ACTIVATIONS
from symflow.networks.convolutional import Convolution, Convolutional, Dense
from symflow.networks.layers import Layer
from symflow.networks.network import FullyConnected, Network
from symflow.networks.training_loss import network_objective
from symflow.problem.weights import GivenArray, given_arrays

_CALLER = "from_weights"


def network_and_theta(
    weights: object, activation: Any, network: Network | None, geometry: dict[str, Any]
) -> tuple[Network, list[Fraction]]:
    """The network that weights belong to, and theta(0), all of them in symflow's order.

    Args:
        weights: a state dict, a pytree, a module or a list of arrays.
        activation: of the network; None where `network` says it.
        network: the architecture, where it is not to be inferred.
        geometry: `input`, `stride` and `padding` of the convolutions, None where not given.

    Raises:
        ProblemError: something that the weights do not say and that is not given, or shapes that do not fit.
    """
    arrays = given_arrays(weights)
    given = {"activation": activation} | geometry
    if network is not None:
        for key, value in given.items():
            if value is not None:
                raise ProblemError(f"{_CALLER}: {key} is what the network says, got both; leave {key} out")
        return network, _theta(arrays, network)
    if activation is None:
        raise ProblemError(f"{_CALLER}: activation is missing, weights do not say it; give one of {_known()}")
    layers = _layers(arrays)
    spatial = [matrix.values.ndim > 2 for matrix, _ in layers]
    if not any(spatial):
        for key, value in geometry.items():
            if value is not None:
                raise ProblemError(
                    f"{_CALLER}: {key} goes with convolutions, got weights of dense layers; leave it out"
                )
        network = _fully_connected(layers, activation)
    else:
        network = _convolutional(layers, activation, **geometry)
    return network, _theta(arrays, network)


def _known() -> str:
    return ", ".join(f'"{name}"' for name in ACTIVATIONS)


_Layers = list[tuple[GivenArray, GivenArray | None]]


def _layers(arrays: Sequence[GivenArray]) -> _Layers:
    """Each matrix with its bias."""
    layers: _Layers = []
    for array in arrays:
        if not array.bias:
            layers.append((array, None))
        elif layers and layers[-1][1] is None:
            layers[-1] = (layers[-1][0], array)
        else:
            raise ProblemError(
                f"{array.name} must be a matrix, or a bias after its matrix, got an array of shape "
                f"{array.values.shape}; give network=, if a layer is diagonal"
            )
    for matrix, bias in layers:
        if matrix.values.ndim > 4:
            raise ProblemError(
                f"{matrix.name} must have two axes (dense), three or four (convolution), got {matrix.values.ndim}"
            )
        if bias is not None and bias.values.size != len(matrix.values):
            raise ProblemError(
                f"{bias.name} must have {len(matrix.values)} numbers, one an output of its layer, got "
                f"{bias.values.size}"
            )
    return layers


def _biases(layers: _Layers) -> dict[str, Any]:
    """The keyword `biases` of a network; nothing where there are none."""
    flags = [bias is not None for _, bias in layers]
    return {"biases": flags} if any(flags) else {}


def _fully_connected(layers: _Layers, activation: Any) -> FullyConnected:
    shapes = [matrix.values.shape for matrix, _ in layers]
    for position, (below, above) in enumerate(pairwise(shapes), start=1):
        if above[1] != below[0]:
            turned = all(b[0] == a[1] for a, b in pairwise(shapes))
            remedy = "matrices have their outputs first, as in PyTorch: transpose them" if turned else "see their order"
            raise ProblemError(
                f"{layers[position][0].name} must have {below[0]} columns, the outputs of the layer before it, got the "
                f"shape {above}; {remedy}"
            )
    widths = (shapes[0][1], *(shape[0] for shape in shapes))
    return FullyConnected(widths, activation=activation, **_biases(layers))


def _convolutional(layers: _Layers, activation: Any, input: Any, stride: Any, padding: Any) -> Convolutional:
    geometry = {"input": input, "stride": stride, "padding": padding}
    for key, value in geometry.items():
        if value is None:
            what = "(channels, length) or (channels, height, width)" if key == "input" else "an integer, or a tuple"
            raise ProblemError(
                f"{_CALLER}: {key} is missing, weights of convolutions do not say it; give {what}, or the whole "
                "architecture as network=sf.Convolutional(...)"
            )
    parts: list[Layer] = []
    channels: object = next(iter(input), None) if isinstance(input, Iterable) else None
    for matrix, _ in layers:
        shape: tuple[int, ...] = matrix.values.shape
        if len(shape) == 2:
            parts.append(Dense(shape[0]))
        elif channels != shape[1]:
            raise ProblemError(
                f"{matrix.name} must read {channels} channels, got the shape {shape} of channels, input channels and "
                "kernel; grouped and transposed convolutions are not networks here"
            )
        else:
            ends = {
                key: (value,) * (len(shape) - 2) if isinstance(value, int) else tuple(value)
                for key, value in (("stride", stride), ("padding", padding))
            }
            parts.append(Convolution(shape[0], shape[2:], **ends))
        channels = shape[0]
    try:
        return Convolutional(input, parts, activation=activation, **_biases(layers))
    except ValueError as error:
        raise ProblemError(f"{_CALLER}: {error}; give pools as network=sf.Convolutional(...)") from None


def _theta(arrays: Sequence[GivenArray], network: Network) -> list[Fraction]:
    """All weights in symflow's order, checked against the shapes of the network."""
    symbolic = network_objective(network, None, None)
    names = [w.name for w in symbolic.parameters]
    if len(arrays) != len(names):
        raise ProblemError(
            f"{_CALLER}: weights must hold {len(names)} arrays as the network says ({', '.join(names)}), got "
            f"{len(arrays)}"
        )
    theta: list[Fraction] = []
    for array, shape, name in zip(arrays, symbolic.shapes, names, strict=True):
        values = array.values
        if len(values) != shape[0] or values.size != prod(shape):
            raise ProblemError(
                f"{array.name} must have the shape {shape} of {name} as the network says, got {values.shape}"
            )
        if array.channels_last and values.ndim == 2 and len(shape) == 3:  # (out, pixels * channels), pixels first
            values = np.moveaxis(values.reshape(shape[0], shape[2], shape[1]), 1, 2)
        theta += list(values.flat)
    return theta
