"""C1: gradient flow of one linear layer with the square loss is a matrix exponential."""

from __future__ import annotations

import sympy

from symflow.theory.architecture_checks import LINEAR
from symflow.theory.hypotheses import Hypothesis
from symflow.theory.hypothesis_checks import SQUARE_LOSS
from symflow.theory.result import CLASSICAL, Result
from symflow.theory.statement import Claim
from symflow.theory.terms import Formula

_W = sympy.Symbol(r"W(0)e^{-\Sigma t}")
_integral = sympy.Symbol(r"\Lambda\int_0^te^{-\Sigma s}\,ds")
ONE_LAYER = Result(
    "C1",
    "one-layer",
    "one linear layer",
    "closed form: one linear layer, a matrix exponential",
    CLASSICAL,
    (LINEAR, SQUARE_LOSS),
    (Claim("", Formula(sympy.Symbol("W(t)")), "=", Formula(_W + _integral)),),
    (Hypothesis("", r"$n = 1$; $\Sigma = \Sigma_{xx}$, $\Lambda = \Lambda_{yx}$"),),
    derivations=("c01_one_layer",),
)
