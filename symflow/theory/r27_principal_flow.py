"""R27: the principal flow, and the function of the spectrum that its field is."""

from __future__ import annotations

import mpmath
import sympy

from symflow.theory.hypotheses import Hypothesis
from symflow.theory.hypothesis_checks import SMOOTH_ALONG
from symflow.theory.result import SOURCES, Result
from symflow.theory.statement import equation

_x = sympy.Symbol("x")
PSI = sympy.log(1 - _x) / _x
"""psi(x), by which the field is psi(eta H) g; -1 at x = 0."""
_eta, _k = sympy.symbols("eta k", positive=True)
_H, _start = sympy.symbols(r"H \theta_0", commutative=False)

PRINCIPAL_FLOW = Result(
    "R27",
    "principal-flow",
    "principal flow",
    "principal flow: passes through every iterate of gradient descent on quadratics, stable or not",
    SOURCES["RWQD23"],
    (SMOOTH_ALONG,),
    (
        equation("field", r"\dot\theta", r"\psi(\eta H)\,g"),
        equation("function", r"\psi(x)", PSI),
        equation("on quadratics", r"\theta(k\eta)", (1 - _eta * _H) ** _k * _start),
    ),
    (
        Hypothesis(
            "no eigenvalue of eta H equal to 1",
            r"$\eta\lambda_i \ne 1$ along the flow; $\psi(0) = -1$, and the logarithm is the principal one, complex "
            r"for $\eta\lambda_i > 1$",
        ),
    ),
    remark=r"In powers of $\eta$ the field is $-\sum_i\eta^iH^ig/(i+1)$: the terms of the modified equation without "
    r"higher derivatives of $f$.",
    derivations=("r27_principal_flow",),
)


def coefficient(x: mpmath.mpf | mpmath.mpc) -> mpmath.mpf | mpmath.mpc:
    """psi(x) = log(1 - x)/x in mpmath numbers of the enclosing precision, -1 at 0."""
    return mpmath.mpf(-1) if x == 0 else mpmath.log1p(-x) / x
