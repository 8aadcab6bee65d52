"""R12: curvature of fully connected homogeneous networks on a smooth region; its exact form is R7 with gates inside."""

from __future__ import annotations

from symflow.theory.architecture_checks import FULLY_CONNECTED
from symflow.theory.hypothesis_checks import CONVEX, SMOOTH_REGION
from symflow.theory.r09_curvature_linear import LARGEST, NORMS, curvature_bound
from symflow.theory.result import ELKABETZ_COHEN, Result
from symflow.theory.statement import Claim
from symflow.theory.terms import (
    ERRORS,
    GRAD_LOSS,
    HESSIAN_FORM,
    SAMPLE,
    SLOPES,
    Delta,
    LargestEigenvalue,
    Named,
    Pairs,
    Range,
    SampleMean,
    SecondDerivative,
    gated,
    gates,
    i,
    j,
    k,
    n,
    norm,
    total,
)

_MOVED = Named("A", (i,), total(Range(j), gated(n, j + 1) * gates(j) * Delta(j) * gated(j - 1, 1) * SAMPLE))
_CROSS = total(
    Pairs(j, k),
    gated(n, k + 1) * gates(k) * Delta(k) * gated(k - 1, j + 1) * gates(j) * Delta(j) * gated(j - 1, 1) * SAMPLE,
)
_BACK = Named(r"\delta", (i, k), (gated(n, k + 1) * gates(k)).T * GRAD_LOSS)
_FORTH = Named("a", (i, j - 1), gated(j - 1, 1) * SAMPLE)
_SAMPLE = Named("M^{(i)}", (j, k), norm(_BACK) * norm(gated(k - 1, j + 1) * gates(j)) * norm(_FORTH))
CURVATURE_GATED = Result(
    "R12",
    "curvature-gated",
    "curvature of homogeneous networks",
    "lower bounds on the smallest Hessian eigenvalue of homogeneous networks on a smooth region",
    ELKABETZ_COHEN,
    (FULLY_CONNECTED, CONVEX, SMOOTH_REGION),
    (
        Claim("exact", HESSIAN_FORM, "=", SampleMean(SecondDerivative("loss", _MOVED) + 2 * (GRAD_LOSS.T * _CROSS))),
        curvature_bound("", -((n - 1) * SLOPES * ERRORS * LARGEST)),
        curvature_bound("(c)", -(SLOPES * ERRORS * LargestEigenvalue(NORMS))),
        curvature_bound("(e)", -SampleMean(LargestEigenvalue(_SAMPLE))),
    ),
    derivations=("r12_gated_curvature",),
    in_its_place=("R34",),
)
