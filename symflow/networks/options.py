"""What a network may have beyond weights and an activation: biases, skip connections, diagonal layers, a scale.

Layers count from 1, pools included; layer 0 is the input.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import TypeAlias

import numpy as np

from symflow.errors import ProblemError, brief
from symflow.numbers.arguments import whole
from symflow.numbers.rational import rational
from symflow.programs.nodes import Node, add, einsum

Biases: TypeAlias = bool | Sequence[bool]
Skip: TypeAlias = Sequence[Sequence[int]]


def bias_flags(given: object, weighted: Sequence[bool]) -> tuple[bool, ...]:
    """Whether each layer has a bias, from one word for all layers with weights or from a list of one a layer.

    Args:
        given: as the user gave it.
        weighted: whether each layer has weights.

    Raises:
        ProblemError: neither, a list of another length, or a bias for a layer without weights.
    """
    if isinstance(given, bool | np.bool_):
        return tuple(bool(given) and has for has in weighted)
    listed = _listed(given)
    if listed is None or not all(isinstance(flag, bool | np.bool_) for flag in listed):
        raise ProblemError(f"biases must be True or False, or a list of these, one a layer, got {brief(given)}")
    if len(listed) != len(weighted):
        raise ProblemError(f"biases must have one entry for each of the {len(weighted)} layers, got {len(listed)}")
    for j, (flag, has) in enumerate(zip(listed, weighted, strict=True), 1):
        if flag and not has:
            raise ProblemError(f"biases[{j - 1}] must be false, as layer {j} is a pool and has no units, got true")
    return tuple(map(bool, listed))


def skip_pairs(given: object, shapes: Sequence[object]) -> tuple[tuple[int, int], ...]:
    """The pairs (i, j) whose layer i is added to layer j, sorted by j, then i.

    Args:
        given: as the user gave it.
        shapes: the shape of the input and of the output of every layer.

    Raises:
        ProblemError: not pairs of layers i < j of the same shape, or a pair given twice.
    """
    listed = _listed(given)
    if listed is None:
        raise ProblemError(f"skip must be a list of pairs such as [[0, 2]], got {brief(given)}")
    found: list[tuple[int, int]] = []
    for number, pair in enumerate(listed):
        where, ends = f"skip[{number}]", _listed(pair)
        if ends is None or len(ends) != 2:
            raise ProblemError(f"{where} must be a pair [i, j] of layers, got {brief(pair)}")
        i, j = (whole(end, where, 0, len(shapes) - 1) for end in ends)
        if i >= j:
            raise ProblemError(f"{where} must lead from a layer i to a later one j > i, got {[i, j]}")
        if shapes[i] != shapes[j]:
            raise ProblemError(
                f"{where} = {[i, j]} must join layers of the same shape, got {_shape(shapes[i])} and "
                f"{_shape(shapes[j])}; make them equal or leave it out"
            )
        if (i, j) in found:
            raise ProblemError(f"{where} must be given once, got {[i, j]} twice; remove one")
        found.append((i, j))
    return tuple(sorted(found, key=lambda pair: pair[::-1]))


def diagonal_layers(given: object, shapes: Sequence[object], matrices: Sequence[bool]) -> tuple[int, ...]:
    """The layers whose matrix is diagonal, in increasing order.

    Args:
        given: as the user gave it.
        shapes: the shape of the input and of the output of every layer.
        matrices: whether each layer multiplies one column a sample by a matrix.

    Raises:
        ProblemError: not a list of such layers whose matrix is square, or one given twice.
    """
    listed = _listed(given)
    if listed is None:
        raise ProblemError(f"diagonal must be a list of layers such as [1], got {brief(given)}")
    found: list[int] = []
    for number, entry in enumerate(listed):
        where = f"diagonal[{number}]"
        j = whole(entry, where, 1, len(matrices))
        if not matrices[j - 1]:
            raise ProblemError(f"{where} must be a layer with a matrix of units, got {j}, a convolution, a pool or a "
                               "dense layer after one; leave it out")  # fmt: skip
        if shapes[j - 1] != shapes[j]:
            raise ProblemError(
                f"{where} = {j} must have a square matrix, got {_shape(shapes[j])} x {_shape(shapes[j - 1])}; make the "
                "widths equal or leave it out"
            )
        if j in found:
            raise ProblemError(f"{where} must be given once, got {j} twice; remove one")
        found.append(j)
    return tuple(sorted(found))


def scale_of_output(given: object) -> Fraction:
    """The factor of the output, a rational number other than 0.

    Raises:
        ProblemError: not a number, or 0.
    """
    found = rational(given, "output_scale")
    if found == 0:
        raise ProblemError("output_scale must not be 0, got 0; the network's output would not depend on its weights")
    return found


def joined_positions(count: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """For each of `count` places the first one that it is joined to by pairs of equals: they share their axes."""
    first = list(range(count))
    for i, j in pairs:
        low, high = sorted((first[i], first[j]))
        first = [low if place == high else place for place in first]
    return first


def affine(z: Node, bias: Node | None) -> Node:
    """z with the bias added to every unit or channel; z itself where there is none."""
    if bias is None:
        return z
    labels = tuple(range(len(z.axes)))
    return add([(1, z), (1, einsum((bias,), ((0,),), labels, dict(enumerate(z.axes))))])


def skipped(a: Node, added: Sequence[Node], layer: int, hidden: bool, names: dict[Node, str]) -> Node:
    """a_j with what skip connections add; the name of a hidden layer's result goes to the sum."""
    if not added:
        return a
    own = names.pop(a, f"A_{{{layer}}}")
    a = add([(1, a), *((1, x) for x in added)])
    if hidden:
        names[a] = own
    return a


def diagonal_product(w: Node, a: Node) -> Node:
    """diag(w) a, entry by entry."""
    labels = tuple(range(len(a.axes)))
    return einsum((w, a), ((0,), labels), labels)


def _listed(given: object) -> list[object] | None:
    if isinstance(given, np.ndarray):
        return list(given.tolist())
    return list(given) if isinstance(given, Iterable) and not isinstance(given, str | bytes | dict) else None


def _shape(shape: object) -> str:
    channels, extents = shape if isinstance(shape, tuple) and len(shape) == 2 else (shape, ())
    return "x".join(map(str, (channels, *extents)))
