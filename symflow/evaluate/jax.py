"""Programs as JAX functions in float64: they work under jit, vmap and grad, and wherever a `jax.jit` function does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from fractions import Fraction
from functools import cache, reduce
from itertools import chain, repeat
from typing import Any, Literal, get_args

import numpy as np

from symflow.derivatives.derived import Derived
from symflow.errors import ProblemError, brief
from symflow.evaluate.budget import check_dense
from symflow.evaluate.cheapest_hessian import fastest
from symflow.evaluate.interpret import interpret
from symflow.evaluate.jax_runtime import check_runtime, unreadable
from symflow.evaluate.theta_gathers import selections
from symflow.networks.objective import Objective
from symflow.numbers.rational import rational
from symflow.programs.nodes import Input, Table
from symflow.programs.rules.elementwise import elementwise

try:
    import jax
    import jax.numpy as jnp
except ValueError as refused:
    raise unreadable(refused) from None
try:
    from jax.extend.core import get_opaque_trace_state
except ImportError:  # JAX before 0.9
    from jax.core import get_opaque_trace_state


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
        found: jax.Array = elementwise(name, exponent).known("jax", "JAX")(jax, x)
        return found

    def gather(self, x: Any, table: Table, position: int) -> jax.Array:
        return _take(x, table.positions, position)

    def scatter_add(self, x: Any, table: Table, position: int) -> jax.Array:
        flat = x.reshape(*x.shape[:position], -1, *x.shape[position + len(table.targets) :])
        if (start := _neighbours(table.positions)) is not None:
            after = int(table.source.size) - start - flat.shape[position]
            padding = [(start, after, 0) if a == position else (0, 0, 0) for a in range(flat.ndim)]
            return jax.lax.pad(flat, np.zeros((), x.dtype), padding)
        # Every source position reads the targets that read it: sums of gathers, which run many times faster on a CPU
        # than XLA's scatter.
        return reduce(jnp.add, [_take(flat, column, position) for column in table.readers.T])

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
with jax.core.eval_context():
    TOP_LEVEL = get_opaque_trace_state()
"""JAX's state where nothing is traced."""
Data = Literal["constants", "arguments"]


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
        found = np.dtype(dtype).newbyteorder("=")
    except TypeError:
        found = np.dtype(object)
    if not jnp.issubdtype(found, jnp.floating):
        raise ProblemError(f"dtype must be a floating-point type such as float64 or float32, got {brief(dtype)}")
    return found


def to_jax(
    derived: Derived | Objective, *, data: Data = "constants", dtype: Any = np.float64
) -> Callable[..., jax.Array]:
    """Compiles a derived result into a JAX function of theta (and of a direction, where it has one).

    The function is used as one of `jax.jit` is: under `jax.jit`, `jax.vmap` and `jax.grad`, on any device or sharding,
    under `jax.disable_jit` and the other modes of JAX, and it can be pickled. Called directly it computes in float64
    whatever the global setting is. Under a transformation JAX's x64 mode must be on; float32 is refused, never used
    silently. Arrays must have the dtype itself, in either byte order; lists of numbers are converted.

    Args:
        derived: a result of `gradient`, `hessian`, ...; an objective stands for its loss.
        data: "constants" compiles the objective's data in; "arguments" takes them at each call.
        dtype: the floating-point type; float64 unless another one is asked for.

    Returns:
        A function of theta, shape (P,), then of the direction D, shape (P,), if the result is a form in a direction,
        then, with ``data="arguments"``, of a dict from the names of the data inputs to arrays. It returns a `jax.Array`
        of `dtype`: a scalar, or an array of shape (P,) or (P, P).

    Raises:
        ProblemError: not a derived result, or arguments outside their range.
        BudgetError: a dense matrix with too many entries.
        TypeError: when called with an array of another dtype, or with something that is not an array of numbers.
        ValueError: when called with an array of another shape, or when the objective lacks the data that are needed.
        ComputationError: when called where JAX cannot start.
    """
    if isinstance(derived, Objective):
        from symflow.derivatives.derived import loss

        derived = loss(derived)
    if not isinstance(derived, Derived):
        raise ProblemError(f"to_jax takes a derived result or an objective, got {brief(derived)}")
    check_dense(derived)
    if data not in get_args(Data):
        raise ProblemError(f'data must be "constants" or "arguments", got {brief(data)}')
    return JaxFunction(derived, data, _floating(dtype))


class JaxFunction:
    """A derived result as a function of arrays; see `to_jax`."""

    def __init__(self, derived: Derived, data: Data, dtype: np.dtype) -> None:
        self.derived, self.data, self.dtype = derived, data, dtype
        objective = derived.objective
        known = bound_data(objective, dtype) if data == "constants" else {}
        program, constants = fastest(derived, known, dtype)
        program, selected = selections(program, objective.cut(np.arange(objective.parameter_count)))
        arithmetic = JaxArithmetic(dtype)
        self._by_name = {x.name: x for x in objective.data_inputs}
        self._names = ("theta", "direction")[: 1 + bool(derived.directions)]
        self._vector = (objective.parameter_count,)
        self._expected = len(self._names) + (data == "arguments")
        self._single = dtype != np.float64
        self.__name__ = derived.kind.replace(" ", "_").replace("-", "_")
        self.__doc__ = f"{derived.kind} in {dtype.name}; see symflow.to_jax."

        def run(*flat: Any, **arrays: Any) -> Any:
            check_runtime()  # this is traced before anything is compiled, so that it is asked once
            flat = tuple(jnp.asarray(v, dtype) for v in flat)  # of NumPy where nothing is traced (jax.disable_jit)
            values: dict[Input, Any] = dict(constants)
            values |= {self._by_name[name]: jnp.asarray(a, dtype) for name, a in arrays.items()}
            values |= objective.cut(flat[0]) | {x: _take(flat[0], where, 0) for x, where in selected.items()}
            if derived.directions:
                values |= _unflatten(objective, derived.directions, flat[1])
            return jnp.asarray(_assemble(derived, interpret(program, values, arithmetic)))

        run.__name__ = run.__qualname__ = self.__name__  # as JAX's messages and profiles call it
        self._compiled = jax.jit(run)

    def __call__(self, *args: Any) -> jax.Array:
        if len(args) != self._expected:
            raise TypeError(f"this {self.derived.kind} takes {self._expected} arguments, got {len(args)}")
        flat, traced = [], False
        for name, v in zip(self._names, args, strict=False):
            if not _concrete(type(v)):  # type: ignore[arg-type]  # mypy does not see that types are hashable
                if isinstance(v, jax.core.Tracer):
                    traced = True
                else:
                    v = _array(name, v, self.dtype)
            if v.dtype != self.dtype:
                v = _native(name, v, self.dtype)
            if v.shape != self._vector:
                raise _wrong_shape(name, v, self._vector, "use vmap for batches")
            flat.append(v)
        arrays: dict[str, Any] = {}
        if self.data == "arguments":
            arrays = self._data(args[-1])
            traced = traced or any(isinstance(v, jax.core.Tracer) for v in arrays.values())
        # Entering JAX's contexts costs a third of a small call, so they are entered only where they change something.
        with UNCHANGED if self._single or jax.config.jax_enable_x64 else jax.enable_x64(True):  # type: ignore[attr-defined]
            if traced or get_opaque_trace_state() == TOP_LEVEL:
                return self._compiled(*flat, **arrays)
            # Arrays that are known inside someone's jit are computed with at once; traced there, they would get that
            # jit's x64 mode, that is float32.
            with jax.core.eval_context():
                return self._compiled(*flat, **arrays)

    def _data(self, given: Any) -> dict[str, Any]:
        if not isinstance(given, Mapping):
            raise TypeError(
                f"data must be a dict from the names {', '.join(self._by_name)} to arrays, got {brief(given)}"
            )
        arrays: dict[str, Any] = {}
        sizes: dict[Any, int] = {}
        for name, value in given.items():
            if name not in self._by_name:
                raise ValueError(f"unknown data {brief(name)}; this objective takes {', '.join(self._by_name)}")
            v = value if isinstance(value, jax.Array) else _array(name, value, self.dtype)
            if v.dtype != self.dtype:
                v = _native(name, v, self.dtype)
            axes = self._by_name[name].axes
            shape = tuple(
                a.size if isinstance(a.size, int) else sizes.setdefault(a.size, n)
                for a, n in zip(axes, chain(v.shape, repeat(0)), strict=False)
            )
            if v.shape != shape:
                raise _wrong_shape(name, v, shape, "data have one column a sample; use vmap for batches")
            arrays[name] = v
        return arrays

    def __reduce__(self) -> tuple[Any, ...]:
        # Compiled code belongs to this process; another one compiles for itself.
        return JaxFunction, (self.derived, self.data, self.dtype)

    def __repr__(self) -> str:
        return f"<{self.derived.kind} of {self._vector[0]} parameters in {self.dtype.name}, compiled by JAX>"


@cache
def _concrete(kind: type) -> bool:
    """Whether JAX takes instances of a type as they are: NumPy's arrays (no subclasses) and its own (untraced) ones."""
    # Before JAX 0.9 a tracer's type counts as a subclass of jax.Array.
    return kind is np.ndarray or (issubclass(kind, jax.Array) and not issubclass(kind, jax.core.Tracer))


def _array(name: str, value: Any, dtype: np.dtype) -> np.ndarray:
    """A NumPy array from something else: an array of another library keeps its dtype, numbers in lists become `dtype`.

    Raises:
        TypeError: it cannot be read, is no array, or has missing entries.
        ProblemError: an entry of a list is no number.
    """
    try:
        array = np.asanyarray(value)
    except Exception as failed:  # whatever the other library raises
        raise _no_array(name, value, dtype, str(failed).partition("\n")[0]) from None
    if np.ma.is_masked(array):
        raise TypeError(f"{name} must be an array without missing entries, got a masked one; fill them")
    array = np.asarray(array)
    if hasattr(value, "dtype") or (array.ndim and not isinstance(value, list | tuple)):
        if array.ndim == 0 and array.dtype == object:  # NumPy did not see an array in it
            raise _no_array(name, value, dtype)
        return array
    if array.dtype.kind in "iuf":
        return array.astype(dtype)
    if array.dtype.kind not in "OU":
        return array
    numbers = np.empty(array.shape, dtype)
    for index in np.ndindex(array.shape):
        where = name + "".join(f"[{i}]" for i in index)
        try:
            numbers[index] = float(rational(array[index], where))
        except OverflowError:
            raise ValueError(f"{where} must be a number within float64, got one beyond; scale the problem") from None
        except ProblemError:
            if index:
                raise
            raise _no_array(name, value, dtype) from None
    return numbers


def _no_array(name: str, value: Any, dtype: np.dtype, reason: str = "") -> TypeError:
    reason = f", which NumPy cannot read ({reason})" if reason else ""
    return TypeError(f"{name} must be an array of {dtype.name}, got {brief(value)}{reason}; pass a NumPy or JAX array")


def _native(name: str, value: Any, dtype: np.dtype) -> Any:
    """An array of `dtype` in the other byte order, in this machine's.

    Raises:
        TypeError: the array is of another type.
    """
    if isinstance(value, np.ndarray) and value.dtype.newbyteorder("=") == dtype:
        return value.astype(dtype)
    found = getattr(value.dtype, "name", str(value.dtype))
    if not getattr(value.dtype, "isnative", True):
        found = f"{'big' if value.dtype.str[0] == '>' else 'little'}-endian {found}"
    mode = " and, under jit, vmap or grad, turn on JAX's 64-bit mode (with jax.enable_x64(True): ...)"
    raise TypeError(
        f"{name} must be {dtype.name}, got {found}; pass {dtype.name} arrays" + (mode if dtype == np.float64 else "")
    )


def _wrong_shape(name: str, value: Any, shape: tuple[int, ...], remedy: str) -> ValueError:
    return ValueError(f"{name} must have shape {shape}, got {tuple(value.shape)}; {remedy}")
