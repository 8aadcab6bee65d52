"""Nodes: what every operation is, and what a node says of itself."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import count
from typing import Any, ClassVar
from weakref import WeakValueDictionary

from symflow.programs.rules.arithmetic import Arithmetic, Array
from symflow.programs.rules.axes import Axis, entries


class _Interned(type):
    """Returns the existing node when one with the same fields is alive (hash-consing)."""

    _table: ClassVar[WeakValueDictionary[tuple[Hashable, ...], Node]] = WeakValueDictionary()
    _serial = count()

    def __call__(cls, *args: Hashable) -> Any:
        key = (cls, *args)
        node = _Interned._table.get(key)
        if node is None:
            node = super().__call__(*args)
            object.__setattr__(node, "arguments", node.parts())
            object.__setattr__(node, "axes", node.shape())
            object.__setattr__(node, "serial", next(_Interned._serial))
            _Interned._table[key] = node
        return node


class Node(metaclass=_Interned):
    """An operation on arrays: base of all nodes.

    A kind of operation is a class that overrides what can be said of it; the defaults refuse.

    Attributes:
        arguments: the nodes this one is computed from.
        axes: its shape.
        serial: the order of creation.
    """

    __slots__ = ("__weakref__", "arguments", "axes", "serial")
    __match_args__: ClassVar[tuple[str, ...]]  # the names of the fields, from `dataclass`
    arguments: tuple[Node, ...]
    axes: tuple[Axis, ...]
    serial: int

    def fields(self) -> tuple[object, ...]:
        """What it was made from."""
        return tuple(getattr(self, name) for name in self.__match_args__)

    def parts(self) -> tuple[Node, ...]:
        """Its arguments: the fields that are nodes, or tuples of nodes."""
        return tuple(a for v in self.fields() for a in (v if isinstance(v, tuple) else (v,)) if isinstance(a, Node))

    def shape(self) -> tuple[Axis, ...]:
        """Its axes: those of its first argument."""
        return self.arguments[0].axes

    def rebuild(self, arguments: Sequence[Node]) -> Node:
        """The same operation on other arguments."""
        return self

    def tangent(self, tangents: Sequence[Node]) -> Node:
        """The directional derivative, from those of the arguments (not all of which are zero by structure).

        Raises:
            TypeError: the operation has no derivative rule.
        """
        raise TypeError(f"no derivative rule for {type(self).__name__}")

    def cotangents(self, bar: Node, linear: Sequence[bool]) -> list[Node | None]:
        """The adjoint: what `bar` brings to each argument, for arguments that depend linearly on the input.

        Raises:
            TypeError: the operation is not linear in these arguments.
        """
        raise TypeError(f"only linear maps can be transposed; {type(self).__name__} is not linear")

    def evaluate(self, values: Sequence[Array], arithmetic: Arithmetic) -> Array:
        """Its value, from those of the arguments.

        Raises:
            TypeError: the operation cannot be evaluated.
        """
        raise TypeError(f"no rule to evaluate {type(self).__name__}")

    def operations(self) -> int:
        """How many scalar operations one evaluation has, counted from the sizes alone."""
        return sum(entries(a.axes) for a in self.arguments)

    def written_size(self, sizes: Sequence[int]) -> int:
        """How many scalar operations one entry has when written out, from the numbers of the arguments."""
        return 1 + sum(sizes)

    def source(self, names: Sequence[str]) -> str:
        """A Python expression over an array module `xp`, with the arguments' names.

        Raises:
            TypeError: the operation has none.
        """
        raise TypeError(f"no source text for {type(self).__name__}")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), self.fields()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} #{self.serial} {'x'.join(str(a.size) for a in self.axes) or 'scalar'}>"
