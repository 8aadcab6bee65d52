r"""R26: the modified equation of Nesterov's method and where its flow starts.

Along a curve x' = F_0 + eta F_1 + ... the recursion is x(eta) = y - eta g(y), y = x(0) + beta (x(0) - x(-eta)), which
determines F_0, F_1, ... tree by tree, in every dimension. (Kovachki & Stuart 2021 and Ghosh et al. 2023 for F_0, F_1;
Cattaneo & Shigida 2025 for all orders in another form.)

Run: python -m derivations.r26_nesterov
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import partial

import sympy

from derivations.r25_heavy_ball import (
    FIELD,
    NU,
    ORDER,
    altered,
    bent,
    chain,
    each,
    flow_by_trees,
    in_field,
    loss,
    roots_of,
    start_on_quadratics,
    times,
    x,
)
from symflow.dynamics.modified.coefficients import terms
from symflow.dynamics.modified.tree_series import Series, gradient_at, plus
from symflow.dynamics.modified.trees import HHG, TGG
from symflow.proofs import Control, Derivation, Step, SymbolicZero
from symflow.report.derivations import run
from symflow.theory.differential_sums import BETA, ETA
from symflow.theory.r26_nesterov import METHOD, NESTEROV


def recursion(found: Sequence[Series]) -> Iterator[sympy.Expr]:
    """x(eta) - x - (y - x) + eta g(y), tree by tree; y - x = -beta (x(-eta) - x)."""
    moved = plus({}, flow_by_trees(found, -1), -FIELD.from_sympy(BETA))
    left = plus(flow_by_trees(found, 1), moved, -1)
    yield from each(plus(left, gradient_at(moved, len(found))), len(found))


def constant_gradient(first: sympy.Expr) -> Iterator[sympy.Expr]:
    """theta_k of the statement satisfies y - eta g = theta_{k+1} where the gradient is constant, and is at rest at "
    "first."""
    k, g, theta0 = sympy.symbols("k g theta_0")

    def place(step: sympy.Expr) -> sympy.Expr:
        return theta0 + ETA * first * g - step * ETA * g / NU - ETA * BETA ** (step + 1) / NU**2 * g

    y = place(k) + BETA * (place(k) - place(k - 1))
    yield sympy.simplify(place(k + 1) - (y - ETA * g))
    yield sympy.simplify(place(sympy.Integer(0)) - theta0)
    yield sympy.simplify(place(sympy.Integer(-1)) - theta0)


def rate_of_terms(found: Sequence[Series]) -> Iterator[sympy.Expr]:
    """On f = (h/2) theta^2, x = eta h: mu_+ of mu^2 - (1 + beta)(1 - x) mu + beta (1 - x) is exp(sum c_i x^{i+1})."""
    large, _ = roots_of((1 + BETA) * (1 - x), BETA * (1 - x))
    exponent = [FIELD.zero, *(term[chain(i)] for i, term in enumerate(found))]
    power = series = [FIELD.one, *[FIELD.zero] * (ORDER + 1)]
    for n in range(1, ORDER + 2):
        power = [c / n for c in times(power, exponent)]
        series = [a + b for a, b in zip(series, power, strict=True)]
    yield from (FIELD.to_sympy(a - b) for a, b in zip(series, large, strict=True))


FOUND = in_field(terms(METHOD, ORDER))
LOSS = (1 - BETA + 2 * BETA**2) / (4 * NU**3)
CURL = -(1 - 7 * BETA) / (6 * NU**4)

DERIVATION = Derivation(
    proves=NESTEROV,
    steps=(
        Step(
            r"x(\eta)-y+\eta g(y)",
            r"0, \quad y = x-\beta(x(-\eta)-x), \quad x(\pm\eta)-x = \sum_{m\ge1}\frac{(\pm\eta)^m}{m!}L^{m-1}\tilde F",
            r"The recursion along $\dot x = \tilde F = \sum_i\eta^iF_i$, with the Taylor series and the grafting "
            r"rule of "
            r"R17; $g(y)$ by Taylor's theorem; coefficients are compared tree by tree. As for heavy ball (R25, step 2) "
            r"$F_p$ enters with $(1-\beta)\eta^{p+1}$, so that the equation determines it.",
            (SymbolicZero("every dimension, all trees of 1 to 5 vertices (orders 0 to 4)", partial(recursion, FOUND)),),
        ),
        Step(
            r"F_0+\eta F_1",
            r"-\nabla\Bigl(\frac{f}{\nu}+\eta\frac{1-\beta+2\beta^2}{4\nu^3}\|g\|^2\Bigr)",
            r"$\nabla\|g\|^2 = 2Hg$.",
            (SymbolicZero(r"all $\beta$", partial(loss, FOUND, LOSS)),),
        ),
        Step(
            r"J(F_2)-J(F_2)^\top",
            r"-\frac{1-7\beta}{6\nu^4}[H,T[g]]",
            r"As in R25, step 4: the coefficient of $H^2g$ less twice that of $T[g,g]$.",
            (SymbolicZero(r"all $\beta$", partial(bent, FOUND, CURL)),),
        ),
        Step(
            r"\theta_k-\theta_0",
            r"\frac{\eta\beta}{\nu^2}g-\frac{k\eta}{\nu}g-\frac{\eta\beta^{k+1}}{\nu^2}g+O(\eta^2)",
            r"From rest, $\theta_{-1} = \theta_0$; for a constant gradient the step is that of heavy ball (R25, step "
            r"5).",
            (SymbolicZero(r"a constant gradient, all $k$ and $\beta$", partial(constant_gradient, BETA / NU**2)),),
        ),
        Step(
            r"A\theta_0",
            r"\theta_0+\sum_i\eta^iS_i, \quad \theta_k = A\mu_+^k\theta_0+(1-A)\mu_-^k\theta_0",
            r"On $f = \frac h2\theta^2$ the start is the share of the slow root, $A+B = 1 = A/\mu_++B/\mu_-$; the "
            r"roots are "
            r"those of $\mu^2-(1+\beta)(1-x)\mu+\beta(1-x)$, $x = \eta h$.",
            (
                SymbolicZero(
                    r"orders 1 to 4, all $\beta$",
                    partial(start_on_quadratics, METHOD, (1 + BETA) * (1 - x), BETA * (1 - x)),
                    "checked exactly",
                ),
            ),
        ),
        Step(
            r"\log\mu_+",
            r"\sum_{i\ge0}c_ix^{i+1}, \quad F_i = c_iH^ig+\dots",
            r"On quadratics only the chains of Hessians remain.",
            (SymbolicZero(r"orders 0 to 4, all $\beta$", partial(rate_of_terms, FOUND), "checked exactly"),),
        ),
    ),
    controls=(
        Control(r"$T[g,g]$ with a coefficient 1\% off", SymbolicZero("", partial(recursion, altered(FOUND, TGG)))),
        Control(r"$H^2g$ with a coefficient 1\% off", SymbolicZero("", partial(recursion, altered(FOUND, HHG)))),
        Control(r"the modified loss of heavy ball", SymbolicZero("", partial(loss, FOUND, (1 + BETA) / (4 * NU**3)))),
        Control(r"the start $\frac{\eta\beta}{\nu}g$", SymbolicZero("", partial(constant_gradient, BETA / NU))),
        Control(
            r"the start 1\% off, on quadratics",
            SymbolicZero(
                "",
                partial(start_on_quadratics, METHOD, (1 + BETA) * (1 - x), BETA * (1 - x), Fraction(101, 100)),
            ),
        ),
        Control(r"$H^2g$ 1\% off, on quadratics", SymbolicZero("", partial(rate_of_terms, altered(FOUND, HHG)))),
    ),
    notation=(r"$\nu = 1-\beta$, $0 \le \beta < 1$; $f \in C^{p+3}$ near $\theta$ ($p$ the order)",),
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
