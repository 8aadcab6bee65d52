"""C1: gradient flow of one linear layer with the square loss is a matrix exponential."""

from __future__ import annotations

import sympy

from symflow.numbers.types import Scalar
from symflow.theory.architecture_checks import LINEAR
from symflow.theory.hypotheses import Hypothesis
from symflow.theory.hypothesis_checks import SQUARE_LOSS
from symflow.theory.result import CLASSICAL, Result
from symflow.theory.statement import equation


def weights(start: Scalar, target: Scalar, exponential: Scalar, integral: Scalar) -> Scalar:
    """W(t) = W(0) E + Lambda I with E = e^{-Sigma t} and its integral I over time: matrices, or words."""
    return start * exponential + target * integral


_start, _target = sympy.Symbol("W(0)", commutative=False), sympy.Symbol(r"\Lambda", commutative=False)
_exponential = sympy.Symbol(r"e^{-\Sigma t}", commutative=False)
_integral = sympy.Symbol(r"\int_0^te^{-\Sigma s}\,ds", commutative=False)
ONE_LAYER = Result(
    "C1",
    "one-layer",
    "one linear layer",
    "closed form: one linear layer, a matrix exponential",
    CLASSICAL,
    (LINEAR, SQUARE_LOSS),
    (equation("", "W(t)", weights(_start, _target, _exponential, _integral)),),
    (Hypothesis("", r"$n = 1$; $\Sigma = \Sigma_{xx}$, $\Lambda = \Lambda_{yx}$"),),
    derivations=("c01_one_layer",),
)
