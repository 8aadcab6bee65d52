"""What a convolutional network asks of its layers, and the windows that spatial layers read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from itertools import product
from math import prod
from typing import Any, NamedTuple

from symflow.numbers.arguments import whole
from symflow.programs.nodes import Axis, Node, Table


class Windows(NamedTuple):
    """Extents of a window, how far it moves, and the zeros added on both sides, for each spatial dimension."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]


class Layer:
    """A layer of a convolutional network: base of frozen records, whose fields are its keys in problem files.

    Attributes:
        name: its kind in problem files.
        weighted: whether it has weights; the activation follows those that have.
        smooth: whether its output is a polynomial in its input and weights.
        windows: the windows that it reads; None for a layer that reads its whole input.
        notation: LaTeX of the operator that acts on the windows, without index, and what it does; None without one.
    """

    name: str
    weighted: bool = True
    smooth: bool = True
    windows: Windows | None = None
    notation: tuple[str, str] | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """Its keys in problem files."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]  # a dataclass
        return {key: list(v) if isinstance(v, tuple) else v for key, v in values.items() if key != "kind"}

    @property
    def summary(self) -> str:
        """The layer in a few words."""
        return self.name

    def channels_after(self, channels: int) -> int:
        """Output channels, from those of the input."""
        return channels

    def weight_axes(self, out: Axis, before: Sequence[Axis], table: Table | None) -> tuple[Axis, ...]:
        """The axes of its weights, outputs first."""
        return ()

    def apply(self, a: Node, w: Node | None, table: Table | None, number: int) -> Node:
        """Its output (before the activation) as a node.

        Args:
            a: its input, with the axes channel, pixel (where there are pixels) and sample.
            w: its weights; None where it has none.
            table: which pixels its windows read; None where it has none.
            number: of the layer, from 1.
        """
        raise NotImplementedError

    def norm_square(self, table: Table | None) -> Fraction:
        """c^2 with ||output|| <= c ||w|| ||input||, or ||output|| <= c ||input|| without weights (R13)."""
        raise NotImplementedError


@dataclass(frozen=True)
class LayerKind:
    """A kind of layer by its name in problem files.

    Attributes:
        needed: keys that must be given.
        optional: keys that may be given.
        make: the layer from these keys.
    """

    needed: tuple[str, ...]
    optional: tuple[str, ...]
    make: Callable[..., Layer]


def set_whole(part: object, **least: int) -> None:
    """Makes fields plain integers.

    Raises:
        ProblemError: one that is not a whole number, or below the least.
    """
    for name, low in least.items():
        object.__setattr__(part, name, whole(getattr(part, name), name, low))


def set_extents(part: object, **least: int) -> None:
    """The same for fields with one integer for each dimension; an integer alone stands for one dimension."""
    for name, low in least.items():
        given = getattr(part, name)
        listed = given if isinstance(given, Iterable) and not isinstance(given, str) else (given,)
        object.__setattr__(part, name, tuple(whole(extent, name, low) for extent in listed))


def window_count(extent: int, size: int, stride: int, padding: int) -> int:
    """How many windows fit along one dimension."""
    return (extent + 2 * padding - size) // stride + 1


def pixels(layer: int, extents: Sequence[int]) -> Axis:
    """The axis of all pixels after so many layers."""
    return Axis(f"p{layer}", prod(extents))


def read_table(extents: Sequence[int], windows: Windows, layer: int, ends: tuple[Axis, str]) -> Table:
    """Which pixel each entry of each window reads: targets are the window's dimensions and the window's number.

    Args:
        extents: of the input.
        windows: what is read.
        layer: its number, from 1.
        ends: the axis of the input's pixels, and the name of that of the windows.
    """
    counts = tuple(window_count(*dimension) for dimension in zip(extents, *windows, strict=True))
    index: list[int] = []
    for offset in product(*map(range, windows.size)):
        for place in product(*map(range, counts)):
            at = [q * s + k - p for q, s, k, p in zip(place, windows.stride, offset, windows.padding, strict=True)]
            flat = 0
            for a, extent in zip(at, extents, strict=True):
                flat = flat * extent + a
            index.append(flat if all(0 <= a < extent for a, extent in zip(at, extents, strict=True)) else -1)
    named = "hwd" if len(windows.size) > 1 else ("",)
    targets = tuple(Axis(f"k{layer}{letter}", k) for letter, k in zip(named, windows.size, strict=False))
    source, after = ends
    return Table(source, (*targets, Axis(after, prod(counts))), tuple(index))


def overlap(table: Table) -> int:
    """The largest number of windows that read one and the same pixel (padding does not count)."""
    return max(Counter(source for source in table.index if source >= 0).values(), default=0)
