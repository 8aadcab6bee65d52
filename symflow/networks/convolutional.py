"""Convolutional networks: shared weights in the program, pooling, then dense layers (R13).

Each kind of layer is a record in `layers`; what is here puts them together: shapes, axes and weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, NamedTuple

from symflow.errors import ProblemError, brief
from symflow.networks.activations import Activation
from symflow.networks.layers.convolution import Convolution
from symflow.networks.layers.dense import Dense
from symflow.networks.layers.layer import Layer, pixels, read_table, set_extents, window_count
from symflow.networks.layers.pool import Pool
from symflow.networks.network import Forward, Network, WeightedLayer, affine
from symflow.programs.nodes import Axis, Node, Table

__all__ = ["Convolution", "Convolutional", "Dense", "Pool"]


class Shape(NamedTuple):
    """Channels and spatial extents; a dense layer's output has channels only."""

    channels: int
    extents: tuple[int, ...]


@dataclass(frozen=True, init=False)
class Convolutional(Network):
    """h(x) = A_n sigma(A_{n-1} ... sigma(A_1 x)), a convolutional network, with pools between its layers.

    A_j is a convolution or a dense layer, linear in its shared weights w_j; sigma follows every one but the last. For
    example ``Convolutional((1, 8, 8), (sf.Convolution(4, (3, 3)), sf.Pool("max", (2, 2)), sf.Dense(2)),
    activation="relu")``.

    Attributes:
        input: channels and spatial extents, (channels, length) or (channels, height, width).
        parts: convolutions and pools, then dense layers.
        sigma: the activation, as a record; given as in `FullyConnected`.

    Raises:
        ValueError: a layer that does not fit its input, a spatial layer after a dense one, or no layer with weights.

    Source: Elkabetz & Cohen 2021 (R13).

    Example:
        >>> parts = (sf.Convolution(2, (2,), (1,), (0,)), sf.Pool("max", (2,), (1,)), sf.Dense(1))
        >>> network = sf.Convolutional(input=(1, 4), parts=parts, alpha_bar=0)
        >>> network.depth, network.activation, network.smooth
        (2, 'relu', False)
        >>> objective = sf.network_objective(network, [[1, 2, 3, 4]], [[1]])
        >>> sf.evaluate_exact(sf.loss(objective), ["1/2", 0, 0, "1/3", 1, 0, 0, 1])
        Fraction(8, 9)
    """

    input: tuple[int, ...]
    parts: tuple[Layer, ...]
    sigma: Activation

    kind = "convolutional"

    def __init__(
        self,
        input: Iterable[int],
        parts: Iterable[Layer],
        alpha: Any = 1,
        alpha_bar: Any = 1,
        *,
        activation: Any = None,
    ) -> None:
        object.__setattr__(self, "input", input)
        set_extents(self, input=1)
        given: object = parts
        listed = tuple(given) if isinstance(given, Iterable) else ()
        if not isinstance(given, Iterable) or not all(isinstance(part, Layer) for part in listed):
            raise ProblemError(f"parts must be a list of sf.Convolution, sf.Pool and sf.Dense, got {brief(given)}")
        object.__setattr__(self, "parts", listed)
        self._activate(activation, alpha, alpha_bar)
        if len(self.input) not in (2, 3):
            raise ValueError(
                "input must be [channels, length] or [channels, height, width], positive integers, "
                f"got {list(self.input)}"
            )
        if not any(part.weighted for part in self.parts):
            raise ValueError("layers must have at least one convolution or dense layer, got none")
        _ = self.shapes_between

    @cached_property
    def shapes_between(self) -> tuple[Shape, ...]:
        """The shape before the first layer and after each one."""
        shapes = [Shape(self.input[0], self.input[1:])]
        for number, part in enumerate(self.parts):
            before = shapes[-1]
            counts = () if part.windows is None else _counts(part, before.extents, f"layers[{number}]")
            shapes.append(Shape(part.channels_after(before.channels), counts))
        return tuple(shapes)

    @property
    def layer_count(self) -> int:
        """The number of layers, pools included."""
        return len(self.parts)

    @cached_property
    def weighted(self) -> tuple[int, ...]:
        """The positions of the layers with weights."""
        return tuple(position for position, part in enumerate(self.parts) if part.weighted)

    @property
    def smooth(self) -> bool:
        """Whether h is smooth in the weights: no gates, in the activation or in max pooling."""
        return self.sigma.smooth and all(part.smooth for part in self.parts)

    def _axes(self, position: int) -> tuple[Axis, ...]:
        """The axes after `position` layers; a layer without weights keeps the channels before it."""
        extents = self.shapes_between[position].extents
        origin = max((p + 1 for p in self.weighted if p < position), default=0)
        channels, spatial = self.shapes_between[origin]
        own = Axis(f"{'c' if spatial else 'd'}{origin}", channels)
        return (own, pixels(position, extents)) if extents else (own,)

    @property
    def input_axes(self) -> tuple[Axis, ...]:
        """Channels and pixels of one input."""
        return self._axes(0)

    @property
    def output_axes(self) -> tuple[Axis, ...]:
        """The axes of one prediction."""
        return self._axes(len(self.parts))

    @cached_property
    def weight_axes(self) -> tuple[tuple[Axis, ...], ...]:
        """(out, in, window...) for convolutions, (out, in) or (out, channels, pixels) for dense layers."""
        return tuple(
            self.parts[p].weight_axes(self._axes(p + 1)[0], self._axes(p), self.table(p)) for p in self.weighted
        )

    @property
    def fans(self) -> tuple[tuple[int, int], ...]:
        """Channels times window extents for convolutions; inputs and outputs of dense layers."""
        windows = [self.parts[p].windows for p in self.weighted]
        return tuple(
            (prod(shape[1:]), shape[0] * (1 if window is None else prod(window.size)))
            for window, shape in zip(windows, self.shapes, strict=True)
        )

    def table(self, position: int) -> Table | None:
        """Which entries the windows of a layer read; None for a layer that reads its whole input."""
        windows = self.parts[position].windows
        return None if windows is None else read_table(self.shapes_between[position].extents, windows, position + 1)

    def forward(self, weights: Sequence[Node], x: Node, biases: Sequence[Node] = ()) -> Forward:
        """The network as nodes; x has the axes channel, pixel, sample, and a bias one entry a channel or unit."""
        names: dict[Node, str] = {}
        layers: list[WeightedLayer] = []
        a = x
        for position, part in enumerate(self.parts):
            if not part.weighted:
                a = part.apply(a, None, self.table(position), position + 1)
                names[a] = f"A_{{{position + 1}}}"
                continue
            w = weights[len(layers)]
            z = affine(part.apply(a, w, self.table(position), position + 1), biases, len(layers) + 1)
            layers.append(WeightedLayer(w, a, z))
            a = z if len(layers) == self.depth else self.sigma.apply(z, position + 1, names)
        return Forward(a, tuple(layers), names)


def _counts(part: Layer, extents: tuple[int, ...], where: str) -> tuple[int, ...]:
    """How many windows of a layer fit along each dimension of its input.

    Raises:
        ValueError: the layer does not fit.
    """
    windows = part.windows
    assert windows is not None
    if not extents:
        raise ValueError(f"{where} must be dense, as the layer before it is, got a {part.name}")
    for values in windows:
        if len(values) != len(extents):
            raise ValueError(
                f"{where} must have one extent for each of the {len(extents)} spatial dimensions, got {list(values)}"
            )
    counts = tuple(map(window_count, extents, *windows))
    if min(counts) < 1:
        raise ValueError(
            f"{where} must fit its input of {'x'.join(map(str, extents))}, got a window of "
            f"{'x'.join(map(str, windows.size))}"
        )
    return counts
