"""What a program computes from its data alone is evaluated once, in NumPy, before JAX sees the rest.

XLA would fold such nodes while it compiles, or recompute them at every call; both cost more than NumPy needs here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import reduce

import numpy as np

from symflow.evaluate.interpret import interpret
from symflow.programs.nodes import Add, Const, Einsum, Gather, Identity, Input, Node, ScatterAdd, Table
from symflow.programs.program import Program, substitute
from symflow.programs.rules.arithmetic import Arithmetic

MULTILINEAR = (Const, Identity, Add, Einsum, Gather, ScatterAdd)


class NumpyArithmetic(Arithmetic):
    """The multilinear operations over NumPy arrays of one dtype."""

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype

    def constant(self, value: Fraction, shape: tuple[int, ...]) -> np.ndarray:
        return np.full(shape, float(value), dtype=self.dtype)

    def identity(self, size: int) -> np.ndarray:
        return np.eye(size, dtype=self.dtype)

    def combine(self, coefficients: Sequence[Fraction], arrays: Sequence[np.ndarray]) -> np.ndarray:
        scaled = [x * self.dtype.type(float(c)) for c, x in zip(coefficients, arrays, strict=True)]
        return reduce(np.add, scaled)

    def einsum(self, subscripts: str, arrays: Sequence[np.ndarray]) -> np.ndarray:
        return np.einsum(subscripts, *arrays, optimize=True)

    def broadcast(self, array: np.ndarray, positions: Sequence[int], shape: tuple[int, ...]) -> np.ndarray:
        return np.broadcast_to(np.expand_dims(array, tuple(positions)), shape)

    def gather(self, x: np.ndarray, table: Table, position: int) -> np.ndarray:
        return self._take(x, table.positions, position)

    def scatter_add(self, x: np.ndarray, table: Table, position: int) -> np.ndarray:
        flat = x.reshape(*x.shape[:position], -1, *x.shape[position + len(table.targets) :])
        return self._take(flat, table.readers, position).sum(axis=position + 1)

    def _take(self, x: np.ndarray, index: np.ndarray, axis: int) -> np.ndarray:
        """The entries of x at `index` along an axis; -1 reads a zero."""
        padded = np.concatenate([x, np.zeros_like(x[(slice(None),) * axis + (slice(1),)])], axis=axis)
        return np.take(padded, index, axis=axis)


def evaluate(program: Program, values: Mapping[Input, np.ndarray], dtype: np.dtype) -> dict[str, np.ndarray]:
    """The outputs of a program of `MULTILINEAR` operations."""
    return interpret(program, values, NumpyArithmetic(dtype))


def partial_evaluation(
    program: Program, data: Mapping[Input, np.ndarray], dtype: np.dtype
) -> tuple[Program, dict[Input, np.ndarray]]:
    """Splits a program into what depends on its data alone, as arrays, and the rest.

    Args:
        program: what to evaluate.
        data: the arrays that are known.
        dtype: the floating-point type to compute in.

    Returns:
        The rest, in which known arrays are inputs, and the values of its inputs that are known.
    """
    known: set[Node] = set(data)
    for x in program.nodes:
        if isinstance(x, MULTILINEAR) and all(a in known for a in x.arguments):
            known.add(x)
    needed = dict.fromkeys(program.outputs.values())
    for x in program.nodes:
        if x not in known:
            needed |= dict.fromkeys(x.arguments)
    fresh = [x for x in needed if x in known and not isinstance(x, Input | Const | Identity)]
    names = {x: f"known{n}" for n, x in enumerate(fresh)}
    if not fresh:
        return program, dict(data)
    inputs = {x: Input(name, x.axes, "data", name) for x, name in names.items()}
    found = evaluate(Program(tuple(data), {name: x for x, name in names.items()}), data, dtype)
    values = {inputs[x]: np.asarray(found[name], order="C") for x, name in names.items()}
    rest = substitute(program, inputs)
    return rest, {x: a for x, a in ({**data, **values}).items() if x in rest.inputs}
