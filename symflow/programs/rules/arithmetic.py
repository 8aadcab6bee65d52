"""What evaluates programs over whole arrays supplies: one method for each operation, over arrays of its own kind."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NoReturn, Protocol, TypeAlias

from symflow.programs.rules.axes import Table

Array: TypeAlias = Any
"""An array of the arithmetic's own kind."""


def lacks(arithmetic: object, operation: str) -> NoReturn:
    """Refuses an operation.

    Raises:
        TypeError: always.
    """
    name = type(arithmetic).__name__
    raise TypeError(f"{name} does not compute {operation!r}; use mpmath or JAX, or give it that method")


class Arithmetic(Protocol):
    """The operations on arrays of one kind; an arithmetic that lacks some is a subclass, and they are refused."""

    def constant(self, value: Fraction, shape: tuple[int, ...]) -> Array:
        lacks(self, "constant")

    def identity(self, size: int) -> Array:
        lacks(self, "identity")

    def combine(self, coefficients: Sequence[Fraction], arrays: Sequence[Array]) -> Array:
        lacks(self, "combine")

    def einsum(self, subscripts: str, arrays: Sequence[Array]) -> Array:
        lacks(self, "einsum")

    def broadcast(self, array: Array, positions: Sequence[int], shape: tuple[int, ...]) -> Array:
        lacks(self, "broadcast")

    def gate(self, z: Array, alpha: Fraction, alpha_bar: Fraction) -> Array:
        lacks(self, "gate")

    def function(self, name: str, x: Array, exponent: Fraction | None) -> Array:
        lacks(self, "function")

    def gather(self, x: Array, table: Table, position: int) -> Array:
        lacks(self, "gather")

    def scatter_add(self, x: Array, table: Table, position: int) -> Array:
        lacks(self, "scatter_add")

    def log_sum_exp(self, x: Array, position: int) -> Array:
        lacks(self, "log_sum_exp")

    def stack(self, arrays: Sequence[Array]) -> Array:
        lacks(self, "stack")

    def maximum(self, arrays: Sequence[Array]) -> Array:
        lacks(self, "maximum")

    def spectral_norm(self, x: Array) -> Array:
        lacks(self, "spectral_norm")

    def largest_eigenvalue(self, x: Array) -> Array:
        lacks(self, "largest_eigenvalue")

    def matrix_power(self, x: Array, exponent: Fraction) -> Array:
        lacks(self, "matrix_power")
