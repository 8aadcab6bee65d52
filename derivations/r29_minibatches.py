r"""R29: one epoch of gradient descent on m batches, in the mean over their m! orders.

The epoch and the flow are expanded to eta^2; the mean over the orders halves the sum over pairs. (Smith et al. 2021.)

Run: python -m derivations.r29_minibatches
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import partial
from itertools import combinations, permutations
from math import factorial
from typing import Any

import sympy

from symflow.proofs import Control, Derivation, Draw, IdentityTest, Step, SymbolicZero
from symflow.report.derivations import run
from symflow.theory.r29_minibatches import ETA, MINIBATCHES

MOST = 5
"""The largest number of batches in the checks."""
QUARTER = Fraction(1, 4)


def letters(count: int) -> tuple[Sequence[sympy.Symbol], Sequence[sympy.Symbol]]:
    """g_1, ..., g_m and H_1, ..., H_m, which do not commute."""
    slopes, hessians = ([sympy.Symbol(f"{x}_{i}", commutative=False) for i in range(count)] for x in "gH")
    return slopes, hessians


def epochs() -> Iterator[sympy.Expr]:
    """-eta sum g_k + eta^2 sum_{j<k} H_k g_j after m steps, from g_k(theta + d) = g_k + H_k d up to eta^2."""
    for m in range(1, MOST + 1):
        g, h = letters(m)
        moved = sympy.Integer(0)
        for k in range(m):
            step = sympy.expand(-ETA * (g[k] + h[k] * moved))
            moved = sympy.expand(moved + step)
            moved = sum(moved.coeff(ETA, i) * ETA**i for i in (1, 2))
        stated = -ETA * sum(g) + ETA**2 * sum(h[k] * g[j] for k in range(m) for j in range(k))
        yield sympy.expand(moved - stated)


def in_the_mean(factor: Fraction = Fraction(1)) -> Iterator[sympy.Expr]:
    """The mean over the orders of sum_{j<k} H_k g_j - (m^2/2) H g is -(1/2) sum_k H_k g_k."""
    for m in range(1, MOST + 1):
        g, h = letters(m)
        total = sympy.Integer(0)
        for order in permutations(range(m)):
            total += sum(h[order[k]] * g[order[j]] for k in range(m) for j in range(k))
        mean = sympy.expand(total / factorial(m)) - sympy.expand(sum(h) * sum(g)) / 2
        c = sympy.Rational(factor.numerator, 2 * factor.denominator)
        yield sympy.expand(mean + c * sum(h[k] * g[k] for k in range(m)))


def flow() -> Iterator[sympy.Expr]:
    """After the time m eta: theta - m eta g + eta^2 (m F_1 + (m^2/2) H g), from theta'' = F_0' F_0 + ... = H g."""
    t, m, f1, g, hg = sympy.symbols("t m F_1 g Hg")
    place = t * (-g + ETA * f1) + t**2 / 2 * hg
    yield sympy.expand(place.subs(t, m * ETA) - (-m * ETA * g + ETA**2 * (m * f1 + m**2 / 2 * hg)))


def cut_at_random() -> Iterator[sympy.Expr]:
    """The mean over all batches of b of N samples of H_B g_B is (1 - c) H g + (c/N) sum_i H_i g_i, N <= 5."""
    for count in range(2, MOST + 1):
        g, h = letters(count)
        for size in range(1, count + 1):
            batches = list(combinations(range(count), size))
            mean = sum(sum(h[i] for i in b) * sum(g[i] for i in b) for b in batches) / (size**2 * len(batches))
            c = sympy.Rational(count - size, size * (count - 1))
            whole, each = sum(h) * sum(g) / count**2, sum(x * y for x, y in zip(h, g, strict=True)) / count
            yield sympy.expand(mean - (1 - c) * whole - c * each)


# Exactly, in rationals ----------------------------------------------------------------------------------------------


def exact_epochs(coefficient: Fraction, m: int, draw: Draw) -> Iterator[Fraction]:
    """The mean of theta_m over all orders minus the flow, coefficients of 1, eta, eta^2, for random quartic f_k."""
    slopes = [[draw.number() for _ in range(4)] for _ in range(m)]  # f_k' = sum_i c_i theta^i
    start = draw.number()
    mean = [Fraction(0)] * 3
    for order in permutations(range(m)):
        place = [start, Fraction(0), Fraction(0)]
        for k in order:
            value = _polynomial(slopes[k], place)
            place = [place[0], place[1] - value[0], place[2] - value[1]]
        mean = [a + b / factorial(m) for a, b in zip(mean, place, strict=True)]
    first = [sum(c * start**i for i, c in enumerate(f)) for f in slopes]
    second = [sum(i * c * start ** (i - 1) for i, c in enumerate(f) if i) for f in slopes]
    g, h = sum(first) / m, sum(second) / m
    modified = -2 * coefficient / m * sum(a * b for a, b in zip(first, second, strict=True))
    yield from (mean[0] - start, mean[1] + m * g, mean[2] - m * modified - Fraction(m * m, 2) * h * g)


def _polynomial(coefficients: Sequence[Fraction], place: Sequence[Any]) -> list[Any]:
    """A polynomial of a series in eta, up to eta^2."""
    value = [Fraction(0)] * 3
    for c in reversed(coefficients):
        value = [sum((value[i] * place[n - i] for i in range(n + 1)), Fraction(0)) for n in range(3)]
        value[0] += c
    return value


def exactly(coefficient: Fraction = QUARTER) -> IdentityTest:
    """All orders of 1 to 5 batches; `coefficient` is that of (eta/m) sum ||grad f_k||^2."""
    return IdentityTest(
        r"all orders of $m = 1,\dots,5$ batches, quartic $f_k$ of one variable, coefficients of $\eta^0$ to $\eta^2$",
        list(range(1, MOST + 1)),
        lambda _: 12,
        partial(exact_epochs, coefficient),
    )


DERIVATION = Derivation(
    proves=MINIBATCHES,
    steps=(
        Step(
            r"\theta_m-\theta_0",
            r"-\eta\sum_kg_k+\eta^2\sum_{j<k}H_kg_j+O(\eta^3)",
            r"$g_k(\theta_{k-1}) = g_k-\eta H_k\sum_{j<k}g_j+O(\eta^2)$, by induction over the steps.",
            (SymbolicZero(r"$m \le 5$, any dimension", epochs, "checked exactly"),),
        ),
        Step(
            r"\theta(m\eta)-\theta_0",
            r"-m\eta g+\eta^2\bigl(mF_1+\tfrac{m^2}2Hg\bigr)+O(\eta^3)",
            r"$\dot\theta = -g+\eta F_1$, $\ddot\theta = Hg+O(\eta)$. So one order has $F_1 = "
            r"\frac1m\sum_{j<k}H_kg_j-\frac m2Hg$.",
            (SymbolicZero(r"all $m$", flow),),
        ),
        Step(
            r"\frac1{m!}\sum_\pi\Bigl(\sum_{j<k}H_{\pi(k)}g_{\pi(j)}\Bigr)-\frac{m^2}2Hg",
            r"-\tfrac12\sum_kH_kg_k",
            r"Each pair $j \ne k$ stands in either order in half of the permutations, and $m^2Hg = \sum_{j,k}H_kg_j$.  "
            r"As $2H_kg_k = \nabla\|g_k\|^2$, the mean follows $f+\frac\eta{4m}\sum_k\|g_k\|^2$.",
            (SymbolicZero(r"$m \le 5$, any dimension", in_the_mean, "checked exactly"), exactly()),
        ),
        Step(
            r"\binom Nb^{-1}\sum_{|B|=b}H_Bg_B",
            r"(1-c)Hg+\frac cN\sum_iH_ig_i, \quad c = \frac{N-b}{b(N-1)}",
            r"Of the pairs in a batch $b$ are $(i,i)$ and $b(b-1)$ have $i \ne j$.",
            (SymbolicZero(r"$N \le 5$", cut_at_random, "checked exactly"),),
        ),
    ),
    controls=(
        Control(r"$\frac{1.01\,\eta}{4m}$ in place of $\frac{\eta}{4m}$", exactly(Fraction(101, 400))),
        Control(r"$-\frac{1.01}2\sum_kH_kg_k$", SymbolicZero("", partial(in_the_mean, Fraction(101, 100)))),
    ),
    notation=(r"$f_k \in C^3$, gradients $g_k$ and Hessians $H_k$ at $\theta_0$; $g$ and $H$ are their means",),
    remarks=r"The constant in $O(\eta^3)$ grows with $m$ as that of $m$ steps: $O(m^3\eta^3)$.",
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
