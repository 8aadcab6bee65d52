"""R11: near zero the curvature along gradient flow is roughly convex. (Elkabetz & Cohen 2021, the constant is ours)"""

from __future__ import annotations

import sympy

from symflow.theory.architecture_checks import CONVOLUTIONAL, FULLY_CONNECTED, LINEAR, NETWORK, WHOLE_MATRICES
from symflow.theory.hypotheses import Hypothesis
from symflow.theory.hypothesis_checks import CONVEX, SMALL_START, SMOOTH_REGION
from symflow.theory.r09_curvature_linear import curvature_bound
from symflow.theory.r13_curvature_convolutional import POOLED, kappa
from symflow.theory.result import ELKABETZ_COHEN, Result
from symflow.theory.terms import (
    ERRORS,
    SLOPES,
    Chain,
    Letter,
    Power,
    Range,
    W,
    frobenius,
    grad_phi,
    j,
    l,
    minimum,
    n,
    norm,
    product,
)

_LAST = (n - 2) / sympy.Integer(2)
_ALMOST = Power(minimum(Range(j), Power(frobenius(W(j)), sympy.Integer(2))) + Letter("epsilon") ** 2, _LAST)
_GROWTH = norm(Chain(n, 1)) ** (2 / n) + sympy.Rational(3, 2) * ((n - 1) * Letter("epsilon") ** 2)
_KAPPAS = product(Range(l), kappa(l))
ROUGHLY_CONVEX = Result(
    "R11",
    "roughly-convex",
    "roughly convex curvature near zero",
    "gradient flow from near-zero initialization has roughly convex curvature",
    ELKABETZ_COHEN,
    (NETWORK, CONVEX, SMALL_START, SMOOTH_REGION),
    (
        curvature_bound("linear", -((n - 1) * norm(grad_phi) * Power(_GROWTH, _LAST)), LINEAR, WHOLE_MATRICES),
        curvature_bound("gated", -((n - 1) * SLOPES * ERRORS * _ALMOST), FULLY_CONNECTED),
        curvature_bound("convolutional", -((n - 1) * POOLED * _KAPPAS * _ALMOST), CONVOLUTIONAL),
    ),
    (Hypothesis("that theta = theta(t) is on gradient flow", r"$\theta = \theta(t)$ on gradient flow"),),
    derivations=("r11_roughly_convex",),
    in_its_place=("R34",),
)
