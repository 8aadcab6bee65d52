"""The typed nodes that every formula is made of, and their smart constructors.

A formula is a directed acyclic graph of a few node types over arrays.  Nodes are immutable and *interned*: the same
operation on the same arguments is the same object, so equality is identity, shared subexpressions are found without
searching, and a program's length is the number of distinct nodes.

Constructors (`add`, `scale`, `einsum`, `gather`, `gate`, `apply`, ...) simplify as they build: zeros vanish, rational
factors move outwards into sums, identities relabel, pure transposes are absorbed by the product that uses them.

A new operation is one class here, one rule in `differentiate.py`, and one method in each interpreter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from itertools import count
from typing import Any, ClassVar, Literal, TypeAlias
from weakref import WeakValueDictionary

import sympy

Size: TypeAlias = int | sympy.Expr
Labels: TypeAlias = tuple[int, ...]
Role = Literal["parameter", "data", "state", "direction", "hyper", "gate"]


@dataclass(frozen=True, slots=True)
class Axis:
    """A named array dimension, such as ``Axis("d1", 3)`` or ``Axis("sample", N)``; the size may be a SymPy symbol."""

    name: str
    size: Size


class _Interned(type):
    """Returns the existing node when one with the same fields is alive (hash-consing)."""

    _table: ClassVar[WeakValueDictionary[tuple[Any, ...], Node]] = WeakValueDictionary()
    _serial = count()

    def __call__(cls, *args: Any) -> Any:
        key = (cls, *args)
        node = _Interned._table.get(key)
        if node is None:
            node = super().__call__(*args)
            object.__setattr__(node, "serial", next(_Interned._serial))
            _Interned._table[key] = node
        return node


class Node(metaclass=_Interned):
    """Base of all nodes; `axes` is its shape, `serial` the order of creation."""

    __slots__ = ("__weakref__", "serial")
    serial: int
    axes: tuple[Axis, ...]

    @property
    def arguments(self) -> tuple[Node, ...]:
        """The nodes this one is computed from."""
        return ()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(getattr(self, f.name) for f in fields(self))  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} #{self.serial} {'x'.join(str(a.size) for a in self.axes) or 'scalar'}>"


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Input(Node):
    """A named array that is given from outside; `latex` is how it prints."""

    name: str
    axes: tuple[Axis, ...]
    role: Role
    latex: str

    def __repr__(self) -> str:
        return f"<Input {self.name} {self.role}>"


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Const(Node):
    """An array whose entries all equal the rational `value`."""

    value: Fraction
    axes: tuple[Axis, ...]


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Identity(Node):
    """The identity matrix on one axis."""

    axes: tuple[Axis, Axis]


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Add(Node):
    """A linear combination sum_i c_i x_i with rational coefficients; a single term is a scaling."""

    terms: tuple[tuple[Fraction, Node], ...]

    @property
    def axes(self) -> tuple[Axis, ...]:  # type: ignore[override]
        return self.terms[0][1].axes

    @property
    def arguments(self) -> tuple[Node, ...]:
        return tuple(x for _, x in self.terms)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Einsum(Node):
    """A product contracted by labels: out[...] = sum over labels not in `out` of the product of the arguments.

    Labels of `out` that no argument carries are broadcast (this makes the node closed under transposition).
    """

    args: tuple[Node, ...]
    labels: tuple[Labels, ...]
    out: Labels
    axes: tuple[Axis, ...]

    @property
    def arguments(self) -> tuple[Node, ...]:
        return self.args


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Gate(Node):
    """sigma'(z), elementwise: `alpha` where z >= 0 and `alpha_bar` where z < 0.

    This is the one place where the kink convention lives: a gate is a function of z when it is evaluated
    (sigma'(0) = alpha) and a constant when it is differentiated.  Max pooling uses the same node: the maximum of a and
    b is b + s(a - b) (a - b) with slopes 1 and 0, so at a tie the first one counts.

    `layer` counts the network's layers from 1; the axes are units (one or more) and, last, samples.
    """

    z: Node
    alpha: Fraction
    alpha_bar: Fraction
    layer: int

    @property
    def axes(self) -> tuple[Axis, ...]:  # type: ignore[override]
        return self.z.axes

    @property
    def arguments(self) -> tuple[Node, ...]:
        return (self.z,)


@dataclass(frozen=True)
class Table:
    """Which entry of a source axis each entry of the target axes reads; -1 reads a zero (padding).

    Attributes:
        source: the axis that is read.
        targets: the axes that replace it.
        index: source positions, row-major over the targets.
    """

    source: Axis
    targets: tuple[Axis, ...]
    index: tuple[int, ...]


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Gather(Node):
    """Replaces the axis at `position` by the table's targets: out[.., a, b, ..] = x[.., table[a, b], ..]."""

    x: Node
    table: Table
    position: int

    @property
    def axes(self) -> tuple[Axis, ...]:  # type: ignore[override]
        before, after = self.x.axes[: self.position], self.x.axes[self.position + 1 :]
        return before + self.table.targets + after

    @property
    def arguments(self) -> tuple[Node, ...]:
        return (self.x,)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class ScatterAdd(Node):
    """The adjoint of `Gather`: out[.., p, ..] = sum over (a, b) with table[a, b] = p of x[.., a, b, ..]."""

    x: Node
    table: Table
    position: int

    @property
    def axes(self) -> tuple[Axis, ...]:  # type: ignore[override]
        end = self.position + len(self.table.targets)
        return (*self.x.axes[: self.position], self.table.source, *self.x.axes[end:])

    @property
    def arguments(self) -> tuple[Node, ...]:
        return (self.x,)


FUNCTIONS = ("exp", "log", "sin", "cos", "softplus", "sigmoid")
"""softplus(x) = log(1 + e^x), sigmoid(x) = 1 / (1 + e^-x)."""


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Map(Node):
    """An elementwise function from the closed table `FUNCTIONS`, or ``"power"`` with a rational `exponent`."""

    function: str
    x: Node
    exponent: Fraction | None

    @property
    def axes(self) -> tuple[Axis, ...]:  # type: ignore[override]
        return self.x.axes

    @property
    def arguments(self) -> tuple[Node, ...]:
        return (self.x,)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class LogSumExp(Node):
    """log(sum(exp(x))) over the axis at `position`."""

    x: Node
    position: int

    @property
    def axes(self) -> tuple[Axis, ...]:  # type: ignore[override]
        return self.x.axes[: self.position] + self.x.axes[self.position + 1 :]

    @property
    def arguments(self) -> tuple[Node, ...]:
        return (self.x,)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Stack(Node):
    """Arrays of equal axes joined along a new last axis."""

    args: tuple[Node, ...]
    axis: Axis

    @property
    def axes(self) -> tuple[Axis, ...]:  # type: ignore[override]
        return (*self.args[0].axes, self.axis)

    @property
    def arguments(self) -> tuple[Node, ...]:
        return self.args


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Maximum(Node):
    """The entrywise maximum of arrays of equal axes.  Bounds are made of it; it has no derivative here."""

    args: tuple[Node, ...]

    @property
    def axes(self) -> tuple[Axis, ...]:  # type: ignore[override]
        return self.args[0].axes

    @property
    def arguments(self) -> tuple[Node, ...]:
        return self.args


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class SpectralNorm(Node):
    """The largest singular value of the matrix in the last two axes.  Bounds are made of it; no derivative here."""

    x: Node

    @property
    def axes(self) -> tuple[Axis, ...]:  # type: ignore[override]
        return self.x.axes[:-2]

    @property
    def arguments(self) -> tuple[Node, ...]:
        return (self.x,)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class LargestEigenvalue(Node):
    """The largest eigenvalue of the symmetric matrix in the last two axes.  Bounds are made of it."""

    x: Node

    @property
    def axes(self) -> tuple[Axis, ...]:  # type: ignore[override]
        return self.x.axes[:-2]

    @property
    def arguments(self) -> tuple[Node, ...]:
        return (self.x,)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class MatrixPower(Node):
    """The power x^exponent >= 0 of a symmetric positive semidefinite matrix, by its eigenvalues; no derivative here."""

    x: Node
    exponent: Fraction

    @property
    def axes(self) -> tuple[Axis, ...]:  # type: ignore[override]
        return self.x.axes

    @property
    def arguments(self) -> tuple[Node, ...]:
        return (self.x,)


def zero(axes: tuple[Axis, ...]) -> Const:
    """The array of zeros."""
    return Const(Fraction(0), axes)


def is_zero(x: Node) -> bool:
    """Whether the node is zero by structure."""
    return isinstance(x, Const) and x.value == 0


def split_scale(x: Node) -> tuple[Fraction, Node]:
    """Writes x as (rational factor, node without one)."""
    if isinstance(x, Add) and len(x.terms) == 1:
        return x.terms[0]
    if isinstance(x, Const) and x.value not in (0, 1):
        return x.value, Const(Fraction(1), x.axes)
    return Fraction(1), x


def add(terms: Iterable[tuple[Fraction | int, Node]]) -> Node:
    """The linear combination sum_i c_i x_i, with equal nodes merged and zeros dropped.

    Raises:
        ValueError: no terms, or terms of different axes.
    """
    merged: dict[Node, Fraction] = {}
    axes: tuple[Axis, ...] | None = None
    for coefficient, x in terms:
        if axes is not None and x.axes != axes:
            raise ValueError(f"terms of a sum must have equal axes, got {axes} and {x.axes}")
        axes = x.axes
        factor, base = split_scale(x)
        if not is_zero(base):
            merged[base] = merged.get(base, Fraction(0)) + coefficient * factor
    if axes is None:
        raise ValueError("a sum needs at least one term; use zero(axes) for an empty one")
    kept = tuple((c, x) for x, c in merged.items() if c != 0)
    if not kept:
        return zero(axes)
    if len(kept) == 1:
        (c, x) = kept[0]
        if c == 1:
            return x
        if isinstance(x, Const):
            return Const(c * x.value, axes)
    return Add(kept)


def scale(coefficient: Fraction | int, x: Node) -> Node:
    """The multiple c x."""
    return add([(coefficient, x)])


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
    factor = Fraction(1)
    kept: list[tuple[Node, Labels]] = []
    for x, indices in zip(args, labels, strict=True):
        if len(indices) != len(x.axes):
            raise ValueError(f"an argument with {len(x.axes)} axes was given {len(indices)} labels")
        for label, axis in zip(indices, x.axes, strict=True):
            if axis_of.setdefault(label, axis) != axis:
                raise ValueError(f"label {label} joins the different axes {axis_of[label]} and {axis}")
        c, base = split_scale(x)
        factor *= c
        if _is_permutation(base):
            assert isinstance(base, Einsum)
            inner = dict(zip(base.out, indices, strict=True))
            indices = tuple(inner[i] for i in base.labels[0])
            base = base.args[0]
        kept.append((base, tuple(indices)))
    if len(set(out)) != len(out):
        raise ValueError(f"the output labels {out} repeat; multiply by an identity to place entries on a diagonal")
    missing = [i for i in out if i not in axis_of]
    if missing:
        raise ValueError(f"output label {missing[0]} belongs to no argument; give its axis in `broadcast`")
    axes = tuple(axis_of[i] for i in out)
    if any(is_zero(x) for x, _ in kept):
        return zero(axes)
    kept = _contract_identities(kept, out)
    kept = _drop_ones(kept, out)
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


def _contract_identities(kept: list[tuple[Node, Labels]], out: Labels) -> list[tuple[Node, Labels]]:
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


def _drop_ones(kept: list[tuple[Node, Labels]], out: Labels) -> list[tuple[Node, Labels]]:
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


def gather(x: Node, table: Table, position: int) -> Node:
    """Replaces an axis by the table's targets.

    Raises:
        ValueError: the table reads another axis.
    """
    if x.axes[position] != table.source:
        raise ValueError(f"the table reads axis {table.source}, got {x.axes[position]}")
    factor, base = split_scale(x)
    node = Gather(base, table, position)
    return zero(node.axes) if is_zero(x) else scale(factor, node)


def scatter_add(x: Node, table: Table, position: int) -> Node:
    """Adds the entries of the table's target axes, which begin at `position`, up where they were read from.

    Raises:
        ValueError: the table has other targets.
    """
    found = x.axes[position : position + len(table.targets)]
    if found != table.targets:
        raise ValueError(f"the table's targets are {table.targets}, got {found}")
    factor, base = split_scale(x)
    node = ScatterAdd(base, table, position)
    return zero(node.axes) if is_zero(x) else scale(factor, node)


def softmax(x: LogSumExp) -> Node:
    """exp(x - logsumexp(x)), the derivative of a LogSumExp node."""
    spread = broadcast(x, x.position, x.x.axes[x.position])
    return apply("exp", add([(1, x.x), (-1, spread)]))


def stack(args: Sequence[Node], axis: Axis) -> Node:
    """Joins arrays of equal axes along a new last axis.

    Raises:
        ValueError: other than `axis.size` arrays, or different axes.
    """
    if len(args) != axis.size or any(x.axes != args[0].axes for x in args):
        raise ValueError(f"axis {axis} needs {axis.size} arrays of equal axes, got {[x.axes for x in args]}")
    return Stack(tuple(args), axis)


def maximum(args: Sequence[Node]) -> Node:
    """The entrywise maximum.

    Raises:
        ValueError: no arrays, or different axes.
    """
    distinct = tuple(dict.fromkeys(args))
    if not distinct or any(x.axes != distinct[0].axes for x in distinct):
        raise ValueError(f"a maximum needs arrays of equal axes, got {[x.axes for x in distinct]}")
    return distinct[0] if len(distinct) == 1 else Maximum(distinct)


def matrix_power(x: Node, exponent: Fraction | int) -> Node:
    """The power of a symmetric positive semidefinite matrix, with x^0 the identity (R14).

    Raises:
        ValueError: a negative exponent, or an array that is no square matrix.
    """
    exponent = Fraction(exponent)
    if exponent < 0 or len(x.axes) != 2 or x.axes[0] != x.axes[1]:
        raise ValueError(f"a matrix power needs a square matrix and an exponent >= 0, got {x.axes} and {exponent}")
    if exponent == 0:
        return Identity((x.axes[0], x.axes[1]))
    return x if exponent == 1 else MatrixPower(x, exponent)


def gate(z: Node, alpha: Fraction, alpha_bar: Fraction, layer: int) -> Node:
    """sigma'(z) for sigma(z) = alpha z (z >= 0), alpha_bar z (z < 0); a constant when both are equal."""
    if alpha == alpha_bar:
        return Const(alpha, z.axes)
    return Gate(z, alpha, alpha_bar, layer)


def apply(function: str, x: Node) -> Node:
    """An elementwise function from `FUNCTIONS`.

    Raises:
        ValueError: the function is not in the table.
    """
    if function not in FUNCTIONS:
        raise ValueError(f"unknown function {function!r}; the table has {', '.join(FUNCTIONS)}")
    return Map(function, x, None)


def power(x: Node, exponent: Fraction | int) -> Node:
    """The elementwise power x^exponent for a rational exponent; natural ones become products."""
    exponent = Fraction(exponent)
    if exponent == 0:
        return Const(Fraction(1), x.axes)
    if exponent == 1:
        return x
    if exponent.denominator == 1 and exponent > 1:
        half = power(x, exponent.numerator // 2)
        square = hadamard(half, half)
        return hadamard(square, x) if exponent.numerator % 2 else square
    return Map("power", x, exponent)
