"""C4: descent and flow on quadratic functions."""

from __future__ import annotations

import sympy

from symflow.theory.hypotheses import Hypothesis
from symflow.theory.result import CLASSICAL, Result
from symflow.theory.statement import equation


def iterate(h: sympy.Expr, eta: sympy.Expr, k: sympy.Expr) -> sympy.Expr:
    """What descent multiplies theta_0 by in k steps, in an eigendirection of H: (1 - eta h)^k."""
    return (1 - eta * h) ** k


def flow(h: sympy.Expr, time: sympy.Expr) -> sympy.Expr:
    """What the flow multiplies theta_0 by up to a time: e^{-h t}."""
    return sympy.exp(-h * time)


_eta, _h, _k = sympy.symbols("eta h k", positive=True)
DESCENT_ON_QUADRATICS = Result(
    "C4",
    "quadratics",
    "descent and flow on quadratics",
    "closed form: descent and flow on quadratics",
    CLASSICAL,
    (),
    (
        equation(
            "", r"\theta_k-\theta(k\eta)", (iterate(_h, _eta, _k) - flow(_h, _k * _eta)) * sympy.Symbol(r"\theta_0")
        ),
    ),
    (
        Hypothesis(
            "", r"$f = \frac12\theta^\top H\theta$, equal starts $\theta_0$, in each eigendirection of $H$, to $h$"
        ),
    ),
    derivations=("c04_descent_on_quadratics",),
)
