r"""R13: lower bounds on the smallest Hessian eigenvalue of convolutional networks on a smooth region.

Layer j acts as A_j(w_j), linear in its shared weights, with ||A_j(v)|| <= kappa_j ||v||. Each of the two layers that
carry a direction costs a kappa; without them the bound is false. (Elkabetz & Cohen 2021; the constants are ours.)

Run: python -m derivations.r13_convolutional_curvature
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import partial
from itertools import combinations
from math import ceil, prod
from typing import Any

import jax.numpy as jnp
import numpy as np
import sympy

import symflow as sf
from symflow.networks.layers.layer import overlap
from symflow.proofs import Control, Derivation, Draw, IdentityTest, Inequality, Step, SymbolicZero
from symflow.proofs.claims import Case, altered, claim_inequality
from symflow.proofs.lemmas import CAUCHY_SCHWARZ, MONOTONE_EIGENVALUE, RAYLEIGH, SUBMULTIPLICATIVITY, WEYL
from symflow.proofs.words import matrices
from symflow.report.derivations import run
from symflow.theory.r13_curvature_convolutional import CURVATURE_CONVOLUTIONAL
from symflow.theory.statement import Claim, Statement
from symflow.theory.terms import (
    GRAD_LOSS,
    SAMPLE,
    LargestEigenvalue,
    Letter,
    Named,
    Range,
    SampleMean,
    Term,
    j,
    k,
    l,
    norm,
    product,
)

STATEMENT = CURVATURE_CONVOLUTIONAL.statement
AVERAGE = Case(
    "convolution (3, stride 1), average pooling, convolution, dense",
    sf.Convolutional(
        (1, 5),
        (
            sf.Convolution(2, (3,), (1,), (1,)),
            sf.Pool("average", (2,), (1,)),
            sf.Convolution(1, (2,), (2,), (0,)),
            sf.Dense(1),
        ),
        1,
        "1/5",
    ),
)
MAXIMUM = Case(
    "convolution, max pooling, dense",
    sf.Convolutional((1, 4), (sf.Convolution(2, (2,), (1,), (0,)), sf.Pool("max", (2,), (1,)), sf.Dense(1)), 1, 0),
)
ALIKE = Case(
    "two convolutions (2, stride 1) and a dense layer, linear",
    sf.Convolutional((1, 6), (sf.Convolution(1, (2,), (1,), (0,)), sf.Convolution(1, (2,), (1,), (0,)), sf.Dense(1))),
)
SPECTRA = [AVERAGE, MAXIMUM, ALIKE]
WINDOWS = [(6, 3, 1), (7, 3, 2), (8, 2, 2), (9, 5, 3)]
"""Length of the input, kernel, stride."""


# A layer ------------------------------------------------------------------------------------------------------------


def patches(case: tuple[int, int, int], extra: int, draw: Draw) -> Iterator[Fraction]:
    """sum_q ||patch_q(a)||^2 - sum_p (number of windows that read p) a_p^2, and whether a count is above the bound."""
    length, kernel, stride = case
    a = draw.array(length)
    starts = range(0, length - kernel + 1, stride)
    reads = [sum(start <= p < start + kernel for start in starts) for p in range(length)]
    total = sum((value**2 for start in starts for value in a[start : start + kernel]), Fraction(0))
    yield total - sum(count * value**2 for count, value in zip(reads, a, strict=True))
    yield Fraction(max(0, max(reads) - (ceil(kernel / stride) - extra)))


def counted(extra: int = 0) -> IdentityTest:
    """At most ceil(kernel/stride) windows read one pixel; `extra` takes that many off (wrong)."""
    return IdentityTest(
        "windows along a line: (length, kernel, stride) = " + ", ".join(map(str, WINDOWS)),
        WINDOWS,
        lambda case: 2,
        lambda case, draw: patches(case, extra, draw),
    )


def shared_layer(case: tuple[int, int, int], z: Any, factor: float = 1.0) -> tuple[Any, Any]:
    """(||C(w)||, factor kappa ||w||) with two output channels."""
    length, kernel, stride = case
    w = z.reshape(2, kernel)
    rows = [jnp.zeros(length).at[start : start + kernel].set(w[c]) for start in range(0, length - kernel + 1, stride)
            for c in range(2)]  # fmt: skip
    return jnp.linalg.norm(jnp.stack(rows), 2), factor * ceil(kernel / stride) ** 0.5 * jnp.linalg.norm(w)


def average(case: tuple[int, int, int], z: Any) -> tuple[Any, Any]:
    """(||P a||^2, (r/m) ||a||^2) for average pooling over windows of m pixels, r windows a pixel."""
    length, size, stride = case
    starts = range(0, length - size + 1, stride)
    means = jnp.stack([jnp.mean(z[start : start + size]) for start in starts])
    reads = max(sum(start <= p < start + size for start in starts) for p in range(length))
    return jnp.sum(means**2), reads / size * jnp.sum(z**2)


def constants() -> Iterator[sympy.Expr]:
    """symflow's count of the windows of the layers of the networks above, against that of the definition."""
    for case in SPECTRA:
        for position, part in enumerate(case.network.parts):
            if isinstance(part, sf.Dense):
                continue
            table = case.network.table(position)
            index = np.asarray([source for source in table.index if source >= 0])
            yield sympy.Integer(overlap(table)) - int(np.bincount(index).max())


# The bound ----------------------------------------------------------------------------------------------------------


def one_pair(size: int, z: Any) -> tuple[Any, Any]:
    """(|delta^T B Y A a|, ||delta|| ||B|| ||Y|| ||A|| ||a||) with spectral norms: B, A are layers, not weights."""
    b, y, a = z[: 3 * size**2].reshape(3, size, size)
    back, forth = z[3 * size**2 :].reshape(2, size)
    norms = prod(jnp.linalg.norm(m, 2) for m in (b, y, a))
    return jnp.abs(back @ b @ y @ a @ forth), norms * jnp.linalg.norm(back) * jnp.linalg.norm(forth)


def induction() -> Iterator[sympy.Expr]:
    """One more layer A_j(w_j + t v_j) P_j = (A + t B) P: the coefficients of t and t^2; h, e, s those at depth n."""
    t = sympy.Symbol("t")
    a, b, p, h, e, s, rest = matrices("A B P H E S R")
    curve = sympy.expand((a + t * b) * p * (h + t * e + t**2 * s + t**3 * rest))
    yield curve.coeff(t, 1) - (b * p * h + a * p * e)
    yield curve.coeff(t, 2) - (b * p * e + a * p * s)


def multilinear(factor: sympy.Expr = sympy.S.One) -> Iterator[sympy.Expr]:
    """The coefficient of t^2 when A_j(w_j + t v_j) = A_j + t B_j; P_j: pooling and gates before layer j, n = 1..6."""
    t = sympy.Symbol("t")
    for depth in range(1, 7):
        layers = range(1, depth + 1)
        a, b, p = ([sympy.Symbol(f"{s}{x}", commutative=False) for x in layers] for s in "ABP")

        def word(matrices: Sequence[sympy.Expr], pools: Sequence[sympy.Symbol] = p) -> sympy.Expr:
            return sympy.Mul(*(f for m, q in zip(matrices[::-1], pools[::-1], strict=True) for f in (m, q)))

        moved = sympy.expand(word([x + t * y for x, y in zip(a, b, strict=True)]))
        yield moved.coeff(t, 2) - factor * sympy.Add(
            *(
                word([b[x - 1] if x in pair else a[x - 1] for x in layers])
                for pair in combinations(layers, 2)
            )
        )  # fmt: skip


def spectrum(stated: Statement, label: str = "", cases: Sequence[Case] = SPECTRA) -> Inequality:
    """A bound against the smallest eigenvalue of symflow's Hessian."""
    scope = "square loss: " + "; ".join(map(str, SPECTRA))
    return claim_inequality(stated, label, scope, cases, (WEYL, CAUCHY_SCHWARZ, SUBMULTIPLICATIVITY, RAYLEIGH))


def without_constants(_: Term) -> Term:
    """The bound with M_jj' = prod ||A_l(w_l)||, no kappas."""
    entry = Named("M", (j, k), product(Range(l, excluding=(j, k)), norm(Letter("layer_matrix", (l,)))))
    return -(Letter("pool") * SampleMean(norm(GRAD_LOSS) * norm(SAMPLE)) * LargestEigenvalue(entry))


def below_layers() -> Inequality:
    """Bound (kappa) <= the bound with the norms of the layers."""
    claim = Claim("", STATEMENT.claim("(kappa)").right, "<=", STATEMENT.claim("").right)
    lemmas = (SUBMULTIPLICATIVITY, MONOTONE_EIGENVALUE)
    return claim_inequality(Statement("R13", "two bounds", (claim,), ()), "", str(AVERAGE), [AVERAGE], lemmas)


DERIVATION = Derivation(
    proves=CURVATURE_CONVOLUTIONAL,
    steps=(
        Step(
            r"\sum_q\|\mathrm{patch}_q(a)\|^2",
            r"\sum_pr_pa_p^2 \le \prod_{\text{dims}}\Bigl\lceil\frac{\text{kernel}}{\text{stride}}\Bigr\rceil\,\|a\|^2",
            r"$r_p$: how many windows read the pixel $p$.  Along one dimension those begin at multiples of the stride "
            r"within kernel neighbouring places.",
            (
                counted(),
                SymbolicZero("the counts that symflow uses, for the networks of step 5", constants, "checked exactly"),
            ),
        ),
        Step(
            r"\|\mathcal A_j(v)\|",
            r"\kappa_j\|v\|, \quad \kappa_j^2 = \max_pr_p \le \prod_{\text{dims}}\Bigl\lceil\frac{\text{kernel}}"
            r"{\text{stride}}\Bigr\rceil",
            r"The output at window $q$ is $v\,\mathrm{patch}_q(a)$ with $v$ a matrix of one row a channel, and its "
            r"norm is "
            r"at most $\|v\|_F\|\mathrm{patch}_q(a)\|$; step 1.",
            (
                Inequality(
                    "two channels, windows as in step 1",
                    (CAUCHY_SCHWARZ,),
                    WINDOWS,
                    lambda case: 2 * case[1],
                    shared_layer,
                    (counted(),),
                ),
            ),
            r"\le",
        ),
        Step(
            r"\|Pa\|^2",
            r"\frac rm\|a\|^2 \text{ (average over } m \text{ pixels)}, \quad \|Pa\|^2 \le r\|a\|^2 \text{ (maximum)}",
            r"$(Pa)_q^2 \le \frac1m\sum_{p\in q}a_p^2$; a maximum selects one pixel a window; each pixel is in at "
            r"most $r$ "
            r"windows.",
            (Inequality("windows as in step 1", (CAUCHY_SCHWARZ,), WINDOWS, lambda case: case[0], average),),
            r"\le",
        ),
        Step(
            r"\tfrac12\tfrac{d^2}{dt^2}h_{\theta+t\Delta}(x_i)",
            r"\sum_{j<j'}\mathcal A_n(w_n)P_n\cdots\mathcal A_{j'}(\Delta_{j'})P_{j'}\cdots\mathcal A_j(\Delta_j)P_j"
            r"\cdots P_1x_i",
            r"Choose $t\Delta$ in two layers, as in R7: a pair contains the last layer or not.",
            (
                SymbolicZero("layers, gates and poolings of any sizes, the induction step for every $n$", induction),
                SymbolicZero(r"directly for $n = 1,\dots,6$", multilinear, "checked exactly"),
            ),
        ),
        Step(
            r"\lambda_{\min}(H)",
            r"\begin{aligned}[t] & -\max\{|\alpha|,|\bar\alpha|\}^{n-1}\,p\,\frac1N\sum_i\|\nabla\ell_i\|\,\|x_i\|\,"
            r"\lambda_{\max}(M), \\ & M_{jj'} = \kappa_j\kappa_{j'}\prod_{l\ne j,j'}\|\mathcal A_l(w_l)\|\end{aligned}",
            r"$\nabla^2\ell \ge 0$; a term of step 4 times $\nabla\ell_i$ is at most the product of the norms, with "
            r"$\|\mathcal A_j(\Delta_j)\| \le \kappa_j\|\Delta_j\|$ by step 2; then the Rayleigh quotient as in R9.",
            (
                Inequality(
                    "matrices of size 2 and 3",
                    (CAUCHY_SCHWARZ, SUBMULTIPLICATIVITY),
                    [2, 3],
                    lambda size: 3 * size**2 + 2 * size,
                    one_pair,
                ),
                spectrum(STATEMENT),
            ),
            r"\ge",
        ),
        Step(
            r"\kappa_j\kappa_{j'}\prod_{l\ne j,j'}\|\mathcal A_l(w_l)\|",
            r"\kappa_j\kappa_{j'}\prod_{l\ne j,j'}\kappa_l\|w_l\|",
            "Step 2 for the other layers, and monotone eigenvalues: a bound in the norms of the weights.",
            (below_layers(),),
            r"\le",
        ),
    ),
    controls=(
        Control(
            r"$M_{jj'} = \prod_{l\ne j,j'}\|\mathcal A_l(w_l)\|$, without the $\kappa$'s",
            spectrum(altered(STATEMENT, "", without_constants), "", [ALIKE]),
        ),
        Control(r"one window less than $\lceil\text{kernel}/\text{stride}\rceil$", counted(1)),
        Control(
            r"$0.99\,\kappa_j$",
            Inequality("", (), WINDOWS, lambda case: 2 * case[1], partial(shared_layer, factor=0.99)),
        ),
        Control(
            "1.01 times the sum over pairs", SymbolicZero("", partial(multilinear, factor=sympy.Rational(101, 100)))
        ),
    ),
    notation=(
        r"$h_\theta(x) = \mathcal A_n(w_n)P_n\cdots\mathcal A_1(w_1)P_1x$ at fixed gates: $\mathcal A_j$ is linear "
        r"in the weights $w_j$ of layer $j$, $P_j$ consists of gates and pooling; $\ell \in C^2$",
    ),
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
