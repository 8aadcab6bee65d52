r"""Identities: R2, R7, R10, the exact form behind R12, and R14."""

from __future__ import annotations

import sympy

from symflow.theory.hypothesis_checks import HYPOTHESES, LINEAR
from symflow.theory.statement import Claim, Statement
from symflow.theory.terms import (
    Chain,
    Delta,
    Derivative,
    G,
    Increment,
    Letter,
    Named,
    Number,
    Pairs,
    Power,
    Range,
    SampleMean,
    SecondDerivative,
    Term,
    Trace,
    W,
    c,
    frobenius,
    grad_phi,
    i,
    j,
    k,
    n,
    total,
)

_LOSS = Letter("f")
_OUTPUT = Letter("h")
_ZERO = Number(sympy.Integer(0))
_SECOND = Derivative(_LOSS, "direction", 2)
_NEIGHBOURS = Range(j, 1, n - 1)

EULER = Statement(
    "R2",
    "Euler's identity",
    (
        Claim("layer", Derivative(_OUTPUT, "weights", layer=j), "=", _OUTPUT, Range(j)),
        Claim("all", Derivative(_OUTPUT, "weights"), "=", n * _OUTPUT),
    ),
    HYPOTHESES["R2"],
)

_MOVED = Named("A", (), total(Range(j), Chain(n, j + 1) * Delta(j) * Chain(j - 1, 1)))
_CROSS = total(Pairs(j, k), Chain(n, k + 1) * Delta(k) * Chain(k - 1, j + 1) * Delta(j) * Chain(j - 1, 1))
HESSIAN_FORM = Statement(
    "R7",
    "Hessian quadratic form of deep linear networks",
    (Claim("", _SECOND, "=", SecondDerivative("phi", _MOVED) + 2 * Trace(grad_phi.T * _CROSS)),),
    HYPOTHESES["R7"],
)


def gates(layer: sympy.Expr) -> Letter:
    """D_{i,j}."""
    return Letter("D", (i, layer))


def gated(top: sympy.Expr, bottom: sympy.Expr | int) -> Chain:
    """W^{(i)}_{top:bottom}."""
    return Chain(top, bottom, gated=True)


GRAD_LOSS = Letter("grad_loss", (i,))
SAMPLE = Letter("x", (i,))

_SAMPLE_MOVED = Named("A", (i,), total(Range(j), gated(n, j + 1) * gates(j) * Delta(j) * gated(j - 1, 1) * SAMPLE))
_SAMPLE_CROSS = total(
    Pairs(j, k),
    gated(n, k + 1) * gates(k) * Delta(k) * gated(k - 1, j + 1) * gates(j) * Delta(j) * gated(j - 1, 1) * SAMPLE,
)
SAMPLE_HESSIAN = Claim(
    "exact",
    _SECOND,
    "=",
    SampleMean(SecondDerivative("loss", _SAMPLE_MOVED) + 2 * (GRAD_LOSS.T * _SAMPLE_CROSS)),
)
"""R7 sample by sample with the gates inside; it needs no convexity."""

_BALANCE = Named("D", (j,), W(j + 1).T * W(j + 1) - W(j) * W(j).T)


def _units(letter: str) -> Term:
    outwards, inwards = Letter(f"{letter}_out", (j + 1, c)), Letter(f"{letter}_in", (j, c))
    return Power(frobenius(outwards), sympy.Integer(2)) - Power(frobenius(inwards), sympy.Integer(2))


_UNIT_BALANCE = Named("(D_j)_{cc}", (), _units("W"))
_LAYER_BALANCE = Power(frobenius(W(j + 1)), sympy.Integer(2)) - Power(frobenius(W(j)), sympy.Integer(2))
_SQUARE_STEP = Power(Letter("eta"), sympy.Integer(2))
BALANCEDNESS = Statement(
    "R10",
    "balancedness is conserved by gradient flow, and drifts by a closed form along descent",
    (
        Claim("flow", Derivative(_BALANCE, "flow"), "=", _ZERO, _NEIGHBOURS, (LINEAR,)),
        Claim("flow, each unit or channel", Derivative(_UNIT_BALANCE, "flow"), "=", _ZERO, _NEIGHBOURS),
        Claim("flow, norms", Derivative(_LAYER_BALANCE, "flow"), "=", _ZERO, _NEIGHBOURS),
        Claim(
            "descent",
            Increment(_BALANCE),
            "=",
            _SQUARE_STEP * (G(j + 1).T * G(j + 1) - G(j) * G(j).T),
            _NEIGHBOURS,
            (LINEAR,),
        ),
        Claim("descent, each unit or channel", Increment(_UNIT_BALANCE), "=", _SQUARE_STEP * _units("G"), _NEIGHBOURS),
    ),
    HYPOTHESES["R10"],
)

_W = Chain(n, 1)
END_TO_END = Statement(
    "R14",
    "end-to-end dynamics of balanced deep linear networks",
    (
        Claim(
            "",
            Derivative(_W, "flow"),
            "=",
            -total(Range(j), Power(_W * _W.T, (n - j) / n) * grad_phi * Power(_W.T * _W, (j - 1) / n)),
        ),
    ),
    HYPOTHESES["R14"],
)
