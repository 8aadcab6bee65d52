r"""How far the Hessian moves on a ball: ||H(theta') - H(theta)|| <= drift(eps) wherever ||theta' - theta|| <= eps.

With it, what the spectrum at one point says holds on the ball around it, up to the drift: a curvature bound that is
signed, unlike those of R9, and as sharp as the ball is small.

*Proof, linear networks.*  Let A = sum_j W_{n:j+1} Delta_j W_{j-1:1}, A' the same at theta', and d, \dot d_j,
\ddot d_jj' the growth of products of all layers, all but j, all but j and j' (the lemma of
`symbolic.statements.balls`).  By its corollary ||A' - A||_F <= sum_j \dot d_j ||Delta_j|| <= D ||Delta||,
D^2 = sum_j \dot d_j^2, and ||A||_F <= C ||Delta||,
C^2 = sum_j ||W_{n:j+1}||^2 ||W_{j-1:1}||^2.  R7 has two terms.  With |hess phi[A, A]| <= B ||A||_F^2 the first moves by
    |hess phi'[A', A'] - hess phi'[A, A]| + |(hess phi' - hess phi)[A, A]| <= B D (2 C + D) + B_3 d C^2,
where |ell'''[u, v, v]| <= L_3 ||u|| ||v||^2 gives B_3 = c^3 L_3 (1/N) sum_i ||x_i||^3.  The second, 2 sum <grad phi,
C_jj'> over pairs with ||C_jj'||_* <= M_jj' ||Delta_j|| ||Delta_j'||, moves by
    |<grad phi' - grad phi, C'>| + |<grad phi, C' - C>| <= B d lambda_max(M') + ||grad phi|| lambda_max(\ddot d).

*Networks with gates*, as long as no gate changes on the ball: h is multilinear in the layers for every sample, and the
same steps with products of norms in place of norms of products prove it.
"""

from __future__ import annotations

from fractions import Fraction

import sympy

from symflow.theory import ball_constants as balls
from symflow.theory.hypothesis_checks import FULLY_CONNECTED, LINEAR, SMOOTH_LOSS
from symflow.theory.identities import GRAD_LOSS, SAMPLE
from symflow.theory.statement import Claim, Statement
from symflow.theory.terms import (
    Chain,
    LargestEigenvalue,
    Letter,
    Named,
    Number,
    Power,
    Range,
    SampleMean,
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

_HALF, _TWO = sympy.Rational(1, 2), sympy.Integer(2)
_SLOPE = Letter("slope")
_ALL = balls._growth()
_ONE, _PAIR = balls._growth(j), Named(r"\ddot d", (j, k), balls._growth(j, k).definition)
_BEND = Named("D", (), Power(total(Range(j), Power(_ONE, _TWO)), _HALF))


def drift_statement(third: Fraction | sympy.Expr) -> Statement:
    """The bound on the drift of H for losses with |ell'''| <= third, as claims "linear" and "gated"."""
    cubes = SampleMean(Power(norm(SAMPLE), sympy.Integer(3)))
    bent = Named("B_3", (), Number(sympy.sympify(third)) * _SLOPE ** (3 * n - 3) * cubes)
    chains = Named("C", (), Power(total(Range(j), Power(norm(Chain(n, j + 1)) * norm(Chain(j - 1, 1)), _TWO)), _HALF))
    norms = Named(
        r"\widetilde C", (), Power(total(Range(j), Power(product(Range(l, excluding=(j,)), s(l)), _TWO)), _HALF)
    )
    energy = Named(r"\widetilde B", (), balls._ENERGY)
    moved = Named(
        r"\widetilde B_d", (), _SLOPE ** (2 * n - 2) * Letter("smoothness") * SampleMean(Power(norm(SAMPLE), _TWO))
    )
    errors = Named("E_0", (), _SLOPE ** (n - 1) * SampleMean(norm(SAMPLE) * norm(GRAD_LOSS)))
    left = Letter(r"sup \|H(\theta') - H(\theta)\|")
    linear = (
        balls._FORM * _BEND * (Number(_TWO) * chains + _BEND)
        + bent * _ALL * Power(chains, _TWO)
        + balls._FORM * _ALL * LargestEigenvalue(balls._PAIR)
        + norm(grad_phi) * LargestEigenvalue(_PAIR)
    )
    gated = (
        energy * _BEND * (Number(_TWO) * norms + _BEND)
        + bent * _ALL * Power(norms, _TWO)
        + moved * _ALL * LargestEigenvalue(balls._SWOLLEN_PAIR)
        + errors * LargestEigenvalue(_PAIR)
    )
    return Statement(
        "R4",
        "how far the Hessian moves on a ball",
        (
            Claim("linear", left, "<=", linear, None, (LINEAR,)),
            Claim("gated", left, "<=", gated, None, (FULLY_CONNECTED,)),
        ),
        (SMOOTH_LOSS,),
    )
