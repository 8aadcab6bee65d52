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

G, BEHIND = sympy.symbols("g_j b_j", real=True)
"""An entry of g, and of H F_0, the derivative of g along F_0."""
ROOT = sympy.sqrt(G**2 + EPSILON)
FIRST = -G / ROOT
"""The entry of F_0."""


def ages(factor: int = 1) -> Iterator[sympy.Expr]:
    """(1 - b) sum_j b^j = 1 and (1 - b) sum_j j b^j = b/(1 - b), as sums up to j = n with what is left over."""
    b, n = sympy.symbols("b n", positive=True)
    yield sympy.simplify((1 - b) * (1 - b ** (n + 1)) / (1 - b) - 1 + b ** (n + 1))
    partial_sum = factor * (b - (n + 1) * b ** (n + 1) + n * b ** (n + 2)) / (1 - b)
    step = partial_sum.subs(n, n + 1) - partial_sum - (1 - b) * (n + 1) * b ** (n + 1)
    yield sympy.simplify(step)
    yield sympy.simplify(partial_sum.subs(n, 0))


def slope() -> Iterator[sympy.Expr]:
    """grad sum_i sqrt(g_i^2 + epsilon) = H (g/R) = -H F_0 for g = grad f, f of two variables."""
    x = sympy.symbols("x_1:3", real=True)
    f = sympy.Function("f")(*x)
    roots = [sympy.sqrt(f.diff(v) ** 2 + EPSILON) for v in x]
    for v in x:
        stated = sum(f.diff(v, w) * f.diff(w) / r for w, r in zip(x, roots, strict=True))
        yield sympy.simplify(sum(roots).diff(v) - stated)


def along_itself() -> Iterator[sympy.Expr]:
    """An entry of F_0' F_0 is dF_0,j/dg_j times that of H F_0."""
    yield sympy.simplify(FIRST.diff(G) + EPSILON / ROOT**3)


def step_of_means(beta: sympy.Expr, factor: sympy.Expr) -> Iterator[sympy.Expr]:
    """eta^2 in the step with the means is that of the flow, F_1 + F_0' F_0/2, with F_1 as stated."""
    mean = G - ETA * beta / (1 - beta) * BEHIND
    square = G**2 - 2 * ETA * RHO / (1 - RHO) * G * BEHIND
    moved = -mean / sympy.sqrt(square + EPSILON)
    stated = factor * lag(beta, RHO, EPSILON, ROOT) * BEHIND / (2 * ROOT)
    yield sympy.simplify(moved.subs(ETA, 0) - FIRST)
    yield sympy.simplify(moved.diff(ETA).subs(ETA, 0) - stated + EPSILON / ROOT**3 * BEHIND / 2)


def without_epsilon(beta: sympy.Expr) -> Iterator[sympy.Expr]:
    """The stated term without epsilon/R^2, which the step refutes."""
    right, wrong = (lag(beta, RHO, epsilon, ROOT) for epsilon in (EPSILON, sympy.Integer(0)))
    yield sympy.simplify((right - wrong) * BEHIND)


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
            (SymbolicZero("any $f$ of two variables", slope, "checked exactly"),),
        ),
        Step(
            r"F_0'F_0",
            r"-\frac{\varepsilon}{R^3}HF_0",
            r"$\frac{d}{du}\frac{u}{\sqrt{u^2+\varepsilon}} = \varepsilon(u^2+\varepsilon)^{-3/2}$, entry by entry.",
            (SymbolicZero("every entry", along_itself),),
        ),
        Step(
            r"-\frac{M}{\sqrt{S+\varepsilon}}",
            r"F_0+\eta\bigl(F_1+\tfrac12F_0'F_0\bigr)+O(\eta^2)",
            r"Step 1 with $u = g$, $b = \beta$ for $M$ and $u = g^2$, $b = \rho$ for $S$; the right-hand side is the "
            r"step of "
            r"the flow over $\eta$. It determines $F_1$. $\beta = 0$ is RMSProp.",
            (
                SymbolicZero("Adam, every entry", partial(step_of_means, BETA, ONE)),
                SymbolicZero("RMSProp, every entry", partial(step_of_means, ZERO, ONE)),
            ),
        ),
    ),
    controls=(
        Control(r"a mean age of $\frac{2b}{1-b}$", SymbolicZero("", partial(ages, 2))),
        Control(r"$F_1$ 1\% off", SymbolicZero("", partial(step_of_means, BETA, sympy.Rational(101, 100)))),
        Control(r"$F_1$ without $\varepsilon/R^2$", SymbolicZero("", partial(without_epsilon, BETA))),
    ),
    notation=(
        r"$M$, $S$ the means of $g$ and of $g^2$ (entry by entry), $R = \sqrt{g^2+\varepsilon}$, $\varepsilon > 0$",
    ),
    remarks=r"The other entries enter that of $F_1$ through $HF_0$ alone, which is a symbol in the checks.",
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
