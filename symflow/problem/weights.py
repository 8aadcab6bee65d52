"""Weights of networks that were made elsewhere: PyTorch, Flax, Equinox, NumPy; none of them is imported.

Whatever is given is read as arrays with paths: keys of dictionaries, fields of dataclasses (modules of Equinox),
positions in lists. The last part of the path says what an array is:

- ``weight`` (PyTorch, Equinox): outputs first, (d_j, d_{j-1}) or (channels, input channels, *kernel), as in symflow;
- ``kernel`` (Flax): outputs last, (d_{j-1}, d_j) or (*kernel, input channels, channels), and images have their channels
  last;
- ``bias``: one number an output; a convolution's may have axes of length 1 after it;
- a position in a list: a matrix or kernel, outputs first, each followed by its bias where there is one.

So no array is taken for its transpose by its shape, and a square one is as clear as any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass

import numpy as np

from symflow.errors import ProblemError, brief
from symflow.numbers.rational import plain_array, rational_array

_WHERE = "from_weights: weights"
_Path = tuple[str | int, ...]


@dataclass(frozen=True)
class GivenArray:
    """One array of weights, as exact rationals.

    Attributes:
        name: what messages call it.
        values: the array, outputs first (a Flax kernel is turned round).
        bias: whether it is one number an output: a bias, or a diagonal.
        channels_last: whether the layer reads images pixel by pixel (Flax), not channel by channel.
    """

    name: str
    values: np.ndarray
    bias: bool
    channels_last: bool = False


def given_arrays(weights: object) -> tuple[GivenArray, ...]:
    """The arrays of a state dict, a pytree, a module or a list, layer by layer, each matrix before its bias.

    Raises:
        ProblemError: no arrays, one whose role its name does not say, a bias without its matrix, or an entry that is
            not a finite number.
    """
    if callable(state := getattr(weights, "state_dict", None)):
        weights = state()
    found = list(_arrays(weights, ()))
    if not found or not found[0][0]:
        raise ProblemError(
            f"{_WHERE} must hold the arrays of all layers, got {brief(weights)}; give a state dict, a pytree of "
            "parameters or a list [W_1, b_1, W_2, ...] of arrays"
        )
    named = [isinstance(path[-1], str) for path, _ in found]
    if all(named):
        return tuple(_named(found))
    if any(named):
        raise ProblemError(f"{_WHERE} must be all named or all in a list, got both; give one of the two")
    return tuple(_exact(_called(path), array, array.ndim == 1) for path, array in found)


def _arrays(node: object, path: _Path) -> Iterator[tuple[_Path, np.ndarray]]:
    """The arrays below a node, with their paths."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            parts = tuple(key.split(".")) if isinstance(key, str) else (key,)
            yield from _arrays(value, path + parts)
    elif isinstance(node, list | tuple):
        for position, value in enumerate(node):
            yield from _arrays(value, (*path, position))
    elif (array := plain_array(node)) is not None:
        if array.ndim:
            yield path, array
        elif path and all(isinstance(part, int) for part in path):
            raise ProblemError(f"{_called(path)} must be an array, got {brief(node)}; make one with numpy.array")
    elif is_dataclass(node):
        for field in fields(node):
            yield from _arrays(getattr(node, field.name, None), (*path, field.name))
    elif isinstance(node, int | float) and path and all(isinstance(part, int) for part in path):
        raise ProblemError(f"{_called(path)} must be an array, got {brief(node)}; make one with numpy.array")


def _called(path: _Path) -> str:
    return f"{_WHERE}[{brief('.'.join(map(str, path)))}]"


def _named(found: list[tuple[_Path, np.ndarray]]) -> Iterator[GivenArray]:
    """Arrays that are called weight, kernel and bias."""
    layers: dict[_Path, dict[str, np.ndarray]] = {}
    for path, array in found:
        role = str(path[-1])
        if role not in ("weight", "kernel", "bias"):
            raise ProblemError(
                f"{_called(path)} must be called weight, kernel or bias, as the weights of a layer are, got "
                f"{brief(role)}; leave out what is not a layer's, or give a list [W_1, b_1, W_2, ...]"
            )
        layers.setdefault(path[:-1], {})[role] = array
    kinds = {role for parts in layers.values() for role in parts} & {"weight", "kernel"}
    if len(kinds) > 1:
        raise ProblemError(f"{_WHERE} must be called weight (outputs first) or kernel (outputs last), got both")
    for path in _numbered(list(layers)) if "kernel" in kinds else layers:
        parts = layers[path]
        matrix = parts.get("weight", parts.get("kernel"))
        if matrix is None:
            raise ProblemError(
                f"{_called(path)} must have a weight or a kernel next to its bias, got the bias alone; add it"
            )
        if matrix.ndim < 2:
            raise ProblemError(f"{_called(path)} must have a matrix, got an array of shape {matrix.shape}")
        if "kernel" in parts:
            matrix = matrix.transpose(matrix.ndim - 1, matrix.ndim - 2, *range(matrix.ndim - 2))
        yield _exact(_called(path), matrix, False, "kernel" in parts)
        if "bias" in parts:
            yield _exact(f"{_called(path)}: bias", parts["bias"].reshape(-1), True)


def _numbered(paths: list[_Path]) -> list[_Path]:
    """The layers of a Flax pytree: JAX sorts keys as text, so numbers at the end of equal names say the order."""
    names: dict[_Path, tuple[str, int]] = {}
    for path in paths:
        match = re.search(r"\d*$", ".".join(map(str, path)))
        number = match[0] if match else ""
        names[path] = (".".join(map(str, path)).removesuffix(number), int(number or 0))
    seen = [name for name, _ in names.values()]
    return sorted(paths, key=lambda path: (seen.index(names[path][0]), names[path][1]))


def _exact(name: str, array: np.ndarray, bias: bool, channels_last: bool = False) -> GivenArray:
    if not array.size:
        raise ProblemError(f"{name} must not be empty, got an array of shape {array.shape}")
    exact = rational_array(array.reshape(-1), name, ndim=1).reshape(array.shape)
    return GivenArray(name, exact, bias, channels_last)
