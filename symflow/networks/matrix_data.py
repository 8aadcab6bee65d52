"""Matrix data: what a linear network's end-to-end matrix is compared with, in place of samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from symflow.errors import ProblemError, brief
from symflow.networks.network import FullyConnected, Network
from symflow.numbers.rational import rational_array, text
from symflow.numbers.types import JsonObject
from symflow.programs.program import shape_of

SENSING = "A"
"""The name of the input that holds all A_i, their number last."""
VALUES = "y"
"""The name of the input that holds all y_i."""


@dataclass(frozen=True, eq=False)
class MatrixData:
    """What a linear network's end-to-end matrix W is compared with, exactly.

    Where neither `sensing` nor `target` is given, it is sensing with symbolic data.

    Attributes:
        sensing: A, (m, d_n, d_0) read-only object array of `Fraction`; None where entries of W are observed.
        y: the m values, (m,); None where entries of W are observed.
        mask: (d_n, d_0), 1 where an entry is observed and 0 elsewhere; None where all are, or for sensing.
        target: (d_n, d_0), the values of the observed entries, 0 elsewhere; None for sensing.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((2, 2, 2)), init={"scheme": "balanced"},
        ...                      data={"mask": [[1, 0], [1, 1]], "target": [[1, 0], [2, 3]]})
        >>> problem.matrix_data.count, problem.matrix_data.kind
        (3, 'completion')
    """

    sensing: np.ndarray | None
    y: np.ndarray | None
    mask: np.ndarray | None
    target: np.ndarray | None

    def __post_init__(self) -> None:
        for array in (self.sensing, self.y, self.mask, self.target):
            if array is not None:
                array.flags.writeable = False

    @property
    def kind(self) -> str:
        """ "sensing", "completion" or "factorization"."""
        if self.target is None:
            return "sensing"
        return "factorization" if self.mask is None else "completion"

    @property
    def count(self) -> int:
        """m."""
        if self.sensing is not None:
            return len(self.sensing)
        assert self.target is not None
        return self.target.size if self.mask is None else int(sum(self.mask.flat))

    def table(self) -> JsonObject:
        """The [data] table of a problem file: nested lists of exact rational texts."""
        arrays = {"sensing": self.sensing, "y": self.y, "mask": self.mask, "target": self.target}
        return {key: _texts(array) for key, array in arrays.items() if array is not None}


def _texts(array: Any) -> Any:
    return [_texts(part) for part in array] if isinstance(array, np.ndarray) else text(array)


def matrix_data(network: Network, given: dict[str, Any], where: str = "data") -> MatrixData:
    """Matrix data from arrays or lists, checked against a network.

    Args:
        network: a fully connected linear one.
        given: `sensing` and `y`, or `target` with or without `mask`.
        where: the start of every error message.

    Raises:
        ProblemError: another network, another set of keys, arrays of another shape, or a mask without ones.
    """
    rows, columns = shape_of((*linear_network(network).output_axes, *network.input_axes))
    if given.keys() == {"sensing", "y"}:
        sensing = _stack(given["sensing"], f"{where}.sensing")
        if sensing.shape[1:] != (rows, columns):
            raise ProblemError(
                f"{where}.sensing must be m matrices of {rows} x {columns} numbers, as W_n ... W_1 is, got "
                f"{' x '.join(map(str, sensing.shape))}"
            )
        y = rational_array(given["y"], f"{where}.y", column=True).reshape(-1)
        if len(y) != len(sensing):
            raise ProblemError(f"{where}.y must have one value for each of the {len(sensing)} matrices, got {len(y)}")
        return MatrixData(sensing, y, None, None)
    if given.keys() not in ({"target"}, {"mask", "target"}):
        listed = ", ".join(sorted(given)) or "nothing"
        raise ProblemError(f"{where} must have sensing and y, or target with or without mask, got {listed}")
    if "mask" not in given:
        return MatrixData(None, None, None, _matrix(given["target"], (rows, columns), f"{where}.target"))
    mask = _matrix(_ones(given["mask"]), (rows, columns), f"{where}.mask")
    if wrong := next((v for v in mask.flat if v not in (0, 1)), None):
        raise ProblemError(f"{where}.mask must have 1 for an observed entry and 0 elsewhere, got {brief(wrong)}")
    if not any(mask.flat):
        raise ProblemError(f"{where}.mask must have at least one observed entry, got zeros alone")
    target = _matrix(_observed(given["target"], mask), (rows, columns), f"{where}.target")
    return MatrixData(None, None, None if all(mask.flat) else mask, target * mask)


def _ones(mask: Any) -> Any:
    """A mask with true and false, as comparisons and `notna` give them, as 1 and 0."""
    if isinstance(mask, list | tuple):
        return [_ones(part) for part in mask]
    if isinstance(mask, np.ndarray):
        return mask.astype(int) if mask.dtype == bool else mask
    return int(mask) if isinstance(mask, bool | np.bool_) else mask


def _observed(target: Any, mask: np.ndarray) -> Any:
    """The target with 0 where an entry is missing (None or NaN) and not observed."""
    try:
        found = np.array(target, dtype=object)
    except ValueError:  # rows of different lengths: the message is that of `rational_array`
        return target
    if found.shape != mask.shape:
        return target
    missing = np.vectorize(lambda v: v is None or (isinstance(v, float | np.floating) and bool(np.isnan(v))))(found)
    found[missing & (mask == 0)] = 0
    return found.tolist()


def _stack(values: object, where: str) -> np.ndarray:
    """The exact m x d_n x d_0 array of a list of matrices."""
    if isinstance(values, str | bytes | dict) or not hasattr(values, "__len__") or not len(values):
        raise ProblemError(f"{where} must be a list of at least one matrix, got {brief(values)}")
    items: Any = values
    matrices = [rational_array(matrix, f"{where}[{i}]") for i, matrix in enumerate(items)]
    for i, matrix in enumerate(matrices):
        if matrix.shape != matrices[0].shape:
            shapes = " and ".join(" x ".join(map(str, m.shape)) for m in (matrices[0], matrix))
            raise ProblemError(f"{where}[{i}] must have the shape of {where}[0], got {shapes}")
    return np.array(matrices, dtype=object)


def _matrix(values: object, shape: tuple[int, int], where: str) -> np.ndarray:
    array = rational_array(values, where)
    if array.shape != shape:
        raise ProblemError(
            f"{where} must have {shape[0]} rows of {shape[1]} numbers, as W_n ... W_1 has, got "
            f"{' x '.join(map(str, array.shape))}"
        )
    return array


def _beyond(network: FullyConnected) -> str:
    """What makes the output another one."""
    has = {"biases": any(network.biases), "skip connections": network.skip, "diagonal layers": network.diagonal}
    named = [name for name, there in has.items() if there]
    if network.sigma.slopes is None or network.alpha != 1 or network.alpha_bar != 1:
        named.insert(0, f"the activation {network.activation}")
    if network.output_scale != 1:
        named.append(f"output_scale = {text(network.output_scale)}")
    return ", ".join(named)


def linear_network(network: object) -> FullyConnected:
    """A network whose output is W_n ... W_1 x.

    Raises:
        ProblemError: another one.
    """
    if not isinstance(network, FullyConnected):
        shown = getattr(network, "kind", None) or brief(network)
        raise ProblemError(f"matrix data need a fully connected linear network, got {shown}; use sf.FullyConnected")
    if not network.linear or network.alpha != 1 or network.output_scale != 1:
        raise ProblemError(
            f"matrix data need a network with the output W_n ... W_1 x, got {_beyond(network)}; set activation = "
            '"linear" alone'
        )
    return network
