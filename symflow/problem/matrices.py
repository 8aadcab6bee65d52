"""Matrix data of a problem file: given in place, or read from an npz file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from symflow.errors import ProblemError, brief
from symflow.files import read_arrays, shown
from symflow.networks.matrix_data import MatrixData, matrix_data
from symflow.networks.network import Network
from symflow.problem.schema import DataSection
from symflow.problem.table import named_file

_KEYS = ("sensing", "mask", "target")


def matrix_data_of(data: DataSection, network: Network, loss: str, source: str, folder: Path) -> MatrixData | None:
    """The matrix data that a [data] section means, or None where it means samples.

    ``sensing`` is a list of m matrices or the path of an npz file with the array A (m x d_n x d_0) and, unless ``y``
    stands next to it, the m values y; its floating-point numbers mean their binary values.

    Args:
        data: the section.
        network: the architecture.
        loss: the kind of the loss.
        source: where the section is from, the start of every error message.
        folder: what a relative path is relative to.

    Raises:
        ProblemError: keys that exclude each other, another loss or network, a file without these arrays, arrays of
            another shape.
    """
    if all(getattr(data, key) is None for key in _KEYS):
        return None
    where = f"{source}: data"
    given = {key: value for key in (*_KEYS, "y") if (value := getattr(data, key)) is not None}
    # what was written, beyond the defaults
    if others := sorted(data.model_fields_set - given.keys()):
        raise ProblemError(f"{where}.{others[0]} does not go with matrix data ({', '.join(given)}); remove it")
    if loss != "square":
        raise ProblemError(f'{source}: loss must be "square" with matrix data, got "{loss}"; change the kind')
    if isinstance(given.get("sensing"), str):
        given |= _read(given, where, folder)
    return matrix_data(network, given, where)


def _read(given: dict[str, Any], where: str, folder: Path) -> dict[str, np.ndarray]:
    """The arrays A and, unless y is given, y of a file."""
    path = folder / named_file(given["sensing"], f"{where}.sensing")
    try:
        arrays = read_arrays(path)
    except OSError as error:
        raise ProblemError(f"{where}.sensing: {shown(path)} cannot be read ({error.strerror})") from None
    except ValueError as damaged:
        raise ProblemError(f"{where}.sensing: {shown(path)} must be an npz file of NumPy, got {damaged}") from None
    wanted = {"sensing": "A"} if "y" in given else {"sensing": "A", "y": "y"}
    if missing := [name for name in wanted.values() if name not in arrays]:
        found = ", ".join(arrays) or "none"
        raise ProblemError(f"{where}.sensing: {shown(path)} must hold the array {missing[0]}, got {brief(found)}")
    return {key: arrays[name] for key, name in wanted.items()}
