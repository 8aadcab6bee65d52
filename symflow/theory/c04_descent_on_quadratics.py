"""C4: descent and flow on quadratic functions."""

from __future__ import annotations

import sympy

from symflow.theory.hypotheses import Hypothesis
from symflow.theory.result import CLASSICAL, Result
from symflow.theory.statement import Claim
from symflow.theory.terms import Formula

_eta, _h, _k = sympy.symbols("eta h k", positive=True)
DESCENT_ON_QUADRATICS = Result(
    "C4",
    "quadratics",
    "descent and flow on quadratics",
    "closed form: descent and flow on quadratics",
    CLASSICAL,
    (),
    (
        Claim(
            "",
            Formula(sympy.Symbol(r"\theta_k-\theta(k\eta)")),
            "=",
            Formula(((1 - _eta * _h) ** _k - sympy.exp(-_h * _k * _eta)) * sympy.Symbol(r"\theta_0")),
        ),
    ),
    (
        Hypothesis(
            "", r"$f = \frac12\theta^\top H\theta$, equal starts $\theta_0$, in each eigendirection of $H$, to $h$"
        ),
    ),
    derivations=("c04_descent_on_quadratics",),
)
