r"""C6: balanced linear networks on whitened data whose end-to-end matrix shares its singular vectors with the target.

    W(t) = sum_k s_k(t) u_k v_k^T,    s' = n s^{2-2/n} (lambda - s)

and for two layers s = lambda s_0/(s_0 + (lambda - s_0) e^{-2 lambda t}).

Run: python -m derivations.c06_modes
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

import sympy

from symflow.proofs import Control, Derivation, Step, SymbolicZero
from symflow.report.derivations import run
from symflow.theory.c02_two_scalars import balanced
from symflow.theory.c06_modes import MODES
from symflow.theory.functions import SYMBOLS

S, LAM, T, N = sympy.symbols("s lambda t n", positive=True)
TWO = sympy.Integer(2)


def mode(power: sympy.Expr = TWO) -> Iterator[sympy.Expr]:
    """R14 on one mode: sum_j (s^2)^{(n-j)/n} (s - lambda) (s^2)^{(j-1)/n} = n s^{2-2/n} (s - lambda); `power` is 2.

    Each summand is the same, whatever j is.
    """
    j = sympy.Symbol("j", positive=True)
    term = (S**power) ** ((N - j) / N) * (S**power) ** ((j - 1) / N)
    yield sympy.simplify(sympy.powsimp(sympy.expand_power_base(term), force=True) / S ** (2 - 2 / N) - 1)


def weight() -> Iterator[sympy.Expr]:
    r"""s = z^n: \dot z = z^{n-1} (lambda - z^n) is the equation of one of n equal scalar layers (C9)."""
    z = sympy.Symbol("z", positive=True)
    speed = z ** (N - 1) * (LAM - z**N)
    yield sympy.simplify((N * z ** (N - 1) * speed) / (N * (z**N) ** (2 - 2 / N) * (LAM - z**N)) - 1)


def sigmoid(rate: sympy.Expr = TWO) -> Iterator[sympy.Expr]:
    """n = 2: s' = 2 s (lambda - s), s(0) = s_0; the rate is 2 lambda."""
    start = sympy.Symbol("s_0", positive=True)
    s = balanced(start, LAM, rate * LAM, T, SYMBOLS)
    yield sympy.simplify(s.diff(T) - 2 * s * (LAM - s))
    yield sympy.simplify(s.subs(T, 0) - start)


def halfway() -> Iterator[sympy.Expr]:
    """s = lambda/2 at t = log(lambda/s_0 - 1)/(2 lambda)."""
    start = sympy.Symbol("s_0", positive=True)
    time = sympy.log(LAM / start - 1) / (2 * LAM)
    yield sympy.simplify(balanced(start, LAM, 2 * LAM, T, SYMBOLS).subs(T, time) - LAM / 2)


DERIVATION = Derivation(
    proves=MODES,
    steps=(
        Step(
            r"\dot s",
            r"n\,s^{2-2/n}(\lambda-s)",
            r"Balanced layers are $W_j = \sum_ks_k^{1/n}u^{(j)}_ku^{(j-1)\top}_k$ with orthonormal frames, $u^{(n)} "
            r"= u$ and "
            r"$u^{(0)} = v$; where $M = \sum_k\lambda_ku_kv_k^\top$, so are their velocities.  The form is kept by "
            r"the flow, "
            r"and every summand of R14 is $\sum_k(s_k^2)^{(n-j)/n}(s_k-\lambda_k)(s_k^2)^{(j-1)/n}u_kv_k^\top$.  "
            r"Common "
            r"singular vectors exist if $W^\top M$ and $WM^\top$ are symmetric (Eckart and Young 1939).",
            (SymbolicZero(r"all $s > 0$, $\lambda$, $n$, $j$", mode),),
        ),
        Step(
            r"s = z^n",
            r"\dot z = z^{n-1}(\lambda-z^n)",
            r"Each mode is a product of $n$ equal scalars, C9; where $s < 0$, $-s$ and $-\lambda$ obey it.",
            (SymbolicZero(r"all $z > 0$, $\lambda$, $n$", weight),),
            r"\Leftrightarrow",
        ),
        Step(
            r"s(t)",
            r"\frac{\lambda s_0}{s_0+(\lambda-s_0)e^{-2\lambda t}}",
            r"$n = 2$: substitute.  It passes $\lambda/2$ at $t = \frac1{2\lambda}\log(\lambda/s_0-1)$.",
            (
                SymbolicZero(r"all $\lambda$, $s_0$", sigmoid),
                SymbolicZero(r"all $\lambda$, $s_0$; the time", halfway),
            ),
        ),
    ),
    controls=(
        Control(r"$s$ in place of $s^2$", SymbolicZero("", partial(mode, power=sympy.Integer(1)))),
        Control(r"the rate $1.99\,\lambda$", SymbolicZero("", partial(sigmoid, rate=sympy.Rational(199, 100)))),
    ),
    notation=(r"$f = \frac12\|W_{n:1}-M\|_F^2$ up to a constant; $W = W_{n:1}$ balanced (R14)",),
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
