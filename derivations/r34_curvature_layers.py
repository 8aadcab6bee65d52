r"""R34: curvature of networks with biases, skip connections and diagonal layers on a smooth region.

    lambda_min(H) >= -(1/N) sum_i lambda_max(M^(i)),
    M^(i)_{jj'} = ||delta_{i,j'}|| ||P_{j'-1,j}|| sqrt(||a_{i,j-1}||^2 + e_j),

e_j = 1 where layer j has a bias, else 0.

P_{k,j} = d a_k / d z_j, skip connections included, with fixed gates; a bias of the later layer gives no second order.

Run: python -m derivations.r34_curvature_layers
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax.numpy as jnp
import sympy

import symflow as sf
from derivations.r12_gated_curvature import convexity, halved
from symflow.networks.losses import Loss
from symflow.proofs import Control, Derivation, IdentityTest, Inequality, Step, SymbolicZero
from symflow.proofs.claims import Case, altered, claim_identity, claim_inequality
from symflow.proofs.lemmas import CAUCHY_SCHWARZ, RAYLEIGH, SUBMULTIPLICATIVITY, WEYL
from symflow.proofs.words import matrices
from symflow.report.derivations import run
from symflow.theory.r12_curvature_gated import CURVATURE_GATED
from symflow.theory.r34_curvature_layers import CURVATURE_LAYERS
from symflow.theory.statement import Statement
from symflow.theory.terms import LargestEigenvalue, Letter, Named, Number, SampleMean, Term, i, j, k, norm

STATEMENT = CURVATURE_LAYERS.statement
ONE_BIAS = Case("linear 1-1-1, bias in layer 1", sf.FullyConnected((1, 1, 1), biases=[True, False]))
RESIDUAL = Case("ReLU 2-2-2-1, layer 1 added to layer 2, biases",
                sf.FullyConnected((2, 2, 2, 1), activation="relu", skip=[[1, 2]], biases=True))  # fmt: skip
SCALAR_RESIDUAL = Case("linear 1-1-1-1, layer 1 added to layer 2", sf.FullyConnected((1, 1, 1, 1), skip=[[1, 2]]))
NETWORKS = [
    Case("ReLU 2-3-2, biases", sf.FullyConnected((2, 3, 2), activation="relu", biases=True)),
    Case("linear 2-2-3-2-1, biases in layers 1 and 3",
         sf.FullyConnected((2, 2, 3, 2, 1), biases=[True, False, True, False])),
    Case("slopes 3/2 and -4/7, 2-2-3-2-2, layer 1 added to 3, input to 1, biases",
         sf.FullyConnected((2, 2, 3, 2, 2), "3/2", "-4/7", skip=[[0, 1], [1, 3]], biases=True)),
    Case("ReLU and linear, 2-3-3-3, layer 1 added to the output, diagonal layer 2, h scaled by 2/3",
         sf.FullyConnected((2, 3, 3, 3), activation=["relu", "linear"], skip=[[1, 3]], diagonal=[2],
                           output_scale="2/3", biases=[False, True, True])),
    RESIDUAL,
]  # fmt: skip
SPECTRA = [
    ONE_BIAS,
    Case("ReLU 2-2-1, biases", sf.FullyConnected((2, 2, 1), activation="relu", biases=True)),
    RESIDUAL,
    Case("logistic, linear 2-2-2-1, layer 1 added to 2, diagonal layer 2, h scaled by 1/2",
         sf.FullyConnected((2, 2, 2, 1), skip=[[1, 2]], diagonal=[2], output_scale="1/2"), Loss("logistic")),
]  # fmt: skip
SCOPE = (
    "square loss, biases in all and in some layers, skip connections from the input, between layers and to the output, "
    "a diagonal layer, an output scale; in the regions of the points"
)


def two_layers(skip: int = 1, bias: int = 0) -> Iterator[sympy.Expr]:
    """Second order in t of one layer above another: z = (W + tX)(P(z_1 + t y) + a) + b + t c, y = Y a_0 + beta.

    The bias direction c of the later layer and what the skip connection brings (s (z_1 + t y)) have no term in t^2.
    """
    t = sympy.Symbol("t")
    w, x, p, z, y, a, b, c, s = matrices("W X P z y a b c s")
    curve = (w + t * x) * (p * (z + t * y) + a) + b + t * c + skip * s * (z + t * y)
    yield sympy.expand(curve).coeff(t, 2) - x * p * y - bias * c
    yield sympy.expand(curve).coeff(t, 1) - (x * (p * z + a) + c + (w * p + skip * s) * y)


def joined() -> Iterator[sympy.Expr]:
    """(||Delta|| ||a|| + ||beta||)^2 <= (||Delta||^2 + ||beta||^2)(||a||^2 + 1): the difference is a square."""
    d, a, b = sympy.symbols("d a b", nonnegative=True)
    yield sympy.expand((d**2 + b**2) * (a**2 + 1) - (d * a + b) ** 2 - (d - b * a) ** 2)


def one_pair(size: int, z: Any) -> tuple[Any, Any]:
    """(|delta^T X P (Y a + b)|, ||delta|| ||P|| sqrt(||a||^2 + 1) ||X||_F sqrt(||Y||_F^2 + ||b||^2))."""
    x, p, y = z[: 3 * size**2].reshape(3, size, size)
    back, a, b = z[3 * size**2 :].reshape(3, size)
    norm_of = jnp.linalg.norm
    reach = jnp.sqrt(norm_of(a) ** 2 + 1) * jnp.sqrt(norm_of(y) ** 2 + norm_of(b) ** 2)
    return jnp.abs(back @ x @ p @ (y @ a + b)), norm_of(back) * norm_of(p, 2) * norm_of(x) * reach


def exact(stated: Statement, cases: Sequence[Case] = NETWORKS) -> IdentityTest:
    """The form of symflow's differentiator at fixed gates against the statement."""
    return claim_identity(stated, "exact", SCOPE, cases, lambda case: 2 * case.network.depth + 2)


def spectrum(stated: Statement, label: str = "", cases: Sequence[Case] = SPECTRA) -> Inequality:
    """The bound against the smallest eigenvalue of symflow's Hessian."""
    scope = "square and logistic loss: biases, a residual block, a diagonal layer, an output scale"
    return claim_inequality(stated, label, scope, cases, (WEYL, CAUCHY_SCHWARZ, SUBMULTIPLICATIVITY, RAYLEIGH))


def with_entry(entry: Term) -> Statement:
    """The bound with other entries of the matrix."""
    return altered(STATEMENT, "", lambda _: -SampleMean(LargestEigenvalue(Named("M^{(i)}", (j, k), entry))))


_PASSAGE, _ACTIVATIONS = Letter("passage", (i, k - 1, j)), Letter("activations", (i, j - 1))
_BACK = norm(Letter("to_output", (i, k)).T * Letter("grad_loss", (i,)))
WITHOUT_BIAS = with_entry(_BACK * norm(_PASSAGE) * norm(_ACTIVATIONS))
WITHOUT_SKIP = replace(CURVATURE_GATED.statement, hypotheses=STATEMENT.hypotheses)

DERIVATION = Derivation(
    proves=CURVATURE_LAYERS,
    steps=(
        Step(
            r"h_{\theta+t\Delta}(x_i) = c\,a_{i,n}",
            r"a_{i,n}+t\sum_jQ_{i,j}\zeta_{i,j}+t^2\sum_{j<j'}Q_{i,j'}\Delta_{j'}P_{i,j'-1,j}\zeta_{i,j}+O(t^3), \quad "
            r"\zeta_{i,j} = \Delta_ja_{i,j-1}+\beta_j",
            r"(Up to $c$.) No gate changes, so that $z_j$ is affine in $W_j$, in $b_j$ and in $a_{j-1}$, and $a_k$ is "
            r"affine in $z_j$, with derivative $P_{k,j}$: two layers meet where $\Delta_{j'}$ multiplies what "
            r"$\zeta_j$ changed in $a_{j'-1}$. Biases and skip connections only add.",
            (
                SymbolicZero("matrices of any sizes, one layer above another, induction over the layers", two_layers),
                exact(STATEMENT),
            ),
        ),
        Step(
            r"H[\Delta,\Delta]",
            r"\frac1N\sum_i2\nabla\ell_i^\top\sum_{j<j'}Q_{i,j'}\Delta_{j'}P_{i,j'-1,j}\zeta_{i,j}",
            r"The chain rule; the other term is $\nabla^2\ell_i[A_i,A_i] \ge 0$, as in R12, also for "
            r"$\ell(c\,\cdot,y)$.",
            (SymbolicZero("all predictions, any number of outputs and classes", convexity),),
            r"\ge",
        ),
        Step(
            r"\|\Delta_ja_{i,j-1}+\beta_j\|",
            r"u_j\sqrt{\|a_{i,j-1}\|^2+e_j}, \quad u_j = \|(\Delta_j,\beta_j)\|",
            r"Triangle inequality, then Cauchy--Schwarz for $(\|\Delta_j\|,\|\beta_j\|)$ and $(\|a\|,1)$. A diagonal "
            r"layer has the directions $\operatorname{Diag}(\delta)$, of Frobenius norm $\|\delta\|$.",
            (SymbolicZero("all sizes of the norms", joined),),
            r"\le",
        ),
        Step(
            r"|\delta_{i,j'}^\top\Delta_{j'}P_{i,j'-1,j}\zeta_{i,j}|",
            r"M^{(i)}_{jj'}u_ju_{j'}",
            r"With $\delta_{i,j'} = Q_{i,j'}^\top\nabla\ell_i$.",
            (
                Inequality(
                    "matrices of size 2 and 3",
                    (CAUCHY_SCHWARZ, SUBMULTIPLICATIVITY),
                    [2, 3],
                    lambda size: 3 * size**2 + 3 * size,
                    one_pair,
                ),
            ),
            r"\le",
        ),
        Step(
            r"\lambda_{\min}(H)",
            r"-\frac1N\sum_i\lambda_{\max}(M^{(i)})",
            r"$2\sum_{j<j'}M^{(i)}_{jj'}u_ju_{j'} = u^\top M^{(i)}u \le \lambda_{\max}(M^{(i)})\|\Delta\|^2$ for every "
            r"sample.",
            (spectrum(STATEMENT),),
            r"\ge",
        ),
    ),
    controls=(
        Control("the factor 2 of the exact form is 1.98", exact(altered(STATEMENT, "exact", halved))),
        Control("the exact form of R12 for a network with biases", exact(WITHOUT_SKIP, NETWORKS[:1])),
        Control(r"$e_j = 0$: the bound of R12(e) for a network with a bias", spectrum(WITHOUT_BIAS, cases=[ONE_BIAS])),
        Control("R12(e), whose chains leave skip connections out", spectrum(WITHOUT_SKIP, "(e)", [SCALAR_RESIDUAL])),
        Control("0.99 of the bound",
                spectrum(altered(STATEMENT, "", lambda right: Number(sympy.Rational(99, 100)) * right))),
        Control("a bias of the later layer in the second order", SymbolicZero("", partial(two_layers, bias=1))),
    ),
    notation=(
        r"$z_j = W_ja_{j-1}+b_j$, $a_j = \sigma(z_j)+\sum_{(i,j)}a_i$, $h = c\,a_n$; gates fixed near $\theta$; $\ell$ "
        r"is $\ell(c\,\cdot,y)$",
        r"$P_{i,k,j} = \partial a_{i,k}/\partial z_{i,j}$, $Q_{i,j} = P_{i,n,j}$, skip connections included",
    ),
    remarks="Steps 3 to 5 are inequalities by lemmas; the search attacks the last one with symflow's Hessian.",
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
