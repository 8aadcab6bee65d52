"""Expansion of a program into SymPy scalars: an explicit act, within a budget."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import numpy as np
import sympy

from symflow.derivatives.derived import Derived
from symflow.dynamics.jacobian import Jacobian
from symflow.dynamics.vector_field import VectorField
from symflow.errors import BudgetError
from symflow.evaluate.interpret import interpret
from symflow.evaluate.object_arrays import ObjectArithmetic
from symflow.programs.flat import entry_name
from symflow.programs.nodes import Input, Node
from symflow.programs.program import Program, entries


def written_size(program: Program) -> int:
    """How many scalar operations all entries of the results have when written out, counted from the sizes alone."""
    per_entry: dict[Node, int] = {}
    for x in program.nodes:
        per_entry[x] = x.written_size([per_entry[a] for a in x.arguments])
    return sum(per_entry[x] * entries(x.axes) for x in program.outputs.values())


def scalar_symbols(x: Input) -> np.ndarray:
    """One real SymPy symbol per entry: W1_{1,2} is printed as the entry of W_1 in row 1, column 2."""
    array = np.empty(tuple(int(a.size) for a in x.axes), dtype=object)
    for index in np.ndindex(array.shape):
        array[index] = sympy.Symbol(entry_name(x, index), real=True)
    return array


def _rational(q: Fraction) -> sympy.Rational:
    return sympy.Rational(q.numerator, q.denominator)


def _select(z: sympy.Expr, alpha: Fraction, alpha_bar: Fraction) -> sympy.Expr:
    return sympy.Piecewise((_rational(alpha), z >= 0), (_rational(alpha_bar), True))


SYMPY = ObjectArithmetic(
    lift=_rational,
    select=_select,
    entry="sympy",
    functions={
        "logsumexp": lambda values: sympy.log(sympy.Add(*(sympy.exp(v) for v in values))),
        "maximum": sympy.Max,
    },
)


def explicit(derived: Derived, budget: int) -> sympy.Matrix | sympy.Expr:
    """Expands a derived result; a scalar gives an expression, a vector a column, the Hessian a matrix.

    Raises:
        BudgetError: the expansion has more scalar operations than `budget`.
    """
    objective = derived.objective
    arrays = scalar_outputs(derived.program, objective.data, objective.symbols, budget, derived.kind)
    result = derived.joined(arrays, np)
    return result[()] if derived.shape == "scalar" else sympy.Matrix(result)


def explicit_field(field: VectorField, budget: int) -> sympy.Matrix:
    """Expands a vector field into a column.

    Raises:
        BudgetError: the expansion has more scalar operations than `budget`.
    """
    arrays = scalar_outputs(field.program, field.data, field.symbols, budget, "vector field")
    return sympy.Matrix([e for a in arrays for e in np.asarray(a, dtype=object).reshape(-1)])


def explicit_jacobian(jacobian: Jacobian, budget: int) -> sympy.Matrix:
    """Expands a Jacobian into a matrix.

    Raises:
        BudgetError: the expansion has more scalar operations than `budget`.
    """
    field = jacobian.field
    arrays = scalar_outputs(jacobian.program, field.data, field.symbols, budget, "Jacobian")
    return sympy.Matrix(jacobian.joined([np.asarray(a, dtype=object) for a in arrays], np))


def scalar_outputs(
    program: Program,
    data: Mapping[Input, np.ndarray],
    symbols: Mapping[Input, sympy.Symbol],
    budget: int,
    kind: str,
) -> list[np.ndarray]:
    """The outputs of a program as arrays of SymPy expressions, data inserted as exact rationals.

    Args:
        program: what is expanded.
        data: exact values of inputs.
        symbols: what scalar inputs are called; others have `scalar_symbols`.
        budget: most scalar operations of the expressions.
        kind: what it is, for the message.

    Raises:
        BudgetError: it would have more.
    """
    size = written_size(program)
    if size > budget:
        raise BudgetError(
            f"expanding this {kind} into scalars would take {size} operations, over the budget of {budget}; "
            "keep the matrix form (latex(), to_jax) or pass a larger budget"
        )
    lift = np.frompyfunc(_rational, 1, 1)
    values = {x: np.asarray(lift(a), dtype=object) for x, a in data.items()}
    for x in program.inputs:
        if x in symbols:
            values[x] = np.array(symbols[x], dtype=object)
        elif x not in values:
            values[x] = scalar_symbols(x)
    return list(interpret(program, values, SYMPY).values())
