"""One walk over a program, for every arithmetic that evaluates whole arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from symflow.programs.nodes import (
    Add,
    Const,
    Einsum,
    Gate,
    Gather,
    Identity,
    Input,
    Labels,
    LargestEigenvalue,
    LogSumExp,
    Map,
    MatrixPower,
    Maximum,
    ScatterAdd,
    SpectralNorm,
    Stack,
    Table,
)
from symflow.programs.program import Program, shape_of

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Arithmetic(Protocol):
    """What an interpreter supplies: one method per node type, over arrays of its own kind."""

    def constant(self, value: Fraction, shape: tuple[int, ...]) -> Any: ...
    def identity(self, size: int) -> Any: ...
    def combine(self, coefficients: Sequence[Fraction], arrays: Sequence[Any]) -> Any: ...
    def einsum(self, subscripts: str, arrays: Sequence[Any]) -> Any: ...
    def broadcast(self, array: Any, positions: Sequence[int], shape: tuple[int, ...]) -> Any: ...
    def gate(self, z: Any, alpha: Fraction, alpha_bar: Fraction) -> Any: ...
    def function(self, name: str, x: Any, exponent: Fraction | None) -> Any: ...
    def gather(self, x: Any, table: Table, position: int) -> Any: ...
    def scatter_add(self, x: Any, table: Table, position: int) -> Any: ...
    def log_sum_exp(self, x: Any, position: int) -> Any: ...
    def stack(self, arrays: Sequence[Any]) -> Any: ...
    def maximum(self, arrays: Sequence[Any]) -> Any: ...
    def spectral_norm(self, x: Any) -> Any: ...
    def largest_eigenvalue(self, x: Any) -> Any: ...
    def matrix_power(self, x: Any, exponent: Fraction) -> Any: ...


@lru_cache(maxsize=256)
def table_index(table: Table) -> np.ndarray:
    """The table's source positions as an integer array over its targets; -1 reads a zero."""
    return np.array(table.index, dtype=np.int64).reshape(shape_of(table.targets))


@lru_cache(maxsize=256)
def readers(table: Table) -> np.ndarray:
    """The table the other way round: for every source position the flat targets that read it, padded with -1."""
    lists: list[list[int]] = [[] for _ in range(shape_of((table.source,))[0])]
    for target, source in enumerate(table.index):
        if source >= 0:
            lists[source].append(target)
    width = max(1, *map(len, lists))
    return np.array([entries + [-1] * (width - len(entries)) for entries in lists], dtype=np.int64)


@lru_cache(maxsize=4096)
def subscripts(labels: tuple[Labels, ...], out: Labels) -> tuple[str, list[int]]:
    """Labels as an einsum string without the broadcast ones, and the positions of the latter in `out`."""
    known = {i for used in labels for i in used}
    text = ",".join("".join(LETTERS[i] for i in used) for used in labels)
    return text + "->" + "".join(LETTERS[i] for i in out if i in known), [
        p for p, i in enumerate(out) if i not in known
    ]


def interpret(program: Program, values: Mapping[Input, Any], arithmetic: Arithmetic) -> dict[str, Any]:
    """Evaluates a program.

    Args:
        program: what to evaluate.
        values: an array of the arithmetic's kind for each input that is used.
        arithmetic: how to compute.

    Returns:
        The outputs by name.

    Raises:
        ValueError: an input has no value.
        TypeError: the program has a node that interpreters do not know.
    """
    done: dict[Any, Any] = {}
    for x in program.nodes:
        if isinstance(x, Input):
            if x not in values:
                raise ValueError(f"input {x.name} ({x.role}) has no value; bind it before evaluating")
            done[x] = values[x]
        elif isinstance(x, Const):
            done[x] = arithmetic.constant(x.value, shape_of(x.axes))
        elif isinstance(x, Identity):
            done[x] = arithmetic.identity(shape_of(x.axes)[0])
        elif isinstance(x, Add):
            done[x] = arithmetic.combine([c for c, _ in x.terms], [done[a] for _, a in x.terms])
        elif isinstance(x, Einsum):
            text, missing = subscripts(x.labels, x.out)
            array = arithmetic.einsum(text, [done[a] for a in x.args])
            done[x] = arithmetic.broadcast(array, missing, shape_of(x.axes)) if missing else array
        elif isinstance(x, Gate):
            done[x] = arithmetic.gate(done[x.z], x.alpha, x.alpha_bar)
        elif isinstance(x, Map):
            done[x] = arithmetic.function(x.function, done[x.x], x.exponent)
        elif isinstance(x, Gather):
            done[x] = arithmetic.gather(done[x.x], x.table, x.position)
        elif isinstance(x, ScatterAdd):
            done[x] = arithmetic.scatter_add(done[x.x], x.table, x.position)
        elif isinstance(x, LogSumExp):
            done[x] = arithmetic.log_sum_exp(done[x.x], x.position)
        elif isinstance(x, Stack):
            done[x] = arithmetic.stack([done[a] for a in x.args])
        elif isinstance(x, Maximum):
            done[x] = arithmetic.maximum([done[a] for a in x.args])
        elif isinstance(x, SpectralNorm):
            done[x] = arithmetic.spectral_norm(done[x.x])
        elif isinstance(x, LargestEigenvalue):
            done[x] = arithmetic.largest_eigenvalue(done[x.x])
        elif isinstance(x, MatrixPower):
            done[x] = arithmetic.matrix_power(done[x.x], x.exponent)
        else:
            raise TypeError(f"unknown node {type(x).__name__}")
    return {name: done[x] for name, x in program.outputs.items()}
