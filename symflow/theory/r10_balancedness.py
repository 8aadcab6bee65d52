"""R10: balancedness D_j = W_{j+1}^T W_{j+1} - W_j W_j^T is conserved by the flow; descent moves it by a closed form."""

from __future__ import annotations

from dataclasses import replace

import sympy

from symflow.theory.architecture_checks import LINEAR, NETWORK, WHOLE_MATRICES
from symflow.theory.hypotheses import Hypothesis, Setting, Verdict
from symflow.theory.result import SOURCES, Result
from symflow.theory.statement import Claim
from symflow.theory.terms import (
    Derivative,
    G,
    Increment,
    Letter,
    Named,
    Number,
    Power,
    Range,
    Term,
    W,
    c,
    frobenius,
    j,
    n,
)


def _network(setting: Setting) -> Verdict:
    verdict = NETWORK.check(setting)
    if verdict.status != "holds" or all(h.check(setting).status == "holds" for h in (LINEAR, WHOLE_MATRICES)):
        return verdict
    return replace(verdict, proviso="the diagonals of D_j (each unit or channel) in place of the whole matrices")


def _units(letter: str) -> Term:
    outwards, inwards = Letter(f"{letter}_out", (j + 1, c)), Letter(f"{letter}_in", (j, c))
    return Power(frobenius(outwards), sympy.Integer(2)) - Power(frobenius(inwards), sympy.Integer(2))


_ZERO, _NEIGHBOURS = Number(sympy.Integer(0)), Range(j, 1, n - 1)
_BALANCE = Named("D", (j,), W(j + 1).T * W(j + 1) - W(j) * W(j).T)
_UNIT_BALANCE = Named("(D_j)_{cc}", (), _units("W"))
_LAYER_BALANCE = Power(frobenius(W(j + 1)), sympy.Integer(2)) - Power(frobenius(W(j)), sympy.Integer(2))
_SQUARE_STEP = Power(Letter("eta"), sympy.Integer(2))
_DRIFT = _SQUARE_STEP * (G(j + 1).T * G(j + 1) - G(j) * G(j).T)
BALANCEDNESS = Result(
    "R10",
    "balancedness",
    "balancedness is conserved",
    "balancedness is conserved by gradient flow, and drifts by a closed form along descent",
    f"{SOURCES['ACH18']}; {SOURCES['DHL18']}",
    (Hypothesis(NETWORK.text, NETWORK.latex, _network, architecture=True),),
    (
        Claim("flow", Derivative(_BALANCE, "flow"), "=", _ZERO, _NEIGHBOURS, (LINEAR, WHOLE_MATRICES)),
        Claim("flow, each unit or channel", Derivative(_UNIT_BALANCE, "flow"), "=", _ZERO, _NEIGHBOURS),
        Claim("flow, norms", Derivative(_LAYER_BALANCE, "flow"), "=", _ZERO, _NEIGHBOURS),
        Claim("descent", Increment(_BALANCE), "=", _DRIFT, _NEIGHBOURS, (LINEAR, WHOLE_MATRICES)),
        Claim("descent, each unit or channel", Increment(_UNIT_BALANCE), "=", _SQUARE_STEP * _units("G"), _NEIGHBOURS),
    ),
    remark=r"For networks with gates away from kinks; the matrices $D_j$ are those of linear networks.",
    derivations=("r10_balancedness",),
    in_its_place=("R33",),
)
