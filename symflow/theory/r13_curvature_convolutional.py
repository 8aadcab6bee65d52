"""R13: curvature of convolutional networks on a smooth region. (Elkabetz & Cohen 2021, the constants are ours)"""

from __future__ import annotations

from symflow.theory.architecture_checks import CONVOLUTIONAL
from symflow.theory.hypothesis_checks import CONVEX, SMOOTH_REGION
from symflow.theory.r09_curvature_linear import OTHERS, curvature_bound
from symflow.theory.result import ELKABETZ_COHEN, Result
from symflow.theory.terms import (
    ERRORS,
    SLOPES,
    Index,
    LargestEigenvalue,
    Letter,
    Named,
    W,
    frobenius,
    j,
    k,
    l,
    norm,
    product,
)


def kappa(layer: Index) -> Letter:
    """kappa_j >= ||A_j(w)|| / ||w|| for all w."""
    return Letter("kappa", (layer,))


POOLED = SLOPES * Letter("pool") * ERRORS
_SHARED = Named("M", (j, k), kappa(j) * kappa(k) * product(OTHERS, norm(Letter("layer_matrix", (l,)))))
_WEIGHTS = Named(r"\widetilde M", (j, k), kappa(j) * kappa(k) * product(OTHERS, kappa(l) * frobenius(W(l))))
CURVATURE_CONVOLUTIONAL = Result(
    "R13",
    "curvature-convolutional",
    "curvature of convolutional networks",
    "lower bounds on the smallest Hessian eigenvalue of convolutional networks on a smooth region",
    ELKABETZ_COHEN,
    (CONVOLUTIONAL, CONVEX, SMOOTH_REGION),
    (
        curvature_bound("(kappa)", -(POOLED * LargestEigenvalue(_WEIGHTS))),
        curvature_bound("", -(POOLED * LargestEigenvalue(_SHARED))),
    ),
    derivations=("r13_convolutional_curvature",),
)
