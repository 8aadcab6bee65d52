"""Programs as JAX functions in float64: they work under jit, vmap and grad."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from fractions import Fraction
from functools import reduce
from itertools import chain, repeat
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from symflow.compile.budget import check_dense
from symflow.compile.choice import fastest
from symflow.compile.interpret import interpret, readers, table_index
from symflow.compile.selection import selections
from symflow.errors import ProblemError, brief
from symflow.symbolic.derived import Derived
from symflow.symbolic.nodes import Input, Table
from symflow.symbolic.objective import Objective


class JaxArithmetic:
    """Arrays of one floating-point dtype."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype

    def constant(self, value: Fraction, shape: tuple[int, ...]) -> jax.Array:
        return jnp.full(shape, float(value), dtype=self.dtype)

    def identity(self, size: int) -> np.ndarray:
        return np.eye(size, dtype=self.dtype)

    def combine(self, coefficients: Sequence[Fraction], arrays: Sequence[Any]) -> jax.Array:
        total: Any = None
        for c, x in zip(coefficients, arrays, strict=True):
            term = x if c == 1 else (-x if c == -1 else x * float(c))
            total = term if total is None else total + term
        return total

    def einsum(self, subscripts: str, arrays: Sequence[Any]) -> jax.Array:
        if len(arrays) == 1:
            arrays, subscripts = _short_sums(arrays[0], subscripts)
        return jnp.einsum(subscripts, *arrays, precision=jax.lax.Precision.HIGHEST)

    def broadcast(self, array: Any, positions: Sequence[int], shape: tuple[int, ...]) -> jax.Array:
        return jnp.broadcast_to(jnp.expand_dims(array, tuple(positions)), shape)

    def gate(self, z: Any, alpha: Fraction, alpha_bar: Fraction) -> jax.Array:
        one = jnp.asarray(float(alpha), self.dtype)
        return jnp.where(z >= 0, one, jnp.asarray(float(alpha_bar), self.dtype))

    def function(self, name: str, x: Any, exponent: Fraction | None) -> jax.Array:
        if name == "power":
            assert exponent is not None
            return x**exponent.numerator if exponent.denominator == 1 else x ** float(exponent)
        return FUNCTIONS[name](x)

    def gather(self, x: Any, table: Table, position: int) -> jax.Array:
        return _take(x, table_index(table), position)

    def scatter_add(self, x: Any, table: Table, position: int) -> jax.Array:
        flat = x.reshape(*x.shape[:position], -1, *x.shape[position + len(table.targets) :])
        if (start := _neighbours(table_index(table))) is not None:
            after = int(table.source.size) - start - flat.shape[position]
            padding = [(start, after, 0) if a == position else (0, 0, 0) for a in range(flat.ndim)]
            return jax.lax.pad(flat, np.zeros((), x.dtype), padding)
        # Every source position reads the targets that read it: sums of gathers, which run many times faster on a CPU
        # than XLA's scatter.
        return reduce(jnp.add, [_take(flat, column, position) for column in readers(table).T])

    def log_sum_exp(self, x: Any, position: int) -> jax.Array:
        return jax.nn.logsumexp(x, axis=position)

    def stack(self, arrays: Sequence[Any]) -> jax.Array:
        return jnp.stack(arrays, axis=-1)

    def maximum(self, arrays: Sequence[Any]) -> jax.Array:
        return reduce(jnp.maximum, arrays)

    def spectral_norm(self, x: Any) -> jax.Array:
        return jnp.linalg.svd(x, compute_uv=False)[..., 0]

    def largest_eigenvalue(self, x: Any) -> jax.Array:
        return jnp.linalg.eigvalsh(x)[..., -1]

    def matrix_power(self, x: Any, exponent: Fraction) -> jax.Array:
        values, vectors = jnp.linalg.eigh(x)
        return (vectors * jnp.maximum(values, 0) ** float(exponent)) @ vectors.T


FUNCTIONS: Mapping[str, Callable[[Any], jax.Array]] = {
    "exp": jnp.exp,
    "log": jnp.log,
    "sin": jnp.sin,
    "cos": jnp.cos,
    "softplus": jax.nn.softplus,
    "sigmoid": jax.nn.sigmoid,
}


SHORT = 16
"""Sums of so few entries along an axis are written out; XLA then fuses them with the gather of a pooling window."""


def _short_sums(x: Any, subscripts: str) -> tuple[list[Any], str]:
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


def _take(x: Any, index: np.ndarray, axis: int) -> jax.Array:
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


UNCHANGED = nullcontext()


def bound_data(objective: Objective, dtype: Any) -> dict[Input, np.ndarray]:
    """The objective's data rounded to floats."""
    return {x: np.asarray(a, dtype=dtype) for x, a in objective.data.items()}


def _unflatten(objective: Objective, inputs: Sequence[Input], flat: Any) -> dict[Input, Any]:
    return {w: flat[where].reshape(s) for w, (where, s) in zip(inputs, objective.slices(), strict=True)}


def _assemble(derived: Derived, outputs: Mapping[str, Any]) -> Any:
    arrays = list(outputs.values())
    if derived.shape == "scalar":
        return arrays[0]
    if derived.shape == "vector":
        return jnp.concatenate([a.reshape(-1) for a in arrays])
    if len(arrays) == 1:
        return arrays[0].reshape(derived.objective.parameter_count, -1)
    sizes = [where.stop - where.start for where, _ in derived.objective.slices()]
    blocks: dict[tuple[int, int], Any] = {}
    pairs = [(j, k) for k in range(len(sizes)) for j in range(k + 1)]
    for (j, k), block in zip(pairs, arrays, strict=True):
        blocks[j, k] = block.reshape(sizes[j], sizes[k])
        blocks[k, j] = blocks[j, k].T
    rows = [jnp.concatenate([blocks[j, k] for k in range(len(sizes))], axis=1) for j in range(len(sizes))]
    return jnp.concatenate(rows, axis=0)


def _floating(dtype: Any) -> np.dtype:
    """A real floating-point type of JAX.

    Raises:
        ProblemError: another type.
    """
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = np.dtype(object)
    if not jnp.issubdtype(found, jnp.floating):
        raise ProblemError(f"dtype must be a floating-point type such as float64 or float32, got {brief(dtype)}")
    return found


def to_jax(
    derived: Derived | Objective, *, data: Literal["constants", "arguments"] = "constants", dtype: Any = np.float64
) -> Callable[..., jax.Array]:
    """Compiles a derived result into a JAX function of theta (and a direction, where it has one).

    The function takes theta of shape (P,), then the direction of shape (P,) if the result is a form in a direction,
    then, with ``data="arguments"``, a dict from the names of the data inputs to arrays.  It returns a scalar, (P,) or
    (P, P) array of `dtype`, and works under `jax.jit`, `jax.vmap` and `jax.grad`.  Called directly it computes in
    float64 whatever the global setting; under a transformation JAX's x64 mode must be on, and float32 is refused
    rather than silently used.

    Args:
        derived: a result of `gradient`, `hessian`, ...; an objective stands for its loss.
        data: whether the objective's data are compiled in, or passed at each call.
        dtype: another floating-point type, if that is what you ask for.

    Raises:
        ProblemError: something else than a result, or arguments outside their range.
        BudgetError: a dense matrix of too many entries.
        TypeError: when called with an array of another dtype.
        ValueError: when called with an array of another shape, or when data are needed that the objective has not.
    """
    if isinstance(derived, Objective):
        from symflow.symbolic.derived import loss

        derived = loss(derived)
    if not isinstance(derived, Derived):
        raise ProblemError(f"to_jax takes a derived result or an objective, got {brief(derived)}")
    result: Derived = derived
    check_dense(result)
    if data not in ("constants", "arguments"):
        raise ProblemError(f'data must be "constants" or "arguments", got {brief(data)}')
    dtype = _floating(dtype)
    arithmetic = JaxArithmetic(dtype)
    objective = result.objective
    known = bound_data(objective, dtype) if data == "constants" else {}
    program, constants = fastest(result, known, dtype)
    places = objective.cut(np.arange(objective.parameter_count))
    program, selected = selections(program, places)
    by_name = {x.name: x for x in objective.data_inputs}
    count = objective.parameter_count
    single = dtype != np.float64

    def check(name: str, value: Any, shape: tuple[int, ...], remedy: str) -> Any:
        if not hasattr(value, "dtype"):
            value = np.asarray(value, dtype=dtype)
        if value.dtype != dtype:
            mode = " and, under jit, vmap or grad, turn on JAX's 64-bit mode (with jax.enable_x64(True): ...)"
            raise TypeError(
                f"{name} must be {dtype.name}, got {np.dtype(value.dtype).name}; pass {dtype.name} arrays"
                + (mode if dtype == np.float64 else "")
            )
        if value.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {tuple(value.shape)}; {remedy}")
        return value

    def run(*flat: Any, **arrays: Any) -> Any:
        values: dict[Input, Any] = dict(constants)
        values |= {by_name[name]: jnp.asarray(a, dtype) for name, a in arrays.items()}
        values |= objective.cut(flat[0]) | {x: _take(flat[0], where, 0) for x, where in selected.items()}
        if result.directions:
            values |= _unflatten(objective, result.directions, flat[1])
        return _assemble(result, interpret(program, values, arithmetic))

    traced = jax.jit(run)
    executables: dict[tuple[tuple[int, ...], ...], Callable[..., jax.Array]] = {}
    vectors = 1 + bool(result.directions)
    expected = vectors + (data == "arguments")
    names = ("theta", "direction")[:vectors]
    vector, remedy = (count,), "use vmap for batches"

    def function(*args: Any) -> jax.Array:
        if len(args) != expected:
            raise TypeError(f"this {result.kind} takes {expected} arguments, got {len(args)}")
        flat = [
            v if getattr(v, "shape", None) == vector and v.dtype == dtype else check(n, v, vector, remedy)
            for n, v in zip(names, args, strict=False)
        ]
        arrays = checked_data(args[vectors]) if data == "arguments" else {}
        # Entering JAX's context costs a third of a small call, so it is entered only where it changes something.
        with UNCHANGED if single or jax.config.jax_enable_x64 else jax.enable_x64(True):  # type: ignore[attr-defined]
            for v in (*flat, *arrays.values()):
                if isinstance(v, jax.core.Tracer):
                    return traced(*flat, **arrays)
            shapes = tuple([a.shape for a in arrays.values()])
            if shapes not in executables:
                # An executable runs at once also inside someone's jit; traced there, plain arrays would get that jit's
                # x64 mode, that is float32.
                executables[shapes] = traced.lower(*flat, **arrays).compile()
            return executables[shapes](*flat, **arrays)

    def checked_data(given: Mapping[str, Any]) -> dict[str, Any]:
        arrays = {}
        sizes: dict[Any, int] = {}
        for name, value in given.items():
            if name not in by_name:
                raise ValueError(f"unknown data {name!r}; this objective takes {', '.join(by_name)}")
            shape = tuple(
                a.size if isinstance(a.size, int) else sizes.setdefault(a.size, n)
                for a, n in zip(by_name[name].axes, chain(np.shape(value), repeat(0)), strict=False)
            )
            arrays[name] = check(name, value, shape, "data have one column a sample; use vmap for batches")
        return arrays

    function.__name__ = result.kind.replace(" ", "_").replace("-", "_")
    function.__doc__ = f"{result.kind} in {dtype.name}; see symflow.to_jax."
    return function
