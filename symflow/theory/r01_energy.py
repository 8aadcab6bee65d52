"""R1: the loss falls along gradient flow; how long the path is; existence for all time."""

from __future__ import annotations

import sympy

from symflow.numbers.types import Scalar
from symflow.theory.functions import SYMBOLS, Functions
from symflow.theory.hypothesis_checks import LIPSCHITZ_GRADIENT, NONNEGATIVE
from symflow.theory.result import CLASSICAL, Result
from symflow.theory.statement import Claim, relation
from symflow.theory.terms import Derivative, G, Letter, Power, Range, frobenius, j, total


def path_length(time: Scalar, drop: Scalar, functions: Functions) -> Scalar:
    """At most how long the flow's path is over a time in which the loss falls by `drop`: sqrt(time * drop)."""
    return functions.sqrt(time * drop)


_t = sympy.Symbol("t", positive=True)
_drop = sympy.Symbol(r"f(\theta(0))", real=True) - sympy.Symbol(r"f(\theta(t))", real=True)
ENERGY = Result(
    "R1",
    "energy",
    "energy identity, length of the path, existence for all time",
    "the loss falls along gradient flow at the rate of the squared gradient norm",
    CLASSICAL,
    (LIPSCHITZ_GRADIENT, NONNEGATIVE),
    (
        Claim(
            "energy",
            Derivative(Letter("f"), "flow"),
            "=",
            -total(Range(j), Power(frobenius(G(j)), sympy.Integer(2))),
        ),
        relation("length", r"\int_0^t\|\dot\theta(s)\|\,ds", "<=", path_length(_t, _drop, SYMBOLS)),
    ),
    remark=r"If $f \ge 0$, gradient flow exists for all $t \ge 0$.",
    derivations=("r01_energy",),
)
