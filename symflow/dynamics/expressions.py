"""Vector fields that users write: SymPy expressions, checked and turned into a program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import sympy

from symflow.errors import ProblemError, brief
from symflow.programs.from_sympy import expression_node
from symflow.programs.nodes import Input
from symflow.programs.program import Program

Components: TypeAlias = "Mapping[sympy.Symbol, sympy.Expr] | Sequence[sympy.Expr]"
"""The derivative of each variable, or the derivatives in the order of the variables."""
_EXAMPLE = "{x: y, y: -x}"


def expression_field(components: Components, variables: object = None) -> tuple[Program, dict[Input, sympy.Symbol]]:
    """The program of x' = G(x), one scalar input and output for each variable, and what symbols the inputs stand for.

    Args:
        components: a mapping from each variable to its derivative, or the derivatives in the order of the variables.
        variables: symbols, in the order of the state; a mapping's own if None.

    Raises:
        ProblemError: see `VectorField`.
    """
    symbols = _symbols(list(components) if variables is None and isinstance(components, Mapping) else variables)
    given = _derivatives(components, symbols)
    inputs = {v: Input(str(v), (), "state", sympy.latex(v)) for v in symbols}
    outputs = {}
    for v, expression in zip(symbols, given, strict=True):
        read = _expression(expression, v, symbols)
        try:
            outputs[str(v)] = expression_node(read, inputs)
        except ValueError as error:
            raise ProblemError(f"the derivative of {v}: {error}") from None
    return Program(tuple(inputs.values()), outputs), {x: v for v, x in inputs.items()}


def _symbols(given: object) -> list[sympy.Symbol]:
    if given is None:
        raise ProblemError(f"the variables of the field are missing; give them as in VectorField({_EXAMPLE})")
    listed = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else None
    if not listed or not all(isinstance(v, sympy.Symbol) for v in listed):
        raise ProblemError(
            f"the variables of a field must be SymPy symbols, got {brief(given)}; give them as in {_EXAMPLE}"
        )
    if len({str(v) for v in listed}) != len(listed):
        raise ProblemError(f"the variables must have different names, got {', '.join(map(str, listed))}")
    return listed


def _derivatives(components: object, symbols: Sequence[sympy.Symbol]) -> list[object]:
    """The derivatives in the order of the variables."""
    names = ", ".join(map(str, symbols))
    if isinstance(components, Mapping):
        if set(components) != set(symbols):
            raise ProblemError(
                f"the field must have one derivative for each of the variables {names}, got those of "
                f"{', '.join(map(str, components))}"
            )
        return [components[v] for v in symbols]
    if isinstance(components, sympy.MatrixBase):
        components = list(components)
    if isinstance(components, str | sympy.Expr) or not isinstance(components, Iterable):
        raise ProblemError(
            f"a vector field must be a mapping from variables to expressions such as {_EXAMPLE}, or a list of "
            f"expressions and one of variables, got {brief(components)}"
        )
    listed = list(components)
    if len(listed) != len(symbols):
        raise ProblemError(
            f"the field must have as many derivatives as variables ({len(symbols)}: {names}), got {len(listed)}"
        )
    return listed


def _expression(given: object, variable: sympy.Symbol, symbols: Sequence[sympy.Symbol]) -> sympy.Expr:
    """One derivative as a real expression in the variables alone."""
    where = f"the derivative of {variable}"
    try:
        expression = None if isinstance(given, str | bool) else sympy.sympify(given)
    except (sympy.SympifyError, TypeError, ValueError):
        expression = None
    if not isinstance(expression, sympy.Expr):
        raise ProblemError(f"{where} must be a SymPy expression, got {brief(given)}; text is never evaluated")
    unknown = sorted(map(str, expression.free_symbols - set(symbols)))
    if unknown:
        raise ProblemError(
            f"{where} may contain only the variables {', '.join(map(str, symbols))}, got {', '.join(unknown)}; "
            "substitute values for parameters, and make time a variable whose derivative is 1"
        )
    if expression.has(sympy.I):
        raise ProblemError(f"{where} must be real, got {brief(expression)}; write real and imaginary parts separately")
    if expression.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo):
        raise ProblemError(f"{where} must be finite, got {brief(expression)}; the expression divides by zero")
    return expression
