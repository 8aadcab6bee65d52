"""Pooling. Average pooling is a gather and a mean.

Max pooling is a tournament of max(a, b) = b + s(a - b) (a - b), with s the step at 0: its ties are kinks like all
others, and at a tie the first entry of the window (row-major) counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from math import prod
from typing import Literal

from symflow.errors import ProblemError, brief
from symflow.networks.layers.layer import Layer, LayerKind, Windows, overlap, set_extents
from symflow.programs.nodes import Axis, Node, Table, add, einsum, gate, gather, hadamard, scale, scatter_add
from symflow.programs.program import shape_of


@dataclass(frozen=True)
class Pool(Layer):
    """z[c, q] = mean or max over k of a[c, stride q + k], pooling channel by channel.

    It has no padding and no weights. With the extent e of an input dimension the output has floor((e - size)/stride) +
    1 entries there: windows that do not fit are left out. At a tie the maximum is taken by the first entry.

    Attributes:
        kind: "average" or "max".
        size: extents of the window, in pixels, one per spatial dimension.
        stride: how far the window moves, in pixels; its size if left out.

    Raises:
        ProblemError: another kind, or an extent that is not a positive whole number.

    Example:
        >>> pool = sf.Pool(kind="average", size=(2,), stride=(2,))
        >>> parts = (sf.Convolution(channels=1, kernel=(1,), stride=(1,), padding=(0,)), pool, sf.Dense(1))
        >>> network = sf.Convolutional(input=(1, 4), parts=parts)
        >>> sf.loss(sf.network_objective(network, [[1, 2, 3, 4]], [[0]])).explicit()
        (3*W1_111*W2_111/2 + 7*W1_111*W2_112/2)**2/2
    """

    kind: Literal["average", "max"]
    size: tuple[int, ...]
    stride: tuple[int, ...] = ()

    weighted = False

    def __post_init__(self) -> None:
        if self.kind not in POOLS:
            raise ProblemError(f'the kind of a pool must be "average" or "max", got {brief(self.kind)}')
        set_extents(self, size=1, stride=1)
        if not self.stride:
            object.__setattr__(self, "stride", self.size)
        windows = Windows(self.size, self.stride, (0,) * len(self.size))
        known = {"name": f"{self.kind}-pool", "smooth": self.kind == "average", "windows": windows}
        for key, value in {**known, "notation": POOLS[self.kind].notation}.items():
            object.__setattr__(self, key, value)

    @property
    def summary(self) -> str:
        """Such as "max-pool 2x2"."""
        return f"{self.name} {'x'.join(map(str, self.size))}"

    def apply(self, a: Node, w: Node | None, table: Table | None, number: int) -> Node:
        """One entry for every channel, window and sample."""
        assert table is not None
        return POOLS[self.kind].apply(a, table, number)

    def norm_square(self, table: Table | None) -> Fraction:
        """r/m for means over m pixels, r for maxima, r the largest number of windows that read one pixel.

        Proof. (P a)_q^2 <= (1/m) sum_{p in q} a_p^2 by Cauchy and Schwarz; sum over q. As r <= prod ceil(size/stride)
        <= m, ||P|| <= 1; without overlap r = 1 and P P^T = I/m, so that ||C P|| = ||C||/sqrt(m) exactly. On a smooth
        region max pooling selects one pixel a window: P^T P is diagonal and counts how many windows select a pixel.
        """
        assert table is not None
        return Fraction(overlap(table), prod(self.size) if self.smooth else 1)


def _mean(a: Node, table: Table, number: int) -> Node:
    """The mean over every window."""
    patches = gather(a, table, 1)
    labels = tuple(range(len(patches.axes)))
    window = len(table.targets) - 1
    total = einsum((patches,), (labels,), (0, *labels[1 + window :]))
    return scale(Fraction(1, prod(shape_of(table.targets[:-1]))), total)


def _largest(a: Node, table: Table, number: int) -> Node:
    """The largest entry of every window: rounds of comparisons between neighbours, which keep the order of entries."""
    size = prod(shape_of(table.targets[:-1]))
    found = gather(a, Table(table.source, (Axis(f"w{number}", size), table.targets[-1]), table.index), 1)
    while size > 1:
        half = size // 2
        first, second = _every_other(found, 0, half), _every_other(found, 1, half)
        difference = add([(1, first), (-1, second)])
        winners = add([(1, second), (1, hadamard(gate(difference, Fraction(1), Fraction(0), number), difference))])
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


@dataclass(frozen=True)
class _Pooling:
    apply: Callable[[Node, Table, int], Node]
    notation: tuple[str, str]


POOLS = {
    "average": _Pooling(_mean, (r"\operatorname{avg}", "means over windows of size")),
    "max": _Pooling(_largest, (r"\operatorname{max}", "largest entries of windows of size")),
}
KINDS = {f"{kind}-pool": LayerKind(("size",), ("stride",), partial(Pool, kind)) for kind in ("average", "max")}
