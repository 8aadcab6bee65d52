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
from symflow.networks.layers.convolution import Convolution
from symflow.networks.layers.dense import Dense
from symflow.networks.layers.layer import Layer, pixels, read_table, set_extents, window_count
from symflow.networks.layers.pool import Pool
from symflow.networks.network import Forward, Network, WeightedLayer
from symflow.networks.options import Biases, Skip, affine, diagonal_product, joined_positions
from symflow.numbers.types import Number
from symflow.programs.nodes import Axis, Node, Table, scale

__all__ = ["Convolution", "Convolutional", "Dense", "Pool"]


class Shape(NamedTuple):
    """Channels and spatial extents; a dense layer's output has channels only."""

    channels: int
    extents: tuple[int, ...]


@dataclass(frozen=True, init=False, repr=False)
class Convolutional(Network):
    """h(x) = A_n sigma(A_{n-1} ... sigma(A_1 x)), a convolutional network, with pools between its layers.

    A_j is a convolution or a dense layer, linear in its shared weights w_j; sigma follows every one but the last. For
    example ``Convolutional((1, 8, 8), (sf.Convolution(4, (3, 3)), sf.Pool("max", (2, 2)), sf.Dense(2)),
    activation="relu")``.

    Attributes:
        input: channels and spatial extents, (channels, length) or (channels, height, width).
        parts: convolutions and pools, then dense layers.
        sigma: the activation, as a record; given as in `FullyConnected`.
        biases: whether each part has a bias (one number a channel or unit); pools have none.
        skip: pairs (i, j) of parts of the same output shape, pools included, as in `FullyConnected`; 0 is the input.
        diagonal: dense parts after dense ones whose matrix is diagonal.
        output_scale: the output is multiplied by it.

    Raises:
        ProblemError: a layer that does not fit its input, a spatial layer after a dense one, or no layer with weights.

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

    kind = "convolutional"

    def __init__(
        self,
        input: Iterable[int],
        parts: Iterable[Layer],
        alpha: Any = 1,
        alpha_bar: Any = 1,
        *,
        activation: Any = None,
        biases: Biases = False,
        skip: Skip = (),
        diagonal: Iterable[int] = (),
        output_scale: Number = 1,
    ) -> None:
        object.__setattr__(self, "input", input)
        set_extents(self, input=1)
        given: object = parts
        listed = tuple(given) if isinstance(given, Iterable) else ()
        if not isinstance(given, Iterable) or not all(isinstance(part, Layer) for part in listed):
            raise ProblemError(f"parts must be a list of sf.Convolution, sf.Pool and sf.Dense, got {brief(given)}")
        object.__setattr__(self, "parts", listed)
        if len(self.input) not in (2, 3):
            raise ProblemError(
                "input must be [channels, length] or [channels, height, width], positive integers, "
                f"got {list(self.input)}"
            )
        if not any(part.weighted for part in self.parts):
            raise ProblemError("layers must have at least one layer with weights, got none; add sf.Dense(width)")
        self._set_options((activation, alpha, alpha_bar), biases, skip, diagonal, output_scale)

    def _written(self) -> list[str]:
        return [str(self.input), f"[{', '.join(map(repr, self.parts))}]"]

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
    def boundaries(self) -> tuple[Shape, ...]:
        """Channels and spatial extents of the input and after every layer."""
        return self.shapes_between

    @property
    def matrices(self) -> tuple[bool, ...]:
        """True for a dense layer after a dense one."""
        return tuple(part.windows is None and not self.shapes_between[p].extents for p, part in enumerate(self.parts))

    @property
    def depth(self) -> int:
        """n, the number of layers with weights."""
        return len(self.weighted)

    @property
    def layer_count(self) -> int:
        """The number of layers, pools included."""
        return len(self.parts)

    @property
    def layer_numbers(self) -> tuple[int, ...]:
        """The numbers of the layers with weights, from 1, pools included."""
        return tuple(position + 1 for position in self.weighted)

    @cached_property
    def weighted(self) -> tuple[int, ...]:
        """The positions of the layers with weights."""
        return tuple(position for position, part in enumerate(self.parts) if part.weighted)

    def layer_is_smooth(self, layer: int) -> bool:
        """Whether a hidden layer, from 1, has no kinks: neither in its activation nor as a pool."""
        return self.parts[layer - 1].smooth and super().layer_is_smooth(layer)

    @property
    def smooth(self) -> bool:
        """Whether h is smooth in the weights: no gates, in the activation or in max pooling."""
        return self.sigma.smooth and all(part.smooth for part in self.parts)

    @cached_property
    def _joined(self) -> tuple[list[int], list[int]]:
        """For each number of layers passed the first with the same axis of channels or units, and of pixels.

        Skip connections and diagonals join both, a pool keeps the channels of its input.
        """
        equal = [*self.skip, *((j - 1, j) for j in self.diagonal)]
        kept = [(p, p + 1) for p, part in enumerate(self.parts) if not part.weighted]
        count = len(self.parts) + 1
        return joined_positions(count, [*equal, *kept]), joined_positions(count, equal)

    def _axes(self, position: int) -> tuple[Axis, ...]:
        """The axes after `position` layers."""
        origins, places = self._joined
        channels, spatial = self.shapes_between[origins[position]]
        own = Axis(f"{'c' if spatial else 'd'}{origins[position]}", channels)
        extents = self.shapes_between[position].extents
        return (own, pixels(places[position], extents)) if extents else (own,)

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
            self._axes(p + 1)
            if p + 1 in self.diagonal
            else self.parts[p].weight_axes(self._axes(p + 1)[0], self._axes(p), self.table(p))
            for p in self.weighted
        )

    @property
    def fans(self) -> tuple[tuple[int, int], ...]:
        """Channels times window extents for convolutions; inputs and outputs of dense ones, (1, 1) of diagonal ones."""
        windows = [self.parts[p].windows for p in self.weighted]
        return tuple(
            (1, 1) if len(shape) == 1 else (prod(shape[1:]), shape[0] * (1 if window is None else prod(window.size)))
            for window, shape in zip(windows, self.shapes, strict=True)
        )

    def table(self, position: int) -> Table | None:
        """Which entries the windows of a layer read; None for a layer that reads its whole input."""
        windows = self.parts[position].windows
        if windows is None:
            return None
        ends = self._axes(position)[1], self._axes(position + 1)[1].name
        return read_table(self.shapes_between[position].extents, windows, position + 1, ends)

    def forward(self, weights: Sequence[Node], x: Node, biases: Sequence[Node] = ()) -> Forward:
        """The network as nodes; x has the axes channel, pixel, sample, and a bias one entry a channel or unit."""
        names: dict[Node, str] = {}
        layers: list[WeightedLayer] = []
        passed = [x]
        given = list(zip(weights, self._biases_of(biases), strict=True))
        for position, part in enumerate(self.parts):
            a, number = passed[-1], position + 1
            if not part.weighted:
                a = part.apply(a, None, self.table(position), number)
                names[a] = f"A_{{{number}}}"
                passed.append(self._passed_on(a, 0, number, passed, names))
                continue
            w, b = given[len(layers)]
            z = diagonal_product(w, a) if number in self.diagonal else part.apply(a, w, self.table(position), number)
            layers.append(WeightedLayer(w, a, affine(z, b)))
            passed.append(self._passed_on(layers[-1].outputs, len(layers), number, passed, names))
        return Forward(scale(self.output_scale, passed[-1]), tuple(layers), names)


def _counts(part: Layer, extents: tuple[int, ...], where: str) -> tuple[int, ...]:
    """How many windows of a layer fit along each dimension of its input.

    Raises:
        ProblemError: the layer does not fit.
    """
    windows = part.windows
    assert windows is not None
    if not extents:
        said = f"{where} must be dense, as the layer before it is, got a {part.name}"
        raise ProblemError(f"{said}; move it before the dense layers")
    for values in windows:
        if len(values) != len(extents):
            written = tuple(values[:1]) * len(extents)
            raise ProblemError(
                f"{where} must have one extent for each of the {len(extents)} spatial dimensions, got {list(values)}; "
                f"write {written}"
            )
    counts = tuple(map(window_count, extents, *windows))
    if min(counts) < 1:
        raise ProblemError(
            f"{where} must fit its input of {'x'.join(map(str, extents))}, got a window of "
            f"{'x'.join(map(str, windows.size))}; take a smaller one, or padding"
        )
    return counts
