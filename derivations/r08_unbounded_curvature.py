r"""R8: the smallest Hessian eigenvalue of deep linear networks is unbounded below.

For n >= 3 and grad phi(0) != 0: two layers a < b zero, the others rank-one chains that join the top singular vectors of
grad phi(0), one of them scaled by s, give lambda_min = -s ||grad phi(0)|| exactly.

Run: python -m derivations.r08_unbounded_curvature
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from typing import Any

import jax.numpy as jnp
import mpmath
import numpy as np
import sympy

import symflow as sf
from symflow.networks.losses import Loss
from symflow.proofs import Control, Derivation, Draw, FiftyDigits, IdentityTest, Inequality, Step, SymbolicZero
from symflow.proofs.claims import Case, claim_inequality
from symflow.proofs.lemmas import CAUCHY_SCHWARZ, RAYLEIGH, SUBMULTIPLICATIVITY, TRIANGLE
from symflow.proofs.networks import chain, data, flat, objective, product_of_entries
from symflow.proofs.words import inner, matrices, trace, transposed
from symflow.report.derivations import run
from symflow.theory.r08_unbounded_curvature import UNBOUNDED_CURVATURE, on_the_family
from symflow.theory.r08_unbounded_curvature import family as weights_of_family
from symflow.theory.r09_curvature_linear import CURVATURE_LINEAR
from symflow.theory.statement import Claim, Statement
from symflow.theory.terms import SAMPLE, SampleMean, grad_phi, norm

FAMILIES = [((2, 3, 2, 2), 1, 2), ((2, 3, 2, 2), 1, 3), ((2, 2, 3, 2, 3), 2, 4), ((3, 2, 2, 1, 2, 2), 2, 3)]
"""Widths of networks of depth 3 to 5, and the two layers a < b that are zero."""


def two_zero_layers(
    family: tuple[tuple[int, ...], int, int], draw: Draw, factor: Fraction = Fraction(2)
) -> Iterator[Fraction]:
    """symflow's Hessian form minus factor Tr(grad phi(0)^T W_{n:b+1} D_b W_{b-1:a+1} D_a W_{a-1:1}); factor 2."""
    widths, a, b = family
    w, d, (x, y) = draw.matrices(widths), draw.matrices(widths), data(draw, widths)
    w[a - 1], w[b - 1], n = 0 * w[a - 1], 0 * w[b - 1], len(w)
    slope = -y.dot(x.T) * Fraction(1, x.shape[1])
    product = chain(w, n, b + 1).dot(d[b - 1]).dot(chain(w, b - 1, a + 1)).dot(d[a - 1]).dot(chain(w, a - 1, 1))
    derived = sf.evaluate_exact(sf.hessian_form(objective(widths, x, y)), flat(w), flat(d))
    yield derived - factor * product_of_entries(slope, product)


def one_pair(factor: Fraction) -> IdentityTest:
    """The Hessian form where two layers are zero."""
    scope = r"square loss, four networks of depth $3$ to $5$ with two zero layers, the others arbitrary"
    return IdentityTest(scope, FAMILIES, lambda f: 2 * len(f[0]) + 2, partial(two_zero_layers, factor=factor))


def bilinear(size: int, z: Any) -> tuple[Any, Any]:
    """(2 |Tr(P B Y A)|, ||P|| ||Y|| (||A||_F^2 + ||B||_F^2))."""
    p, b, y, a = z.reshape(4, size, size)
    norms = jnp.linalg.norm(p, 2) * jnp.linalg.norm(y, 2)
    return 2 * jnp.abs(jnp.trace(p @ b @ y @ a)), norms * (jnp.sum(a**2) + jnp.sum(b**2))


def attained() -> Iterator[sympy.Expr]:
    """2 Tr(P B Y A) = -(v'P u)(q'Y r) for A = -r v'/sqrt 2, B = u q'/sqrt 2; ||Delta||^2 = 1 for unit vectors."""
    p, y, u, v, q, r = matrices("P Y u v q r")
    a, b = -r * transposed(v) / sympy.sqrt(2), u * transposed(q) / sympy.sqrt(2)
    yield trace(2 * p * b * y * a) + inner(v, p * u) * inner(q, y * r)
    yield inner(a, a) + inner(b, b) - (inner(r, r) * inner(v, v) + inner(u, u) * inner(q, q)) / 2


def family_point(family: tuple[tuple[int, ...], int, int], s: int) -> tuple[sf.Objective, list[Any], Any]:
    """The objective, theta of the family and ||grad phi(0)||, at the working precision."""
    widths, a, b = family
    draw, n = Draw(str(family)), len(widths) - 1
    x, y = (m / Fraction(10**9) for m in data(draw, widths))
    slope = -y.dot(x.T) * Fraction(1, x.shape[1])
    real = np.frompyfunc(lambda q: mpmath.mpf(q.numerator) / q.denominator, 1, 1)
    u, sigma, v = mpmath.svd_r(mpmath.matrix(real(slope).tolist()))
    ends = {0: [v[0, i] for i in range(widths[0])], n: [u[i, 0] for i in range(widths[-1])]}
    units = [ends.get(j, [mpmath.mpf(int(i == 0)) for i in range(width)]) for j, width in enumerate(widths)]
    weights = weights_of_family([np.array(unit, dtype=object) for unit in units], (a, b), s)
    return objective(widths, x, y), [p for w in weights for p in w.flat], sigma[0]


def smallest_eigenvalue(factor: float) -> Iterator[tuple[Any, Any]]:
    """lambda_min of symflow's Hessian on the family, and -factor s ||grad phi(0)||; the factor is 1."""
    for family, s in zip(FAMILIES, (1, 7, 100, 3), strict=True):
        loss, theta, slope = family_point(family, s)
        hessian = sf.evaluate_mpmath(sf.hessian(loss), theta, dps=mpmath.mp.dps)
        found = min(mpmath.eigsy(mpmath.matrix(hessian.tolist()), eigvals_only=True))
        yield found, factor * on_the_family(s, slope)


def exact_value(factor: float = 1) -> FiftyDigits:
    """The family at four networks."""
    return FiftyDigits(r"four networks of depth $3$ to $5$, $s = 1, 7, 100, 3$", partial(smallest_eigenvalue, factor))


def depth_two() -> Iterator[sympy.Expr]:
    """f = (ab - lambda)^2/2 at a = b = s: the eigenvalue of (1, -1) is lambda - s^2."""
    a, b, s, target = sympy.symbols("a b s lambda")
    hessian = sympy.hessian((a * b - target) ** 2 / 2, (a, b)).subs({a: s, b: s})
    yield from hessian * sympy.Matrix([1, -1]) - (target - s**2) * sympy.Matrix([1, -1])


LOGISTIC = [Case("logistic 2-2-1", sf.FullyConnected((2, 2, 1)), Loss("logistic"))]


def logistic_slope() -> Iterator[sympy.Expr]:
    """d/dp log(1 + e^{-yp}) = -y/(1 + e^{yp}); its modulus is 1/(1 + e^z) = 1 - e^z/(1 + e^z) < 1 for |y| = 1."""
    p, y, z = sympy.symbols("p y z", real=True)
    yield sympy.log(1 + sympy.exp(-y * p)).diff(p) + y / (1 + sympy.exp(y * p))
    yield 1 - 1 / (1 + sympy.exp(z)) - sympy.exp(z) / (1 + sympy.exp(z))


def slope_of_phi() -> Inequality:
    """||grad phi|| <= (1/N) sum ||x_i|| for the logistic loss."""
    claim = Claim("", norm(grad_phi), "<=", SampleMean(norm(SAMPLE)))
    stated = Statement("R8", "the gradient of phi for the logistic loss", (claim,), ())
    return claim_inequality(stated, "", "logistic loss, widths 2, 2, 1", LOGISTIC, (TRIANGLE,))


def principal_block(size: int, z: Any) -> tuple[Any, Any]:
    """(lambda_min(A), lambda_min of A without its last row and column) for symmetric A."""
    a = z.reshape(size, size)
    a = a + a.T
    return jnp.linalg.eigvalsh(a)[0], jnp.linalg.eigvalsh(a[:-1, :-1])[0]


DERIVATION = Derivation(
    proves=UNBOUNDED_CURVATURE,
    steps=(
        Step(
            r"H[\Delta,\Delta]\big|_{W_a = W_b = 0}",
            r"2\operatorname{Tr}\bigl(\nabla\varphi(0)^\top W_{n:b+1}\Delta_bW_{b-1:a+1}\Delta_aW_{a-1:1}\bigr)",
            r"R7 with two zero layers $a < b$: $W_{n:1} = 0$; every term of $A$ contains one of them, so $A = 0$; only "
            r"the pair $(a,b)$ of the second sum contains none.",
            (one_pair(Fraction(2)),),
        ),
        Step(
            r"|H[\Delta,\Delta]|",
            r"\|P\|\,\|Y\|\,(\|\Delta_a\|_F^2+\|\Delta_b\|_F^2), \quad P = W_{a-1:1}\nabla\varphi(0)^\top W_{n:b+1},\ "
            r"Y = W_{b-1:a+1}",
            r"$\operatorname{Tr}(P\Delta_bY\Delta_a) = \langle(P\Delta_b)^\top,Y\Delta_a\rangle \le "
            r"\|P\|\|\Delta_b\|_F\|Y\|\|\Delta_a\|_F$ and $2pq \le p^2+q^2$. So $\lambda_{\min}(H) \ge -\|P\|\|Y\|$.",
            (
                Inequality(
                    "square matrices of size 2 and 3",
                    (CAUCHY_SCHWARZ, SUBMULTIPLICATIVITY),
                    [2, 3],
                    lambda size: 4 * size**2,
                    bilinear,
                ),
            ),
            r"\le",
        ),
        Step(
            r"H[\Delta,\Delta]",
            r"-\|P\|\,\|Y\| \ \text{ for }\ \Delta_a = -\tfrac1{\sqrt2}r v^\top,\ "
            r"\Delta_b = \tfrac1{\sqrt2}u q^\top,\ \|\Delta\| = 1",
            r"Let $v$, $u$ and $q$, $r$ be top singular vectors, $v^\top Pu = \|P\|$, $q^\top Yr = \|Y\|$. Then "
            r"$2\operatorname{Tr}(P\Delta_bY\Delta_a) = -(v^\top Pu)(q^\top Yr)$; so "
            r"$\lambda_{\min}(H) = -\|P\|\|Y\|$.",
            (SymbolicZero("matrices $P$, $Y$ of any sizes and all vectors", attained),),
        ),
        Step(
            r"\lambda_{\min}(H) = -\|P\|\,\|Y\|",
            r"-s\,\|\nabla\varphi(0)\| \to -\infty \quad (s \to \infty)",
            r"The chains are products of $x_jx_{j-1}^\top$ with unit vectors, $x_n$, $x_0$ the top singular vectors of "
            r"$\nabla\varphi(0)$; as $n \ge 3$ there is a layer to scale by $s$.",
            (exact_value(),),
        ),
        Step(
            r"n = 2,\ f = \tfrac12(ab-\lambda)^2,\ a = b = s: \quad \lambda_{\min}(H)",
            r"\lambda - s^2 \to -\infty",
            r"$(1,-1)$ is an eigenvector with this eigenvalue.",
            (SymbolicZero(r"every $s$ and $\lambda$", depth_two),),
            r"\le",
        ),
        Step(
            r"n = 2,\ \text{logistic loss}: \quad \lambda_{\min}(H)",
            r"-\|\nabla\varphi\| \ge -\tfrac1N\sum_i\|x_i\|",
            r"R9(b) with an empty product; $\nabla\varphi = \frac1N\sum_i\ell_i'x_i^\top$ and "
            r"$|\ell'| = 1/(1+e^{y\hat y}) < 1$. So for $n = 2$ the infimum may be finite.",
            (
                SymbolicZero(r"$\ell'$ of the logistic loss and $1-|\ell'|$", logistic_slope, "checked exactly"),
                slope_of_phi(),
                claim_inequality(
                    CURVATURE_LINEAR.main, "(b)", "logistic loss, widths 2, 2, 1", LOGISTIC, (CAUCHY_SCHWARZ,)
                ),
            ),
            r"\ge",
        ),
        Step(
            r"\lambda_{\min}(H)",
            r"\lambda_{\min}(H_{WW})",
            r"With biases: at $b = 0$ the block $H_{WW}$ in the weights is the Hessian of the network without biases, "
            r"and a principal submatrix of $H$.",
            (
                Inequality(
                    "a matrix of size 3 and its first block of size 2",
                    (RAYLEIGH,),
                    [3],
                    lambda size: size**2,
                    principal_block,
                ),
            ),
            r"\le",
        ),
    ),
    controls=(
        Control("the factor 2 of the remaining pair is 1.98", one_pair(Fraction(198, 100))),
        Control(r"$\lambda_{\min} = -1.01\,s\|\nabla\varphi(0)\|$ on the family", exact_value(1.01)),
    ),
    notation=(r"$\varphi \in C^2$",),
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
