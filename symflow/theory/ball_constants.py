r"""Closed forms for the constants of R4 on the ball B_eps(theta): beta, gamma and m, and how far H moves there.

*Lemma (products on a ball).*  Let s_l >= 0 and e_l >= 0 for the r layers l of a set I, sum_l e_l^2 <= eps^2. Then

    prod_{l in I} (s_l + e_l) - prod_{l in I} s_l  <=  d_I(eps) := sum_{m=1}^r eps^m sqrt( C(r,m)/r^m E_{r-m} ),

with E_k = sum over K in I, |K| = k, of prod_{l in K} s_l^2.
Proof. The left side is the sum over m >= 1 and over sets K of r - m layers of prod_{l in K} s_l prod_{l not in K} e_l.
For each m, Cauchy and Schwarz over K give at most sqrt(E_{r-m}) sqrt(sum over sets of m layers of prod e_l^2), and by
Maclaurin's inequality the m-th elementary symmetric polynomial of the e_l^2 is at most C(r,m) (eps^2/r)^m.
It is an equality for equal s_l (where the supremum is (s + eps/sqrt r)^r - s^r), and always to first order in eps.

*Corollary.*  Let W'_l = W_l + E_l with sum ||E_l||_F^2 <= eps^2, s_l = ||W_l||. A product of layers I, cut anywhere
into factors A_1, ..., A_q, has prod ||A'_p|| <= prod ||A_p|| + d_I(eps).
Proof. ||A'_p|| <= ||A_p|| + r_p, where r_p = prod (s_l + e_l) - prod s_l over the layers of A_p, by expansion; and
prod (||A_p|| + r_p) - prod ||A_p|| grows with each ||A_p|| <= prod s_l; there it is prod (s_l + e_l) - prod s_l over I.
The same expansion gives ||A' - A||_F <= d_I(eps), as in each term one factor E_l may carry the Frobenius norm.

*Linear networks.*  f = phi(W_{n:1}), where |hess phi [A, A]| <= B ||A||_F^2, B = c^2 L ||Sigma_xx||, c = alpha^{n-1}
and L >= ||hess l|| (1 for the square loss, 1/4 logistic, 1/2 cross-entropy). So at theta' in the ball
    ||grad phi' - grad phi||_F <= B ||W'_{n:1} - W_{n:1}||_F <= B d_{1..n},
    G'_j = W'_{n:j+1}^T grad phi' W'_{j-1:1}^T,     ||W'_{n:j+1}|| ||W'_{j-1:1}|| <= C_j,
and R7 bounds H': the first term by B ||A'||_F^2 <= B (sum_j C_j ||Delta_j||)^2 <= B sum_j C_j^2, the second by rung (d)
of R9 with the corollary for its three factors. At eps = 0 these are the bounds at theta.

*Fully connected networks with gates.*  sigma is a-Lipschitz, a = max{|alpha|, |alpha_bar|}, so by induction over the
layers ||h'(x) - h(x)|| <= a^{n-1} ||x|| d_{1..n} whatever the gates. Hence ||grad l'_i|| <= ||grad l_i|| +
L a^{n-1} ||x_i|| d, and at every point of the ball that is on no kink the exact form of R12 bounds H and g in the
same way.

*How far the Hessian moves*: ||H(theta') - H(theta)|| <= drift(eps) wherever ||theta' - theta|| <= eps. With it, what
the spectrum at one point says holds on the ball around it, up to the drift: a curvature bound that is signed, unlike
those of R9, and as sharp as the ball is small.

*Proof, linear networks.*  Let A = sum_j W_{n:j+1} Delta_j W_{j-1:1}, A' the same at theta', and d, \hat d_j,
\check d_jj' the growth of products of all layers, all but j, all but j and j' (the lemma
above). By its corollary ||A' - A||_F <= sum_j \hat d_j ||Delta_j|| <= D ||Delta||,
D^2 = sum_j \hat d_j^2, and ||A||_F <= C ||Delta||,
C^2 = sum_j ||W_{n:j+1}||^2 ||W_{j-1:1}||^2. R7 has two terms. With |hess phi[A, A]| <= B ||A||_F^2 the first moves by
    |hess phi'[A', A'] - hess phi'[A, A]| + |(hess phi' - hess phi)[A, A]| <= B D (2 C + D) + B_3 d C^2,
where |ell'''[u, v, v]| <= L_3 ||u|| ||v||^2 gives B_3 = c^3 L_3 (1/N) sum_i ||x_i||^3. The second, 2 sum <grad phi,
C_jj'> over pairs with ||C_jj'||_* <= M_jj' ||Delta_j|| ||Delta_j'||, moves by
    |<grad phi' - grad phi, C'>| + |<grad phi, C' - C>| <= B d lambda_max(M') + ||grad phi|| lambda_max(\check d).

*Networks with gates*, as long as no gate changes on the ball: h is multilinear in the layers for every sample, and the
same steps with products of norms in place of norms of products prove it.
"""

from __future__ import annotations

import sympy

from symflow.theory.architecture_checks import FULLY_CONNECTED, LINEAR
from symflow.theory.hypotheses import Hypothesis
from symflow.theory.hypothesis_checks import CONVEX, SMOOTH_LOSS
from symflow.theory.r09_curvature_linear import CHAINS
from symflow.theory.statement import Claim, Statement
from symflow.theory.terms import (
    ERRORS,
    GRAD_LOSS,
    SAMPLE,
    SLOPES,
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
    Term,
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
    names = {0: "d", 1: r"\hat d", 2: r"\check d"}
    return Named(
        names[len(excluding)],
        excluding,
        total(Range(_m, 1, count), Power(_EPSILON, _m) * Power(weight * squares, _HALF)),
    )


_ALL = _growth()
_FORM = Named("B", (), Letter("slope") ** (2 * n - 2) * _L * norm(Letter("Sigma_xx")))
_LAYER = Named("C", (j,), norm(Chain(n, j + 1)) * norm(Chain(j - 1, 1)) + _growth(j))
_PAIR = Named("M", (j, k), CHAINS.definition + _growth(j, k))
_SQUARES = total(Range(j), Power(_LAYER, _TWO))
_CURVED = (norm(grad_phi) + _FORM * _ALL) * LargestEigenvalue(_PAIR)

_NORM_LAYER = Named(r"\widetilde C", (j,), product(Range(l, excluding=(j,)), s(l)) + _growth(j))
_NORM_PAIR = Named(r"\widetilde M", (j, k), product(Range(l, excluding=(j, k)), s(l)) + _growth(j, k))
_NORM_SQUARES = total(Range(j), Power(_NORM_LAYER, _TWO))
_ERRORS = Named("E", (), SLOPES * SampleMean(norm(SAMPLE) * (norm(GRAD_LOSS) + _L * SLOPES * norm(SAMPLE) * _ALL)))
_ENERGY = Named(r"\widetilde B", (), Letter("slope") ** (2 * n - 2) * _L * SampleMean(Power(norm(SAMPLE), _TWO)))
_GATED_CURVED = _ERRORS * LargestEigenvalue(_NORM_PAIR)

_CUBES = SampleMean(Power(norm(SAMPLE), sympy.Integer(3)))
_BENT = Named("B_3", (), Letter("third") * Letter("slope") ** (3 * n - 3) * _CUBES)
_MOVED = Named("D", (), Power(total(Range(j), Power(_growth(j), _TWO)), _HALF))
_CENTRE = Named("C_0", (), Power(total(Range(j), Power(norm(Chain(n, j + 1)) * norm(Chain(j - 1, 1)), _TWO)), _HALF))
_NORM_CENTRE = Named(
    r"\widetilde C_0", (), Power(total(Range(j), Power(product(Range(l, excluding=(j,)), s(l)), _TWO)), _HALF)
)
_CENTRE_ERRORS = Named("E_0", (), SLOPES * ERRORS)


def _drift(form: Term, layers: Term, pair: Named, errors: Term) -> Term:
    """B D (2 C_0 + D) + B_3 d C_0^2 + B d lambda_max(M) + errors lambda_max(check d)."""
    return (
        form * _MOVED * (Number(_TWO) * layers + _MOVED)
        + _BENT * _ALL * Power(layers, _TWO)
        + form * _ALL * LargestEigenvalue(pair)
        + errors * LargestEigenvalue(_growth(j, k))
    )


def _supremum(of: str) -> Letter:
    return Letter(f"sup {of}")


_BETA, _GAMMA, _M, _DRIFT = (
    _supremum(r"\|H(\theta')\|"),
    _supremum(r"\|g(\theta')\|"),
    _supremum(r"-\lambda_{\min}(H(\theta'))"),
    _supremum(r"\|H(\theta')-H(\theta)\|"),
)


def _claim(label: str, left: Letter, right: Term, *hypotheses: Hypothesis) -> Claim:
    return Claim(label, left, "<=", right, None, (SMOOTH_LOSS, *hypotheses))


_SLOPE = frobenius(grad_phi) + _FORM * _ALL
CONSTANTS = Statement(
    "R4",
    "closed forms for the constants of the step-size condition on a ball",
    (
        _claim("linear, beta", _BETA, _FORM * _SQUARES + _CURVED, LINEAR),
        _claim("linear, gamma", _GAMMA, _SLOPE * Power(_SQUARES, _HALF), LINEAR),
        _claim("linear, m", _M, _CURVED, LINEAR, CONVEX),
        _claim("linear, drift", _DRIFT, _drift(_FORM, _CENTRE, _PAIR, norm(grad_phi)), LINEAR),
        _claim("gated, beta", _BETA, _ENERGY * _NORM_SQUARES + _GATED_CURVED, FULLY_CONNECTED),
        _claim("gated, gamma", _GAMMA, _ERRORS * Power(_NORM_SQUARES, _HALF), FULLY_CONNECTED),
        _claim("gated, m", _M, _GATED_CURVED, FULLY_CONNECTED, CONVEX),
        _claim("gated, drift", _DRIFT, _drift(_ENERGY, _NORM_CENTRE, _NORM_PAIR, _CENTRE_ERRORS), FULLY_CONNECTED),
    ),
    (SMOOTH_LOSS,),
)
"""The drift of networks with gates holds as long as no gate changes on the ball."""
