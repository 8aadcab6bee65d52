"""Dense layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from symflow.networks.layers.layer import Layer, LayerKind, set_whole
from symflow.programs.nodes import Axis, Node, Table, einsum


@dataclass(frozen=True)
class Dense(Layer):
    """z[o] = sum over all entries of w[o, ...] a[...], a fully connected layer.

    After a spatial layer it reads every pixel. The weights have shape (width, inputs), or (width, channels, pixels)
    after a spatial layer.

    Attributes:
        width: the number of outputs.

    Raises:
        ProblemError: a width that is not a positive whole number.

    Example:
        >>> parts = (sf.Convolution(channels=1, kernel=(2,), stride=(1,), padding=(0,)), sf.Dense(width=3))
        >>> network = sf.Convolutional(input=(1, 4), parts=parts)
        >>> objective = sf.network_objective(network, None, None)
        >>> [shape for _, shape in objective.slices()]  # W_2 takes 1 channel of 3 positions to 3 outputs
        [(1, 1, 2), (3, 1, 3)]
    """

    width: int

    name = "dense"

    def __post_init__(self) -> None:
        set_whole(self, width=1)

    @property
    def summary(self) -> str:
        """Such as "dense 2"."""
        return f"dense {self.width}"

    def channels_after(self, channels: int) -> int:
        """The width."""
        return self.width

    def weight_axes(self, out: Axis, before: Sequence[Axis], table: Table | None) -> tuple[Axis, ...]:
        """(out, in), or (out, channels, pixels)."""
        return (out, *before)

    def apply(self, a: Node, w: Node | None, table: Table | None, number: int) -> Node:
        """z[o, i] = sum over all inputs of w[o, ...] a[..., i]."""
        assert w is not None
        inner = tuple(range(1, len(w.axes)))
        return einsum((w, a), ((0, *inner), (*inner, len(w.axes))), (0, len(w.axes)))

    def norm_square(self, table: Table | None) -> Fraction:
        """1: ||w a|| <= ||w||_F ||a||."""
        return Fraction(1)


KINDS = {"dense": LayerKind(("width",), (), Dense)}
