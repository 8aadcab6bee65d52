"""Flat vectors of parameters or of a state: where each array lies in them, and what the entries are called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod

import numpy as np

from symflow.programs.nodes import Input
from symflow.programs.program import shape_of


def slices(arrays: Iterable[Input]) -> Iterator[tuple[slice, tuple[int, ...]]]:
    """Where each array lies in the flat vector of all entries, each array row-major, and its shape."""
    start = 0
    for x in arrays:
        shape = shape_of(x.axes)
        yield slice(start, start + prod(shape)), shape
        start += prod(shape)


def entry_names(arrays: Iterable[Input]) -> list[str]:
    """A name for each entry of the flat vector, such as W1[0,2]."""
    return [
        f"{x.name}[{','.join(map(str, index))}]" if index else x.name
        for x in arrays
        for index in np.ndindex(*shape_of(x.axes))
    ]
