"""Operations on object arrays that move numbers and do not compute with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from symflow.programs.nodes import Table
from symflow.programs.rules.arithmetic import Arithmetic


class ObjectArrays(Arithmetic):
    """Base of arithmetics over object arrays."""

    def number(self, q: Fraction) -> Any:
        """A rational as a number of the arithmetic."""
        raise NotImplementedError

    def constant(self, value: Fraction, shape: tuple[int, ...]) -> np.ndarray:
        array = np.empty(shape, dtype=object)
        array[...] = self.number(value)
        return array

    def identity(self, size: int) -> np.ndarray:
        array = self.constant(Fraction(0), (size, size))
        np.fill_diagonal(array, self.number(Fraction(1)))
        return array

    def broadcast(self, array: np.ndarray, positions: Sequence[int], shape: tuple[int, ...]) -> np.ndarray:
        return np.broadcast_to(np.expand_dims(array, tuple(positions)), shape)

    def gather(self, x: np.ndarray, table: Table, position: int) -> np.ndarray:
        return gathered(x, table, position, self.number(Fraction(0)))

    def scatter_add(self, x: np.ndarray, table: Table, position: int) -> np.ndarray:
        return scattered(x, table, position, self.number(Fraction(0)))

    def stack(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack(arrays, axis=-1)


def along_axis(f: Callable[[Any], Any], x: np.ndarray, position: int) -> np.ndarray:
    """f of every line along one axis, which it replaces by one number."""
    moved = np.moveaxis(x, position, -1)
    result = np.empty(moved.shape[:-1], dtype=object)
    for index in np.ndindex(result.shape):
        result[index] = f(moved[index])
    return result


def _entry(number: Any) -> np.ndarray:
    """A number as an array without axes: NumPy would take a polynomial for a sequence."""
    found = np.empty((), dtype=object)
    found[()] = number
    return found


def gathered(x: np.ndarray, table: Table, position: int, zero: Any) -> np.ndarray:
    """`Gather` on an object array."""
    index = table.positions
    result = np.take(x, np.maximum(index, 0), axis=position)
    if (index < 0).any():
        shape = [1] * position + list(index.shape) + [1] * (x.ndim - position - 1)
        result = np.where((index >= 0).reshape(shape), result, _entry(zero))
    return np.asarray(result, dtype=object)


def scattered(x: np.ndarray, table: Table, position: int, zero: Any) -> np.ndarray:
    """`ScatterAdd` on an object array."""
    index = table.positions.reshape(-1)
    shape = (*x.shape[:position], index.size, *x.shape[position + len(table.targets) :])
    moved = np.moveaxis(x.reshape(shape), position, 0)
    result = np.full((int(table.source.size), *moved.shape[1:]), _entry(zero), dtype=object)
    for target, source in enumerate(index):
        if source >= 0:
            result[source] = result[source] + moved[target]
    return np.moveaxis(result, 0, position)


@lru_cache(maxsize=256)
def factor_places(
    subscripts: str, shapes: tuple[tuple[int, ...], ...]
) -> tuple[tuple[np.ndarray, ...], tuple[int, ...]]:
    """For each factor of an einsum the flat place of every term, shape (outputs, terms); and the output's shape."""
    inputs, out = subscripts.split("->")
    labels = inputs.split(",")
    sizes = {i: n for used, shape in zip(labels, shapes, strict=True) for i, n in zip(used, shape, strict=True)}
    order = [*out, *(i for i in sizes if i not in out)]
    shape = tuple(sizes[i] for i in out)
    count, terms = prod(shape), prod(sizes[i] for i in order[len(out) :])
    grid = np.indices([sizes[i] for i in order]).reshape(len(order), count * terms)
    position = dict(zip(order, grid, strict=True))
    found = []
    for used in labels:
        flat = np.zeros(grid.shape[1], dtype=np.int64)
        for i in used:
            flat = flat * sizes[i] + position[i]
        found.append(flat.reshape(count, terms))
    return tuple(found), shape
