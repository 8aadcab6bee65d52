"""The coefficients of a method's modified equation, and of its start, by rooted trees: derived once, then kept."""

from __future__ import annotations

from fractions import Fraction
from functools import cache, partial
from typing import Any, TypeAlias

import sympy
from sympy.polys.domains import QQ

from symflow.dynamics.method import Method
from symflow.dynamics.methods.runge_kutta import RungeKutta
from symflow.dynamics.modified.logarithm import logarithm
from symflow.dynamics.modified.slow_manifold import Step, slow_manifold
from symflow.dynamics.modified.start import phase, start
from symflow.dynamics.modified.step import Convert, stepped, tableau_step
from symflow.dynamics.modified.tree_series import Coefficient, Series, collapsed, part
from symflow.dynamics.modified.trees import Tree
from symflow.errors import BudgetError

Number: TypeAlias = Fraction | sympy.Expr
"""A coefficient: a rational number, or a rational function of the symbols among a method's settings."""
Terms: TypeAlias = tuple[dict[Tree, Number], ...]

MAX_ORDER, MAX_SYMBOLIC_ORDER = 9, 6
"""The highest orders that are derived: with numbers, and with symbols as settings (some ten seconds)."""


@cache
def terms(method: Method | RungeKutta, order: int) -> Terms:
    """F_0, ..., F_order.

    Raises:
        ProblemError: a method that is not a map of theta and one array that it carries, close to the identity.
        BudgetError: the order is above the highest that is derived.
    """
    step, number = _step(method, order)
    found = logarithm(slow_manifold(step, order + 1).moved, order + 1)
    return tuple({t: number(c) for t, c in collapsed(term).items()} for term in found)


@cache
def start_terms(method: Method | RungeKutta, order: int) -> Terms:
    """S_1, ..., S_order: the flow that descent from rest at theta approaches starts at theta + sum eta^i S_i.

    Raises:
        ProblemError, BudgetError: see `terms`.
    """
    step, number = _step(method, order)
    found = start(step, order)
    return tuple({t: number(c) for t, c in collapsed(part(found, i)).items()} for i in range(1, order + 1))


@cache
def transient_terms(method: Method, order: int) -> tuple[Terms, Terms]:
    """How far a point is from the slow manifold, up to eta^order, and what is carried there.

    Returns:
        The parts of pi(theta, v) - theta with 1, ..., order vertices, in trees of theta and of u = v - V(theta);
        those of V(theta), in trees of theta. A vertex of u carries no power of the step size: v has one already.

    Raises:
        ProblemError, BudgetError: see `terms`.
    """
    step, number = _step(method, order)
    manifold = slow_manifold(step, order)
    found = phase(step, manifold, order) if manifold.carried else {}

    def parts(series: Series) -> Terms:
        return tuple({t: number(c) for t, c in collapsed(part(series, n)).items()} for n in range(1, order + 1))

    return parts(found), parts(manifold.carried)


def _step(method: Method | RungeKutta, order: int) -> tuple[Step, Convert]:
    names = method.symbols
    limit = MAX_SYMBOLIC_ORDER if names else MAX_ORDER
    if order > limit:
        raise BudgetError(
            f"the modified equation of {method.name} is derived to order {limit} at most"
            f"{' with symbols as settings' if names else ''}, got {order}; ask for a lower order"
        )
    if isinstance(method, RungeKutta):
        return partial(tableau_step, method), Fraction
    if not names:
        return partial(stepped, method, convert=Fraction), Fraction
    domain = QQ.frac_field(*names)

    def convert(value: Any) -> Coefficient:
        return domain.from_sympy(sympy.sympify(value))

    def expression(c: Coefficient) -> sympy.Expr:
        return sympy.factor(domain.to_sympy(domain.convert(c)))

    return partial(stepped, method, convert=convert), expression
