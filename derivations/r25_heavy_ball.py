r"""R25: the modified equation of heavy ball, where its flow starts, and its rate on quadratics.

On its slow manifold heavy ball is the two-step recursion x(eta) - (1 + beta) x(0) + beta x(-eta) + eta g(x(0)) = 0
along a curve x' = F_0 + eta F_1 + ..., which determines F_0, F_1, ... tree by tree, in every dimension. (Kovachki &
Stuart 2021 and Ghosh et al. 2023 for F_0, F_1; Cattaneo & Shigida 2025 for all orders in another form.)

Run: python -m derivations.r25_heavy_ball
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import partial
from math import factorial
from typing import Any

import sympy
from sympy.polys.domains import QQ

from symflow.dynamics.method import Method
from symflow.dynamics.modified.coefficients import start_terms, terms
from symflow.dynamics.modified.curl import curl
from symflow.dynamics.modified.tree_series import Series, along, plus
from symflow.dynamics.modified.trees import HHG, TGG, G, Tree, all_trees, tree
from symflow.proofs import Control, Derivation, Step, SymbolicZero
from symflow.report.derivations import run
from symflow.theory.differential_sums import BETA, ETA
from symflow.theory.r25_heavy_ball import HEAVY_BALL, METHOD, RATE, larger_root, rate_term

ORDER = 4
"""The highest order that is checked; the statement has orders 0 to 2."""
FIELD = QQ.frac_field(BETA)
x, k, g, theta0 = sympy.symbols("x k g theta_0")
NU = 1 - BETA


def in_field(found: Sequence[Mapping[Tree, sympy.Expr]]) -> list[Series]:
    """Coefficients in which zero is seen at once."""
    return [{t: FIELD.from_sympy(c) for t, c in term.items()} for term in found]


def altered(found: Sequence[Series], t: Tree) -> list[Series]:
    """One coefficient 1 % off, for a control."""
    return [{s: c * 101 / 100 if s == t else c for s, c in term.items()} for term in found]


def flow_by_trees(found: Sequence[Series], sign: int) -> Series:
    """x(sign eta) - x(0) for x' = sum_i eta^i F_i: sum_m sign^m L^{m-1} F / m!, up to as many vertices as terms."""
    level = [dict(term) for term in found]
    total: Series = {}
    for m in range(1, len(found) + 1):
        for term in level[: len(found) + 1 - m]:
            total = plus(total, {t: c / factorial(m) for t, c in term.items()}, sign**m)
        level = [_sum([along(found[i], level[q - i]) for i in range(q + 1)]) for q in range(len(found) - m)]
    return total


def _sum(parts: Sequence[Series]) -> dict[Tree, Any]:
    found: dict[Tree, Any] = {}
    for part in parts:
        found = plus(found, part)
    return found


def each(found: Series, size: int) -> Iterator[sympy.Expr]:
    """The coefficient of every tree with at most so many vertices."""
    for n in range(1, size + 1):
        yield from (FIELD.to_sympy(FIELD.convert(found.get(t, 0))) for t in all_trees(n))


def recursion(found: Sequence[Series]) -> Iterator[sympy.Expr]:
    """(x(eta) - x) + beta (x(-eta) - x) + eta g(x), tree by tree."""
    beta = FIELD.from_sympy(BETA)
    left = plus(flow_by_trees(found, 1), flow_by_trees(found, -1), beta)
    yield from each(plus(left, {G: FIELD.one}), len(found))


def new_term() -> Iterator[sympy.Expr]:
    """F_p enters the coefficient of eta^{p+1} by itself and with the factor 1 - beta: here F_4 = H^4 g is added."""
    chain = tree(tree(HHG))
    before = [*in_field(terms(METHOD, ORDER - 1)), {}]
    after = [*before[:-1], {chain: FIELD.one}]
    beta = FIELD.from_sympy(BETA)
    change = [plus(flow_by_trees(f, 1), flow_by_trees(f, -1), beta) for f in (after, before)]
    yield from each(plus(plus(change[0], change[1], -1), {chain: FIELD.from_sympy(NU)}, -1), ORDER + 1)


def bent(found: Sequence[Series], stated: sympy.Expr) -> Iterator[sympy.Expr]:
    """The coefficient of [H, T[g]] in J(F_2) - J(F_2)^T, from those of H^2 g and T[g,g]."""
    a, b = (FIELD.to_sympy(found[2][t]) for t in (HHG, TGG))
    yield a - 2 * b - stated
    (only,) = curl(found[2]).values()
    yield FIELD.to_sympy(only) - stated


def loss(found: Sequence[Series], stated: sympy.Expr) -> Iterator[sympy.Expr]:
    """F_0 = -grad f/nu, F_1 = -stated grad ||g||^2 = -2 stated Hg."""
    yield FIELD.to_sympy(found[0][G]) + 1 / NU
    yield FIELD.to_sympy(found[1][tree(G)]) + 2 * stated


# The start ----------------------------------------------------------------------------------------------------------


def constant_gradient(first: sympy.Expr) -> Iterator[sympy.Expr]:
    """v_k = -eta g (1 - beta^k)/nu and theta_k = theta_0 + eta first g - k eta g/nu - eta beta^{k+1}/nu^2 g."""
    velocity = -ETA * g * (1 - BETA**k) / NU
    yield sympy.simplify(velocity.subs(k, k + 1) - BETA * velocity + ETA * g)
    yield velocity.subs(k, 0)
    place = theta0 + ETA * first * g - k * ETA * g / NU - ETA * BETA ** (k + 1) / NU**2 * g
    yield sympy.simplify(place.subs(k, k + 1) - place - velocity.subs(k, k + 1))
    yield sympy.simplify(place.subs(k, 0) - theta0)


def chain(order: int) -> Tree:
    """H^order g."""
    found = tree()
    for _ in range(order):
        found = tree(found)
    return found


def powers(polynomial: sympy.Expr) -> list[Any]:
    """The coefficients of 1, x, ..., x^{ORDER + 1}."""
    found = sympy.Poly(polynomial, x)
    return [FIELD.from_sympy(found.coeff_monomial(x**i)) for i in range(ORDER + 2)]


def times(a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
    """The product of two series in x."""
    return [_total(a[i] * b[n - i] for i in range(n + 1)) for n in range(len(a))]


def _total(numbers: Iterable[Any]) -> Any:
    return sum(numbers, FIELD.zero)


def roots_of(middle: sympy.Expr, product: sympy.Expr) -> tuple[list[Any], list[Any]]:
    """The roots of mu^2 - middle mu + product in powers of x; at x = 0 they are 1 and beta."""
    square = powers(sympy.expand(middle**2 - 4 * product))
    nu = FIELD.from_sympy(NU)
    w = [c / nu**2 for c in square]
    w[0] -= 1
    power, root = [FIELD.one, *[FIELD.zero] * (ORDER + 1)], [FIELD.zero] * (ORDER + 2)
    for n in range(ORDER + 2):
        c = FIELD.from_sympy(sympy.binomial(sympy.Rational(1, 2), n))
        root, power = [r + c * p for r, p in zip(root, power, strict=True)], times(power, w)
    both = [(m, nu * r) for m, r in zip(powers(middle), root, strict=True)]
    return [(m + r) / 2 for m, r in both], [(m - r) / 2 for m, r in both]


def start_on_quadratics(
    method: Method, middle: sympy.Expr, product: sympy.Expr, factor: Fraction = Fraction(1)
) -> Iterator[sympy.Expr]:
    """On f = (h/2) theta^2, x = eta h: A theta_0 in powers of x against the chains of S_1, ..., S_4.

    From rest A + B = 1 = A/mu_+ + B/mu_-, so that A (mu_+ - mu_-) = mu_+ (1 - mu_-).
    """
    large, small = roots_of(middle, product)
    start = in_field(start_terms(method, ORDER))
    share = [FIELD.one, *(start[i][chain(i)] * factor.numerator / factor.denominator for i in range(ORDER)), FIELD.zero]
    left = times(share, [a - b for a, b in zip(large, small, strict=True)])
    right = times(large, [(i == 0) - c for i, c in enumerate(small)])
    yield from (FIELD.to_sympy(a - b) for a, b in list(zip(left, right, strict=True))[: ORDER + 1])


# Quadratics ---------------------------------------------------------------------------------------------------------


def characteristic() -> Iterator[sympy.Expr]:
    """mu_+ is a root of mu^2 - (1 + beta - x) mu + beta, and -d log mu_+/dx = 1/sqrt((1 + beta - x)^2 - 4 beta)."""
    mu = larger_root().subs(ETA * RATE, x)
    yield sympy.expand(mu**2 - (1 + BETA - x) * mu + BETA)
    root = sympy.sqrt((1 + BETA - x) ** 2 - 4 * BETA)
    yield sympy.simplify(-mu.diff(x) * root - mu)


def generating(argument: sympy.Expr) -> Iterator[sympy.Expr]:
    """(1 + beta - x)^2 - 4 beta = nu^2 (1 - 2 z s + s^2), s = x/nu; 1/sqrt(1 - 2 z s + s^2) = sum P_k(z) s^k to s^9."""
    z, s = sympy.symbols("z s")
    yield sympy.simplify((1 + BETA - x) ** 2 - 4 * BETA - NU**2 * (1 - 2 * argument * x / NU + x**2 / NU**2))
    w = 2 * z * s - s**2
    series = sympy.expand(sum(sympy.binomial(2 * n, n) * (w / 4) ** n for n in range(10)))
    yield from (sympy.expand(series.coeff(s, n) - sympy.legendre(n, z)) for n in range(10))


def rate_of_terms(found: Sequence[Series]) -> Iterator[sympy.Expr]:
    """The chains H^i g of F_0, ..., F_4 are minus the stated terms of the rate."""
    for i, term in enumerate(found):
        stated = rate_term(sympy.Integer(i + 1)).subs({ETA: 1, RATE: 1, sympy.Symbol("nu"): NU})
        yield sympy.cancel(FIELD.to_sympy(term[chain(i)]) + stated)


def complex_and_unstable() -> Iterator[sympy.Expr]:
    """The discriminant factors at (1 -+ sqrt beta)^2; p(1) = x, p(-1) = 2 (1 + beta) - x, and the product is beta."""
    b = sympy.Symbol("b", positive=True)
    yield sympy.expand((1 + b**2 - x) ** 2 - 4 * b**2 - (x - (1 - b) ** 2) * (x - (1 + b) ** 2))
    mu = sympy.Symbol("mu")
    p = mu**2 - (1 + BETA - x) * mu + BETA
    yield sympy.expand(p.subs(mu, 1) - x)
    yield sympy.expand(p.subs(mu, -1) - 2 * (1 + BETA) + x)


FOUND = in_field(terms(METHOD, ORDER))
LOSS = (1 + BETA) / (4 * NU**3)
CURL = -1 / (6 * NU**3)

DERIVATION = Derivation(
    proves=HEAVY_BALL,
    steps=(
        Step(
            r"x(\eta)-x+\beta(x(-\eta)-x)+\eta g(x)",
            r"0, \quad x(\pm\eta)-x = \sum_{m\ge1}\frac{(\pm\eta)^m}{m!}L^{m-1}\tilde F",
            r"$\theta_{k+1} = \theta_k-\eta g(\theta_k)+\beta(\theta_k-\theta_{k-1})$ along $\dot x = \tilde F = "
            r"\sum_i\eta^iF_i$, with the Taylor series and the grafting rule of R17 (its steps 1 and 2); "
            r"coefficients are "
            r"compared tree by tree.",
            (SymbolicZero("every dimension, all trees of 1 to 5 vertices (orders 0 to 4)", partial(recursion, FOUND)),),
        ),
        Step(
            r"\text{coefficient of } F_p",
            r"(1-\beta)\eta^{p+1}",
            r"$x(\eta)$ has $+\eta^{p+1}F_p$, $x(-\eta)$ has $-\eta^{p+1}F_p$, and in all other terms $F_p$ comes with "
            r"higher powers: $F_p$ is determined by $F_0,\dots,F_{p-1}$.",
            (SymbolicZero(r"$p = 4$", new_term, "checked exactly"),),
        ),
        Step(
            r"F_0+\eta F_1",
            r"-\nabla\Bigl(\frac{f}{\nu}+\eta\frac{1+\beta}{4\nu^3}\|g\|^2\Bigr)",
            r"$\nabla\|g\|^2 = 2Hg$.",
            (SymbolicZero(r"all $\beta$", partial(loss, FOUND, LOSS)),),
        ),
        Step(
            r"J(F_2)-J(F_2)^\top",
            r"-\frac{1}{6\nu^3}[H,T[g]]",
            r"$J(H^2g)$ has $HT[g]$ and $J(T[g,g])$ has $2T[g]H$ besides symmetric matrices (R17, steps 6 and 7).",
            (SymbolicZero(r"all $\beta$", partial(bent, FOUND, CURL)),),
        ),
        Step(
            r"\theta_k-\theta_0",
            r"\frac{\eta\beta}{\nu^2}g-\frac{k\eta}{\nu}g-\frac{\eta\beta^{k+1}}{\nu^2}g+O(\eta^2)",
            r"From rest, for the $O(\log\frac1\eta)$ steps in which $\beta^k$ falls below $\eta^2$ the gradient is $g+"
            r"O(k\eta)$; the last term is forgotten, and the flow passes through the rest if it starts at $\theta_0+"
            r"\frac{\eta\beta}{\nu^2}g$.",
            (SymbolicZero(r"a constant gradient, all $k$ and $\beta$", partial(constant_gradient, BETA / NU**2)),),
        ),
        Step(
            r"A\theta_0",
            r"\theta_0+\sum_i\eta^iS_i, \quad \theta_k = A\mu_+^k\theta_0+(1-A)\mu_-^k\theta_0",
            r"On $f = \frac h2\theta^2$ the start is the share of the slow root, to all orders; from rest $A+B = 1 = "
            r"A/\mu_++B/\mu_-$.",
            (
                SymbolicZero(
                    r"orders 1 to 4, all $\beta$",
                    partial(start_on_quadratics, METHOD, 1 + BETA - x, BETA),
                    "checked exactly",
                ),
            ),
        ),
        Step(
            r"-\frac{d}{dx}\log\mu_+",
            r"\frac{1}{\sqrt{(1+\beta-x)^2-4\beta}}, \quad x = \eta\lambda",
            r"$\mu_+$ is the larger root of $\mu^2-(1+\beta-x)\mu+\beta$, the factor of a step in an eigendirection.",
            (SymbolicZero(r"all $x$, $\beta$", characteristic),),
        ),
        Step(
            r"-\log\mu_+",
            r"\sum_{k\ge1}\frac{x^k}{k\nu^k}P_{k-1}\Bigl(\frac{1+\beta}{1-\beta}\Bigr)",
            r"Legendre's generating function $1/\sqrt{1-2zs+s^2} = \sum_kP_k(z)s^k$ with $s = x/\nu$, integrated from "
            r"$\mu_+ = 1$ at $x = 0$; it converges up to the nearest zero of the root, $|x| < (1-\sqrt\beta)^2$.",
            (
                SymbolicZero(r"orders 1 to 10", partial(generating, (1 + BETA) / NU), "checked exactly"),
                SymbolicZero(r"the chains of $F_0,\dots,F_4$", partial(rate_of_terms, FOUND), "checked exactly"),
            ),
        ),
        Step(
            r"\mu_\pm \notin \mathbb R",
            r"(1-\sqrt\beta)^2 < x < (1+\sqrt\beta)^2; \quad |\mu_\pm| < 1 \text{ iff } 0 < x < 2(1+\beta)",
            r"The discriminant factors; both roots lie in the unit disc if and only if $p(1) > 0$, $p(-1) > 0$ and the "
            r"product $\beta$ of the roots is below 1 (Jury).",
            (SymbolicZero(r"all $x$, $\beta$", complex_and_unstable),),
        ),
    ),
    controls=(
        Control(r"$T[g,g]$ with a coefficient 1\% off", SymbolicZero("", partial(recursion, altered(FOUND, TGG)))),
        Control(r"$H^2g$ with a coefficient 1\% off", SymbolicZero("", partial(recursion, altered(FOUND, HHG)))),
        Control(r"a modified loss 1\% off", SymbolicZero("", partial(loss, FOUND, LOSS * sympy.Rational(101, 100)))),
        Control(r"the curl of gradient descent", SymbolicZero("", partial(bent, FOUND, -sympy.Rational(1, 6)))),
        Control(r"the start $\frac{\eta\beta}{\nu}g$", SymbolicZero("", partial(constant_gradient, BETA / NU))),
        Control(
            r"the start 1\% off, on quadratics",
            SymbolicZero("", partial(start_on_quadratics, METHOD, 1 + BETA - x, BETA, Fraction(101, 100))),
        ),
        Control(r"$P_{k-1}(1+\beta)$", SymbolicZero("", partial(generating, 1 + BETA))),
    ),
    notation=(r"$\nu = 1-\beta$, $0 \le \beta < 1$; $f \in C^{p+3}$ near $\theta$ ($p$ the order)",),
    remarks=r"That descent is attracted by the curve is the theory of slow manifolds: the velocity's memory $\beta$ is "
    r"below 1, and the manifold is found order by order with the factors $1-\beta$.",
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
