r"""R34: curvature of networks with biases, skip connections and diagonal layers on a smooth region.

With fixed gates h is affine in the weights and the bias of each layer. The pre-activation of layer j moves by
Delta_j a_{j-1} + beta_j, and only the weights of a later layer meet that once more: two layers j < j' give
Q_{j'} Delta_{j'} P_{j'-1,j} (Delta_j a_{j-1} + beta_j), and a bias of layer j' gives nothing of second order. With
u_j = ||(Delta_j, beta_j)||, ||Delta_j a_{j-1} + beta_j|| <= u_j sqrt(||a_{j-1}||^2 + e_j), e_j = 1 where layer j has a
bias and 0 elsewhere. The rest is the proof of R9. A diagonal layer has fewer directions, with the same norm.
"""

from __future__ import annotations

import sympy

from symflow.theory.architecture_checks import PIECEWISE_LINEAR
from symflow.theory.hypothesis_checks import CONVEX, SMOOTH_REGION
from symflow.theory.r09_curvature_linear import curvature_bound
from symflow.theory.result import OURS, Result
from symflow.theory.statement import Claim
from symflow.theory.terms import (
    GRAD_LOSS,
    HESSIAN_FORM,
    Delta,
    Index,
    LargestEigenvalue,
    Letter,
    Named,
    Pairs,
    Power,
    Range,
    SampleMean,
    SecondDerivative,
    i,
    j,
    k,
    norm,
    total,
)


def _to_output(layer: Index) -> Letter:
    return Letter("to_output", (i, layer))


_PASSAGE, _ACTIVATIONS = Letter("passage", (i, k - 1, j)), Letter("activations", (i, j - 1))
_MOVED_HERE = Named(r"\zeta", (i, j), Delta(j) * _ACTIVATIONS + Letter("beta", (j,)))
_MOVED = Named("A", (i,), total(Range(j), _to_output(j) * _MOVED_HERE))
_CROSS = total(Pairs(j, k), _to_output(k) * Delta(k) * _PASSAGE * _MOVED_HERE)
_BACK = Named(r"\delta", (i, k), _to_output(k).T * GRAD_LOSS)
_REACH = Power(Power(norm(_ACTIVATIONS), sympy.Integer(2)) + Letter("has_bias", (j,)), sympy.Rational(1, 2))
_SAMPLE = Named("M^{(i)}", (j, k), norm(_BACK) * norm(_PASSAGE) * _REACH)
CURVATURE_LAYERS = Result(
    "R34",
    "curvature-layers",
    "curvature of networks with biases and skip connections",
    "a lower bound on the smallest Hessian eigenvalue of networks with biases, skip connections and diagonal layers",
    OURS,
    (PIECEWISE_LINEAR, CONVEX, SMOOTH_REGION),
    (
        Claim("exact", HESSIAN_FORM, "=", SampleMean(SecondDerivative("loss", _MOVED) + 2 * (GRAD_LOSS.T * _CROSS))),
        curvature_bound("", -SampleMean(LargestEigenvalue(_SAMPLE))),
    ),
    remark=r"Without biases and skip connections this is R12(e). A bias costs "
    r"$\sqrt{\|a_{i,j-1}\|^2+1}$ in place of $\|a_{i,j-1}\|$; that of the last layer nothing.",
    derivations=("r34_curvature_layers",),
)
