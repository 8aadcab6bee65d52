"""Convolution: the patches of the input are gathered by a constant table and contracted with the shared weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from symflow.networks.layers.layer import Layer, LayerKind, Windows, overlap, set_extents, set_whole
from symflow.programs.nodes import Axis, Node, Table, einsum, gather


@dataclass(frozen=True)
class Convolution(Layer):
    """z[o, q] = sum over (c, k) of w[o, c, k] a[c, stride q + k - padding], a cross-correlation.

    The input a is 0 outside its extents. With the extent e of an input dimension the output has floor((e + 2 padding -
    kernel)/stride) + 1 entries there. One value per spatial dimension each. The weights have shape (channels, input
    channels, *kernel).

    Attributes:
        channels: output channels.
        kernel: extents of the window, in pixels.
        stride: how far the window moves, in pixels; 1 if left out.
        padding: zeros added on both sides; 0 if left out.

    Raises:
        ProblemError: an extent that is not a positive whole number (for a padding: not a whole number of at least 0).

    Example:
        >>> convolution = sf.Convolution(channels=2, kernel=(3,), stride=(1,), padding=(1,))
        >>> network = sf.Convolutional(input=(1, 8), parts=(convolution, sf.Dense(1)))
        >>> objective = sf.network_objective(network, None, None)
        >>> [shape for _, shape in objective.slices()]  # (channels, input channels, kernel), (width, channels, length)
        [(2, 1, 3), (1, 2, 8)]
    """

    channels: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()

    name = "convolution"
    notation = (r"\mathcal{P}", "patches, kernel")

    def __post_init__(self) -> None:
        set_whole(self, channels=1)
        set_extents(self, kernel=1, stride=1, padding=0)
        for key, default in (("stride", 1), ("padding", 0)):
            if not getattr(self, key):
                object.__setattr__(self, key, (default,) * len(self.kernel))
        object.__setattr__(self, "windows", Windows(self.kernel, self.stride, self.padding))

    @property
    def summary(self) -> str:
        """Such as "convolution 4 of 3x3"."""
        return f"convolution {self.channels} of {'x'.join(map(str, self.kernel))}"

    def channels_after(self, channels: int) -> int:
        """The output channels."""
        return self.channels

    def weight_axes(self, out: Axis, before: Sequence[Axis], table: Table | None) -> tuple[Axis, ...]:
        """(out, in, window...)."""
        assert table is not None
        return (out, before[0], *table.targets[:-1])

    def apply(self, a: Node, w: Node | None, table: Table | None, number: int) -> Node:
        """z[o, q, i] = sum over (c, k) of w[o, c, k] a[c, table(k, q), i]."""
        assert w is not None
        assert table is not None
        patches = gather(a, table, 1)
        window = tuple(range(2, len(w.axes)))
        q, i = len(w.axes), len(w.axes) + 1
        return einsum((w, patches), ((0, 1, *window), (1, *window, q, i)), (0, q, i))

    def norm_square(self, table: Table | None) -> Fraction:
        """The largest number of windows that read one pixel, at most prod over dimensions of ceil(kernel/stride).

        Proof. The output at window q is w patch_q(a), with w a matrix of one row an output channel. So
        ||C(w) a||^2 = sum_q ||w patch_q(a)||^2 <= ||w||_F^2 sum_q ||patch_q(a)||^2 <= ||w||_F^2 c^2 ||a||^2, because an
        entry of a occurs in as many patches as windows read its pixel. Along one dimension the windows that read pixel
        a begin at multiples of the stride within kernel neighbouring places: at most ceil(kernel/stride) of them.
        """
        assert table is not None
        return Fraction(overlap(table))


KINDS = {"convolution": LayerKind(("channels", "kernel"), ("stride", "padding"), Convolution)}
