r"""R9: lower bounds on the smallest Hessian eigenvalue of deep linear networks, (a) <= (b) <= (c) <= (d) <= (e).

The second summand of R7 is a sum over pairs of layers; each pair is bounded by a product of norms, and the sum by the
largest eigenvalue of the matrix of these products. The rungs differ in how far products of matrices are kept together.

Run: python -m derivations.r09_curvature_ladder
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import jax.numpy as jnp
import sympy

import symflow as sf
from symflow.networks.losses import Loss
from symflow.proofs import Control, Derivation, Inequality, Step, SymbolicZero
from symflow.proofs.claims import Case, altered, claim_inequality
from symflow.proofs.lemmas import CAUCHY_SCHWARZ, MONOTONE_EIGENVALUE, RAYLEIGH, SUBMULTIPLICATIVITY, WEYL
from symflow.proofs.words import inner, matrices, trace, transposed
from symflow.report.derivations import run
from symflow.theory.r07_hessian_linear import HESSIAN_LINEAR
from symflow.theory.r09_curvature_linear import CURVATURE_LINEAR
from symflow.theory.statement import Claim, Statement
from symflow.theory.terms import (
    Chain,
    Delta,
    Number,
    Pairs,
    SecondDerivative,
    Trace,
    grad_phi,
    j,
    k,
    n,
    total,
)

STATEMENT = CURVATURE_LINEAR.statement
SMALL, DEEP = Case("2-2-1", sf.FullyConnected((2, 2, 1))), Case("2-2-1-2-1", sf.FullyConnected((2, 2, 1, 2, 1)))
NETWORKS = [SMALL, Case("2-2-2-2", sf.FullyConnected((2, 2, 2, 2)))]
LOGISTIC = Case("logistic 2-2-2-1", sf.FullyConnected((2, 2, 2, 1)), Loss("logistic"))


def remaining_term() -> Iterator[sympy.Expr]:
    """Whether the form of R7 is hess phi [A, A] plus the right side, in the package's own terms."""
    bent, crossed = HESSIAN_LINEAR.main.claim("").right.terms  # type: ignore[attr-defined]
    pairs = Chain(n, k + 1) * Delta(k) * Chain(k - 1, j + 1) * Delta(j) * Chain(j - 1, 1)
    stated = 2 * Trace(grad_phi.T * total(Pairs(j, k), pairs))
    yield sympy.Integer(0 if crossed == stated and isinstance(bent, SecondDerivative) else 1)


def convexity() -> Iterator[sympy.Expr]:
    """<A Sigma_xx, A> = ||A X||_F^2/N."""
    a, x = matrices("A X")
    samples = sympy.Symbol("N", positive=True)
    yield inner(a * x * transposed(x) / samples, a) - inner(a * x, a * x) / samples


def cyclic() -> Iterator[sympy.Expr]:
    """Tr(F^T X B Y A Z) = Tr((Z F^T X) B Y A) = <((Z F^T X) B)^T, Y A>."""
    f, x, b, y, a, z = matrices("F X B Y A Z")
    p = z * transposed(f) * x
    yield trace(transposed(f) * x * b * y * a * z) - trace(p * b * y * a)
    yield trace(p * b * y * a) - inner(transposed(p * b), y * a)


def one_pair(size: int, z: Any) -> tuple[Any, Any]:
    """(|Tr(P B Y A)|, ||P|| ||Y|| ||A||_F ||B||_F)."""
    p, b, y, a = z.reshape(4, size, size)
    return jnp.abs(jnp.trace(p @ b @ y @ a)), (
        jnp.linalg.norm(p, 2) * jnp.linalg.norm(y, 2) * jnp.linalg.norm(a) * jnp.linalg.norm(b)
    )


def layer_matrix(size: int, z: Any) -> tuple[Any, Any]:
    """A symmetric matrix with entries >= 0 and zero diagonal, and a vector."""
    m = jnp.zeros((size, size)).at[jnp.triu_indices(size, 1)].set(z[:-size] ** 2)
    return m + m.T, z[-size:]


def all_pairs(size: int, z: Any) -> tuple[Any, Any]:
    """(2 sum_{j<k} M_jk u_j u_k, lambda_max(M) ||u||^2)."""
    m, u = layer_matrix(size, z)
    return u @ m @ u, jnp.linalg.eigvalsh(m)[-1] * u @ u


def row_sums(factor: float, size: int, z: Any) -> tuple[Any, Any]:
    """(lambda_max(M), factor (n - 1) max M); the factor is 1."""
    m, _ = layer_matrix(size, z)
    return jnp.linalg.eigvalsh(m)[-1], factor * (size - 1) * jnp.max(m)


def between(lower: str, upper: str) -> Statement:
    """The rung `lower` is at most the rung `upper`."""
    claim = Claim("", STATEMENT.claim(lower).right, "<=", STATEMENT.claim(upper).right)
    return Statement("R9", "two rungs", (claim,), STATEMENT.hypotheses)


def rungs(lower: str, upper: str, *lemmas: Any) -> Inequality:
    """Two neighbouring rungs on the networks."""
    return claim_inequality(between(lower, upper), "", "square loss, widths 2-2-1-2-1", [DEEP], lemmas)


def bound(stated: Statement, label: str) -> Inequality:
    """A rung against the smallest eigenvalue of symflow's Hessian."""
    scope = "square loss, widths 2-2-1 and 2-2-2-2, and logistic loss, widths 2-2-2-1"
    lemmas = (WEYL, CAUCHY_SCHWARZ, SUBMULTIPLICATIVITY, RAYLEIGH)
    return claim_inequality(stated, label, scope, [*NETWORKS, LOGISTIC], lemmas)


def shrunk(label: str, factor: sympy.Expr) -> Statement:
    """A rung multiplied by a factor below 1."""
    return altered(STATEMENT, label, lambda right: Number(factor) * right)


DERIVATION = Derivation(
    proves=CURVATURE_LINEAR,
    steps=(
        Step(
            r"H[\Delta,\Delta]",
            r"2\sum_{j<j'}\operatorname{Tr}(\nabla\varphi^\top W_{n:j'+1}\Delta_{j'}W_{j'-1:j+1}\Delta_jW_{j-1:1})",
            r"By R7 the difference of the two sides is $\nabla^2\varphi[A,A]$, which is $\ge 0$ as $\varphi$ is convex "
            r"(the losses: R12, step 2); for the square loss it is $\frac1N\|AX\|_F^2$.",
            (
                SymbolicZero("every $n$: the terms of R7 other than $\\nabla^2\\varphi[A,A]$", remaining_term),
                SymbolicZero("for the square loss, matrices of any sizes", convexity, "checked exactly"),
            ),
            r"\ge",
        ),
        Step(
            r"|\operatorname{Tr}(\nabla\varphi^\top W_{n:j'+1}\Delta_{j'}W_{j'-1:j+1}\Delta_jW_{j-1:1})|",
            r"\widehat M_{jj'}\,u_ju_{j'}, \quad "
            r"\widehat M_{jj'} = \|W_{j-1:1}\nabla\varphi^\top W_{n:j'+1}\|\,\|W_{j'-1:j+1}\|",
            r"The trace is cyclic: it is $\langle(P\Delta_{j'})^\top,Y\Delta_j\rangle$ with "
            r"$P = W_{j-1:1}\nabla\varphi^\top W_{n:j'+1}$ and $Y = W_{j'-1:j+1}$; then Cauchy--Schwarz and "
            r"submultiplicativity.",
            (
                SymbolicZero("the equations, matrices of any sizes", cyclic, "checked exactly"),
                Inequality(
                    "matrices of size 2 and 3",
                    (CAUCHY_SCHWARZ, SUBMULTIPLICATIVITY),
                    [2, 3],
                    lambda size: 4 * size**2,
                    one_pair,
                    (SymbolicZero("", cyclic),),
                ),
            ),
            r"\le",
        ),
        Step(
            r"2\sum_{j<j'}\widehat M_{jj'}u_ju_{j'} = u^\top\widehat Mu",
            r"\lambda_{\max}(\widehat M)\,\|\Delta\|^2, \quad\text{so}\quad "
            r"\lambda_{\min}(H) \ge -\lambda_{\max}(\widehat M): \text{ rung (e)}",
            "Rayleigh quotient.",
            (
                Inequality(
                    r"layer matrices of size $n = 3$ and $5$",
                    (RAYLEIGH,),
                    [3, 5],
                    lambda size: size * (size + 1) // 2,
                    all_pairs,
                ),
                bound(STATEMENT, "(e)"),
            ),
            r"\le",
        ),
        Step(
            r"\text{(d)} = -\|\nabla\varphi\|\,\lambda_{\max}(\widetilde M)",
            r"\text{(e)}, \quad "
            r"\widetilde M_{jj'} = \|W_{n:j'+1}\|\,\|W_{j'-1:j+1}\|\,\|W_{j-1:1}\|",
            r"$\widehat M \le \|\nabla\varphi\|\,\widetilde M$ entrywise, and $\lambda_{\max}$ is monotone.",
            (rungs("(d)", "(e)", SUBMULTIPLICATIVITY, MONOTONE_EIGENVALUE),),
            r"\le",
        ),
        Step(
            r"\text{(c)} = -\|\nabla\varphi\|\,\lambda_{\max}(M)",
            r"\text{(d)}, \quad M_{jj'} = \prod_{l\ne j,j'}s_l",
            r"$\|W_{j':j}\| \le s_j\cdots s_{j'}$, so $\widetilde M \le M$ entrywise.",
            (rungs("(c)", "(d)", SUBMULTIPLICATIVITY, MONOTONE_EIGENVALUE),),
            r"\le",
        ),
        Step(
            r"\text{(b)} = -(n-1)\|\nabla\varphi\|\max_{|J|=n-2}\prod_{l\in J}s_l",
            r"\text{(c)}",
            r"$\lambda_{\max}(M)$ is at most the largest row sum, $n-1$ entries.",
            (
                Inequality(
                    r"layer matrices of size $n = 3$ and $5$",
                    (MONOTONE_EIGENVALUE,),
                    [3, 5],
                    lambda size: size * (size + 1) // 2,
                    partial(row_sums, 1.0),
                ),
                rungs("(b)", "(c)", MONOTONE_EIGENVALUE),
            ),
            r"\le",
        ),
        Step(
            r"\text{(a)} = -(n-1)\|\nabla\varphi\|_F\max_{|J|=n-2}\prod_{l\in J}s_l",
            r"\text{(b)}",
            r"$\|\nabla\varphi\| \le \|\nabla\varphi\|_F$.",
            (rungs("(a)", "(b)", CAUCHY_SCHWARZ),),
            r"\le",
        ),
    ),
    controls=(
        Control(r"0.99 of rung (e)", bound(shrunk("(e)", sympy.Rational(99, 100)), "(e)")),
        Control(r"0.99 of rung (c)", bound(shrunk("(c)", sympy.Rational(99, 100)), "(c)")),
        Control(
            r"$n-1$ replaced by $0.99\,(n-1)$ in the row sums",
            Inequality("", (), [3], lambda size: size * (size + 1) // 2, partial(row_sums, 0.99)),
        ),
    ),
    notation=(r"$\varphi \in C^2$; $s_j = \|W_j\|$, $u_j = \|\Delta_j\|_F$, so that $\|u\| = \|\Delta\|$",),
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
