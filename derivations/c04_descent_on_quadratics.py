r"""C4: descent and flow on quadratics: theta_k - theta(k eta) = [(1 - eta H)^k - e^{-k eta H}] theta_0.

Run: python -m derivations.c04_descent_on_quadratics
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fractions import Fraction
from functools import partial

import numpy as np
import sympy

import symflow as sf
from symflow.proofs import Control, Derivation, Draw, IdentityTest, Step, SymbolicZero
from symflow.report.derivations import run
from symflow.theory.c04_quadratics import DESCENT_ON_QUADRATICS, flow, iterate

STEPS = 3


def iterates(sign: int, size: int, draw: Draw) -> Iterator[Fraction]:
    """Three steps of descent along symflow's gradient of (1/2) theta^T H theta, minus (1 - eta H)^3 theta_0."""
    a, theta, eta = draw.array(size, size), draw.array(size), draw.number()
    h = a + a.T
    variables = sympy.symbols(f"x0:{size}")
    form = sum(sympy.Rational(int(h[i, k])) * variables[i] * variables[k] / 2 for i in range(size) for k in range(size))
    gradient = sf.gradient(sf.expression_objective(form, variables))
    moved, stated = theta, theta
    for _ in range(STEPS):
        moved = moved - eta * sf.evaluate_exact(gradient, moved)
        stated = stated + sign * eta * h.dot(stated)
    yield from np.asarray(moved - stated)


def descent(sign: int = -1) -> IdentityTest:
    """The iterates in one to three dimensions; `sign` is -1."""
    return IdentityTest(
        "three steps in 1, 2 and 3 dimensions", [1, 2, 3], lambda _: 2 * STEPS + 1, partial(iterates, sign)
    )


def one_more_step() -> Iterator[sympy.Expr]:
    """P theta_0 - eta H P theta_0 = (1 - eta H) P theta_0 with P = (1 - eta H)^k: the step from k to k + 1."""
    h, p, start = sympy.symbols("H P theta_0", commutative=False)
    eta = sympy.Symbol("eta")
    yield sympy.expand(p * start - eta * h * p * start - (1 - eta * h) * p * start)


def recursion() -> Iterator[sympy.Expr]:
    """theta_{k+1} = (1 - eta h) theta_k and theta' = -h theta, h an eigenvalue of H."""
    eta, h, t, k, start = sympy.symbols("eta h t k theta_0", positive=True)
    closed = iterate(h, eta, k) * start
    yield sympy.expand(sympy.powsimp(closed.subs(k, k + 1) / closed) - (1 - eta * h))
    solution = flow(h, t) * start
    yield solution.diff(t) + h * solution
    yield solution.subs(t, 0) - start


DERIVATION = Derivation(
    proves=DESCENT_ON_QUADRATICS,
    steps=(
        Step(
            r"\theta_k",
            r"(I-\eta H)^k\theta_0",
            r"$g = H\theta$, by induction on $k$.",
            (SymbolicZero("matrices of any size, the induction step for every $k$", one_more_step), descent()),
        ),
        Step(
            r"\langle v,\theta_k\rangle,\ \langle v,\theta(t)\rangle",
            r"(1-\eta h)^k\langle v,\theta_0\rangle,\ e^{-ht}\langle v,\theta_0\rangle",
            r"For eigenvectors, $Hv = hv$.",
            (SymbolicZero(r"all $h$, $\eta$, $k$, $t$", recursion),),
        ),
    ),
    controls=(Control(r"$(I+\eta H)^k$", descent(1)),),
    notation=(r"$H$ symmetric",),
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
