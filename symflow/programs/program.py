"""Programs: a list of inputs, named outputs, and everything between in topological order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from types import MappingProxyType
from typing import Any

from symflow.programs.nodes import (
    Add,
    Axis,
    Einsum,
    Gate,
    Gather,
    Input,
    LargestEigenvalue,
    LogSumExp,
    Map,
    MatrixPower,
    Maximum,
    Node,
    ScatterAdd,
    SpectralNorm,
    Stack,
    add,
    einsum,
    gate,
    gather,
    matrix_power,
    maximum,
    scatter_add,
)


def topological(outputs: Iterable[Node]) -> tuple[Node, ...]:
    """All nodes that the outputs are computed from, arguments before users (iterative: depth is not limited)."""
    order: list[Node] = []
    seen: set[Node] = set()
    stack: list[tuple[Node, bool]] = [(x, False) for x in reversed(list(outputs))]
    while stack:
        x, done = stack.pop()
        if done:
            order.append(x)
        elif x not in seen:
            seen.add(x)
            stack.append((x, True))
            stack.extend((a, False) for a in reversed(x.arguments))
    return tuple(order)


@dataclass(frozen=True, eq=False)
class Program:
    """A straight-line program over arrays.

    Attributes:
        inputs: the arrays it takes, in order; an input may be unused.
        outputs: name of each result and the node that computes it.
        names: LaTeX names for intermediate results that deserve one.
    """

    inputs: tuple[Input, ...]
    outputs: Mapping[str, Node]
    names: Mapping[Node, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "outputs", MappingProxyType(dict(self.outputs)))
        object.__setattr__(self, "names", MappingProxyType(dict(self.names)))
        known = set(self.inputs)
        for x in self.nodes:
            if isinstance(x, Input) and x not in known:
                raise ValueError(f"the program uses {x.name}, which is not among its inputs")

    def __reduce__(self) -> tuple[Any, ...]:
        # All nodes go first, arguments before users: pickling then never recurses from a node into another one.
        order = topological([*self.inputs, *self.outputs.values(), *self.names])
        return _restore, (order, self.inputs, dict(self.outputs), dict(self.names))

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Every node, arguments before users."""
        return topological(self.outputs.values())

    @property
    def length(self) -> int:
        """The number of operations (nodes that are not inputs)."""
        return sum(not isinstance(x, Input) for x in self.nodes)

    def __getitem__(self, name: str) -> Node:
        return self.outputs[name]


def _restore(_: Any, inputs: tuple[Input, ...], outputs: Mapping[str, Node], names: Mapping[Node, str]) -> Program:
    return Program(inputs, outputs, names)


def rebuild(x: Node, new: Mapping[Node, Node]) -> Node:
    """The node x with each argument a replaced by ``new[a]``."""
    if not x.arguments or all(new[a] is a for a in x.arguments):
        return x
    if isinstance(x, Add):
        return add([(c, new[a]) for c, a in x.terms])
    if isinstance(x, Einsum):
        known = {i for used in x.labels for i in used}
        broadcast = {i: a for i, a in zip(x.out, x.axes, strict=True) if i not in known}
        return einsum([new[a] for a in x.args], x.labels, x.out, broadcast)
    if isinstance(x, Gate):
        return gate(new[x.z], x.alpha, x.alpha_bar, x.layer)
    if isinstance(x, Map):
        return Map(x.function, new[x.x], x.exponent)
    if isinstance(x, Gather):
        return gather(new[x.x], x.table, x.position)
    if isinstance(x, ScatterAdd):
        return scatter_add(new[x.x], x.table, x.position)
    if isinstance(x, LogSumExp):
        return LogSumExp(new[x.x], x.position)
    if isinstance(x, Stack):
        return Stack(tuple(new[a] for a in x.args), x.axis)
    if isinstance(x, Maximum):
        return maximum([new[a] for a in x.args])
    if isinstance(x, SpectralNorm | LargestEigenvalue):
        return type(x)(new[x.x])
    if isinstance(x, MatrixPower):
        return matrix_power(new[x.x], x.exponent)
    raise TypeError(f"no rule to rebuild {type(x).__name__}")


def transform(nodes: Iterable[Node], rule: Callable[[Node, Mapping[Node, Node]], Node | None]) -> dict[Node, Node]:
    """Maps every node below `nodes` bottom-up; `rule(x, new)` may return a replacement, or None to rebuild x."""
    new: dict[Node, Node] = {}
    for x in topological(nodes):
        replacement = rule(x, new)
        new[x] = rebuild(x, new) if replacement is None else replacement
    return new


def substitute(program: Program, values: Mapping[Node, Node]) -> Program:
    """Replaces nodes by others of the same axes; new inputs are appended."""
    new = transform(program.outputs.values(), lambda x, _: values.get(x))
    outputs = {name: new[x] for name, x in program.outputs.items()}
    used = [x for x in topological(outputs.values()) if isinstance(x, Input)]
    kept = tuple(x for x in program.inputs if x not in values)
    fresh = tuple(x for x in used if x not in kept)
    names = {new[x]: name for x, name in program.names.items() if x in new}
    return Program(kept + fresh, outputs, names)


def shape_of(axes: Iterable[Axis]) -> tuple[int, ...]:
    """The shape of an array with these axes.

    Raises:
        ValueError: an axis has a symbolic size.
    """
    shape = []
    for axis in axes:
        if not isinstance(axis.size, int):
            raise ValueError(f"axis {axis.name} has the symbolic size {axis.size}; instantiate it first")
        shape.append(axis.size)
    return tuple(shape)


def entries(axes: Iterable[Axis]) -> int:
    """The number of entries of an array with these axes.

    Raises:
        ValueError: an axis has a symbolic size.
    """
    return prod(shape_of(axes))


def contraction_size(x: Einsum) -> int:
    """How many scalar products one einsum evaluates."""
    axis_of = {i: a for y, used in zip(x.args, x.labels, strict=True) for i, a in zip(used, y.axes, strict=True)}
    axis_of.update(zip(x.out, x.axes, strict=True))
    return entries(axis_of.values()) * max(1, len(x.args) - 1)


def operation_count(program: Program) -> int:
    """The number of scalar operations of one evaluation, counted from the sizes alone."""
    total = 0
    for x in program.nodes:
        if isinstance(x, Einsum):
            total += contraction_size(x)
        elif isinstance(x, Add):
            total += entries(x.axes) * len(x.terms)
        elif isinstance(x, Gate | Map | Gather | ScatterAdd | LogSumExp | Stack | Maximum):
            total += sum(entries(a.axes) for a in x.arguments)
        elif isinstance(x, SpectralNorm | LargestEigenvalue | MatrixPower):
            total += entries(x.x.axes) * min(shape_of(x.x.axes[-2:]))
    return total
