"""R28: the modified equations of RMSProp and Adam to order 1."""

from __future__ import annotations

import sympy

from symflow.theory.hypotheses import Hypothesis
from symflow.theory.hypothesis_checks import SMOOTH_ALONG
from symflow.theory.result import SOURCES, Result
from symflow.theory.statement import equation

ETA, BETA, RHO, EPSILON = sympy.symbols("eta beta rho epsilon", positive=True)
R, G, SLOPE = sympy.Symbol("R_j"), sympy.Symbol("g_j"), sympy.Symbol(r"\partial_j\sum_i\sqrt{g_i^2+\varepsilon}")
"""R_j = sqrt(g_j^2 + epsilon), g_j, and an entry of grad sum_i sqrt(g_i^2 + epsilon)."""


def lag(beta: sympy.Expr, rho: sympy.Expr, epsilon: sympy.Expr, root: sympy.Expr) -> sympy.Expr:
    """The factor of eta/2 times the slope: what the two means and the step itself lag behind."""
    a, b = (1 + beta) / (1 - beta), (1 + rho) / (1 - rho)
    return a - b + b * epsilon / root**2


ADAPTIVE = Result(
    "R28",
    "adaptive",
    "modified equations of RMSProp and Adam",
    "modified equations of RMSProp and Adam to order 1, epsilon inside the root",
    SOURCES["CKS24"],
    (SMOOTH_ALONG,),
    (
        equation("Adam", r"\dot\theta_j", -(G + ETA / 2 * lag(BETA, RHO, EPSILON, R) * SLOPE) / R),
        equation("RMSProp", r"\dot\theta_j", -(G + ETA / 2 * lag(sympy.Integer(0), RHO, EPSILON, R) * SLOPE) / R),
    ),
    (
        Hypothesis(
            "a fixed horizon, and means that have forgotten their start",
            r"a fixed horizon; $R_j = \sqrt{g_j^2+\varepsilon}$, $\varepsilon > 0$ inside the root, decay $\rho$ of "
            r"the mean "
            r"of squares, $\beta$ of that of gradients; full batch; $\beta^k, \rho^k \ll \eta^2$, which bias "
            r"correction "
            "does not change",
        ),
    ),
    remark=r"One step is $\theta(\eta)+O(\eta^3)$. With $\varepsilon$ outside the root, as in PyTorch, it is not this "
    r"equation.",
    derivations=("r28_adaptive",),
)
