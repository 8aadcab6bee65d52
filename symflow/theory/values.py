"""Arrays that may differ from sample to sample (or channel to channel), and the few operations statements need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from symflow.programs.nodes import (
    Axis,
    Const,
    Node,
    SpectralNorm,
    Stack,
    add,
    broadcast,
    einsum,
    matrix_power,
    power,
)
from symflow.programs.nodes import LargestEigenvalue as LargestEigenvalueNode


@dataclass(frozen=True)
class Value:
    """A node, and whether its first axis is a batch: samples, or the channels of a statement about each of them."""

    node: Node
    batched: bool = False

    @property
    def rank(self) -> int:
        """0 for a number, 1 for a vector, 2 for a matrix."""
        return len(self.node.axes) - self.batched

    @property
    def batch(self) -> tuple[Axis, ...]:
        """The batch axis, if there is one."""
        return self.node.axes[: int(self.batched)]


def number(value: Fraction | int) -> Value:
    """A rational number."""
    return Value(Const(Fraction(value), ()))


ZERO = number(0)
"""The number 0, which also stands for an empty sum of arrays of any shape."""


def times(a: Value, b: Value) -> Value:
    """The product: the last axis of a meets the first of b; numbers scale, and 0 times anything is 0.

    Raises:
        ValueError: the sizes do not fit.
    """
    if ZERO in (a, b):
        return ZERO
    left, right = list(range(2, 2 + a.rank)), list(range(10, 10 + b.rank))
    if left and right:
        right[0] = left[-1]
    out = (left[:-1] + right[1:]) if left and right else left + right
    batched = a.batched or b.batched
    labels = tuple([0] * x.batched + own for x, own in ((a, left), (b, right)))
    node = einsum((a.node, b.node), tuple(map(tuple, labels)), (*([0] * batched), *out))
    return Value(node, batched)


def plus(values: Sequence[Value]) -> Value:
    """The sum; what does not depend on the batch is repeated along it."""
    common = common_batch([v for v in values if v != ZERO] or [ZERO])
    return Value(add([(1, v.node) for v in common]), common[0].batched)


def common_batch(values: Sequence[Value]) -> list[Value]:
    """The values, all with the batch axis that one of them has."""
    axes = next((v.batch for v in values if v.batched), ())
    if not axes:
        return list(values)
    return [v if v.batched else Value(broadcast(v.node, 0, axes[0]), True) for v in values]


def transposed(v: Value) -> Value:
    """The transpose of a matrix; vectors and numbers stay."""
    if v.rank < 2:
        return v
    own = (1, 2)
    first = (0,) if v.batched else ()
    return Value(einsum((v.node,), ((*first, *own),), (*first, *own[::-1])), v.batched)


def trace(v: Value) -> Value:
    """The trace of a matrix."""
    if v == ZERO:
        return v
    first = (0,) if v.batched else ()
    return Value(einsum((v.node,), ((*first, 1, 1),), first), v.batched)


def squares(v: Value) -> Value:
    """The sum of the squares of all entries."""
    labels = tuple(range(len(v.node.axes)))
    return Value(einsum((v.node, v.node), (labels, labels), labels[: int(v.batched)]), v.batched)


def length(v: Value) -> Value:
    """The root of the sum of the squares of all entries."""
    return Value(power(squares(v).node, Fraction(1, 2)), v.batched)


def spectral_norm(v: Value) -> Value:
    """The largest singular value of a matrix; the length of a vector."""
    return Value(SpectralNorm(v.node), v.batched) if v.rank == 2 else length(v)


def raised(v: Value, exponent: Fraction) -> Value:
    """A power of a number or of a positive semidefinite matrix."""
    return Value(power(v.node, exponent) if v.rank == 0 else matrix_power(v.node, exponent), v.batched)


def batch_sum(v: Value) -> Value:
    """The sum over the batch."""
    labels = tuple(range(len(v.node.axes)))
    return Value(einsum((v.node,), (labels,), labels[1:]))


def layer_matrix_eigenvalue(rows: Sequence[Sequence[Value]]) -> Value:
    """The largest eigenvalue of the symmetric matrix of numbers with these rows."""
    size = len(rows)
    entries = common_batch([v for row in rows for v in row])
    nodes = [v.node for v in entries]
    upper, lower = Axis("layer'", size), Axis("layer", size)
    stacked = [Stack(tuple(nodes[r * size : (r + 1) * size]), upper) for r in range(size)]
    return Value(LargestEigenvalueNode(Stack(tuple(stacked), lower)), entries[0].batched)
