r"""R27: the principal flow theta' = psi(eta H) g, psi(x) = log(1 - x)/x, follows descent on quadratics exactly.

Run: python -m derivations.r27_principal_flow
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

import sympy

from symflow.dynamics.methods.gradient_descent import GradientDescent
from symflow.dynamics.modified.coefficients import terms
from symflow.dynamics.modified.trees import Tree, tree
from symflow.proofs import Control, Derivation, Step, SymbolicZero
from symflow.report.derivations import run
from symflow.theory.r27_principal_flow import PRINCIPAL_FLOW, PSI

x, eta, lam, t, start = sympy.symbols("x eta lambda t theta_0")
ORDERS = 6
TERMS = terms(GradientDescent(), ORDERS - 1)


def on_quadratics(psi: sympy.Expr) -> Iterator[sympy.Expr]:
    """theta = (1 - eta lambda)^{t/eta} theta_0 solves theta' = psi(eta lambda) lambda theta in each eigendirection."""
    flow = sympy.exp(sympy.log(1 - eta * lam) * t / eta) * start
    yield sympy.simplify(flow.diff(t) / flow - psi.subs(x, eta * lam) * lam)
    yield flow.subs(t, 0) - start


def one_step() -> Iterator[sympy.Expr]:
    """After the time eta it is multiplied by 1 - eta lambda, as by a step of descent."""
    flow = sympy.exp(sympy.log(1 - eta * lam) * t / eta)
    yield sympy.simplify(flow.subs(t, t + eta) / flow - (1 - eta * lam))


def chain(order: int) -> Tree:
    """The tree of H^order g."""
    found = tree()
    for _ in range(order):
        found = tree(found)
    return found


def orders(psi: sympy.Expr) -> Iterator[sympy.Expr]:
    """The coefficient of x^i in psi is that of H^i g in F_i of the modified equation (R17)."""
    series = sympy.series(psi, x, 0, ORDERS).removeO()
    for i in range(ORDERS):
        found = TERMS[i][chain(i)]
        yield sympy.Poly(series, x).coeff_monomial(x**i) - sympy.Rational(found.numerator, found.denominator)


def limit() -> Iterator[sympy.Expr]:
    """psi(0) = -1."""
    yield sympy.limit(PSI, x, 0) + 1


WRONG = -sympy.log(1 + x) / x
"""Minus the logarithm of 1 + x: the flow of implicit descent."""

DERIVATION = Derivation(
    proves=PRINCIPAL_FLOW,
    steps=(
        Step(
            r"\tfrac{d}{dt}\langle u_i,\theta\rangle",
            r"\psi(\eta\lambda_i)\lambda_i\langle u_i,\theta\rangle,\quad \langle u_i,\theta\rangle = "
            r"(1-\eta\lambda_i)^{t/\eta}\langle u_i,\theta_0\rangle",
            r"On $f = \frac12\theta^\top H\theta$ the gradient is $g = H\theta$; in each eigendirection, with the "
            r"principal logarithm.",
            (SymbolicZero(r"all $\lambda$, $\eta$, $t$", partial(on_quadratics, PSI)),),
        ),
        Step(
            r"\theta(t+\eta)",
            r"(I-\eta H)\theta(t)",
            r"$e^{\log(1-\eta\lambda)} = 1-\eta\lambda$ whatever the branch, so that every iterate lies on the flow.",
            (SymbolicZero(r"all $\lambda$, $\eta$, $t$", one_step),),
        ),
        Step(
            r"\psi(\eta H)g",
            r"-\sum_i\frac{\eta^i}{i+1}H^ig",
            r"The terms of R17 with one branch.",
            (SymbolicZero("orders 0 to 5", partial(orders, PSI)), SymbolicZero(r"$x \to 0$", limit)),
        ),
    ),
    controls=(
        Control(r"$-\log(1+x)/x$ in place of $\psi$", SymbolicZero("quadratics", partial(on_quadratics, WRONG))),
        Control(r"$-\log(1+x)/x$, in powers of $\eta$", SymbolicZero("orders", partial(orders, WRONG))),
    ),
    notation=(r"$H$ symmetric with eigenpairs $(\lambda_i, u_i)$",),
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
