"""What a JAX function is given: arrays as JAX takes them, or one line that says what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from symflow.errors import ProblemError, brief
from symflow.evaluate.jax_runtime import unreadable
from symflow.numbers.rational import rational
from symflow.numbers.types import JaxArray
from symflow.programs.nodes import Input

if TYPE_CHECKING:
    import numpy.typing as npt

    from symflow.programs.nodes import Size


try:
    import jax
    import jax.numpy as jnp
except ValueError as refused:
    raise unreadable(refused) from None


def floating_type(dtype: npt.DTypeLike) -> np.dtype:
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


def vector(name: str, v: Any, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray | JaxArray:
    """An argument of one shape.

    Raises:
        TypeError: an array of another dtype, or something that is not an array of numbers.
        ValueError: an array of another shape.
    """
    if not concrete(type(v)) and not isinstance(v, jax.core.Tracer):  # type: ignore[arg-type]  # types are hashable
        v = _array(name, v, dtype)
    if v.dtype != dtype:
        v = _native(name, v, dtype)
    if v.shape != shape:
        raise _wrong_shape(name, v, shape, "use vmap for batches")
    return v


def data_arrays(given: object, inputs: Mapping[str, Input], dtype: np.dtype) -> dict[str, np.ndarray | JaxArray]:
    """Data by name; axes of symbolic size have one size in all of them.

    Raises:
        TypeError: not a dict of arrays, or an array of another dtype.
        ValueError: an unknown name, or an array of another shape.
    """
    if not isinstance(given, Mapping):
        raise TypeError(f"data must be a dict from the names {', '.join(inputs)} to arrays, got {brief(given)}")
    arrays: dict[str, np.ndarray | JaxArray] = {}
    sizes: dict[Size, int] = {}
    for name, value in given.items():
        if name not in inputs:
            raise ValueError(f"unknown data {brief(name)}; this objective takes {', '.join(inputs)}")
        v = value if isinstance(value, jax.Array) else _array(name, value, dtype)
        if v.dtype != dtype:
            v = _native(name, v, dtype)
        shape = tuple(
            a.size if isinstance(a.size, int) else sizes.setdefault(a.size, n)
            for a, n in zip(inputs[name].axes, chain(v.shape, repeat(0)), strict=False)
        )
        if v.shape != shape:
            raise _wrong_shape(name, v, shape, "data have one column a sample; use vmap for batches")
        arrays[name] = v
    return arrays


@cache
def concrete(kind: type) -> bool:
    """Whether JAX takes instances of a type as they are: NumPy's arrays (no subclasses) and its own (untraced) ones."""
    # Before JAX 0.9 a tracer's type counts as a subclass of jax.Array.
    return kind is np.ndarray or (issubclass(kind, jax.Array) and not issubclass(kind, jax.core.Tracer))


def _array(name: str, value: object, dtype: np.dtype) -> np.ndarray:
    """A NumPy array from something else: an array of another library keeps its dtype, numbers in lists become `dtype`.

    Raises:
        TypeError: it cannot be read, is not an array, or has missing entries.
        ProblemError: an entry of a list is not a number.
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


def _no_array(name: str, value: object, dtype: np.dtype, reason: str = "") -> TypeError:
    reason = f", which NumPy cannot read ({reason})" if reason else ""
    return TypeError(f"{name} must be an array of {dtype.name}, got {brief(value)}{reason}; pass a NumPy or JAX array")


def _native(name: str, value: np.ndarray | JaxArray, dtype: np.dtype) -> np.ndarray:
    """An array of `dtype` in the other byte order, in this machine's.

    Raises:
        TypeError: the array is of another type.
    """
    if isinstance(value, np.ndarray) and value.dtype.newbyteorder("=") == dtype:
        return value.astype(dtype)
    found = getattr(value.dtype, "name", str(value.dtype))
    if not getattr(value.dtype, "isnative", True):
        found = f"{'big' if value.dtype.str[0] == '>' else 'little'}-endian {found}"
    if found == "object":
        raise TypeError(f"{name} must be {dtype.name}, got objects; of a path give trajectory.numpy(t)")
    mode = " and, under jit, vmap or grad, turn on JAX's 64-bit mode (with jax.enable_x64(True): ...)"
    raise TypeError(
        f"{name} must be {dtype.name}, got {found}; pass {dtype.name} arrays" + (mode if dtype == np.float64 else "")
    )


def _wrong_shape(name: str, value: np.ndarray | JaxArray, shape: tuple[int, ...], remedy: str) -> ValueError:
    return ValueError(f"{name} must have shape {shape}, got {tuple(value.shape)}; {remedy}")
