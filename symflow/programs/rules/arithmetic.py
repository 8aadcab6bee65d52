"""What evaluates programs over whole arrays supplies: one method for each operation, over arrays of its own kind."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NoReturn, Protocol

from symflow.programs.rules.axes import Table


def lacks(arithmetic: object, operation: str) -> NoReturn:
    """Refuses an operation.

    Raises:
        TypeError: always.
    """
    name = type(arithmetic).__name__
    raise TypeError(f"{name} does not compute {operation!r}; use mpmath or JAX, or give it that method")


class Arithmetic(Protocol):
    """The operations on arrays of one kind; an arithmetic that lacks some is a subclass, and they are refused."""

    def constant(self, value: Fraction, shape: tuple[int, ...]) -> Any:
        lacks(self, "constant")

    def identity(self, size: int) -> Any:
        lacks(self, "identity")

    def combine(self, coefficients: Sequence[Fraction], arrays: Sequence[Any]) -> Any:
        lacks(self, "combine")

    def einsum(self, subscripts: str, arrays: Sequence[Any]) -> Any:
        lacks(self, "einsum")

    def broadcast(self, array: Any, positions: Sequence[int], shape: tuple[int, ...]) -> Any:
        lacks(self, "broadcast")

    def gate(self, z: Any, alpha: Fraction, alpha_bar: Fraction) -> Any:
        lacks(self, "gate")

    def function(self, name: str, x: Any, exponent: Fraction | None) -> Any:
        lacks(self, "function")

    def gather(self, x: Any, table: Table, position: int) -> Any:
        lacks(self, "gather")

    def scatter_add(self, x: Any, table: Table, position: int) -> Any:
        lacks(self, "scatter_add")

    def log_sum_exp(self, x: Any, position: int) -> Any:
        lacks(self, "log_sum_exp")

    def stack(self, arrays: Sequence[Any]) -> Any:
        lacks(self, "stack")

    def maximum(self, arrays: Sequence[Any]) -> Any:
        lacks(self, "maximum")

    def spectral_norm(self, x: Any) -> Any:
        lacks(self, "spectral_norm")

    def largest_eigenvalue(self, x: Any) -> Any:
        lacks(self, "largest_eigenvalue")

    def matrix_power(self, x: Any, exponent: Fraction) -> Any:
        lacks(self, "matrix_power")
