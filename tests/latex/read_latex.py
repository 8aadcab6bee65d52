"""Printed formulas, read back (`latex_reader`), against the programs that they were printed from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from symflow.derivatives.derived import Derived, parameter_directions
from symflow.evaluate.interpret import interpret
from symflow.latex import derived_latex
from symflow.networks.convolutional import Convolutional
from symflow.programs.nodes import Input, Table
from tests.latex.latex_reader import Reader


class Floats:
    """Programs over NumPy arrays of floats."""

    def constant(self, value: Fraction, shape: tuple[int, ...]) -> np.ndarray:
        return np.full(shape, float(value))

    def identity(self, size: int) -> np.ndarray:
        return np.eye(size)

    def combine(self, coefficients: Any, arrays: Any) -> np.ndarray:
        return sum(float(c) * x for c, x in zip(coefficients, arrays, strict=True))

    def einsum(self, subscripts: str, arrays: Any) -> np.ndarray:
        return np.einsum(subscripts, *arrays)

    def broadcast(self, array: np.ndarray, positions: Any, shape: tuple[int, ...]) -> np.ndarray:
        return np.broadcast_to(np.expand_dims(array, tuple(positions)), shape)

    def gate(self, z: np.ndarray, alpha: Fraction, alpha_bar: Fraction) -> np.ndarray:
        return np.where(z >= 0, float(alpha), float(alpha_bar))

    def function(self, name: str, x: np.ndarray, exponent: Fraction | None) -> np.ndarray:
        if exponent is not None:
            return np.power(x, float(exponent))
        named = {"softplus": lambda z: np.logaddexp(0, z), "sigmoid": lambda z: 1 / (1 + np.exp(-z))}
        return named.get(name, getattr(np, name, None))(x)

    def gather(self, x: np.ndarray, table: Table, position: int) -> np.ndarray:
        padded = np.concatenate([x, np.zeros_like(x.take([0], axis=position))], axis=position)
        taken = np.take(padded, table.positions.ravel(), axis=position)
        sizes = [int(a.size) for a in table.targets]
        return taken.reshape(*x.shape[:position], *sizes, *x.shape[position + 1 :])

    def scatter_add(self, x: np.ndarray, table: Table, position: int) -> np.ndarray:
        after = x.shape[position + len(table.targets) :]
        flat = x.reshape(*x.shape[:position], -1, *after)
        padded = np.concatenate([flat, np.zeros_like(flat.take([0], axis=position))], axis=position)
        return np.take(padded, table.readers, axis=position).sum(axis=position + 1)

    def log_sum_exp(self, x: np.ndarray, position: int) -> np.ndarray:
        return np.log(np.exp(x).sum(axis=position))

    def maximum(self, arrays: Any) -> np.ndarray:
        return np.maximum.reduce(arrays)

    def stack(self, arrays: Any) -> np.ndarray:
        return np.stack(arrays, axis=-1)

    def spectral_norm(self, x: np.ndarray) -> np.ndarray:
        return np.linalg.norm(x, 2, axis=(-2, -1))

    def largest_eigenvalue(self, x: np.ndarray) -> np.ndarray:
        return np.linalg.eigvalsh(x)[..., -1]


def random_values(inputs: Sequence[Input], samples: int) -> dict[Input, np.ndarray]:
    """Arguments away from zero; moments are moments."""
    rng = np.random.default_rng(0)
    values: dict[Input, np.ndarray] = {}
    for x in inputs:
        shape = [a.size if isinstance(a.size, int) else samples for a in x.axes]
        value = rng.uniform(0.3, 1.3, shape) * (rng.choice([-1.0, 1.0], shape) if shape else 1.0)
        values[x] = np.asarray(value)
        if x.name == "Sigma_xx":
            values[x] = value @ value.T
        if x.name == "inverse_samples":
            values[x] = np.asarray(1 / samples)
    return values


def as_matrix(value: np.ndarray) -> np.ndarray:
    """An array of a convolutional network as the matrix that formulas mean."""
    return value if value.ndim < 3 else value.reshape(value.shape[0], -1)


def block_maps(
    derived: Derived, blocks: Mapping[str, np.ndarray], directions: Mapping[str, np.ndarray]
) -> list[np.ndarray]:
    """H_jk Delta_k for each block, k by k."""
    ws = derived.objective.parameters
    result = []
    for k, w in enumerate(ws):
        for v in ws[: k + 1]:
            block = blocks[f"H_{v.name}_{w.name}"]
            result.append(np.tensordot(block, directions[w.name], len(w.axes)))
    return result


def disagreement(derived: Derived, latex: str | None = None) -> float:
    """How far the printed formulas (or `latex` in their place) are from the program, at random arguments.

    Widths must be integers; a symbolic number of samples is taken to be 3. Blocks of the Hessian of a convolutional
    network are printed as maps and compared as such.
    """
    objective = derived.objective
    samples = next((int(a.size) for x in objective.program.inputs for a in x.axes[-1:]
                    if a.name == "sample" and isinstance(a.size, int)), 3)  # fmt: skip
    values = random_values(derived.program.inputs, samples)
    expected = list(interpret(derived.program, values, Floats()).values())
    network = objective.architecture
    named = {x.latex: v for x, v in values.items()}
    images: list[tuple[int, ...]] = []
    channels = 1
    if isinstance(network, Convolutional):
        if derived.kind == "hessian":
            directions = random_values(parameter_directions(objective), samples)
            named |= {x.latex: v for x, v in directions.items()}
            blocks = dict(zip(derived.program.outputs, expected, strict=True))
            by_name = {w.name: v for w, v in zip(objective.parameters, directions.values(), strict=True)}
            expected = block_maps(derived, blocks, by_name)
        named, expected = {k: as_matrix(v) for k, v in named.items()}, [as_matrix(v) for v in expected]
        images = [shape.extents for shape in network.shapes_between]
        channels = [shape.channels for shape in network.shapes_between if shape.extents][-1]
    weights = [named[w.latex] for w in objective.parameters] if objective.network else []
    slopes = next(((float(g.alpha), float(g.alpha_bar)) for g in objective.gates), (1.0, 1.0))
    printed = latex or derived_latex(derived)
    lefts = result_names(printed, len(expected))
    shapes = {left: np.shape(v) for left, v in zip(lefts, expected, strict=True)}
    results = Reader(named, weights, slopes, samples, shapes, images, channels).read(printed)
    worst = 0.0
    for left, value in zip(lefts, expected, strict=True):
        assert np.shape(results[left]) == np.shape(value), (left, np.shape(results[left]), np.shape(value))
        error = float(np.max(np.abs(results[left] - value) / (1 + np.abs(value))))
        worst = max(worst, error)
    return worst


def result_names(latex: str, number: int) -> list[str]:
    """The last left-hand sides, without the letters of entries."""
    lefts = [line.split(" &=")[0] for line in latex.split("\n") if " &=" in line][-number:]
    return [m[1] if (m := re.fullmatch(r"\((?!H\\Delta)(.*)\)_\{[a-z,]+\}", left)) else left for left in lefts]
