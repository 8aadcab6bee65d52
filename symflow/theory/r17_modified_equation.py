"""R17: the modified equation of gradient descent, with the coefficients that `symflow.dynamics.modified` derives."""

from __future__ import annotations

import sympy

from symflow.dynamics.methods.gradient_descent import GradientDescent
from symflow.dynamics.modified.coefficients import terms
from symflow.theory.differential_sums import differential_sum
from symflow.theory.hypotheses import Hypothesis
from symflow.theory.hypothesis_checks import SMOOTH_ALONG
from symflow.theory.result import SOURCES, Result
from symflow.theory.statement import equation

TERMS = terms(GradientDescent(), 4)


def term(order: int) -> sympy.Expr:
    """F_i, a sum of elementary differentials."""
    return differential_sum(TERMS[order])


MODIFIED_EQUATION = Result(
    "R17",
    "modified-equation",
    "modified equation of gradient descent",
    "modified equation of gradient descent",
    f"{SOURCES['BD21']} (order 1); {SOURCES['HLW06']} (all orders)",
    (SMOOTH_ALONG,),
    tuple(equation(f"order {i}", f"F_{i}", term(i)) for i in range(len(TERMS))),
    (Hypothesis("a fixed horizon", r"a fixed horizon; $f \in C^{p+3}$ for the order $p$"),),
    remark=r"One step of descent is $\theta(\eta)+O(\eta^{p+2})$ for $\dot\theta = \sum_{i\le p}\eta^iF_i(\theta)$, "
    r"$T = "
    r"\nabla^3f$, $Q = \nabla^4f$. The terms up to $\eta$ are a gradient flow; with those of order $\eta^2$ they "
    r"are one "
    r"only where $[H, T[g]] = 0$.",
    derivations=("r17_modified_equation",),
)
