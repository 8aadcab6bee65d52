r"""C8: gradient flow of a diagonal network, beta = w_2 * w_1, ends at the interpolator of least hyperbolic entropy.

    Psi'(beta) = (1/2) arsinh(2 beta/c),   d/dt Psi'(beta_i) = -(grad phi)_i,   c_i = |w_2i^2 - w_1i^2|

Run: python -m derivations.c08_hyperbolic_entropy
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

import sympy

from symflow.proofs import Control, Derivation, Step, SymbolicZero
from symflow.report.derivations import run
from symflow.theory.c08_hyperbolic_entropy import HYPERBOLIC_ENTROPY

C = sympy.Symbol("c", positive=True)
BETA, NU, START, G = sympy.symbols("beta nu beta_0 g", real=True)
HALF, TWO = sympy.Rational(1, 2), sympy.Integer(2)


def product() -> Iterator[sympy.Expr]:
    """beta = w_2 w_1: beta' = -(w_1^2 + w_2^2) g, (w_1^2 + w_2^2)^2 = c^2 + 4 beta^2, c conserved."""
    w = sympy.symbols("w_1 w_2", real=True)
    rates = [-w[1] * G, -w[0] * G]
    beta, gap = w[0] * w[1], w[1] ** 2 - w[0] ** 2

    def rate(x: sympy.Expr) -> sympy.Expr:
        return sympy.expand(sum(x.diff(v) * r for v, r in zip(w, rates, strict=True)))

    yield sympy.expand(rate(beta) + (w[0] ** 2 + w[1] ** 2) * G)
    yield rate(gap)
    yield sympy.expand((w[0] ** 2 + w[1] ** 2) ** 2 - gap**2 - 4 * beta**2)


def potential(factor: sympy.Expr = HALF) -> Iterator[sympy.Expr]:
    """Psi'' sqrt(c^2 + 4 beta^2) = 1 for Psi' = factor arsinh(2 beta/c), and Psi itself; `factor` is 1/2."""
    slope = factor * sympy.asinh(2 * BETA / C)
    yield sympy.simplify(slope.diff(BETA) * sympy.sqrt(C**2 + 4 * BETA**2) - 1)
    z = 2 * BETA / C
    yield sympy.simplify((C / 4 * (z * sympy.asinh(z) - sympy.sqrt(1 + z**2))).diff(BETA) - HALF * sympy.asinh(z))


def balanced(sign: int) -> Iterator[sympy.Expr]:
    """c = 0: beta' = -2 |beta| g, so log|beta| moves by -2 sign(beta) g: Psi'(beta) = sign(beta) log|beta|/2."""
    size = sympy.Symbol("b", positive=True)
    yield sympy.simplify(sign * sympy.log(size).diff(size) / 2 * (sign * (-2 * size * G)) + G)


def dual(factor: sympy.Expr = TWO) -> Iterator[sympy.Expr]:
    """beta = (c/2) sinh(2 nu + arsinh(2 beta_0/c)) has Psi'(beta) - Psi'(beta_0) = nu; `factor` is the 2 of 2 nu.

    The conjugate of Psi has the derivative (c/2) sinh(2 p): it is convex, so the dual problem is concave.
    """
    x = factor * NU + sympy.asinh(2 * START / C)
    beta = C / 2 * sympy.sinh(x)
    yield sympy.simplify(2 * beta / C - sympy.sinh(x))  # so arsinh(2 beta/c) = x, as sinh is one-to-one
    yield sympy.expand(x / 2 - sympy.asinh(2 * START / C) / 2 - NU)
    p = sympy.Symbol("p", real=True)
    yield (C / 4 * sympy.cosh(2 * p)).diff(p) - C / 2 * sympy.sinh(2 * p)


DERIVATION = Derivation(
    proves=HYPERBOLIC_ENTROPY,
    steps=(
        Step(
            r"\dot\beta_i",
            r"-(w_{1,i}^2+w_{2,i}^2)\,\partial_i\varphi = -\sqrt{c_i^2+4\beta_i^2}\;\partial_i\varphi",
            r"$\dot w_{1,i} = -w_{2,i}\partial_i\varphi$, $\dot w_{2,i} = -w_{1,i}\partial_i\varphi$; "
            r"$w_{2,i}^2-w_{1,i}^2$ is "
            r"conserved.",
            (SymbolicZero(r"all $w_1$, $w_2$, $g$", product),),
        ),
        Step(
            r"\tfrac{d}{dt}\Psi'(\beta_i)",
            r"-\partial_i\varphi(\beta), \quad \Psi'(\beta) = \tfrac12\operatorname{arsinh}(2\beta/c)",
            r"$\Psi'' = (c^2+4\beta^2)^{-1/2}$; where $c_i = 0$, $\Psi' = \pm\frac12\log|\beta|$ and $\beta_i$ "
            r"keeps its "
            r"sign.",
            (
                SymbolicZero(r"all $\beta$, $c > 0$", potential),
                SymbolicZero(r"$c = 0$, $\beta > 0$", partial(balanced, 1)),
                SymbolicZero(r"$c = 0$, $\beta < 0$", partial(balanced, -1)),
            ),
        ),
        Step(
            r"\Psi'(\beta_i(\infty))-\Psi'(\beta_i(0))",
            r"(X\nu)_i, \quad X^\top\beta(\infty) = y",
            r"$\nabla\varphi = \frac1NX(X^\top\beta-y)$ lies in the range of $X$ at all times, and so does its "
            r"integral, whose "
            r"limit exists as that of $\beta$ does.  These are the conditions of Karush, Kuhn and Tucker of the "
            r"minimum of $\sum_i[\Psi(\beta_i)-\Psi'(\beta_i(0))\beta_i]$ under $X^\top\beta = y$: it is strictly "
            r"convex, "
            r"so they suffice and the minimizer is unique.  Inverted they are the dual formula.",
            (SymbolicZero(r"all $\nu$, $\beta_0$, $c > 0$", dual),),
        ),
    ),
    controls=(
        Control(
            r"$\Psi' = 0.51\operatorname{arsinh}(2\beta/c)$",
            SymbolicZero("", partial(potential, factor=sympy.Rational(51, 100))),
        ),
        Control(r"$\sinh(\nu+\dots)$", SymbolicZero("", partial(dual, factor=sympy.Integer(1)))),
    ),
    notation=(r"$\varphi(\beta) = \frac1{2N}\|X^\top\beta-y\|^2$, columns of $X$ are samples",),
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
