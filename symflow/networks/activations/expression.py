"""An activation of your own: sigma(z) as a SymPy expression."""

from __future__ import annotations

from dataclasses import dataclass

import sympy

from symflow.errors import ProblemError, brief
from symflow.networks.activations.activation import ActivationKind, Smooth
from symflow.programs.from_sympy import expression_node
from symflow.programs.nodes import Input, Node

Z = sympy.Symbol("z", real=True)
KINKED = (
    sympy.Abs,
    sympy.Max,
    sympy.Min,
    sympy.Piecewise,
    sympy.Heaviside,
    sympy.sign,
    sympy.floor,
    sympy.ceiling,
)
_SCALAR = Input("scalar", (), "data", "x")
_GRID = tuple(sympy.Rational(k, 2) for k in range(-12, 13))


@dataclass(frozen=True)
class ExpressionActivation(Smooth):
    """sigma(z), a smooth function given as a SymPy expression in one symbol.

    Supported are sums, products, powers, exp, log, sin, cos, tan, atan, sinh, cosh, tanh, erf, rational numbers, e and
    pi. Quotients, powers and logarithms of sums of exponentials are computed as functions that do not overflow where
    these do not: 1/(1 + exp(-z)) as the sigmoid, log(1 + exp(z)) as the softplus, (exp(z) - exp(-z))/(exp(z) + exp(-z))
    as tanh. Others overflow where their parts do: exp(-exp(-z)) has no derivative in float64 at z = -1000.

    Attributes:
        expression: sigma(z) in the real symbol z.

    Raises:
        ProblemError: text, not exactly one free symbol or one assumed to have a sign, another function, or a function
            that is not smooth on the whole line.

    Example:
        >>> import sympy
        >>> z = sympy.Symbol("z")
        >>> mish = sf.ExpressionActivation(z * sympy.tanh(sympy.log(1 + sympy.exp(z))))
        >>> network = sf.FullyConnected((2, 3, 1), activation=mish)
        >>> network == sf.FullyConnected((2, 3, 1), activation=mish.expression)
        True
        >>> network.activation, network.smooth
        ('expression', True)
        >>> sf.ExpressionActivation(abs(z))
        Traceback (most recent call last):
        symflow.errors.ProblemError: activation: the expression must be smooth, and Abs(z) is not; ...
    """

    expression: sympy.Expr

    name = "expression"

    def __post_init__(self) -> None:
        object.__setattr__(self, "expression", _read(self.expression))

    @property
    def latex(self) -> str:  # type: ignore[override]
        """sigma(z)."""
        return str(sympy.latex(self.expression))

    @property
    def settings(self) -> dict[str, sympy.Expr]:  # type: ignore[override]
        """The expression."""
        return {"expression": self.expression}

    @property
    def given(self) -> sympy.Expr:
        """The expression."""
        return self.expression

    def of(self, z: Node) -> Node:
        """The expression at z."""
        return expression_node(self.expression, {Z: z})


def _read(given: object) -> sympy.Expr:
    """The expression in `Z`."""
    where = "activation: the expression"
    if not isinstance(given, sympy.Expr):
        raise ProblemError(f"{where} must be a SymPy expression such as z*tanh(z), got {brief(given)}")
    symbols = sorted(given.free_symbols, key=str)
    if len(symbols) != 1:
        raise ProblemError(f"{where} must have one free symbol, got {', '.join(map(str, symbols)) or 'none'}")
    if any(getattr(symbols[0], f"is_{kind}") is not None for kind in ("positive", "negative", "integer")):
        raise ProblemError(f"{where} must be a function of any real number, got {symbols[0]} with assumptions; use z")
    expression = given.xreplace({symbols[0]: Z})
    bent = next((part for part in sympy.preorder_traversal(expression) if isinstance(part, KINKED)), None)
    bent = _singular(expression) if bent is None else bent
    if bent is not None:
        raise ProblemError(
            f'{where} must be smooth, and {bent} is not; of kinks there are "relu", "leaky-relu" and "homogeneous"'
        )
    try:
        expression_node(expression, {Z: _SCALAR})
    except ValueError as error:
        raise ProblemError(f"activation: {error}") from None
    return expression


def _singular(expression: sympy.Expr) -> sympy.Expr | None:
    """A root, quotient or logarithm in it whose argument leaves its domain at some point of a grid."""
    for part in sympy.preorder_traversal(expression):
        if isinstance(part, sympy.Pow) and not (part.exp.is_integer and part.exp.is_nonnegative):
            inner, whole = part.base, part.exp.is_integer
        elif isinstance(part, sympy.log):
            inner, whole = part.args[0], False
        else:
            continue
        values = [inner.subs(Z, point).evalf() for point in _GRID]
        if any(not v.is_real or v == 0 or (v < 0 and not whole) for v in values):
            return part
        if whole and len({v > 0 for v in values}) > 1:
            return part
    return None


KINDS = {"expression": ActivationKind(("expression",), ExpressionActivation)}
