"""Formulas written as text in a problem file, read without evaluating anything but a closed list of operations."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping

import sympy

from symflow.errors import ProblemError, brief
from symflow.programs.from_sympy import readable_functions

MAX_TEXT = 2_000
"""Longest formula, in characters."""
MAX_POWER = 64
"""Largest exponent."""


def parse_expression(
    written: str,
    names: Mapping[str, sympy.Symbol],
    where: str,
    choices: Mapping[str, Callable[..., sympy.Expr]] | None = None,
) -> sympy.Expr:
    """The SymPy expression that a formula such as "(prediction - target)**4 / 4" means; decimals are exact.

    Args:
        written: the formula; "^" is a power too.
        names: the variables it may contain.
        where: what the message begins with.
        choices: further functions by name, of any number of arguments, such as Max.

    Raises:
        ProblemError: anything else in the formula.
    """
    several = choices or {}
    functions = {**readable_functions(), "sqrt": sympy.sqrt, **several}
    rule = f"sums, products, quotients, rational powers, {', '.join(functions)}, numbers"
    allowed = f"{rule} and {', '.join(names)}"
    if len(written) > MAX_TEXT:
        raise ProblemError(f"{where} must have at most {MAX_TEXT} characters, got {len(written)}")

    def read(node: ast.AST) -> sympy.Expr:
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            return sympy.Rational(ast.get_source_segment(source, node))
        if isinstance(node, ast.Name) and node.id in names:
            return names[node.id]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            return -read(node.operand) if isinstance(node.op, ast.USub) else read(node.operand)
        if isinstance(node, ast.BinOp):
            a, b = read(node.left), read(node.right)
            if isinstance(node.op, ast.Add):
                return a + b
            if isinstance(node.op, ast.Sub):
                return a - b
            if isinstance(node.op, ast.Mult):
                return a * b
            if isinstance(node.op, ast.Div) and b != 0:
                return a / b
            if isinstance(node.op, ast.Pow) and b.is_Rational and abs(b) <= MAX_POWER and not (a == 0 and b < 0):
                return a**b
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            function = functions.get(node.func.id) if len(node.args) == 1 else several.get(node.func.id)
            value = None if function is None or not node.args else function(*map(read, node.args))
            if value is not None and value.is_finite is not False:
                return value
        part = ast.get_source_segment(source, node) or written
        raise ProblemError(f"{where} may contain only {allowed}; got {brief(part)}")

    source = written.replace("^", "**").strip()
    try:
        tree = ast.parse(source, mode="eval")
        return read(tree.body)
    except (SyntaxError, ValueError, RecursionError, MemoryError, TypeError) as error:
        if isinstance(error, ProblemError):
            raise
        raise ProblemError(f"{where} must be a formula of {allowed}; got {brief(written)}") from None


def parse_inequality(
    written: str,
    names: Mapping[str, sympy.Symbol],
    where: str,
    choices: Mapping[str, Callable[..., sympy.Expr]] | None = None,
) -> sympy.Rel:
    """The SymPy inequality that a line such as "lambda_min >= -n*grad_phi" means; nothing is evaluated.

    Args:
        written: two formulas with <=, <, >= or > between them.
        names: the variables it may contain.
        where: what the message begins with.
        choices: as in `parse_expression`.

    Raises:
        ProblemError: anything else.
    """
    relations = {"<=": sympy.Le, ">=": sympy.Ge, "<": sympy.Lt, ">": sympy.Gt}
    parts = re.split(r"(<=|>=|<|>)", written)
    if len(parts) != 3 or "=" in parts[0] + parts[2]:
        raise ProblemError(
            f'{where} must be one inequality with <=, <, >= or >, such as "f_descent <= f_0", got {brief(written)}'
        )
    left, right = (parse_expression(part, names, where, choices) for part in (parts[0], parts[2]))
    return relations[parts[1]](left, right)
