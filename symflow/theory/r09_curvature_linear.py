r"""R9: lower bounds on the smallest Hessian eigenvalue of deep linear networks.

R9, R11, R12 and R13 have one proof. For convex l the first term of R7 (sample by sample with gates: of its exact form)
is >= 0; the second is a sum over pairs of layers of products of norms, so that with u_j = ||Delta_j||

    H[Delta, Delta] >= -2 sum_{j<j'} M_{jj'} u_j u_j' >= -lambda_max(M) ||Delta||^2

for every symmetric M with zero diagonal whose entries bound those products. The rungs differ in how soon a product of
matrices is bounded by the product of their norms. For (a), (b): lambda_max(M) <= (n-1) max M for entries >= 0.
"""

from __future__ import annotations

from symflow.theory.architecture_checks import LINEAR
from symflow.theory.hypotheses import Hypothesis
from symflow.theory.hypothesis_checks import CONVEX
from symflow.theory.result import ELKABETZ_COHEN, OURS, Result
from symflow.theory.statement import Claim
from symflow.theory.terms import (
    LAMBDA_MIN,
    Chain,
    J,
    LargestEigenvalue,
    Members,
    Named,
    Range,
    Subsets,
    Term,
    frobenius,
    grad_phi,
    j,
    k,
    l,
    maximum,
    n,
    norm,
    product,
    s,
)

OTHERS = Range(l, excluding=(j, k))
"""All layers but j and j'."""
LARGEST = maximum(Subsets(J, n - 2), product(Members(l, J), s(l)))
"""The largest product of the norms of n - 2 layers."""


def curvature_bound(label: str, right: Term, *hypotheses: Hypothesis) -> Claim:
    """lambda_min(H) >= right."""
    return Claim(label, LAMBDA_MIN, ">=", right, None, hypotheses)


NORMS = Named("M", (j, k), product(OTHERS, s(l)))
"""Rung (c)."""
CHAINS = Named(r"\widetilde M", (j, k), norm(Chain(n, k + 1)) * norm(Chain(k - 1, j + 1)) * norm(Chain(j - 1, 1)))
"""Rung (d)."""
_GRADIENT = norm(Chain(j - 1, 1) * grad_phi.T * Chain(n, k + 1)) * norm(Chain(k - 1, j + 1))
CURVATURE_LINEAR = Result(
    "R9",
    "curvature-linear",
    "curvature of deep linear networks",
    "lower bounds on the smallest Hessian eigenvalue of deep linear networks, in increasing order",
    f"(a): {ELKABETZ_COHEN}; (b)-(e): {OURS}",
    (LINEAR, CONVEX),
    (
        curvature_bound("(a)", -((n - 1) * frobenius(grad_phi) * LARGEST)),
        curvature_bound("(b)", -((n - 1) * norm(grad_phi) * LARGEST)),
        curvature_bound("(c)", -(norm(grad_phi) * LargestEigenvalue(NORMS))),
        curvature_bound("(d)", -(norm(grad_phi) * LargestEigenvalue(CHAINS))),
        curvature_bound("(e)", -LargestEigenvalue(Named(r"\widehat M", (j, k), _GRADIENT))),
    ),
    derivations=("r09_curvature_ladder",),
    in_its_place=("R34",),
)
