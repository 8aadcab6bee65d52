"""R14: what gradient flow of a balanced deep linear network does to the end-to-end matrix."""

from __future__ import annotations

from symflow.theory.architecture_checks import LINEAR, WHOLE_MATRICES
from symflow.theory.hypothesis_checks import BALANCED
from symflow.theory.result import SOURCES, Result
from symflow.theory.statement import Claim
from symflow.theory.terms import Chain, Derivative, Power, Range, grad_phi, j, n, total

_W = Chain(n, 1)
_SPEED = total(Range(j), Power(_W * _W.T, (n - j) / n) * grad_phi * Power(_W.T * _W, (j - 1) / n))
END_TO_END = Result(
    "R14",
    "end-to-end",
    "end-to-end dynamics",
    "end-to-end dynamics of balanced deep linear networks",
    SOURCES["ACH18"],
    (LINEAR, WHOLE_MATRICES, BALANCED),
    (Claim("", Derivative(_W, "flow"), "=", -_SPEED),),
    derivations=("r14_end_to_end",),
    in_its_place=("R35",),
)
