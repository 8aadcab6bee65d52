r"""R4, constants: closed forms for beta, gamma and m on the ball B_eps(theta) of a network with gates.

They hold at every point of the ball that is on no kink, whatever its gates: with products of norms in place of norms of
products, because gates stand between the layers, and with the growth d_I(eps) of r04_tube_constants.

Run: python -m derivations.r04_tube_constants_gated
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import sympy

import symflow as sf
from derivations.r04_tube_constants import ball
from symflow.networks.losses import LOSSES, Loss
from symflow.proofs import Control, Derivation, NonnegativeCoefficients, Step, SymbolicZero
from symflow.proofs.claims import Case
from symflow.report.derivations import run
from symflow.theory.ball_constants import CONSTANTS
from symflow.theory.r04_step_size import STEP_SIZE

GATED = replace(
    CONSTANTS, claims=tuple(c for c in CONSTANTS.claims if c.label.startswith("gated") and "drift" not in c.label)
)
SCALAR = Case("square loss, slopes 3 and 1, widths 1-1-1", sf.FullyConnected((1, 1, 1), 3, 1))
RELU = Case("square loss, ReLU 2-2-1", sf.FullyConnected((2, 2, 1), 1, 0))
LOGISTIC = Case(
    r"logistic loss, slopes $\frac32$ and $-\frac47$, widths 1-2-1-1",
    sf.FullyConnected((1, 2, 1, 1), "3/2", "-4/7"),
    Loss("logistic"),
)

Polynomials = Iterator[tuple[sympy.Expr, tuple[sympy.Symbol, ...]]]


def lipschitz(hypothesis: bool = True) -> Polynomials:
    """a |x - y| -+ (sigma(x) - sigma(y)) for a >= |alpha|, |alpha_bar|, on one side of the kink and across it.

    The slopes enter as p = a - alpha, q = a + alpha, r = a - alpha_bar, s = a + alpha_bar, all >= 0; without the
    hypothesis (wrong) nothing is known of alpha_bar, so that r = -v.
    """
    x, y, p, q, r, s, v = sympy.symbols("x y p q r s v", nonnegative=True)
    r = r if hypothesis else -v
    variables = (x, y, p, q, s, v) if not hypothesis else (x, y, p, q, r, s)
    # a = (p + q)/2 = (r + s)/2, so a x = (p + q) x/2 and so on
    yield (p + q) * x / 2 - (q - p) * x / 2, variables  # x > 0 and 0, upper sign; the difference of any two
    yield (p + q) * x / 2 + (q - p) * x / 2, variables
    yield (r + s) * y / 2 - (s - r) * y / 2, variables  # 0 and -y
    yield (r + s) * y / 2 + (s - r) * y / 2, variables
    yield ((p + q) * x + (r + s) * y) / 2 - ((q - p) * x + (s - r) * y) / 2, variables  # x > 0 and -y < 0
    yield ((p + q) * x + (r + s) * y) / 2 + ((q - p) * x + (s - r) * y) / 2, variables


def one_more_layer(factor: sympy.Expr = sympy.S.One) -> Iterator[sympy.Expr]:
    """(s + e) (P' - P) + factor e P = (s + e) P' - s P; the factor is 1.

    P = s_1 ... s_l and P' = (s_1 + e_1) ... (s_l + e_l); times a^l ||x|| the first is a bound on W' (a' - a) + E a.
    """
    s, e, moved, product = sympy.symbols("s e P' P")
    yield (s + e) * (moved - product) + factor * e * product - ((s + e) * moved - s * product)


def smoothness() -> Iterator[sympy.Expr]:
    """L >= |hess ell| of the package: the square loss, logistic, cross-entropy, each as an identity.

    Square: ||v||^2. Logistic: 1/4 - s (1 - s) = (1 - 2s)^2/4. Cross-entropy: the variance of v under the predicted
    probabilities is E v^2 - mu^2 = (hi - mu)(mu - lo) - E (hi - v)(v - lo), mu = E v, lo and hi the least and the
    largest v; (hi - mu)(mu - lo) = ((hi - lo)/2)^2 - (mu - (hi + lo)/2)^2; and (hi - lo)^2 = 2 (hi^2 + lo^2)
    - (hi + lo)^2 <= 2 ||v||^2, so that it is at most ||v||^2/2.
    """
    s, mean, second, low, high = sympy.symbols("s mu E_2 lo hi")
    yield LOSSES["square"].smoothness - sympy.Integer(1)
    yield LOSSES["logistic"].smoothness - sympy.Rational(1, 4)
    yield sympy.Rational(1, 4) - s * (1 - s) - (1 - 2 * s) ** 2 / 4
    yield LOSSES["cross-entropy"].smoothness - sympy.Rational(1, 2)
    spread = high * mean - high * low - second + low * mean  # E (hi - v)(v - lo)
    yield (second - mean**2) - ((high - mean) * (mean - low) - spread)
    yield (high - mean) * (mean - low) - (((high - low) / 2) ** 2 - (mean - (high + low) / 2) ** 2)
    yield (high - low) ** 2 - (2 * (high**2 + low**2) - (high + low) ** 2)


DERIVATION = Derivation(
    proves=STEP_SIZE,
    name="Closed forms for the constants on a ball, networks with gates",
    part=GATED,
    steps=(
        Step(
            r"|\sigma(x)-\sigma(y)|",
            r"a\,|x-y|",
            r"$\sigma$ has the slopes $\alpha$ and $\bar\alpha$; across the kink the differences to 0 add up.",
            (NonnegativeCoefficients(r"every $\alpha$, $\bar\alpha$, $x$, $y$", lipschitz),),
            r"\le",
        ),
        Step(
            r"\|h_{\theta'}(x)-h_\theta(x)\|",
            r"a^{n-1}\|x\|\Bigl(\prod_l(s_l+e_l)-\prod_ls_l\Bigr) \le a^{n-1}\|x\|\,d",
            r"Induction over the layers: $z'-z = W'(a'-a)+Ea$ for pre-activations $z$ and activations $a$, "
            r"$\|a\| \le a^l s_1\cdots s_l\|x\|$, and step 1, whatever the gates.",
            (SymbolicZero("the induction step for every $n$", one_more_layer),),
            r"\le",
        ),
        Step(
            r"\|\nabla\ell'_i\|",
            r"\|\nabla\ell_i\|+L\,a^{n-1}\|x_i\|\,d",
            r"Mean value theorem and step 2. $L = 1$, $\frac14$, $\frac12$ for the square, logistic and cross-entropy "
            r"losses: a variance is at most a quarter of the squared range, which is at most $2\|v\|^2$.",
            (SymbolicZero("the constants $L$ that symflow uses, any number of classes", smoothness),),
            r"\le",
        ),
        Step(
            r"\|G'_j\|_F",
            r"E\,\widetilde C_j, \quad \widetilde C_j = \prod_{l\ne j}s_l+\hat d_j, \quad "
            r"E = a^{n-1}\frac1N\sum_i\|x_i\|(\|\nabla\ell_i\|+L\,a^{n-1}\|x_i\|\,d)",
            r"$G'_j$ is the mean of $\delta'_{i,j}a'^{\top}_{i,j-1}$, of norm at most "
            r"$\|\nabla\ell'_i\|a^{n-1}\|x_i\|\prod_{l\ne j}(s_l+e_l)$; then step 3.",
            (ball("gated, gamma", cases=(RELU, LOGISTIC)),),
            r"\le",
        ),
        Step(
            r"-\lambda_{\min}(H(\theta'))",
            r"E\,\lambda_{\max}(\widetilde M), \quad \widetilde M_{jj'} = \prod_{l\ne j,j'}s_l+\check d_{jj'}",
            r"The exact form of R12 at $\theta'$: a term of its second sum is at most "
            r"$\|\nabla\ell'_i\|a^{n-1}\|x_i\|\prod_{l\ne j,j'}(s_l+e_l)\,u_ju_{j'}$; Rayleigh quotient.",
            (ball("gated, m", cases=(LOGISTIC,)),),
            r"\le",
        ),
        Step(
            r"\|H(\theta')\|",
            r"a^{2n-2}L\Bigl(\frac1N\sum_i\|x_i\|^2\Bigr)\sum_j\widetilde C_j^2+E\,\lambda_{\max}(\widetilde M)",
            r"The first sum of R12: $\nabla^2\ell_i[A_i,A_i] \le L\|A_i\|^2$, $\|A_i\| \le a^{n-1}\|x_i\|\sum_j"
            r"\widetilde C_j\|\Delta_j\|_F$; Cauchy--Schwarz over $j$.",
            (ball("gated, beta", cases=(LOGISTIC,)),),
            r"\le",
        ),
    ),
    controls=(
        Control(r"$a = |\alpha|$ only, with nothing known of $\bar\alpha$", NonnegativeCoefficients(
            "", partial(lipschitz, hypothesis=False))),
        Control(r"$1.01\,E_la$ in step 2", SymbolicZero("", partial(one_more_layer, sympy.Rational(101, 100)))),
        Control(r"0.99 of the bound on $\|g\|$", ball("gated, gamma", 0.99, (SCALAR,))),
        Control(r"0.99 of the bound on $-\lambda_{\min}(H)$", ball("gated, m", 0.99, (SCALAR,))),
    ),
    notation=(r"$h_\theta(x) = W_n\sigma(W_{n-1}\cdots\sigma(W_1x))$, $a = \max\{|\alpha|,|\bar\alpha|\}$; for $m$ "
              r"also $\ell$ convex in the prediction", (r"$\theta' \in B_\varepsilon(\theta)$ on no kink; $W_l' = "
                                                        r"W_l+E_l$, $e_l = \|E_l\|_F$, $s_l = \|W_l\|$, and "
        r"$d$, $\hat d_j$, $\check d_{jj'}$ the growth of the products of all layers, all but $j$, all but $j$ and "
        r"$j'$ (the lemma of the section before)"),),
    remarks="These constants are of this work. "
    "No gate is supposed to keep its value on the ball. On a kink the same bounds hold for every choice of its "
    "gates.",
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
