"""Arrays of a convolutional network as matrices: which axes form the rows, and which the columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product
from math import prod
from typing import TypeAlias

from symflow.programs.nodes import Axis, Einsum, Labels, Node, einsum

Groups: TypeAlias = tuple[tuple[int, ...], ...]
"""Positions of the axes that become one axis, in order."""


def grouped(axes: Sequence[Axis]) -> Groups:
    """Rows are channels (and places in a kernel), columns are pixels and samples; of weights, rows are outputs."""
    everything = tuple(range(len(axes)))
    if axes and axes[-1].name == "sample":
        columns = 2 if len(axes) > 1 and re.fullmatch(r"p\d+", axes[-2].name) else 1
        return _halves(everything, len(axes) - columns)
    return _halves(everything, 1) if len(axes) > 2 else tuple((i,) for i in everything)


def by_sample(axes: Sequence[Axis]) -> Groups:
    """One column for each sample, where the array has samples; otherwise as `grouped`."""
    if axes and axes[-1].name == "sample":
        return _halves(tuple(range(len(axes))), len(axes) - 1)
    return grouped(axes)


def _halves(positions: tuple[int, ...], rows: int) -> Groups:
    return tuple(g for g in (positions[:rows], positions[rows:]) if g)


def fused(axes: Sequence[Axis], groups: Groups) -> tuple[Axis, ...]:
    """The axes of the matrix."""
    return tuple(
        axes[g[0]] if len(g) == 1 else Axis("*".join(axes[i].name for i in g), prod(axes[i].size for i in g))
        for g in groups
    )


def matching(x: Einsum) -> tuple[list[Groups], Groups]:
    """How the arguments and the result of a product are grouped, so that it is a product of matrices.

    Raises:
        TypeError: not such a node.
    """
    arrays = [(a.axes, used) for a, used in zip(x.args, x.labels, strict=True)] + [(x.axes, x.out)]
    choices = [list(dict.fromkeys((grouped(axes), by_sample(axes)))) for axes, _ in arrays]
    ways = sorted(product(*choices), key=lambda way: sum(g is not c[0] for g, c in zip(way, choices, strict=True)))
    for way in ways:
        joined = [tuple(used[i] for i in g) for (_, used), groups in zip(arrays, way, strict=True) for g in groups]
        sets = [set(g) for g in joined]
        if all(a == b or sets[m].isdisjoint(sets[n]) for m, a in enumerate(joined) for n, b in enumerate(joined)):
            return list(way[:-1]), way[-1]
    raise TypeError(f"the LaTeX printer has no matrix notation for a product of arrays {[a.name for a in x.axes]}")


def fused_product(x: Einsum, arguments: Sequence[Node], groups: Sequence[Groups], result: Groups) -> Node:
    """The product of the arguments as matrices."""
    number: dict[Labels, int] = {}

    def labels(used: Labels, gs: Groups) -> Labels:
        return tuple(number.setdefault(tuple(used[i] for i in g), len(number)) for g in gs)

    used = [labels(u, g) for u, g in zip(x.labels, groups, strict=True)]
    out = labels(x.out, result)
    return einsum(arguments, used, out, dict(zip(out, fused(x.axes, result), strict=True)))
