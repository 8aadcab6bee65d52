"""Products contracted by labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from symflow.programs.rules.add import ONE, add, scale, split_scale
from symflow.programs.rules.arithmetic import Arithmetic, Array
from symflow.programs.rules.axes import Axis, Labels, entries, shape_of
from symflow.programs.rules.leaves import Const, Identity, is_zero, zero
from symflow.programs.rules.node import Node

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@lru_cache(maxsize=4096)
def subscripts(labels: tuple[Labels, ...], out: Labels) -> tuple[str, list[int]]:
    """Labels as an einsum string without the broadcast ones, and the positions of the latter in `out`."""
    known = {i for used in labels for i in used}
    text = ",".join("".join(LETTERS[i] for i in used) for used in labels)
    return text + "->" + "".join(LETTERS[i] for i in out if i in known), [
        p for p, i in enumerate(out) if i not in known
    ]


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Einsum(Node):
    """A product contracted by labels: out[...] = sum over labels not in `out` of the product of the arguments.

    Labels of `out` that no argument carries are broadcast (this makes the node closed under transposition).
    """

    args: tuple[Node, ...]
    labels: tuple[Labels, ...]
    out: Labels
    axes: tuple[Axis, ...]

    def parts(self) -> tuple[Node, ...]:
        return self.args

    def shape(self) -> tuple[Axis, ...]:
        return self.axes

    @property
    def broadcast(self) -> dict[int, Axis]:
        """The axes of the labels of `out` that no argument carries."""
        known = {i for used in self.labels for i in used}
        return {i: a for i, a in zip(self.out, self.axes, strict=True) if i not in known}

    def rebuild(self, arguments: Sequence[Node]) -> Node:
        return einsum(arguments, self.labels, self.out, self.broadcast)

    def tangent(self, tangents: Sequence[Node]) -> Node:
        """d(x y) = dx y + x dy."""
        broadcast = dict(zip(self.out, self.axes, strict=True))
        terms = [
            einsum((*self.args[:i], dot, *self.args[i + 1 :]), self.labels, self.out, broadcast)
            for i, dot in enumerate(tangents)
            if not is_zero(dot)
        ]
        return add([(1, term) for term in terms])

    def cotangents(self, bar: Node, linear: Sequence[bool]) -> list[Node | None]:
        if sum(linear) != 1:
            raise TypeError("only linear maps can be transposed; a product has two dependent factors")
        i = list(linear).index(True)
        others = [(a, used) for j, (a, used) in enumerate(zip(self.args, self.labels, strict=True)) if j != i]
        target: list[int] = []
        fresh = max(map(max, filter(None, (*self.labels, self.out))), default=0) + 1
        for label, axis in zip(self.labels[i], self.args[i].axes, strict=True):
            if label in target:  # a diagonal is read, so its entries are written back through an identity
                others.append((Identity((axis, axis)), (label, fresh)))
                label, fresh = fresh, fresh + 1
            target.append(label)
        factors, used = [bar, *(a for a, _ in others)], [self.out, *(used for _, used in others)]
        pulled = einsum(factors, used, tuple(target), dict(zip(target, self.args[i].axes, strict=True)))
        return [pulled if j == i else None for j in range(len(self.args))]

    def evaluate(self, values: Sequence[Array], arithmetic: Arithmetic) -> Array:
        text, missing = subscripts(self.labels, self.out)
        array = arithmetic.einsum(text, values)
        return arithmetic.broadcast(array, missing, shape_of(self.axes)) if missing else array

    def operations(self) -> int:
        axis_of = dict(zip(self.out, self.axes, strict=True))
        for x, used in zip(self.args, self.labels, strict=True):
            axis_of.update(zip(used, x.axes, strict=True))
        return entries(axis_of.values()) * max(1, len(self.args) - 1)

    def written_size(self, sizes: Sequence[int]) -> int:
        return self.operations() // max(1, entries(self.axes)) * (1 + sum(sizes))

    def source(self, names: Sequence[str]) -> str:
        text, missing = subscripts(self.labels, self.out)
        product = f'xp.einsum("{text}", {", ".join(names)})'
        if not missing:
            return product
        return f"xp.broadcast_to(xp.expand_dims({product}, {tuple(missing)}), {shape_of(self.axes)})"


class Local(Node):
    """An operation of one array whose derivative is a product: a tangent is multiplied by an array and contracted."""

    __slots__ = ()

    def local(self) -> Einsum:
        """The product of the derivative with the argument itself, which stands where the tangent would."""
        raise NotImplementedError

    def tangent(self, tangents: Sequence[Node]) -> Node:
        if is_zero(tangents[0]):
            return zero(self.axes)
        product = self.local()
        return einsum((product.args[0], tangents[0]), product.labels, product.out)


def _is_permutation(x: Node) -> bool:
    return isinstance(x, Einsum) and len(x.args) == 1 and sorted(x.labels[0]) == sorted(x.out)


def einsum(
    args: Sequence[Node], labels: Sequence[Labels], out: Labels, broadcast: dict[int, Axis] | None = None
) -> Node:
    """The contracted product of `args`; labels are integers, `broadcast` gives the axes of labels no argument has.

    Raises:
        ValueError: a label used for two different axes, an output label without an axis, or one that repeats.
    """
    axis_of: dict[int, Axis] = dict(broadcast or {})
    factor, vanishes = ONE, False
    kept: list[tuple[Node, Labels]] = []
    for x, indices in zip(args, labels, strict=True):
        if len(indices) != len(x.axes):
            raise ValueError(f"an argument with {len(x.axes)} axes was given {len(indices)} labels")
        for label, axis in zip(indices, x.axes, strict=True):
            known = axis_of.setdefault(label, axis)
            if known is not axis and known != axis:
                raise ValueError(f"label {label} joins the different axes {known} and {axis}")
        c, base = split_scale(x)
        if c is not ONE:
            factor *= c
        if _is_permutation(base):
            assert isinstance(base, Einsum)
            inner = dict(zip(base.out, indices, strict=True))
            indices = tuple(inner[i] for i in base.labels[0])
            base = base.args[0]
        vanishes |= is_zero(base)
        kept.append((base, tuple(indices)))
    if len(set(out)) != len(out):
        raise ValueError(f"the output labels {out} repeat; multiply by an identity to place entries on a diagonal")
    missing = [i for i in out if i not in axis_of]
    if missing:
        raise ValueError(f"output label {missing[0]} belongs to no argument; give its axis in `broadcast`")
    axes = tuple(axis_of[i] for i in out)
    if vanishes:
        return zero(axes)
    kept = contract_identities(kept, out)
    kept = drop_ones(kept, out)
    if len(kept) == 1 and kept[0][1] == out:
        return scale(factor, kept[0][0])
    if not kept:
        return Const(factor, axes)
    kept.sort(key=lambda pair: pair[0].serial)
    renumber: dict[int, int] = {}
    for _, indices in kept:
        for i in indices:
            renumber.setdefault(i, len(renumber))
    for i in out:
        renumber.setdefault(i, len(renumber))
    node = Einsum(
        tuple(x for x, _ in kept),
        tuple(tuple(renumber[i] for i in indices) for _, indices in kept),
        tuple(renumber[i] for i in out),
        axes,
    )
    return scale(factor, node)


def contract_identities(kept: list[tuple[Node, Labels]], out: Labels) -> list[tuple[Node, Labels]]:
    """Removes every identity one of whose labels is summed: delta_ij x_j = x_i."""
    changed = True
    while changed:
        changed = False
        for position, (x, indices) in enumerate(kept):
            if not isinstance(x, Identity) or indices[0] == indices[1]:
                continue
            i, j = indices
            if i in out:
                i, j = j, i
            others = kept[:position] + kept[position + 1 :]
            if i in out or not any(i in used or j in used for _, used in others):
                continue
            if not any(i in used for _, used in others):
                # The summed label occurs here alone: sum_i delta_ij = 1, and j lives on in the others.
                kept = others
            else:
                kept = [(y, tuple(j if k == i else k for k in used)) for y, used in others]
            changed = True
            break
    return kept


def drop_ones(kept: list[tuple[Node, Labels]], out: Labels) -> list[tuple[Node, Labels]]:
    """Removes factors 1 whose labels all live elsewhere."""
    result = list(kept)
    for pair in kept:
        x, indices = pair
        if isinstance(x, Const) and x.value == 1:
            rest = [p for p in result if p is not pair]
            alive = set(out).union(*(set(used) for _, used in rest))
            if set(indices) <= alive:
                result = rest
    return result


def matmul(a: Node, b: Node) -> Node:
    """The matrix product a b."""
    return einsum((a, b), ((0, 1), (1, 2)), (0, 2))


def hadamard(a: Node, b: Node) -> Node:
    """The entrywise product of two arrays of equal axes."""
    indices = tuple(range(len(a.axes)))
    return einsum((a, b), (indices, indices), indices)


def inner(a: Node, b: Node) -> Node:
    """The inner product <a, b>, the sum of all products of entries."""
    indices = tuple(range(len(a.axes)))
    return einsum((a, b), (indices, indices), ())


def broadcast(x: Node, position: int, axis: Axis) -> Node:
    """x repeated along a new axis at `position`."""
    rank = len(x.axes)
    out = (*range(position), rank, *range(position, rank))
    return einsum((x,), (tuple(range(rank)),), out, {rank: axis})
