"""SymPy expressions evaluated in any arithmetic with Python's operators: JAX arrays, intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import mpmath
import sympy

from symflow.errors import ProblemError, brief
from symflow.numbers.types import Scalar

FUNCTIONS = {sympy.exp: "exp", sympy.log: "log", sympy.sin: "sin", sympy.cos: "cos", sympy.Abs: "abs"}
CHOICES = {sympy.Max: "max", sympy.Min: "min"}
_RULE = "sums, products, powers, exp, log, sin, cos, sqrt, Abs, Max, Min and real numbers"


@dataclass(frozen=True)
class Arithmetic:
    """How to compute with one kind of numbers.

    Attributes:
        number: a rational as a number of this kind.
        pi: the constant.
        functions: "exp", "log", "sin", "cos", "abs" of one number; "max", "min" of two; "root", the power of a number
            with an exponent that is a `Fraction`.
    """

    number: Callable[[Fraction], Scalar]
    pi: Scalar
    functions: Mapping[str, Callable[..., Scalar]]


def check_expression(expression: sympy.Expr, what: str) -> None:
    """Refuses what cannot be evaluated.

    Raises:
        ProblemError: an unsupported function or number.
    """
    for e in sympy.preorder_traversal(expression):
        rational = e.is_Rational or (e.is_Float and e.is_finite)
        if e.is_Symbol or rational or e in (sympy.pi, sympy.E) or e.is_Add or e.is_Mul or e.is_Pow:
            continue
        if e.func in FUNCTIONS or e.func in CHOICES:
            continue
        raise ProblemError(f"{what} may contain only {_RULE}, got {brief(str(e))}")


def evaluate(expression: sympy.Expr, values: Mapping[str, Scalar], a: Arithmetic) -> Scalar:
    """The value of an expression that `check_expression` has passed, its symbols by name."""
    memo: dict[sympy.Expr, Scalar] = {}

    def convert(e: sympy.Expr) -> Scalar:
        if e not in memo:
            memo[e] = compute(e)
        return memo[e]

    def compute(e: sympy.Expr) -> Scalar:
        if e.is_Symbol:
            return values[str(e)]
        if e.is_Rational or e.is_Float:
            q = sympy.Rational(e)
            return a.number(Fraction(int(q.p), int(q.q)))
        if e is sympy.pi:
            return a.pi
        if e is sympy.E:
            return a.functions["exp"](a.number(Fraction(1)))
        if e.is_Add:
            return _fold(lambda x, y: x + y, e.args)
        if e.is_Mul:
            return _fold(lambda x, y: x * y, e.args)
        if e.is_Pow:
            return _power(e)
        if e.func in CHOICES:
            return _fold(a.functions[CHOICES[e.func]], e.args)
        return a.functions[FUNCTIONS[e.func]](convert(e.args[0]))

    def _fold(operation: Callable[[Scalar, Scalar], Scalar], args: Sequence[sympy.Expr]) -> Scalar:
        total = convert(args[0])
        for x in args[1:]:
            total = operation(total, convert(x))
        return total

    def _power(e: sympy.Expr) -> Scalar:
        if e.base is sympy.E:
            return a.functions["exp"](convert(e.exp))
        if e.exp.is_Integer:
            power = int(e.exp)
            value = convert(e.base) ** abs(power)
            return a.number(Fraction(1)) / value if power < 0 else value
        if e.exp.is_Rational:
            return a.functions["root"](convert(e.base), Fraction(int(e.exp.p), int(e.exp.q)))
        return a.functions["exp"](convert(e.exp) * a.functions["log"](convert(e.base)))

    return convert(expression)


def jax_arithmetic() -> Arithmetic:
    """float64 in JAX, traceable."""
    import jax.numpy as jnp

    return Arithmetic(
        number=float,
        pi=float(mpmath.pi),
        functions={
            "exp": jnp.exp,
            "log": jnp.log,
            "sin": jnp.sin,
            "cos": jnp.cos,
            "abs": jnp.abs,
            "max": jnp.maximum,
            "min": jnp.minimum,
            "root": lambda x, e: x ** float(e),
        },
    )


def interval_arithmetic() -> Arithmetic:
    """mpmath's intervals at the precision that `mpmath.iv` has now."""
    iv = mpmath.iv

    def root(x: Scalar, e: Fraction) -> Scalar:
        if x.a < 0:
            raise ArithmeticError("a root of a number that may be negative")
        if x.a == 0 and e < 0:
            raise ArithmeticError("a negative power of a number that may be 0")
        exponent = iv.mpf(e.numerator) / e.denominator
        top = iv.exp(exponent * iv.log(iv.mpf(x.b))) if x.b > 0 else iv.mpf(0)
        low = iv.exp(exponent * iv.log(iv.mpf(x.a))) if x.a > 0 else iv.mpf(0)
        ends = sorted((low.a, low.b, top.a, top.b))
        return iv.mpf([ends[0], ends[-1]])

    def log(x: Scalar) -> Scalar:
        if x.a <= 0:
            raise ArithmeticError("the logarithm of a number that may be 0 or negative")
        return iv.log(x)

    return Arithmetic(
        number=lambda q: iv.mpf(q.numerator) / q.denominator,
        pi=iv.pi,
        functions={
            "exp": iv.exp,
            "log": log,
            "sin": iv.sin,
            "cos": iv.cos,
            "abs": abs,
            "max": lambda x, y: iv.mpf([max(x.a, y.a), max(x.b, y.b)]),
            "min": lambda x, y: iv.mpf([min(x.a, y.a), min(x.b, y.b)]),
            "root": root,
        },
    )
