r"""R28: the modified equations of RMSProp and Adam to order 1, epsilon inside the root.

Along a curve x' = F_0 + eta F_1 + ... the two means are g(x(0)) and g(x(0))^2 minus what they lag behind, eta times the
mean age of what they hold times the derivative along F_0. (Cattaneo, Klusowski & Shigida 2024.)

Run: python -m derivations.r28_adaptive
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

import sympy

from symflow.proofs import Control, Derivation, Step, SymbolicZero
from symflow.report.derivations import run
from symflow.theory.r28_adaptive import ADAPTIVE, BETA, EPSILON, ETA, RHO, lag

SIZE = 2
"""Entries of theta in the checks in coordinates."""
G = sympy.symbols(f"g_1:{SIZE + 1}", real=True)
H = sympy.Matrix(SIZE, SIZE, lambda i, j: sympy.Symbol(f"h_{min(i, j) + 1}{max(i, j) + 1}", real=True))
ROOTS = tuple(sympy.sqrt(g**2 + EPSILON) for g in G)
FIRST = sympy.Matrix([-g / r for g, r in zip(G, ROOTS, strict=True)])
"""F_0."""
BEHIND = H * FIRST
"""The derivative of g along F_0."""


def ages(factor: int = 1) -> Iterator[sympy.Expr]:
    """(1 - b) sum_j b^j = 1 and (1 - b) sum_j j b^j = b/(1 - b), as sums up to j = n with what is left over."""
    b, j, n = sympy.symbols("b j n", positive=True)
    yield sympy.simplify((1 - b) * (1 - b ** (n + 1)) / (1 - b) - 1 + b ** (n + 1))
    partial_sum = factor * (b - (n + 1) * b ** (n + 1) + n * b ** (n + 2)) / (1 - b)
    step = partial_sum.subs(n, n + 1) - partial_sum - (1 - b) * (n + 1) * b ** (n + 1)
    yield sympy.simplify(step)
    yield sympy.simplify(partial_sum.subs(n, 0))


def slope() -> Iterator[sympy.Expr]:
    """grad sum_i sqrt(g_i^2 + epsilon) = H (g/R) = -H F_0, entry by entry."""
    for j in range(SIZE):
        by_chain = sum(sympy.sqrt(g**2 + EPSILON).diff(g) * H[i, j] for i, g in enumerate(G))
        yield sympy.simplify(by_chain + BEHIND[j])


def along_itself() -> Iterator[sympy.Expr]:
    """F_0' F_0 = -(epsilon/R^3) H F_0: dF_0,j/dg_j = -epsilon/R_j^3."""
    for j in range(SIZE):
        yield sympy.simplify(FIRST[j].diff(G[j]) * BEHIND[j] + EPSILON / ROOTS[j] ** 3 * BEHIND[j])


def step_of_means(beta: sympy.Expr, factor: sympy.Expr) -> Iterator[sympy.Expr]:
    """eta^2 in the step with the means is that of the flow, F_1 + F_0' F_0/2, with F_1 as stated."""
    for j in range(SIZE):
        mean = G[j] - ETA * beta / (1 - beta) * BEHIND[j]
        square = G[j] ** 2 - 2 * ETA * RHO / (1 - RHO) * G[j] * BEHIND[j]
        moved = -mean / sympy.sqrt(square + EPSILON)
        second = moved.diff(ETA).subs(ETA, 0)
        stated = factor * lag(beta, RHO, EPSILON, ROOTS[j]) * BEHIND[j] / (2 * ROOTS[j])
        curved = -EPSILON / ROOTS[j] ** 3 * BEHIND[j] / 2
        yield sympy.simplify(moved.subs(ETA, 0) - FIRST[j])
        yield sympy.simplify(second - stated - curved)


def without_epsilon(beta: sympy.Expr) -> Iterator[sympy.Expr]:
    """The stated term without epsilon/R^2, which the step refutes."""
    for j in range(SIZE):
        right = lag(beta, RHO, EPSILON, ROOTS[j])
        wrong = lag(beta, RHO, sympy.Integer(0), ROOTS[j])
        yield sympy.simplify((right - wrong) * BEHIND[j])


ONE, ZERO = sympy.Integer(1), sympy.Integer(0)

DERIVATION = Derivation(
    proves=ADAPTIVE,
    steps=(
        Step(
            r"(1-b)\sum_{j\ge0}b^ju(x(-j\eta))",
            r"u(x)-\eta\frac{b}{1-b}\,u'(x)F_0(x)+O(\eta^2)",
            r"$x(-j\eta) = x-j\eta F_0+O(j^2\eta^2)$ in the sum of the weights $(1-b)b^j$: their sum is 1 and the "
            r"mean age "
            r"is $\frac{b}{1-b}$. The means that began at 0 differ from this by $O(b^k)$, and bias correction "
            r"divides by "
            r"$1-b^{k+1}$.",
            (SymbolicZero("all $b$, partial sums by induction", ages),),
        ),
        Step(
            r"\nabla\sum_i\sqrt{g_i^2+\varepsilon}",
            r"-HF_0, \quad F_0 = -g/R",
            "Chain rule.",
            (SymbolicZero("two entries", slope),),
        ),
        Step(
            r"F_0'F_0",
            r"-\frac{\varepsilon}{R^3}HF_0",
            r"$\frac{d}{du}\frac{u}{\sqrt{u^2+\varepsilon}} = \varepsilon(u^2+\varepsilon)^{-3/2}$, entry by entry.",
            (SymbolicZero("two entries", along_itself),),
        ),
        Step(
            r"-\frac{M}{\sqrt{S+\varepsilon}}",
            r"F_0+\eta\bigl(F_1+\tfrac12F_0'F_0\bigr)+O(\eta^2)",
            r"Step 1 with $u = g$, $b = \beta$ for $M$ and $u = g^2$, $b = \rho$ for $S$; the right-hand side is the "
            r"step of "
            r"the flow over $\eta$. It determines $F_1$. $\beta = 0$ is RMSProp.",
            (
                SymbolicZero("Adam, two entries", partial(step_of_means, BETA, ONE)),
                SymbolicZero("RMSProp, two entries", partial(step_of_means, ZERO, ONE)),
            ),
        ),
    ),
    controls=(
        Control(r"a mean age of $\frac{2b}{1-b}$", SymbolicZero("", partial(ages, 2))),
        Control(r"$F_1$ 1 % off", SymbolicZero("", partial(step_of_means, BETA, sympy.Rational(101, 100)))),
        Control(r"$F_1$ without $\varepsilon/R^2$", SymbolicZero("", partial(without_epsilon, BETA))),
    ),
    notation=(
        r"$M$, $S$ the means of $g$ and of $g^2$ (entry by entry), $R = \sqrt{g^2+\varepsilon}$, $\varepsilon > 0$",
    ),
    remarks=r"All entries enter through $HF_0$ alone, so that two stand for any number.",
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
