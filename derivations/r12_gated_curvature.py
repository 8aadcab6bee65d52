r"""R12: lower bounds on the smallest Hessian eigenvalue of homogeneous networks on a smooth region.

With fixed gates each output h(x_i) = W_n D_{n-1} W_{n-1} ... D_1 W_1 x_i is multilinear, so R7 holds sample by sample
with the gates inside; it is then bounded pair by pair as in R9, but without moving the mean over samples inside norms.
(Elkabetz & Cohen 2021; the sharper forms (c), (e) are ours.)

Run: python -m derivations.r12_gated_curvature
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import combinations
from typing import Any

import jax.numpy as jnp
import sympy

import symflow as sf
from symflow.networks.losses import Loss
from symflow.proofs import Control, Derivation, IdentityTest, Inequality, Step, SymbolicZero
from symflow.proofs.claims import Case, altered, claim_identity, claim_inequality
from symflow.proofs.lemmas import CAUCHY_SCHWARZ, MONOTONE_EIGENVALUE, RAYLEIGH, SUBMULTIPLICATIVITY, WEYL
from symflow.proofs.networks import WIDTHS
from symflow.proofs.words import inner, matrices
from symflow.report.derivations import run
from symflow.theory.r12_curvature_gated import CURVATURE_GATED
from symflow.theory.statement import Claim, Statement
from symflow.theory.terms import Letter, Number, Product, SampleMean, Sum, Term, n

STATEMENT = CURVATURE_GATED.statement
SLOPES = [(1, 0), ("3/2", "-4/7")]
NETWORKS = [
    Case(f"{widths}, slopes {a} and {b}", sf.FullyConnected(widths, a, b))
    for widths in WIDTHS.values()
    for a, b in SLOPES
]
SPECTRA = [
    Case("ReLU 2-2-1", sf.FullyConnected((2, 2, 1), 1, 0)),
    Case("slopes 3/2 and -4/7, 2-2-2-1", sf.FullyConnected((2, 2, 2, 1), "3/2", "-4/7")),
    Case("logistic, leaky ReLU 2-2-1-1", sf.FullyConnected((2, 2, 1, 1), 1, "1/5"), Loss("logistic")),
]
LADDER = [Case("slopes 3 and 1, 1-1-2-1", sf.FullyConnected((1, 1, 2, 1), 3, 1)), SPECTRA[1]]
TIGHT = Case("slopes 3 and 1, 1-1-1-1", sf.FullyConnected((1, 1, 1, 1), 3, 1))


# The exact form -----------------------------------------------------------------------------------------------------


def gated_word(layers: Sequence[sympy.Symbol], depth: int, top: int, bottom: int) -> sympy.Expr:
    """D_top X_top ... D_bottom X_bottom, with D_n = I."""
    factors: list[sympy.Expr] = []
    for layer in range(top, bottom - 1, -1):
        factors += [gate(depth, layer), layers[layer - 1]]
    return sympy.Mul(*factors)


def gate(depth: int, layer: int) -> sympy.Expr:
    """D_j of one sample."""
    return sympy.Integer(1) if layer == depth else sympy.Symbol(f"D{layer}", commutative=False)


def induction() -> Iterator[sympy.Expr]:
    """One more layer with its gates: P, A, B (coefficients of 1, t, t^2) become D W P, D (Delta P + W A), ...

    And the terms of the stated sums at depth n + 1: D W times those at depth n, and those with the new layer.
    """
    t = sympy.Symbol("t")
    gates, w, d, p, a, b, rest = matrices("D W N P A B R")
    curve = sympy.expand(gates * (w + t * d) * (p + t * a + t**2 * b + t**3 * rest))
    yield curve.coeff(t, 0) - gates * w * p
    yield curve.coeff(t, 1) - (gates * d * p + gates * w * a)
    yield curve.coeff(t, 2) - (gates * d * a + gates * w * b)
    upper, mid, lower, first, second = matrices("U V L E F")
    yield (gates * w * upper) * second * mid * first * lower - gates * w * (upper * second * mid * first * lower)
    yield gates * d * (upper * first * lower) - gates * d * upper * first * lower


def expansion(factor: sympy.Expr = sympy.S.One) -> Iterator[sympy.Expr]:
    """Coefficients of t and t^2 in h along W + t Delta with fixed gates, n = 1, ..., 6; the factor is 1."""
    t = sympy.Symbol("t")
    for depth in WIDTHS:
        layers = range(1, depth + 1)
        w, d = ([sympy.Symbol(f"{letter}{layer}", commutative=False) for layer in layers] for letter in ("W", "Delta"))
        word = partial(gated_word, w, depth)
        moved = sympy.expand(gated_word([a + t * b for a, b in zip(w, d, strict=True)], depth, depth, 1))
        yield moved.coeff(t, 1) - sympy.Add(
            *(word(depth, a + 1) * gate(depth, a) * d[a - 1] * word(a - 1, 1) for a in layers)
        )
        yield moved.coeff(t, 2) - factor * sympy.Add(
            *(
                word(depth, b + 1) * gate(depth, b) * d[b - 1]
                * word(b - 1, a + 1) * gate(depth, a) * d[a - 1] * word(a - 1, 1)
                for a, b in combinations(layers, 2)
            )
        )  # fmt: skip


def exact(stated: Statement) -> IdentityTest:
    """The form of symflow's differentiator at fixed gates against the statement."""
    scope = r"square loss, for each depth $n = 1,\dots,6$ a ReLU network and one of slopes $\frac32$, $-\frac47$"
    return claim_identity(stated, "exact", scope, NETWORKS, lambda case: 2 * case.network.depth + 2)


def halved(right: Term) -> Term:
    """The exact form with the factor 1.98 in place of 2."""
    assert isinstance(right, SampleMean)
    assert isinstance(right.body, Sum)
    bent, crossed = right.body.terms
    assert isinstance(crossed, Product)
    return SampleMean(bent + Number(sympy.Rational(99, 100)) * crossed)


def convexity(sign: int = -1) -> Iterator[sympy.Expr]:
    """Second derivatives of the losses as sums of squares with positive weights; `sign` is -1.

    Cross-entropy with any number of classes: F(r) = sum_a e^{z_a + r v_a} has F^(k) = F S_k, S_k = sum_a p_a v_a^k, and
    the mean of (v_a + sign v_b)^2 over independent a and b follows from its expansion.
    """
    z, y, r = sympy.symbols("z y r", real=True)
    residual, moved = matrices("r v")
    form = inner(residual + z * moved, residual + z * moved) / 2
    yield form.diff(z, 2) - inner(moved, moved)
    yield (sympy.exp(-y * z)).diff(z, 2) - y**2 * sympy.exp(-y * z)
    s = 1 / (1 + sympy.exp(-z))
    yield sympy.log(1 + sympy.exp(-z)).diff(z, 2) - s * (1 - s)
    f, moments, (a, b) = sympy.Function("F")(r), sympy.symbols("S0:3"), sympy.symbols("a b")
    curvature = sympy.log(f).diff(r, 2).doit().subs(f.diff(r, 2), f * moments[2]).subs(f.diff(r), f * moments[1])
    powers = sympy.Poly((a + sign * b) ** 2, a, b).terms()
    pairs = sympy.Add(*(c * moments[i] * moments[k] for (i, k), c in powers)).subs(moments[0], 1)
    yield sympy.expand(curvature) - pairs / 2


# The bounds ---------------------------------------------------------------------------------------------------------


def one_pair(size: int, z: Any) -> tuple[Any, Any]:
    """(|delta^T B Y A a|, ||delta|| ||Y|| ||a|| ||B||_F ||A||_F)."""
    b, y, a = z[: 3 * size**2].reshape(3, size, size)
    back, forth = z[3 * size**2 :].reshape(2, size)
    norm = jnp.linalg.norm
    return jnp.abs(back @ b @ y @ a @ forth), norm(back) * norm(y, 2) * norm(forth) * norm(a) * norm(b)


def gates_of_a_pair() -> Iterator[sympy.Expr]:
    """D_j', ..., D_{n-1}; D_j, ..., D_{j'-1}; D_1, ..., D_{j-1}: n - 1 gates in all."""
    a, b, depth = sympy.symbols("j j' n")
    yield (depth - b) + (b - a) + (a - 1) - (depth - 1)


def between(lower: str, upper: str, stated: Statement = STATEMENT, cases: Sequence[Case] = LADDER) -> Inequality:
    """The bound `lower` of a statement is at most the bound `upper` of R12."""
    claim = Claim("", stated.claim(lower).right, "<=", STATEMENT.claim(upper).right)
    lemmas = (SUBMULTIPLICATIVITY, MONOTONE_EIGENVALUE)
    scope = r"square loss, widths 1-1-2-1 and 2-2-2-1 with slopes $3,1$ and $\frac32,-\frac47$"
    return claim_inequality(Statement("R12", "two bounds", (claim,), ()), "", scope, cases, lemmas)


def spectrum(stated: Statement, label: str) -> Inequality:
    """A bound against the smallest eigenvalue of symflow's Hessian."""
    scope = r"ReLU 2-2-1, slopes $\frac32$, $-\frac47$ 2-2-2-1 (square loss), leaky ReLU 2-2-1-1 (logistic loss)"
    return claim_inequality(stated, label, scope, SPECTRA, (WEYL, CAUCHY_SCHWARZ, SUBMULTIPLICATIVITY, RAYLEIGH))


def fewer_slopes(_: Term) -> Term:
    """Bound (c) with max{|alpha|, |alpha_bar|}^{n-2}."""
    right = STATEMENT.claim("(c)").right
    assert isinstance(right, Product)
    return Product(tuple(Letter("slope") ** (n - 2) if f == Letter("slope") ** (n - 1) else f for f in right.factors))


DERIVATION = Derivation(
    proves=CURVATURE_GATED,
    steps=(
        Step(
            r"H[\Delta,\Delta]",
            r"\begin{aligned}[t] & \frac1N\sum_i\Bigl(\nabla^2\ell_i[A_i,A_i] \\ & {} + 2\nabla\ell_i^\top\sum_{j<j'}"
            r"W^{(i)}_{n:j'+1}D_{i,j'}\Delta_{j'}W^{(i)}_{j'-1:j+1}D_{i,j}\Delta_jW^{(i)}_{j-1:1}x_i\Bigr)\end{aligned}",
            r"Near $\theta$ no gate changes, so $h_{\theta+t\Delta}(x_i)$ is a polynomial in $t$: choose "
            r"$t\Delta_j$ in one factor ($A_i$) or in two.  Then the chain rule, as in R7.",
            (
                SymbolicZero("matrices and gates of any sizes, the induction step for every $n$", induction),
                SymbolicZero(r"directly for $n = 1,\dots,6$", expansion, "checked exactly"),
                exact(STATEMENT),
            ),
        ),
        Step(
            r"\nabla^2\ell_i[A_i,A_i]",
            r"0",
            r"Convexity.  Square loss: $\|A_i\|^2$; exponential: $y^2e^{-y\hat y}A_i^2$; logistic: $s(1-s)A_i^2$; "
            r"cross-entropy: $\sum_{a<b}p_ap_b(v_a-v_b)^2$ for $v = A_i$.",
            (SymbolicZero("all predictions, any number of outputs and classes", convexity),),
            r"\ge",
        ),
        Step(
            r"|\delta_{i,j'}^\top\Delta_{j'}\,Y\,\Delta_ja_{i,j-1}|",
            r"M^{(i)}_{jj'}u_ju_{j'}, \quad M^{(i)}_{jj'} = \|\delta_{i,j'}\|\,\|Y\|\,\|a_{i,j-1}\|, \quad "
            r"u_j = \|\Delta_j\|_F",
            r"A term of the sum, with $\delta_{i,j'} = (W^{(i)}_{n:j'+1}D_{i,j'})^\top\nabla\ell_i$, "
            r"$a_{i,j-1} = W^{(i)}_{j-1:1}x_i$ and $Y = W^{(i)}_{j'-1:j+1}D_{i,j}$.",
            (
                Inequality(
                    "matrices of size 2 and 3",
                    (CAUCHY_SCHWARZ, SUBMULTIPLICATIVITY),
                    [2, 3],
                    lambda size: 3 * size**2 + 2 * size,
                    one_pair,
                ),
            ),
            r"\le",
        ),
        Step(
            r"\lambda_{\min}(H)",
            r"-\frac1N\sum_i\lambda_{\max}(M^{(i)}): \text{ (e)}",
            r"$2\sum_{j<j'}M^{(i)}_{jj'}u_ju_{j'} = u^\top M^{(i)}u \le \lambda_{\max}(M^{(i)})\|\Delta\|^2$ for every "
            r"sample.",
            (spectrum(STATEMENT, "(e)"),),
            r"\ge",
        ),
        Step(
            r"\text{(c)} = -\max\{|\alpha|,|\bar\alpha|\}^{n-1}\frac1N\sum_i\|\nabla\ell_i\|\,\|x_i\|\,"
            r"\lambda_{\max}(M)",
            r"\text{(e)}, \quad M_{jj'} = \prod_{l\ne j,j'}s_l",
            r"$M^{(i)}_{jj'} \le \|\nabla\ell_i\|\,\|x_i\|\max\{|\alpha|,|\bar\alpha|\}^{n-1}M_{jj'}$: each of the "
            r"$n-1$ "
            r"gates and of the $n-2$ other layers occurs once.",
            (
                SymbolicZero(r"the number of gates, every $j < j' \le n$", gates_of_a_pair, "checked exactly"),
                between("(c)", "(e)"),
            ),
            r"\le",
        ),
        Step(
            r"-(n-1)\max\{|\alpha|,|\bar\alpha|\}^{n-1}\frac1N\sum_i\|\nabla\ell_i\|\,\|x_i\|\max_{|J|=n-2}"
            r"\prod_{l\in J}s_l",
            r"\text{(c)}",
            r"$\lambda_{\max}(M)$ is at most the largest row sum.",
            (between("", "(c)"),),
            r"\le",
        ),
    ),
    controls=(
        Control("the factor 2 of the exact form is 1.98", exact(altered(STATEMENT, "exact", halved))),
        Control("1.01 times the sum over pairs", SymbolicZero("", partial(expansion, factor=sympy.Rational(101, 100)))),
        Control(
            "0.99 of (e)",
            spectrum(altered(STATEMENT, "(e)", lambda right: Number(sympy.Rational(99, 100)) * right), "(e)"),
        ),
        Control(
            r"(c) with $\max\{|\alpha|,|\bar\alpha|\}^{n-2}$",
            between("(c)", "(e)", altered(STATEMENT, "(c)", fewer_slopes), [TIGHT]),
        ),
        Control(r"$p_ap_b(v_a+v_b)^2$ for the cross-entropy", SymbolicZero("", partial(convexity, sign=1))),
    ),
    notation=(
        r"$h_\theta(x) = W_n\sigma(W_{n-1}\cdots\sigma(W_1x))$, $\sigma(z) = \alpha z$ for $z \ge 0$ and "
        r"$\bar\alpha z$ for $z < 0$; $\ell \in C^2$",
        r"$D_{i,j}$: slopes at sample $i$ and layer $j$, $D_{i,n} = I$; $W^{(i)}_{k:j} = D_{i,k}W_k\cdots D_{i,j}W_j$",
    ),
    remarks="Steps 3 to 6 are inequalities by lemmas; the search attacks their conclusions with symflow's Hessian.",
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
