"""The arithmetic of JAX arrays."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from symflow.evaluate.jax_runtime import unreadable
from symflow.numbers.types import JaxArray
from symflow.programs.nodes import Table
from symflow.programs.rules.arithmetic import Arithmetic
from symflow.programs.rules.elementwise import elementwise

if TYPE_CHECKING:
    from jax.typing import DTypeLike


try:
    import jax
    import jax.numpy as jnp
except ValueError as refused:
    raise unreadable(refused) from None


class JaxArithmetic(Arithmetic):
    """Arrays of one floating-point dtype."""

    def __init__(self, dtype: DTypeLike) -> None:
        self.dtype = dtype

    def constant(self, value: Fraction, shape: tuple[int, ...]) -> JaxArray:
        return jnp.full(shape, float(value), dtype=self.dtype)

    def identity(self, size: int) -> np.ndarray:
        return np.eye(size, dtype=self.dtype)

    def combine(self, coefficients: Sequence[Fraction], arrays: Sequence[JaxArray]) -> JaxArray:
        total: Any = None
        for c, x in zip(coefficients, arrays, strict=True):
            term = x if c == 1 else (-x if c == -1 else x * float(c))
            total = term if total is None else total + term
        return total

    def einsum(self, subscripts: str, arrays: Sequence[JaxArray]) -> JaxArray:
        if len(arrays) == 1:
            arrays, subscripts = _short_sums(arrays[0], subscripts)
        return jnp.einsum(subscripts, *arrays, precision=jax.lax.Precision.HIGHEST)

    def broadcast(self, array: JaxArray, positions: Sequence[int], shape: tuple[int, ...]) -> JaxArray:
        return jnp.broadcast_to(jnp.expand_dims(array, tuple(positions)), shape)

    def gate(self, z: JaxArray, alpha: Fraction, alpha_bar: Fraction) -> JaxArray:
        one = jnp.asarray(float(alpha), self.dtype)
        return jnp.where(z >= 0, one, jnp.asarray(float(alpha_bar), self.dtype))

    def function(self, name: str, x: JaxArray, exponent: Fraction | None) -> JaxArray:
        found: JaxArray = elementwise(name, exponent).known("jax", "JAX")(jax, x)
        return found

    def gather(self, x: JaxArray, table: Table, position: int) -> JaxArray:
        return take(x, table.positions, position)

    def scatter_add(self, x: JaxArray, table: Table, position: int) -> JaxArray:
        flat = x.reshape(*x.shape[:position], -1, *x.shape[position + len(table.targets) :])
        if (start := _neighbours(table.positions)) is not None:
            after = int(table.source.size) - start - flat.shape[position]
            padding = [(start, after, 0) if a == position else (0, 0, 0) for a in range(flat.ndim)]
            return jax.lax.pad(flat, np.zeros((), x.dtype), padding)
        # Every source position reads the targets that read it: sums of gathers, which run many times faster on a CPU
        # than XLA's scatter.
        return reduce(jnp.add, [take(flat, column, position) for column in table.readers.T])

    def log_sum_exp(self, x: JaxArray, position: int) -> JaxArray:
        return jax.nn.logsumexp(x, axis=position)

    def stack(self, arrays: Sequence[JaxArray]) -> JaxArray:
        return jnp.stack(arrays, axis=-1)

    def maximum(self, arrays: Sequence[JaxArray]) -> JaxArray:
        return reduce(jnp.maximum, arrays)

    def spectral_norm(self, x: JaxArray) -> JaxArray:
        return jnp.linalg.svd(x, compute_uv=False)[..., 0]

    def largest_eigenvalue(self, x: JaxArray) -> JaxArray:
        return jnp.linalg.eigvalsh(x)[..., -1]

    def matrix_power(self, x: JaxArray, exponent: Fraction) -> JaxArray:
        values, vectors = jnp.linalg.eigh(x)
        return (vectors * jnp.maximum(values, 0) ** float(exponent)) @ vectors.T


SHORT = 16
"""Sums of so few entries along an axis are written out; XLA then fuses them with the gather of a pooling window."""


def _short_sums(x: JaxArray, subscripts: str) -> tuple[list[JaxArray], str]:
    """Adds up the short axes that an einsum of one array sums, and returns the einsum that remains."""
    letters, out = subscripts.split("->")
    for letter in dict.fromkeys(letters):
        axis = letters.index(letter)
        if letter not in out and letters.count(letter) == 1 and x.shape[axis] <= SHORT:
            x = reduce(jnp.add, [jax.lax.index_in_dim(x, i, axis, keepdims=False) for i in range(x.shape[axis])])
            letters = letters.replace(letter, "")
    return [x], f"{letters}->{out}"


def _neighbours(index: np.ndarray) -> int | None:
    """The first of neighbouring positions in their order, or None where the index jumps."""
    start = int(index.flat[0])
    return start if start >= 0 and (index.ravel() == np.arange(start, start + index.size)).all() else None


def take(x: JaxArray, index: np.ndarray, axis: int) -> JaxArray:
    """The entries of x at `index` along an axis; -1 reads a zero."""
    if index.ndim == 1 and (start := _neighbours(index)) is not None:
        return jax.lax.slice_in_dim(x, start, start + index.size, axis=axis)
    if (index < 0).any():
        padding = [(0, int(a == axis), 0) for a in range(x.ndim)]
        x, index = jax.lax.pad(x, np.zeros((), x.dtype), padding), np.where(index < 0, x.shape[axis], index)
    rank = index.ndim
    numbers = jax.lax.GatherDimensionNumbers(
        offset_dims=(*range(axis), *range(axis + rank, x.ndim - 1 + rank)),
        collapsed_slice_dims=(axis,),
        start_index_map=(axis,),
    )
    sizes = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    return jax.lax.gather(x, index.astype(np.int32)[..., None], numbers, sizes, mode="promise_in_bounds")
