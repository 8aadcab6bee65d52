"""The Jacobian dG/dx of a vector field x' = G(x)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Any

import sympy

from symflow.caching import kept
from symflow.displays import show
from symflow.dynamics.vector_field import VectorField
from symflow.programs.blocks import jacobian_blocks
from symflow.programs.program import Program


@dataclass(frozen=True, eq=False)
class Jacobian:
    """dG/dx, the matrix of derivatives of a vector field; shape (P, P), rows those of G.

    Attributes:
        field: G.
        program: one output for each pair of an output of G and a state array, row by row.

    Example:
        >>> import sympy
        >>> x, y = sympy.symbols("x y")
        >>> sf.jacobian(sf.VectorField({x: x * y, y: sympy.exp(x)}))
        <Jacobian of <vector field: x' = x*y, y' = exp(x)>>
    """

    field: VectorField
    program: Program

    def joined(self, outputs: Iterable[Any], xp: Any, lead: int = 0) -> Any:
        """The P x P matrix from the program's outputs.

        Args:
            outputs: arrays, in the order of the program.
            xp: the array module they belong to.
            lead: how many axes come before those of the result, equally long in all outputs.
        """
        sizes = [prod(shape) for _, shape in self.field.slices()]
        arrays = iter(outputs)
        rows = []
        for height in sizes:
            blocks = [next(arrays) for _ in sizes]
            row = [a.reshape(*a.shape[:lead], height, width) for a, width in zip(blocks, sizes, strict=True)]
            rows.append(xp.concatenate(row, axis=-1))
        return xp.concatenate(rows, axis=-2)

    def explicit(self, budget: int = 100_000) -> sympy.Matrix:
        """The matrix in SymPy scalars, data inserted as exact rationals, shape (P, P).

        Args:
            budget: the largest number of scalar operations that the expanded expressions may have.

        Raises:
            BudgetError: the expansion would be larger; the error states its size.
        """
        return show(self, "explicit", budget)

    def __repr__(self) -> str:
        return f"<Jacobian of {self.field!r}>"


def jacobian(field: VectorField) -> Jacobian:
    """dG/dx of a vector field x' = G(x); with gates that of the smooth piece that x lies in.

    Args:
        field: G, of P state entries.

    Returns:
        A `Jacobian`, whose program gives the P x P matrix in blocks.

    Example:
        >>> import sympy
        >>> x, y = sympy.symbols("x y")
        >>> sf.jacobian(sf.VectorField({x: 2*x - 2*x*y, y: -y + x*y})).explicit()
        Matrix([
        [2 - 2*y,  -2*x],
        [      y, x - 1]])
    """
    return short_jacobian(field, None)


@kept
def short_jacobian(field: VectorField, budget: int | None) -> Jacobian:
    """dG/dx, made once.

    Raises:
        BudgetError: it takes more factored terms than the budget to derive.
    """
    outputs = list(field.program.outputs.values())[: len(field.state)]
    names = list(field.program.outputs)[: len(field.state)]
    blocks = jacobian_blocks(outputs, field.state, budget)
    found = {f"J_{name}_{x.name}": blocks[j, k] for j, name in enumerate(names) for k, x in enumerate(field.state)}
    return Jacobian(field, Program(field.program.inputs, found))
