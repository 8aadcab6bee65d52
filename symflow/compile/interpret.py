"""One walk over a program, for every arithmetic that evaluates whole arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, Protocol

from symflow.symbolic.nodes import Add, Const, Einsum, Gate, Identity, Input, Labels, Map
from symflow.symbolic.program import Program, shape_of

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
        else:
            raise TypeError(f"unknown node {type(x).__name__}")
    return {name: done[x] for name, x in program.outputs.items()}
