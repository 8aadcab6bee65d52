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


def entry_name(x: Input, index: tuple[int, ...]) -> str:
    """The name of an entry: W1_12 stands in row 1, column 2, counted from 1 as in the formulas; W1_(10)2 in row 10."""
    return f"{x.name}_{entry_index(index)}" if index else x.name


def entry_index(index: tuple[int, ...]) -> str:
    """An index, given from 0, as it is written: counted from 1."""
    return "".join(str(i + 1) if i < 9 else f"({i + 1})" for i in index)


def entry_names(arrays: Iterable[Input]) -> list[str]:
    """A name for each entry of the flat vector, such as W1_13."""
    return [entry_name(x, index) for x in arrays for index in np.ndindex(*shape_of(x.axes))]
