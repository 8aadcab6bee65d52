r"""C9: gradient flow of f = (1/2) (w_n ... w_1 - lambda)^2: all weights by the smallest one, time by one integral.

    w_j = +-sqrt(z^2 + c_j),    z' = (lambda - z r(z)) r(z),    t = int dz/z'.

Run: python -m derivations.c09_scalars
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

import sympy

from symflow.proofs import Control, Derivation, Step, SymbolicZero
from symflow.report.derivations import run
from symflow.theory.c09_scalars import PRODUCT_OF_SCALARS

LAM, Z, R = sympy.symbols("lambda z r", real=True)


def velocities() -> Iterator[sympy.Expr]:
    """w_j' = (lambda - p) p/w_j for one weight v next to the product r of the others, any depth."""
    f = (Z * R - LAM) ** 2 / 2
    yield sympy.expand(-f.diff(Z) - (LAM - Z * R) * R)


def conserved(power: int = 2) -> Iterator[sympy.Expr]:
    """w_j^2 - z^2: with p = z w_j q both squares move at the rate 2 (lambda - p) p; `power` is 2."""
    w, q = sympy.symbols("w_j q", real=True)
    p = Z * w * q
    rates = {Z: (LAM - p) * w * q, w: (LAM - p) * Z * q}
    gap = w**power - Z**power
    yield sympy.expand(sum(gap.diff(x) * r for x, r in rates.items()))


def others(sign: int) -> Iterator[sympy.Expr]:
    """w_j = sign sqrt(z^2 + c) moves as it must: w_j' = z z'/w_j, and both are (lambda - p) times p/w_j."""
    c, q = sympy.Symbol("c", positive=True), sympy.Symbol("q", real=True)
    w = sign * sympy.sqrt(Z**2 + c)
    p = Z * w * q
    yield sympy.simplify(w.diff(Z) * (LAM - p) * w * q - (LAM - p) * Z * q)


def clock(shift: sympy.Expr = sympy.S.Zero) -> Iterator[sympy.Expr]:
    """d/dt of int_{z(0)}^{z(t)} dzeta/v(zeta) is z'/v(z) = 1; `shift` is 0."""
    v = sympy.Function("v")
    zeta, start = sympy.symbols("zeta z_0", real=True)
    integral = sympy.Integral(1 / (v(zeta) + shift), (zeta, start, Z))
    yield sympy.simplify(integral.diff(Z) * v(Z) - 1)


DERIVATION = Derivation(
    proves=PRODUCT_OF_SCALARS,
    steps=(
        Step(
            r"\dot z",
            r"(\lambda-zr)\,r, \quad r = \prod_{w_j\ne z}w_j",
            "The derivative of $f$ in one weight; the others are its factor.",
            (SymbolicZero(r"all $z$, $r$, $\lambda$", velocities),),
        ),
        Step(
            r"w_j",
            r"\pm\sqrt{z^2+c_j}, \quad c_j = w_j^2-z^2 \ge 0",
            r"$c_j$ is conserved (R10), and $z$ is the weight of least size.  Where $c_j > 0$, $w_j$ has no zero "
            r"and keeps its "
            r"sign; where $c_j = 0$, $w_j = \pm z$ with one sign, as neither reaches 0 in finite time: at 0 both rest.",
            (
                SymbolicZero(r"all $w_j$, $z$, and the product $q$ of the rest", conserved),
                SymbolicZero(r"all $z$, $c > 0$, $q$; the sign $+$", partial(others, 1)),
                SymbolicZero(r"all $z$, $c > 0$, $q$; the sign $-$", partial(others, -1)),
            ),
        ),
        Step(
            r"t",
            r"\int_{z(0)}^{z(t)}\frac{d\zeta}{(\lambda-\zeta r(\zeta))\,r(\zeta)}",
            r"An autonomous equation of one variable: $z$ is monotone, and $\dot z \ne 0$ before the resting point.",
            (SymbolicZero(r"every right-hand side $v$", clock),),
        ),
    ),
    controls=(
        Control(r"$w_j^3-z^3$ in place of the squares", SymbolicZero("", partial(conserved, power=3))),
        Control(r"$1/(v+\frac1{100})$ in the integral", SymbolicZero("", partial(clock, shift=sympy.Rational(1, 100)))),
    ),
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
