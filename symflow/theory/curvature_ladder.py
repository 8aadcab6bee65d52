r"""Lower bounds on the smallest Hessian eigenvalue: R9, R11, R12, R13.

All have one proof.  For convex l the first term of R7 (sample by sample with gates: of its exact form) is >= 0; the
second is a sum over pairs of layers of products of norms, so that with u_j = ||Delta_j||

    H[Delta, Delta] >= -2 sum_{j<j'} M_{jj'} u_j u_j' >= -lambda_max(M) ||Delta||^2

for every symmetric M with zero diagonal whose entries bound those products.  The rungs differ in how soon a product of
matrices is bounded by the product of their norms.  For (a), (b): lambda_max(M) <= (n-1) max M for entries >= 0.
"""

from __future__ import annotations

import sympy

from symflow.theory.hypothesis_checks import CONVOLUTIONAL, FULLY_CONNECTED, HYPOTHESES, LINEAR, ON_THE_FLOW
from symflow.theory.identities import GRAD_LOSS, SAMPLE, SAMPLE_HESSIAN, gated, gates
from symflow.theory.statement import Claim, Statement
from symflow.theory.terms import (
    LAMBDA_MIN,
    Chain,
    J,
    LargestEigenvalue,
    Letter,
    Members,
    Named,
    Power,
    Range,
    SampleMean,
    Subsets,
    Term,
    W,
    frobenius,
    grad_phi,
    i,
    j,
    k,
    l,
    maximum,
    minimum,
    n,
    norm,
    product,
    s,
)

_OTHERS = Range(l, excluding=(j, k))
_LARGEST = maximum(Subsets(J, n - 2), product(Members(l, J), s(l)))
_SLOPES = Letter("slope") ** (n - 1)
_ERRORS = SampleMean(norm(GRAD_LOSS) * norm(SAMPLE))


def _bound(label: str, right: Term, *hypotheses: object) -> Claim:
    return Claim(label, LAMBDA_MIN, ">=", right, None, tuple(hypotheses))  # type: ignore[arg-type]


NORMS = Named("M", (j, k), product(_OTHERS, s(l)))
"""Rung (c)."""
CHAINS = Named(r"\widetilde M", (j, k), norm(Chain(n, k + 1)) * norm(Chain(k - 1, j + 1)) * norm(Chain(j - 1, 1)))
"""Rung (d)."""
_SLOPE = Named(r"\widehat M", (j, k), norm(Chain(j - 1, 1) * grad_phi.T * Chain(n, k + 1)) * norm(Chain(k - 1, j + 1)))
LINEAR_LADDER = Statement(
    "R9",
    "lower bounds on the smallest Hessian eigenvalue of deep linear networks, in increasing order",
    (
        _bound("(a)", -((n - 1) * frobenius(grad_phi) * _LARGEST)),
        _bound("(b)", -((n - 1) * norm(grad_phi) * _LARGEST)),
        _bound("(c)", -(norm(grad_phi) * LargestEigenvalue(NORMS))),
        _bound("(d)", -(norm(grad_phi) * LargestEigenvalue(CHAINS))),
        _bound("(e)", -LargestEigenvalue(_SLOPE)),
    ),
    HYPOTHESES["R9"],
)

_BACK = Named(r"\delta", (i, k), (gated(n, k + 1) * gates(k)).T * GRAD_LOSS)
_FORTH = Named("a", (i, j - 1), gated(j - 1, 1) * SAMPLE)
_SAMPLE = Named("M^{(i)}", (j, k), norm(_BACK) * norm(gated(k - 1, j + 1) * gates(j)) * norm(_FORTH))
GATED_LADDER = Statement(
    "R12",
    "lower bounds on the smallest Hessian eigenvalue of homogeneous networks on a smooth region",
    (
        SAMPLE_HESSIAN,
        _bound("", -((n - 1) * _SLOPES * _ERRORS * _LARGEST)),
        _bound("(c)", -(_SLOPES * _ERRORS * LargestEigenvalue(NORMS))),
        _bound("(e)", -SampleMean(LargestEigenvalue(_SAMPLE))),
    ),
    HYPOTHESES["R12"],
)


def _kappa(layer: sympy.Expr) -> Letter:
    return Letter("kappa", (layer,))


_POOLED = _SLOPES * Letter("pool") * _ERRORS
_SHARED = Named("M", (j, k), _kappa(j) * _kappa(k) * product(_OTHERS, norm(Letter("layer_matrix", (l,)))))
_WEIGHTS = Named(r"\widetilde M", (j, k), _kappa(j) * _kappa(k) * product(_OTHERS, _kappa(l) * frobenius(W(l))))
CONVOLUTIONAL_LADDER = Statement(
    "R13",
    "lower bounds on the smallest Hessian eigenvalue of convolutional networks on a smooth region",
    (
        _bound("(kappa)", -(_POOLED * LargestEigenvalue(_WEIGHTS))),
        _bound("", -(_POOLED * LargestEigenvalue(_SHARED))),
    ),
    HYPOTHESES["R13"],
)

_LAST = (n - 2) / sympy.Integer(2)
_ALMOST = Power(minimum(Range(j), Power(frobenius(W(j)), sympy.Integer(2))) + Letter("epsilon") ** 2, _LAST)
_GROWTH = norm(Chain(n, 1)) ** (2 / n) + sympy.Rational(3, 2) * ((n - 1) * Letter("epsilon") ** 2)
ROUGHLY_CONVEX = Statement(
    "R11",
    "gradient flow from near-zero initialization has roughly convex curvature",
    (
        _bound("linear", -((n - 1) * norm(grad_phi) * Power(_GROWTH, _LAST)), LINEAR),
        _bound("gated", -((n - 1) * _SLOPES * _ERRORS * _ALMOST), FULLY_CONNECTED),
        _bound("convolutional", -((n - 1) * _POOLED * product(Range(l), _kappa(l)) * _ALMOST), CONVOLUTIONAL),
    ),
    (*HYPOTHESES["R11"], ON_THE_FLOW),
)
