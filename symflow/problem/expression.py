"""Formulas written as text in a problem file, read without evaluating anything but a closed list of operations."""

from __future__ import annotations

import ast
from collections.abc import Mapping

import sympy

from symflow.errors import ProblemError, brief
from symflow.programs.from_sympy import readable_functions

MAX_TEXT = 2_000
"""Longest formula, in characters."""
MAX_POWER = 64
"""Largest exponent."""


def parse_expression(written: str, names: Mapping[str, sympy.Symbol], where: str) -> sympy.Expr:
    """The SymPy expression that a formula such as "(prediction - target)**4 / 4" means; decimals are exact.

    Args:
        written: the formula; "^" is a power too.
        names: the variables it may contain.
        where: what the message begins with.

    Raises:
        ProblemError: anything else in the formula.
    """
    functions = {**readable_functions(), "sqrt": sympy.sqrt}
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
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1 and not node.keywords:
            function = functions.get(node.func.id)
            value = None if function is None else function(read(node.args[0]))
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
