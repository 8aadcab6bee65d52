r"""C2: gradient flow of f = (1/2) (w_1 w_2 - lambda)^2 in closed form, in three cases.

With u = w_1 w_2 and the conserved c = |w_1^2 - w_2^2|: u' = sqrt(c^2 + 4 u^2) (lambda - u).

Run: python -m derivations.c02_two_scalars
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

import sympy

from symflow.proofs import Control, Derivation, Step, SymbolicZero
from symflow.report.derivations import run
from symflow.theory.c02_two_scalars import TWO_SCALARS

T, LAM = sympy.symbols("t lambda", real=True)
TWO = sympy.Integer(2)


def product() -> Iterator[sympy.Expr]:
    """u' for w_i' = -df/dw_i, (w_1^2 + w_2^2)^2 = (w_1^2 - w_2^2)^2 + 4 u^2, and the conserved difference."""
    w = sympy.symbols("w1:3", real=True)
    f = (w[0] * w[1] - LAM) ** 2 / 2
    velocity = [-f.diff(x) for x in w]

    def rate(quantity: sympy.Expr) -> sympy.Expr:
        return sympy.Add(*(quantity.diff(x) * v for x, v in zip(w, velocity, strict=True)))

    yield rate(w[0] * w[1]) - (w[0] ** 2 + w[1] ** 2) * (LAM - w[0] * w[1])
    yield (w[0] ** 2 + w[1] ** 2) ** 2 - (w[0] ** 2 - w[1] ** 2) ** 2 - 4 * (w[0] * w[1]) ** 2
    yield rate(w[0] ** 2 - w[1] ** 2)


def balanced(sign: int, rate: sympy.Expr = TWO) -> Iterator[sympy.Expr]:
    """c = 0: u' = sign 2 u (lambda - u) for w_1 = sign w_2, solved by a logistic function; the rate is 2.

    E = e^{-sign rate lambda t} has E' = -sign rate lambda E.
    """
    u0, e = sympy.Symbol("u_0", real=True, nonzero=True), sympy.Symbol("E", positive=True)
    u = LAM / (1 + (LAM / u0 - 1) * e)
    yield sympy.cancel(u.diff(e) * (-sign * rate * LAM * e) - sign * 2 * u * (LAM - u))
    yield sympy.cancel(u.subs(e, 1) - u0)


def substitution() -> Iterator[sympy.Expr]:
    """u = (c/4)(q - 1/q), q > 0: sqrt(c^2 + 4 u^2) = (c/2)(q + 1/q) and q' = -(c/2)(q - q_+)(q - q_-)."""
    c, q = sympy.symbols("c q", positive=True)
    u, root = c * (q - 1 / q) / 4, c * (q + 1 / q) / 2
    yield root**2 - c**2 - 4 * u**2
    kappa = sympy.sqrt(4 * LAM**2 + c**2)
    high, low = (2 * LAM + kappa) / c, (2 * LAM - kappa) / c
    yield root * (LAM - u) - u.diff(q) * (-(c / 2) * (q - high) * (q - low))
    start = sympy.Symbol("u_0", real=True)
    inverse = (2 * start + sympy.sqrt(c**2 + 4 * start**2)) / c
    yield sympy.expand(c * (inverse**2 - 1) - 4 * start * inverse)


def general(swap: bool = False) -> Iterator[sympy.Expr]:
    """q(t) solves q' = -(c/2)(q - q_+)(q - q_-), q(0) = q_0; E = e^{-kappa t} has E' = -kappa E.

    lambda = (c/4)(p - 1/p), p > 0, which is every real number; then kappa = (c/2)(p + 1/p), q_+ = p, q_- = -1/p.
    """
    c, p, start = sympy.symbols("c p q_0", positive=True)
    lam, kappa = c * (p - 1 / p) / 4, c * (p + 1 / p) / 2
    yield 4 * lam**2 + c**2 - kappa**2
    high, low = p, -1 / p
    yield high - (2 * lam + kappa) / c
    yield low - (2 * lam - kappa) / c
    k = (start - high) / (start - low)
    e = sympy.Symbol("E", positive=True)
    q = (high - low * k * e) / (1 - k * e)
    velocity = q.diff(e) * (kappa if swap else -kappa) * e
    yield sympy.numer(sympy.together(velocity + (c / 2) * (q - high) * (q - low)))
    yield sympy.numer(sympy.together(q.subs(e, 1) - start))


DERIVATION = Derivation(
    proves=TWO_SCALARS,
    steps=(
        Step(
            r"\dot u",
            r"(w_1^2+w_2^2)(\lambda-u) = \sqrt{c^2+4u^2}\,(\lambda-u)",
            r"Product rule; $(w_1^2+w_2^2)^2 = (w_1^2-w_2^2)^2+4u^2$, and $w_1^2-w_2^2$ is conserved (R10).",
            (SymbolicZero(r"all $w_1$, $w_2$, $\lambda$", product),),
        ),
        Step(
            r"u(t)",
            r"\frac{\lambda}{1+(\lambda/u_0-1)e^{\mp2\lambda t}}, \quad w_1 = \pm w_2, \quad u_0 \ne 0",
            r"$c = 0$: $\dot u = \pm2u(\lambda-u)$, as $u$ keeps its sign.  ($u_0 = 0$: $u = 0$.)",
            (
                SymbolicZero(r"$w_1 = w_2$, all $\lambda$, $u_0$", partial(balanced, 1)),
                SymbolicZero(r"$w_1 = -w_2$, all $\lambda$, $u_0$", partial(balanced, -1)),
            ),
        ),
        Step(
            r"u = \tfrac c4\bigl(q-\tfrac1q\bigr)",
            r"\dot q = -\tfrac c2(q-q_+)(q-q_-), \quad q_\pm = \frac{2\lambda\pm\kappa}c, \quad \kappa = "
            r"\sqrt{4\lambda^2+c^2}",
            r"$c > 0$: $\sqrt{c^2+4u^2} = \frac c2(q+\frac1q)$ for $q = (2u+\sqrt{c^2+4u^2})/c > 0$.",
            (SymbolicZero(r"all $c > 0$, $q > 0$, $\lambda$, $u_0$", substitution),),
            r"\Rightarrow",
        ),
        Step(
            r"q(t)",
            r"\frac{q_+-q_-Ke^{-\kappa t}}{1-Ke^{-\kappa t}}, \quad K = \frac{q_0-q_+}{q_0-q_-}",
            r"$(q-q_+)/(q-q_-)$ decays at the rate $\frac c2(q_+-q_-) = \kappa$.  The denominator has no zero for "
            r"$t \ge "
            r"0$: $q_0 > 0 > q_-$, so $K < 1$.",
            (SymbolicZero(r"all $c > 0$, $q_0 > 0$ and $\lambda = \frac c4(p-\frac1p)$, $p > 0$", general),),
        ),
    ),
    controls=(
        Control(
            r"the rate $1.99\,\lambda$ in place of $2\lambda$",
            SymbolicZero("", partial(balanced, 1, rate=sympy.Rational(199, 100))),
        ),
        Control(r"$e^{+\kappa t}$", SymbolicZero("", partial(general, swap=True))),
    ),
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
