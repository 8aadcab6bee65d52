r"""C5: gradient flow of a single linear neuron, f = (1/2) ||a w - b||^2, for every delta = a^2 - ||w||^2.

    a = A/s, u = U/s, w_perp = w_perp(0)/s,    A' = delta A + lambda U, U' = lambda A, s^2 = 1 + 2 int A^2

The division by s makes the cubic equations linear; so there are no cases.

Run: python -m derivations.c05_single_neuron
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

import sympy

from symflow.proofs import Control, Derivation, Step, SymbolicZero
from symflow.report.derivations import run
from symflow.theory.c05_single_neuron import SINGLE_NEURON, linear_parts

LAM, KAPPA, T = sympy.symbols("lambda kappa t", positive=True)


def equations() -> Iterator[sympy.Expr]:
    """a', u' and p' (p the length of the part across b) from f, and the conserved difference."""
    a, u, p = sympy.symbols("a u p", real=True)
    f = ((a * u - LAM) ** 2 + (a * p) ** 2) / 2
    delta = a**2 - u**2 - p**2
    rates = [-f.diff(x) for x in (a, u, p)]
    yield sympy.expand(rates[0] - (LAM * u + delta * a - a**3))
    yield sympy.expand(rates[1] - (LAM * a - a**2 * u))
    yield sympy.expand(rates[2] + a**2 * p)
    yield sympy.expand(sum(delta.diff(x) * r for x, r in zip((a, u, p), rates, strict=True)))


def linearized(power: int = 1) -> Iterator[sympy.Expr]:
    """A/s, U/s, P/s with s' = A^2/s solve the three equations; `power` is that of A^2/s in s."""
    a, u, p, delta = sympy.symbols("A U P delta", real=True)
    s = sympy.Symbol("s", positive=True)
    rates = {a: delta * a + LAM * u, u: LAM * a, p: sympy.S.Zero, s: a**2 / s**power}

    def rate(x: sympy.Expr) -> sympy.Expr:
        return sum(x.diff(v) * r for v, r in rates.items())

    yield sympy.simplify(rate(a / s) - (LAM * u / s + delta * a / s - (a / s) ** 3))
    yield sympy.simplify(rate(u / s) - (LAM * a / s - (a / s) ** 2 * u / s))
    yield sympy.simplify(rate(p / s) + (a / s) ** 2 * p / s)
    yield sympy.simplify(rate(s**2) - 2 * a**2)


def linear_flow(factor: sympy.Expr = sympy.S.One) -> Iterator[sympy.Expr]:
    """A, U as stated solve A' = delta A + lambda U, U' = lambda A; kappa^2 = delta^2 + 4 lambda^2, `factor` is 1.

    With lambda = sqrt(kappa^2 - delta^2)/2; x = e^{kappa t/2}, x' = (kappa/2) x, and e^{delta t/2} is divided out.
    """
    start, along, delta, lam = sympy.symbols("a_0 u_0 delta lambda", real=True)
    x = sympy.Symbol("x", positive=True)
    cosh, sinh = (x + 1 / x) / 2, (x - 1 / x) / 2
    a, u = linear_parts(start, along, delta, lam, cosh, factor * sinh / KAPPA)
    for left, right in ((a, delta * a + lam * u), (u, lam * a)):
        found = left.diff(x) * KAPPA / 2 * x + delta / 2 * left - right
        yield sympy.expand(sympy.expand(found * KAPPA * x).subs(KAPPA**2, delta**2 + 4 * lam**2))
    yield a.subs(x, 1) - start
    yield u.subs(x, 1) - along


def without_growth() -> Iterator[sympy.Expr]:
    """kappa = 0, so delta = lambda = 0: the limit of sinh(kappa t/2)/kappa is t/2, and A, U do not move."""
    yield sympy.limit(sympy.sinh(KAPPA * T / 2) / KAPPA, KAPPA, 0) - T / 2
    a, u = linear_parts(*sympy.symbols("a_0 u_0"), sympy.S.Zero, sympy.S.Zero, sympy.S.One, T / 2)
    yield a - sympy.Symbol("a_0")
    yield u - sympy.Symbol("u_0")


DERIVATION = Derivation(
    proves=SINGLE_NEURON,
    steps=(
        Step(
            r"\dot a,\ \dot u,\ \dot p",
            r"\lambda u+\delta a-a^3,\ \lambda a-a^2u,\ -a^2p, \quad \delta = a^2-u^2-p^2 \text{ conserved}",
            r"$w = u\,b/\lambda+w_\perp$, $p = \|w_\perp\|$; $\dot w_\perp = -a^2w_\perp$ keeps its direction.",
            (SymbolicZero(r"all $a$, $u$, $p$, $\lambda$", equations),),
        ),
        Step(
            r"a = A/s,\ u = U/s,\ p = P/s",
            r"\dot A = \delta A+\lambda U,\ \dot U = \lambda A,\ \dot P = 0, \quad \dot s = A^2/s",
            r"The factor $s$ with $\dot s/s = a^2$, $s(0) = 1$, removes the cubic terms: $s^2 = 1+2\int_0^tA^2 \ge 1$.",
            (SymbolicZero(r"all $A$, $U$, $P$, $\delta$, $\lambda$, $s > 0$", linearized),),
            r"\Leftarrow",
        ),
        Step(
            r"A,\ U",
            r"e^{\delta t/2}\Bigl[a_0\cosh\tfrac{\kappa t}2+(\delta a_0+2\lambda u_0)\tfrac{\sinh(\kappa t/2)}\kappa"
            r"\Bigr],\ e^{\delta t/2}\Bigl[u_0\cosh\tfrac{\kappa t}2+(2\lambda a_0-\delta u_0)"
            r"\tfrac{\sinh(\kappa t/2)}\kappa\Bigr]",
            r"$\kappa^2 = \delta^2+4\lambda^2$; at $\kappa = 0$ the limit $t/2$ of the quotient.",
            (
                SymbolicZero(r"all $a_0$, $u_0$, $\delta$, $\lambda$, $\kappa > 0$", linear_flow),
                SymbolicZero(r"$\kappa = 0$, all $a_0$, $u_0$", without_growth),
            ),
        ),
    ),
    controls=(
        Control(r"$\dot s = A^2/s^2$", SymbolicZero("", partial(linearized, power=2))),
        Control(
            r"$1.01\sinh(\kappa t/2)/\kappa$", SymbolicZero("", partial(linear_flow, factor=sympy.Rational(101, 100)))
        ),
    ),
    notation=(r"$f = \frac12\|aw-b\|^2$, $\lambda = \|b\|$",),
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
