"""Axes of arrays, and tables of places on them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TypeAlias

import numpy as np
import sympy

Size: TypeAlias = int | sympy.Expr
Labels: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Axis:
    """A named array dimension, such as ``Axis("d1", 3)`` or ``Axis("sample", N)``; the size may be a SymPy symbol."""

    name: str
    size: Size


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

    @cached_property
    def positions(self) -> np.ndarray:
        """The source positions as an integer array over the targets."""
        return np.array(self.index, dtype=np.int64).reshape(shape_of(self.targets))

    @cached_property
    def readers(self) -> np.ndarray:
        """The table the other way round: for every source position the flat targets that read it, padded with -1."""
        lists: list[list[int]] = [[] for _ in range(shape_of((self.source,))[0])]
        for target, source in enumerate(self.index):
            if source >= 0:
                lists[source].append(target)
        width = max(1, *map(len, lists))
        return np.array([entries + [-1] * (width - len(entries)) for entries in lists], dtype=np.int64)
