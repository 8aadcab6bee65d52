"""Expansion of a program into SymPy scalars: an explicit act, within a budget."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import sympy

from symflow.derivatives.derived import Derived
from symflow.errors import BudgetError
from symflow.evaluate.interpret import interpret
from symflow.evaluate.object_arrays import ObjectArithmetic
from symflow.programs.nodes import Input, Node
from symflow.programs.program import entries


def expanded_size(derived: Derived) -> int:
    """How many scalar operations all entries of the result have when written out, counted from the sizes alone."""
    per_entry: dict[Node, int] = {}
    for x in derived.program.nodes:
        per_entry[x] = x.written_size([per_entry[a] for a in x.arguments])
    return sum(per_entry[x] * entries(x.axes) for x in derived.program.outputs.values())


def scalar_symbols(x: Input) -> np.ndarray:
    """One real SymPy symbol per entry: W1_{1,2} is printed as the entry of W_1 in row 1, column 2."""
    array = np.empty(tuple(int(a.size) for a in x.axes), dtype=object)
    for index in np.ndindex(array.shape):
        suffix = "_" + "".join(str(i + 1) if i < 9 else f"({i + 1})" for i in index) if index else ""
        array[index] = sympy.Symbol(f"{x.name}{suffix}", real=True)
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
    size = expanded_size(derived)
    if size > budget:
        raise BudgetError(
            f"expanding this {derived.kind} into scalars would take {size} operations, over the budget of {budget}; "
            "keep the matrix form (latex(), to_jax) or pass a larger budget"
        )
    objective = derived.objective
    lift = np.frompyfunc(_rational, 1, 1)
    values = {x: np.asarray(lift(a), dtype=object) for x, a in objective.data.items()}
    for x in derived.program.inputs:
        if x in objective.symbols:
            values[x] = np.array(objective.symbols[x], dtype=object)
        elif x not in values:
            values[x] = scalar_symbols(x)
    result = derived.joined(interpret(derived.program, values, SYMPY).values(), np)
    return result[()] if derived.shape == "scalar" else sympy.Matrix(result)
