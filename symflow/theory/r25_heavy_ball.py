"""R25: the modified equation of heavy ball, where its flow starts, and its rate on quadratics to all orders."""

from __future__ import annotations

import sympy

from symflow.dynamics.methods.heavy_ball import HeavyBall
from symflow.dynamics.modified.coefficients import start_terms, terms
from symflow.theory.differential_sums import BETA, ETA, NU, differential_sum
from symflow.theory.hypotheses import Hypothesis
from symflow.theory.hypothesis_checks import SMOOTH_ALONG
from symflow.theory.result import SOURCES, Result
from symflow.theory.statement import Claim, equation

METHOD = HeavyBall(BETA)
TERMS = terms(METHOD, 2)
START = start_terms(METHOD, 1)
RATE = sympy.Symbol("lambda", real=True)
"""An eigenvalue of a quadratic f."""


def modified_claims(found: tuple, start: tuple) -> tuple[Claim, ...]:
    """F_0, F_1, F_2 and the start to first order."""
    orders = tuple(equation(f"order {i}", f"F_{i}", differential_sum(term, 2 * i + 1)) for i, term in enumerate(found))
    first = sympy.Symbol(r"\theta_0") + ETA * differential_sum(start[0], 2) + sympy.Symbol(r"O(\eta^2)")
    return (*orders, equation("start", r"\theta(0)", first))


def rate_term(k: sympy.Expr) -> sympy.Expr:
    """The term of (eta lambda)^k in the rate on quadratics."""
    return (ETA * RATE) ** k * sympy.legendre(k - 1, (1 + BETA) / (1 - BETA)) / (k * NU**k)


def larger_root() -> sympy.Expr:
    """mu_+, the root near 1 of mu^2 - (1 + beta - eta lambda) mu + beta."""
    middle = 1 + BETA - ETA * RATE
    return (middle + sympy.sqrt(middle**2 - 4 * BETA)) / 2


_k = sympy.Symbol("k", integer=True, positive=True)
MOMENTUM = Hypothesis(
    "a fixed horizon and the slow manifold",
    r"a fixed horizon; $\nu = 1-\beta$, $t = k\eta$; descent began at rest, $\theta_{-1} = \theta_0$, and its velocity "
    r"has forgotten that ($\beta^k \ll \eta^{p+1}$)",
)
HEAVY_BALL = Result(
    "R25",
    "heavy-ball",
    "modified equation of heavy ball",
    "modified equation of heavy ball, the start of its flow, and its rate on quadratics to all orders",
    f"{SOURCES['KS21']} and {SOURCES['GLZW23']} (orders 0 and 1); {SOURCES['CS25']} (all orders); order 2 in this "
    "form and the start: symflow",
    (SMOOTH_ALONG,),
    (
        *modified_claims(TERMS, START),
        equation("rate on quadratics", r"-\log\mu_+", sympy.Sum(rate_term(_k), (_k, 1, sympy.oo))),
    ),
    (MOMENTUM,),
    remark=r"$P_k$ are Legendre's polynomials, $\mu_+$ is the larger root of $\mu^2-(1+\beta-\eta\lambda)\mu+\beta$, "
    r"the factor per step of an eigenvector with $H = \lambda$; the series converges for $|\eta\lambda| < "
    r"(1-\sqrt\beta)^2$. The roots are complex if and only if $(1-\sqrt\beta)^2 < \eta\lambda < (1+\sqrt\beta)^2$, and "
    r"descent diverges if $\lambda < 0$ or $\eta\lambda > 2(1+\beta)$. From $\theta_0$ itself the flow is off by "
    r"$O(\eta)$ at every order. The terms up to $\eta$ are the gradient flow of $f/\nu + "
    r"\eta\frac{1+\beta}{4\nu^3}\|g\|^2$; $J(F_2)-J(F_2)^\top = -\frac{1}{6\nu^3}[H,T[g]]$ forbids one at order "
    r"$\eta^2$.",
    derivations=("r25_heavy_ball",),
)
