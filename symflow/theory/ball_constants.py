r"""Closed forms for beta, gamma and m of R4 on the ball B_eps(theta): bounds on ||H||, ||g|| and -lambda_min(H) there.

*Lemma (products on a ball).*  Let s_l >= 0 and e_l >= 0 for the r layers l of a set I, sum_l e_l^2 <= eps^2.  Then

    prod_{l in I} (s_l + e_l) - prod_{l in I} s_l  <=  d_I(eps) := sum_{m=1}^r eps^m sqrt( C(r,m)/r^m E_{r-m} ),

with E_k = sum over K in I, |K| = k, of prod_{l in K} s_l^2.
Proof.  The left side is the sum over m >= 1 and over sets K of r - m layers of prod_{l in K} s_l prod_{l not in K} e_l.
For each m, Cauchy and Schwarz over K give at most sqrt(E_{r-m}) sqrt(sum over sets of m layers of prod e_l^2), and by
Maclaurin's inequality the m-th elementary symmetric polynomial of the e_l^2 is at most C(r,m) (eps^2/r)^m.
It is an equality for equal s_l (where the supremum is (s + eps/sqrt r)^r - s^r), and always to first order in eps.

*Corollary.*  Let W'_l = W_l + E_l with sum ||E_l||_F^2 <= eps^2, s_l = ||W_l||.  A product of layers I, cut anywhere
into factors A_1, ..., A_q, has prod ||A'_p|| <= prod ||A_p|| + d_I(eps).
Proof.  ||A'_p|| <= ||A_p|| + r_p, where r_p = prod (s_l + e_l) - prod s_l over the layers of A_p, by expansion; and
prod (||A_p|| + r_p) - prod ||A_p|| grows with each ||A_p|| <= prod s_l; there it is prod (s_l + e_l) - prod s_l over I.
The same expansion gives ||A' - A||_F <= d_I(eps), as in each term one factor E_l may carry the Frobenius norm.

*Linear networks.*  f = phi(W_{n:1}), where |hess phi [A, A]| <= B ||A||_F^2, B = c^2 L ||Sigma_xx||, c = alpha^{n-1}
and L >= ||hess l|| (1 for the square loss, 1/4 logistic, 1/2 cross-entropy).  So at theta' in the ball
    ||grad phi' - grad phi||_F <= B ||W'_{n:1} - W_{n:1}||_F <= B d_{1..n},
    G'_j = W'_{n:j+1}^T grad phi' W'_{j-1:1}^T,     ||W'_{n:j+1}|| ||W'_{j-1:1}|| <= C_j,
and R7 bounds H': the first term by B ||A'||_F^2 <= B (sum_j C_j ||Delta_j||)^2 <= B sum_j C_j^2, the second by rung (d)
of R9 with the corollary for its three factors.  At eps = 0 these are the bounds at theta.

*Fully connected networks with gates.*  sigma is a-Lipschitz, a = max{|alpha|, |alpha_bar|}, so by induction over the
layers ||h'(x) - h(x)|| <= a^{n-1} ||x|| d_{1..n} whatever the gates.  Hence ||grad l'_i|| <= ||grad l_i|| +
L a^{n-1} ||x_i|| d, and at every point of the ball that is on no kink the exact form of R12 bounds H and g in the
same way.
"""

from __future__ import annotations

import sympy

from symflow.theory.curvature_ladder import CHAINS
from symflow.theory.hypothesis_checks import CONVEX, FULLY_CONNECTED, LINEAR, SMOOTH_LOSS
from symflow.theory.identities import GRAD_LOSS, SAMPLE
from symflow.theory.statement import Claim, Statement
from symflow.theory.terms import (
    Chain,
    J,
    LargestEigenvalue,
    Letter,
    Members,
    Named,
    Number,
    Power,
    Range,
    SampleMean,
    Subsets,
    frobenius,
    grad_phi,
    j,
    k,
    l,
    n,
    norm,
    product,
    s,
    total,
)

_m = sympy.Symbol("m", integer=True)
_HALF, _TWO = sympy.Rational(1, 2), sympy.Integer(2)
_EPSILON, _L = Letter("epsilon"), Letter("smoothness")


def _growth(*excluding: sympy.Symbol) -> Named:
    """d_I(eps) for the layers I that are not excluded."""
    count = n - len(excluding)
    squares = total(Subsets(J, count - _m, excluding), product(Members(l, J), Power(s(l), _TWO)))
    weight = Number(sympy.binomial(count, _m)) * Number(sympy.sympify(count) ** (-_m))
    names = {0: "d", 1: r"\dot d", 2: r"\ddot d"}
    return Named(
        names[len(excluding)],
        excluding,
        total(Range(_m, 1, count), Power(_EPSILON, _m) * Power(weight * squares, _HALF)),
    )


_ALL = _growth()
_SLOPES = Letter("slope") ** (n - 1)
_FORM = Named("B", (), Letter("slope") ** (2 * n - 2) * _L * norm(Letter("Sigma_xx")))
_LAYER = Named("C", (j,), norm(Chain(n, j + 1)) * norm(Chain(j - 1, 1)) + _growth(j))
_PAIR = Named("M", (j, k), CHAINS.definition + _growth(j, k))
_SQUARES = total(Range(j), Power(_LAYER, _TWO))
_CURVED = (norm(grad_phi) + _FORM * _ALL) * LargestEigenvalue(_PAIR)

_SWOLLEN = Named(r"\widetilde C", (j,), product(Range(l, excluding=(j,)), s(l)) + _growth(j))
_SWOLLEN_PAIR = Named(r"\widetilde M", (j, k), product(Range(l, excluding=(j, k)), s(l)) + _growth(j, k))
_SWOLLEN_SQUARES = total(Range(j), Power(_SWOLLEN, _TWO))
_ERRORS = Named("E", (), _SLOPES * SampleMean(norm(SAMPLE) * (norm(GRAD_LOSS) + _L * _SLOPES * norm(SAMPLE) * _ALL)))
_ENERGY = Letter("slope") ** (2 * n - 2) * _L * SampleMean(Power(norm(SAMPLE), _TWO))
_SWOLLEN_CURVED = _ERRORS * LargestEigenvalue(_SWOLLEN_PAIR)


def _supremum(of: str) -> Letter:
    return Letter(f"sup {of}")


_BETA, _GAMMA, _M = (
    _supremum(r"\|H(\theta')\|"),
    _supremum(r"\|g(\theta')\|"),
    _supremum(r"-\lambda_{\min}(H(\theta'))"),
)

BALLS = Statement(
    "R4",
    "closed forms for the constants of the step-size condition on a ball",
    (
        Claim("linear, beta", _BETA, "<=", _FORM * _SQUARES + _CURVED, None, (LINEAR,)),
        Claim(
            "linear, gamma",
            _GAMMA,
            "<=",
            (frobenius(grad_phi) + _FORM * _ALL) * Power(_SQUARES, _HALF),
            None,
            (LINEAR,),
        ),
        Claim("linear, m", _M, "<=", _CURVED, None, (LINEAR, CONVEX)),
        Claim("gated, beta", _BETA, "<=", _ENERGY * _SWOLLEN_SQUARES + _SWOLLEN_CURVED, None, (FULLY_CONNECTED,)),
        Claim("gated, gamma", _GAMMA, "<=", _ERRORS * Power(_SWOLLEN_SQUARES, _HALF), None, (FULLY_CONNECTED,)),
        Claim("gated, m", _M, "<=", _SWOLLEN_CURVED, None, (FULLY_CONNECTED, CONVEX)),
    ),
    (SMOOTH_LOSS,),
)
