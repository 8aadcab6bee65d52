"""Programs: a list of inputs, named outputs, and everything between in topological order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from symflow.programs.nodes import Input, Node
from symflow.programs.rules.axes import entries as entries
from symflow.programs.rules.axes import shape_of as shape_of


def topological(outputs: Iterable[Node]) -> tuple[Node, ...]:
    """All nodes that the outputs are computed from, arguments before users (iterative: depth is not limited)."""
    order: dict[Node, None] = {}
    opened: set[Node] = set()
    stack = list(outputs)[::-1]
    while stack:
        x = stack[-1]
        if x in opened:
            order.setdefault(stack.pop())
        else:
            opened.add(x)
            stack += x.arguments[::-1]
    return tuple(order)


@dataclass(frozen=True, eq=False)
class Program:
    """outputs = F(inputs), a straight-line program over arrays.

    Attributes:
        inputs: the arrays it takes, in order; an input may be unused.
        outputs: name of each result -> the node that computes it.
        names: LaTeX names for intermediate results that are shown with a name of their own.

    Example:
        >>> objective = sf.network_objective(sf.FullyConnected((2, 2, 1)), [[1, 0], [0, 1]], [1, -1])
        >>> program = sf.gradient(objective).program
        >>> list(program.outputs), program.length
        (['g_W1', 'g_W2'], 8)
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

    def __reduce__(self) -> tuple[object, ...]:
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


def _restore(_: object, inputs: tuple[Input, ...], outputs: Mapping[str, Node], names: Mapping[Node, str]) -> Program:
    return Program(inputs, outputs, names)


def rebuild(x: Node, new: Mapping[Node, Node]) -> Node:
    """The node x with each argument a replaced by ``new[a]``."""
    if not x.arguments or all(new[a] is a for a in x.arguments):
        return x
    return x.rebuild([new[a] for a in x.arguments])


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


def operation_count(program: Program) -> int:
    """The number of scalar operations of one evaluation, counted from the sizes alone."""
    return sum(x.operations() for x in program.nodes)
