"""Explicit Runge-Kutta steps along gradient flow, as a method that modified equations know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

from symflow.errors import ProblemError, brief
from symflow.numbers.rational import rational


@dataclass(frozen=True)
class RungeKutta:
    r"""theta_{k+1} = theta_k - eta sum_i b_i g(y_i), y_i = theta_k - eta sum_{j < i} a_ij g(y_j), explicit.

    A method for `modified_equation` alone. It is not a `Method`, since it takes several gradients in a step, while
    `descend` and all bounds on descent are about one; `solve_flow` integrates flow to any number of digits.

    Attributes:
        a: row i holds a_i1, ..., a_i,i-1 (a full square of numbers, zero on and above the diagonal, is taken too).
        b: the weights.

    Raises:
        ProblemError: numbers that are no tableau of an explicit method.

    Source: Hairer, Norsett & Wanner 1993, chapter II.

    Example:
        >>> import sympy
        >>> x = sympy.Symbol("x")
        >>> heun = sf.RungeKutta(a=[[], [1]], b=["1/2", "1/2"])
        >>> print(sf.modified_equation(sf.expression_objective(x**4, [x]), order=2, method=heun).latex())
        \begin{aligned}
        \dot\theta = {}& -g \\
        & {}+\eta^2\Bigl(\tfrac{1}{6}H^2g-\tfrac{1}{12}T[g,g]\Bigr)
        \end{aligned}
    """

    a: tuple[tuple[Fraction, ...], ...]
    b: tuple[Fraction, ...]
    name: ClassVar[str] = "the Runge-Kutta method"
    symbols: ClassVar[tuple[()]] = ()

    def __init__(self, a: Sequence[Sequence[Any]], b: Sequence[Any]) -> None:
        try:
            rows = [[rational(x, f"a[{i}][{j}]") for j, x in enumerate(row)] for i, row in enumerate(a)]
            weights = tuple(rational(x, f"b[{i}]") for i, x in enumerate(b))
        except TypeError:
            raise ProblemError(
                f"a must be a list of rows of numbers and b a list of numbers, got {brief(a)} and {brief(b)}"
            ) from None
        if not weights or len(rows) != len(weights):
            raise ProblemError(f"a must have one row for each of the {len(weights)} weights b, got {len(rows)}")
        for i, row in enumerate(rows):
            if len(row) not in (i, len(rows)) or any(row[i:]):
                raise ProblemError(
                    f"a[{i}] must hold {i} numbers, those below the diagonal: the method must be explicit, got "
                    f"{brief(a[i])}"
                )
        object.__setattr__(self, "a", tuple(tuple(row[:i]) for i, row in enumerate(rows)))
        object.__setattr__(self, "b", weights)
