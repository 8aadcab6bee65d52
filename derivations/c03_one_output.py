r"""C3: two balanced linear layers with one output and whitened data, in closed form.

    nu = tanh theta,    theta = lambda t + a
    w = cosh^2 theta / (cosh^2 a/w(0) + t + [sinh 2 theta - sinh 2a]/(2 lambda))

It is R15 with n = 2, where the angle is linear in time.

Run: python -m derivations.c03_one_output
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

import sympy

from symflow.proofs import Control, Derivation, Step, SymbolicZero
from symflow.report.derivations import run
from symflow.theory.c03_one_output import ONE_OUTPUT, norm

T, A = sympy.symbols("t a", real=True)
TWO = sympy.Integer(2)
LAM, W0, X = sympy.symbols("lambda w_0 x", positive=True)


def alignment(speed: sympy.Expr = sympy.S.One) -> Iterator[sympy.Expr]:
    """nu = tanh(speed lambda t + a) and nu' = lambda (1 - nu^2); the speed is 1."""
    nu = sympy.tanh(speed * LAM * T + A)
    yield nu.diff(T) - LAM * (1 - nu**2)


def norm_of_output(factor: sympy.Expr = TWO) -> Iterator[sympy.Expr]:
    """w and w' = 2 w (lambda nu - w), rational in x = e^theta and y = e^a, x' = lambda x; `factor` is 2."""
    y, time = sympy.symbols("y t", positive=True)

    def cosh(z: sympy.Expr) -> sympy.Expr:
        return (z + 1 / z) / 2

    def sinh(z: sympy.Expr) -> sympy.Expr:
        return (z - 1 / z) / 2

    end, start = ((cosh(z) ** 2, sinh(z**2)) for z in (X, y))
    w = norm(end, start, W0, factor * LAM / 2, time)
    velocity = w.diff(time) + w.diff(X) * LAM * X
    yield sympy.numer(sympy.together(velocity - 2 * w * (LAM * sinh(X) / cosh(X) - w)))
    yield sympy.numer(sympy.together(w.subs({X: y, time: 0}) - W0))


def limit() -> Iterator[sympy.Expr]:
    """w -> lambda: with x = e^{2 lambda t}, y = e^{2a} > 0 and any constant, both parts of the fraction over x.

    cosh^2 theta = (y x + 2 + 1/(y x))/4, sinh 2 theta = (y x - 1/(y x))/2 and t = log(x)/(2 lambda).
    """
    y, constant = sympy.Symbol("y", positive=True), sympy.Symbol("C", real=True)
    upper = (y * X + 2 + 1 / (y * X)) / 4
    lower = constant + sympy.log(X) / (2 * LAM) + (y * X - 1 / (y * X)) / (4 * LAM)
    yield sympy.limit(sympy.expand(upper / X), X, sympy.oo) - y / 4
    yield sympy.limit(sympy.expand(lower / X), X, sympy.oo) - y / 4 / LAM


DERIVATION = Derivation(
    proves=ONE_OUTPUT,
    steps=(
        Step(
            r"\nu",
            r"\tanh\vartheta, \quad \vartheta = \lambda t+a",
            "Substitute.",
            (SymbolicZero(r"all $\lambda$, $a$", alignment),),
        ),
        Step(
            r"w",
            r"\frac{\cosh^2\vartheta}{\cosh^2a/w(0)+t+[\sinh2\vartheta-\sinh2a]/(2\lambda)}",
            r"Substitute; or $\frac2\lambda\int_a^\vartheta\cosh^2 = t+[\sinh2\vartheta-\sinh2a]/(2\lambda)$ in R15.",
            (SymbolicZero(r"all $\lambda$, $a$, $w(0)$", norm_of_output),),
        ),
        Step(
            r"\lim_{t\to\infty}w",
            r"\lambda",
            r"$\cosh^2\vartheta/e^{2\vartheta} \to \frac14$ and $\sinh2\vartheta/e^{2\vartheta} \to \frac12$; the "
            r"quotient of the "
            r"limits.",
            (SymbolicZero(r"all $\lambda$, $a$; $x = e^{2\lambda t}$", limit),),
        ),
    ),
    controls=(
        Control(
            r"$2.02\,\lambda$ in place of $2\lambda$",
            SymbolicZero("", partial(norm_of_output, factor=sympy.Rational(202, 100))),
        ),
        Control(
            r"$\vartheta = 1.01\,\lambda t+a$", SymbolicZero("", partial(alignment, speed=sympy.Rational(101, 100)))
        ),
    ),
    notation=(r"$\dot w = 2w(\lambda\nu-w)$, $\dot\nu = \lambda(1-\nu^2)$ (R15)",),
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
