"""How nodes are rewritten for readers: the form of a rule, and linear operators applied to nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from symflow.latex.operator_node import Applied, Operator
from symflow.programs.nodes import Axis, Einsum, Node, einsum, scale, split_scale

Rule: TypeAlias = tuple[tuple[Node, ...], Callable[[Sequence[Node]], Node]]
"""The nodes that a rewritten node is made of, and how it is made of what they became."""


def applied(operator: Operator, x: Node, axes: tuple[Axis, ...]) -> Node:
    """A linear operator applied to a node; scalar factors move outwards."""
    factor, base = split_scale(x)
    if isinstance(base, Einsum) and any(not a.axes for a in base.args) and any(a.axes for a in base.args):
        scalars = [a for a in base.args if not a.axes]
        arrays = [(a, used) for a, used in zip(base.args, base.labels, strict=True) if a.axes]
        broadcast = dict(zip(base.out, base.axes, strict=True))
        rest = einsum([a for a, _ in arrays], [used for _, used in arrays], base.out, broadcast)
        out = tuple(range(len(axes)))
        return scale(factor, einsum([*scalars, applied(operator, rest, axes)], [*([()] * len(scalars)), out], out))
    return scale(factor, Applied(operator, (base,), axes))
