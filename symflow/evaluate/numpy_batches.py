"""Programs at many points at once in float64 with NumPy: nothing is compiled, so that small studies start at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import reduce

import numpy as np

from symflow.evaluate.interpret import interpret
from symflow.networks.objective import Objective
from symflow.programs.nodes import Input, Map, Table
from symflow.programs.program import Program
from symflow.programs.rules.elementwise import elementwise


class BatchArithmetic:
    """float64 arrays whose first axis is the batch; of size 1 where a value is the same at every point."""

    def constant(self, value: Fraction, shape: tuple[int, ...]) -> np.ndarray:
        return np.full((1, *shape), float(value))

    def identity(self, size: int) -> np.ndarray:
        return np.eye(size)[None]

    def combine(self, coefficients: Sequence[Fraction], arrays: Sequence[np.ndarray]) -> np.ndarray:
        return np.asarray(sum(x if c == 1 else x * float(c) for c, x in zip(coefficients, arrays, strict=True)))

    def einsum(self, subscripts: str, arrays: Sequence[np.ndarray]) -> np.ndarray:
        inputs, out = subscripts.split("->")
        text = ",".join(f"...{letters}" for letters in inputs.split(",")) + f"->...{out}"
        return np.asarray(np.einsum(text, *arrays, optimize=len(arrays) > 2))

    def broadcast(self, array: np.ndarray, positions: Sequence[int], shape: tuple[int, ...]) -> np.ndarray:
        moved = np.expand_dims(array, tuple(p + 1 for p in positions))
        return np.broadcast_to(moved, (len(array), *shape))

    def gate(self, z: np.ndarray, alpha: Fraction, alpha_bar: Fraction) -> np.ndarray:
        return np.where(z >= 0, float(alpha), float(alpha_bar))

    def function(self, name: str, x: np.ndarray, exponent: Fraction | None) -> np.ndarray:
        return np.asarray(elementwise(name, exponent).known("numpy", "batches")(x))

    def gather(self, x: np.ndarray, table: Table, position: int) -> np.ndarray:
        index = table.positions
        taken = np.take(x, np.maximum(index, 0), axis=position + 1)
        kept = (index >= 0).reshape(*([1] * (position + 1)), *index.shape, *([1] * (x.ndim - position - 2)))
        return np.where(kept, taken, 0.0)

    def scatter_add(self, x: np.ndarray, table: Table, position: int) -> np.ndarray:
        index, rank = table.positions, len(table.targets)
        flat = np.moveaxis(x.reshape(*x.shape[: position + 1], -1, *x.shape[position + 1 + rank :]), position + 1, 0)
        assert isinstance(table.source.size, int)
        result = np.zeros((table.source.size, *flat.shape[1:]))
        read = index.ravel() >= 0
        np.add.at(result, index.ravel()[read], flat[read])
        return np.moveaxis(result, 0, position + 1)

    def log_sum_exp(self, x: np.ndarray, position: int) -> np.ndarray:
        return np.asarray(np.logaddexp.reduce(x, axis=position + 1))

    def stack(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack(np.broadcast_arrays(*arrays), axis=-1)

    def maximum(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        return reduce(np.maximum, arrays)

    def spectral_norm(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(np.linalg.norm(x, 2, axis=(-2, -1)))

    def largest_eigenvalue(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(np.linalg.eigvalsh(x)[..., -1])

    def matrix_power(self, x: np.ndarray, exponent: Fraction) -> np.ndarray:
        values, vectors = np.linalg.eigh(x)
        return (vectors * (np.maximum(values, 0) ** float(exponent))[..., None, :]) @ np.swapaxes(vectors, -1, -2)


def bound_inputs(objective: Objective, points: np.ndarray) -> dict[Input, np.ndarray]:
    """The data of an objective, and its parameters at S points (shape (S, P)), as batches."""
    data = {x: np.asarray(a, dtype=np.float64)[None] for x, a in objective.data.items()}
    return data | parameters_at(objective, points)


def parameters_at(
    objective: Objective, points: np.ndarray, inputs: Sequence[Input] | None = None
) -> dict[Input, np.ndarray]:
    """The parameters, or the arrays of a direction, at S points, shape (S, P), as batches."""
    places = zip(inputs or objective.parameters, objective.slices(), strict=True)
    return {w: points[:, where].reshape(len(points), *shape) for w, (where, shape) in places}


def known_to_numpy(program: Program) -> bool:
    """Whether NumPy has every function of a program."""
    return all(x.record.numpy is not None for x in program.nodes if isinstance(x, Map))


def evaluate_points(
    objective: Objective, program: Program, points: np.ndarray, extra: Mapping[Input, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """The outputs of a program at S points, each with a first axis of size S (or 1 where it is the same for all)."""
    return interpret(program, bound_inputs(objective, points) | dict(extra or {}), BatchArithmetic())
