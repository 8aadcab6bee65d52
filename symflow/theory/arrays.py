"""Arrays of weights and of samples in the forms that statements need."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from symflow.networks.objective import Objective
from symflow.programs.blocks import hessian_blocks
from symflow.programs.nodes import Axis, Node, Table, add, einsum, scatter_add
from symflow.programs.program import shape_of
from symflow.theory.values import Value


def columns_first(x: Node) -> Node:
    """An array with the samples last, with the samples first."""
    rank = len(x.axes)
    return einsum((x,), (tuple(range(rank)),), (rank - 1, *range(rank - 1)))


def vectors(x: Node) -> Node:
    """An array with the samples last as one vector a sample, samples first: norms of images are those of all pixels."""
    columns = columns_first(x)
    own = columns.axes[1:]
    if len(own) == 1:
        return columns
    count = prod(shape_of(own))
    flat = Axis("x".join(a.name for a in own), count)
    return scatter_add(columns, Table(flat, own, tuple(range(count))), 1)


def outer(v: Node) -> Value:
    """v v^T."""
    return Value(einsum((v, v), ((0,), (1,)), (0, 1)))


def single_row(w: Node) -> Node:
    """The weights of a diagonal layer, or of the one row of a last layer."""
    return w if len(w.axes) == 1 else einsum((w,), ((0, 1),), (1,))


def diagonal_entries(slope: Node) -> Node:
    """The diagonal of a square matrix, the entries of a single row."""
    if shape_of(slope.axes)[0] == 1:
        return single_row(slope)
    return einsum((slope,), ((0, 0),), (0,))


def rows(w: Node) -> Value:
    """The rows of an array, as a batch."""
    return Value(w, True)


def columns(w: Node) -> Value:
    """What belongs to each second index, as a batch: the columns of a matrix."""
    rank = len(w.axes)
    return Value(einsum((w,), (tuple(range(rank)),), (1, 0, *range(2, rank))), True)


def joined_hessian(objective: Objective, slopes: Sequence[Node], sign: int) -> Node:
    """H or -H, joined from its blocks.

    Raises:
        ValueError: a width is a symbol.
    """
    places = [(where.start, prod(shape)) for where, shape in objective.slices()]
    size = objective.parameter_count
    rows, columns = Axis("theta", size), Axis("theta'", size)

    def placed(block: Node, first: int, second: int, sources: tuple[Axis, Axis]) -> Node:
        for position, (layer, source) in enumerate(zip((first, second), sources, strict=True)):
            start, count = places[layer]
            index = tuple(range(start, start + count))
            block = scatter_add(block, Table(source, objective.parameters[layer].axes, index), position)
        return block

    terms: list[tuple[int, Node]] = []
    blocks = hessian_blocks(dict(zip(objective.parameters, slopes, strict=True)), objective.parameters)
    for (a, b), block in blocks.items():
        terms.append((sign, placed(block, a, b, (rows, columns))))
        if a != b:
            mirrored = placed(block, a, b, (columns, rows))
            terms.append((sign, einsum((mirrored,), ((0, 1),), (1, 0))))
    return add(terms)
