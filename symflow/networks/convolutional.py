"""Convolutional networks: shared weights in the program, pooling, then dense layers (R13).

A convolution is z[o, q] = sum over (c, k) of w[o, c, k] a[c, read(k, q)]: the patches of a are gathered by a constant
table (-1 reads the zero padding) and contracted with the weights, so each weight is one input however often it is
used.  Average pooling is a gather and a mean.  Max pooling is a tournament of max(a, b) = b + s(a - b) (a - b), with
s the step at 0: its ties are kinks like all others, and at a tie the first entry of the window (row-major) counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import product
from math import prod
from typing import Literal, TypeAlias

from symflow.errors import ProblemError, brief
from symflow.networks.network import Forward, Layer, activate, activation_name, affine, set_slopes
from symflow.programs.nodes import Axis, Node, Table, add, einsum, gate, gather, hadamard, scale, scatter_add
from symflow.programs.program import shape_of


def _set_whole(part: object, **least: int) -> None:
    """Makes fields plain integers.

    Raises:
        ProblemError: one that is not a whole number, or below the least.
    """
    from symflow.numbers.arguments import whole

    for name, low in least.items():
        object.__setattr__(part, name, whole(getattr(part, name), name, low))


def _set_extents(part: object, **least: int) -> None:
    """The same for fields with one integer for each dimension; an integer alone stands for one dimension."""
    from symflow.numbers.arguments import whole

    for name, low in least.items():
        given = getattr(part, name)
        listed = given if isinstance(given, Iterable) and not isinstance(given, str) else (given,)
        object.__setattr__(part, name, tuple(whole(extent, name, low) for extent in listed))


@dataclass(frozen=True)
class Convolution:
    """Cross-correlation with shared weights, one extent a spatial dimension.

    Attributes:
        channels: output channels.
        kernel: extents of the window.
        stride: how far the window moves.
        padding: zeros added on both sides.
    """

    channels: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]

    def __post_init__(self) -> None:
        _set_whole(self, channels=1)
        _set_extents(self, kernel=1, stride=1, padding=0)


@dataclass(frozen=True)
class Pool:
    """The mean or the largest entry of windows, without padding; windows that do not fit are left out."""

    kind: Literal["average", "max"]
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.kind not in ("average", "max"):
            raise ProblemError(f'the kind of a pool must be "average" or "max", got {brief(self.kind)}')
        _set_extents(self, size=1, stride=1)


@dataclass(frozen=True)
class Dense:
    """All inputs to `width` outputs."""

    width: int

    def __post_init__(self) -> None:
        _set_whole(self, width=1)


Part: TypeAlias = Convolution | Pool | Dense


@dataclass(frozen=True)
class _Shape:
    """Channels and spatial extents; a dense layer's output has channels only."""

    channels: int
    extents: tuple[int, ...]


def window_count(extent: int, size: int, stride: int, padding: int) -> int:
    """How many windows fit along one dimension."""
    return (extent + 2 * padding - size) // stride + 1


def read_table(
    extents: tuple[int, ...], size: tuple[int, ...], stride: tuple[int, ...], padding: tuple[int, ...], layer: int
) -> Table:
    """Which pixel each entry of each window reads: targets are the window's dimensions and the window's number."""
    counts = tuple(window_count(*dimension) for dimension in zip(extents, size, stride, padding, strict=True))
    index: list[int] = []
    for offset in product(*map(range, size)):
        for place in product(*map(range, counts)):
            at = [q * s + k - p for q, s, k, p in zip(place, stride, offset, padding, strict=True)]
            inside = all(0 <= a < extent for a, extent in zip(at, extents, strict=True))
            flat = 0
            for a, extent in zip(at, extents, strict=True):
                flat = flat * extent + a
            index.append(flat if inside else -1)
    window = tuple(Axis(f"k{layer}{'hwd'[i] if len(size) > 1 else ''}", k) for i, k in enumerate(size))
    return Table(_pixels(layer - 1, extents), (*window, _pixels(layer, counts)), tuple(index))


def _pixels(layer: int, extents: tuple[int, ...]) -> Axis:
    return Axis(f"p{layer}", prod(extents))


@dataclass(frozen=True)
class Convolutional:
    """A convolutional network; the activation follows every convolution and dense layer but the last.

    Attributes:
        input: channels and spatial extents, (channels, length) or (channels, height, width).
        parts: convolutions and pools, then dense layers.
        alpha: slope of the activation for z >= 0.
        alpha_bar: slope for z < 0.

    Raises:
        ValueError: a layer that does not fit its input, a spatial layer after a dense one, or none with weights.
    """

    input: tuple[int, ...]
    parts: tuple[Part, ...]
    alpha: Fraction = Fraction(1)
    alpha_bar: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        _set_extents(self, input=1)
        given: object = self.parts
        if not isinstance(given, Iterable) or not all(isinstance(part, Part) for part in given):
            raise ProblemError(f"parts must be a list of sf.Convolution, sf.Pool and sf.Dense, got {brief(given)}")
        object.__setattr__(self, "parts", tuple(self.parts))
        set_slopes(self)
        if len(self.input) not in (2, 3) or min(self.input) < 1:
            raise ValueError(
                "input must be [channels, length] or [channels, height, width], positive integers, "
                f"got {list(self.input)}"
            )
        if all(isinstance(part, Pool) for part in self.parts):
            raise ValueError("layers must have at least one convolution or dense layer, got none")
        _ = self.shapes_between

    @cached_property
    def shapes_between(self) -> tuple[_Shape, ...]:
        """The shape before the first layer and after each one."""
        shapes = [_Shape(self.input[0], self.input[1:])]
        for number, part in enumerate(self.parts):
            before = shapes[-1]
            if isinstance(part, Dense):
                shapes.append(_Shape(part.width, ()))
                continue
            if not before.extents:
                raise ValueError(f"layers[{number}] must be dense, as the layer before it is, got {_name(part)}")
            size = part.kernel if isinstance(part, Convolution) else part.size
            padding = part.padding if isinstance(part, Convolution) else (0,) * len(size)
            for values in (size, part.stride, padding):
                if len(values) != len(before.extents):
                    raise ValueError(
                        f"layers[{number}] must have one extent for each of the {len(before.extents)} spatial "
                        f"dimensions, got {list(values)}"
                    )
            counts = tuple(map(window_count, before.extents, size, part.stride, padding))
            if min(counts) < 1:
                raise ValueError(
                    f"layers[{number}] must fit its input of {'x'.join(map(str, before.extents))}, got a window of "
                    f"{'x'.join(map(str, size))}"
                )
            shapes.append(_Shape(part.channels if isinstance(part, Convolution) else before.channels, counts))
        return tuple(shapes)

    @property
    def kind(self) -> str:
        """Its name in problem files."""
        return "convolutional"

    @property
    def depth(self) -> int:
        """n, the number of layers with weights."""
        return sum(not isinstance(part, Pool) for part in self.parts)

    @property
    def linear(self) -> bool:
        """False: the weights are shared, h is not a product of the weight matrices themselves."""
        return False

    @property
    def smooth(self) -> bool:
        """Whether h is a polynomial in the weights: a linear activation and no max pooling."""
        return self.alpha == self.alpha_bar and not any(isinstance(p, Pool) and p.kind == "max" for p in self.parts)

    @property
    def activation(self) -> str:
        """The name of the activation in problem files."""
        return activation_name(self.alpha, self.alpha_bar)

    def _axes(self, position: int) -> tuple[Axis, ...]:
        """The axes after `position` layers."""
        shape = self.shapes_between[position]
        channels = Axis(f"c{position}", shape.channels) if shape.extents else Axis(f"d{position}", shape.channels)
        return (channels, _pixels(position, shape.extents)) if shape.extents else (channels,)

    @property
    def input_axes(self) -> tuple[Axis, ...]:
        """Channels and pixels of one input."""
        return self._axes(0)

    @property
    def output_axes(self) -> tuple[Axis, ...]:
        """The axes of one prediction."""
        forward = self._channels(len(self.parts))
        return (forward, *self._axes(len(self.parts))[1:])

    def _channels(self, position: int) -> Axis:
        """The channel axis after `position` layers; pooling keeps the one before it."""
        while position and isinstance(self.parts[position - 1], Pool):
            position -= 1
        return self._axes(position)[0]

    @cached_property
    def weight_axes(self) -> tuple[tuple[Axis, ...], ...]:
        """(out, in, window...) for convolutions, (out, in) or (out, channels, pixels) for dense layers."""
        result = []
        for position, part in enumerate(self.parts):
            if isinstance(part, Pool):
                continue
            before = (self._channels(position), *self._axes(position)[1:])
            if isinstance(part, Convolution):
                window = self.table(position).targets[:-1]
                result.append((self._channels(position + 1), before[0], *window))
            else:
                result.append((self._channels(position + 1), *before))
        return tuple(result)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shape of every weight array."""
        return [shape_of(axes) for axes in self.weight_axes]

    @property
    def parameter_count(self) -> int:
        """P, the number of weights."""
        return sum(prod(shape) for shape in self.shapes)

    @property
    def fans(self) -> tuple[tuple[int, int], ...]:
        """Channels times window extents for convolutions; inputs and outputs of dense layers."""
        weighted = [part for part in self.parts if not isinstance(part, Pool)]
        return tuple(
            (prod(shape[1:]), shape[0] * (prod(part.kernel) if isinstance(part, Convolution) else 1))
            for part, shape in zip(weighted, self.shapes, strict=True)
        )

    def table(self, position: int) -> Table:
        """Which entries the windows of a convolution or a pool read."""
        part = self.parts[position]
        assert not isinstance(part, Dense)
        extents = self.shapes_between[position].extents
        if isinstance(part, Convolution):
            return read_table(extents, part.kernel, part.stride, part.padding, position + 1)
        return read_table(extents, part.size, part.stride, (0,) * len(part.size), position + 1)

    def forward(self, weights: Sequence[Node], x: Node, biases: Sequence[Node] = ()) -> Forward:
        """The network as nodes; x has the axes channel, pixel, sample, and a bias one entry a channel or unit."""
        names: dict[Node, str] = {}
        layers: list[Layer] = []
        remaining = list(weights)
        a = x
        for position, part in enumerate(self.parts):
            if isinstance(part, Pool):
                table = self.table(position)
                a = _mean(a, table) if part.kind == "average" else _largest(a, table, position + 1)
                names[a] = f"A_{{{position + 1}}}"
                continue
            w = remaining.pop(0)
            z = _convolve(w, a, self.table(position)) if isinstance(part, Convolution) else _dense(w, a)
            z = affine(z, biases, len(layers) + 1)
            layers.append(Layer(w, a, z))
            a = activate(z, self.alpha, self.alpha_bar, position + 1, names) if remaining else z
        return Forward(a, tuple(layers), names)


def _name(part: Part) -> str:
    return "a convolution" if isinstance(part, Convolution) else "a pool"


def _convolve(w: Node, a: Node, table: Table) -> Node:
    """z[o, q, i] = sum over (c, k) of w[o, c, k] a[c, table(k, q), i]."""
    patches = gather(a, table, 1)
    window = tuple(range(2, len(w.axes)))
    q, i = len(w.axes), len(w.axes) + 1
    return einsum((w, patches), ((0, 1, *window), (1, *window, q, i)), (0, q, i))


def _dense(w: Node, a: Node) -> Node:
    """z[o, i] = sum over all inputs of w[o, ...] a[..., i]."""
    inner = tuple(range(1, len(w.axes)))
    return einsum((w, a), ((0, *inner), (*inner, len(w.axes))), (0, len(w.axes)))


def _mean(a: Node, table: Table) -> Node:
    """The mean over every window."""
    patches = gather(a, table, 1)
    labels = tuple(range(len(patches.axes)))
    window = len(table.targets) - 1
    total = einsum((patches,), (labels,), (0, *labels[1 + window :]))
    return scale(Fraction(1, prod(shape_of(table.targets[:-1]))), total)


def _largest(a: Node, table: Table, layer: int) -> Node:
    """The largest entry of every window: rounds of comparisons between neighbours, which keep the order of entries."""
    size = prod(shape_of(table.targets[:-1]))
    found = gather(a, Table(table.source, (Axis(f"w{layer}", size), table.targets[-1]), table.index), 1)
    while size > 1:
        half = size // 2
        first, second = _every_other(found, 0, half), _every_other(found, 1, half)
        difference = add([(1, first), (-1, second)])
        winners = add([(1, second), (1, hadamard(gate(difference, Fraction(1), Fraction(0), layer), difference))])
        if size % 2:
            last = _every_other(found, size - 1, 1)
            winners = add([(1, _embed(winners, 0, half + 1)), (1, _embed(last, half, half + 1))])
        found, size = winners, size - half
    return einsum((found,), ((0, 1, 2, 3),), (0, 2, 3))


def _every_other(x: Node, start: int, size: int) -> Node:
    """`size` entries of the window axis from `start` on, leaving one out after each."""
    whole = x.axes[1]
    return gather(x, Table(whole, (Axis(whole.name, size),), tuple(range(start, start + 2 * size, 2))), 1)


def _embed(x: Node, start: int, size: int) -> Node:
    """The window axis as neighbouring entries of a longer one, zeros elsewhere."""
    part = x.axes[1]
    assert isinstance(part.size, int)
    return scatter_add(x, Table(Axis(part.name, size), (part,), tuple(range(start, start + part.size))), 1)
