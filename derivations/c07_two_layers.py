r"""C7: two linear layers with W_2^T W_2 - W_1 W_1^T = delta I, f = (1/2) ||W_2 W_1 - M||_F^2: P = Q Q^T in closed form.

    P' = F P + P F - P^2,    P = e^{Ft} Q_0 (I + Q_0^T int_0^t e^{2Fs} ds Q_0)^{-1} Q_0^T e^{Ft}

All matrices of any sizes: noncommuting symbols.

Run: python -m derivations.c07_two_layers
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

import sympy

from symflow.proofs import Control, Derivation, Step, SymbolicZero
from symflow.proofs.words import matrices, transposed
from symflow.report.derivations import run
from symflow.theory.c07_two_layers import TWO_LAYERS

DELTA = sympy.Symbol("delta", real=True)
HALF = sympy.Rational(1, 2)


def factor(half: sympy.Expr = HALF) -> Iterator[sympy.Expr]:
    """Q' = F Q - Q Q^T Q/2 by blocks, where W_2^T W_2 = W_1 W_1^T + delta I; `half` is the 1/2 of delta/2 in F."""
    w, v, m = matrices("W V M")  # W_1, W_2, M
    balance = transposed(v) * v

    def reduced(x: sympy.Expr) -> sympy.Expr:
        """W_2^T W_2 replaced."""
        return sympy.expand(sympy.expand(x).subs(balance, w * transposed(w) + DELTA))

    residual = m - v * w
    middle = w * transposed(w) + balance  # Q^T Q
    first = transposed(residual) * v - (
        -half * DELTA * transposed(w) + transposed(m) * v - HALF * transposed(w) * middle
    )
    second = residual * transposed(w) - (half * DELTA * v + m * transposed(w) - HALF * v * middle)
    yield reduced(first)
    yield reduced(second)


def product() -> Iterator[sympy.Expr]:
    """(Q Q^T)' = F Q Q^T + Q Q^T F - (Q Q^T)^2 for Q' = F Q - Q Q^T Q/2, F symmetric."""
    f, q = matrices("F Q")
    p = q * transposed(q)
    rate = f * q - HALF * p * q
    found = rate * transposed(q) + q * transposed(rate, symmetric=(f,))
    yield sympy.expand(found - (f * p + p * f - p * p))


def solution(weight: sympy.Expr = sympy.S.One) -> Iterator[sympy.Expr]:
    """P = E Q R Q^T E, E' = F E = E F, R = S^{-1}, S' = Q^T E E Q: P' = F P + P F - P P; `weight` of S' is 1."""
    f, e, q, r = matrices("F E Q R")
    inside = weight * transposed(q) * e * e * q
    p = e * q * r * transposed(q) * e
    rate = (
        f * e * q * r * transposed(q) * e
        + e * q * r * transposed(q) * e * f
        - e * q * r * inside * r * transposed(q) * e
    )
    yield sympy.expand(rate - (f * p + p * f - p * p))


DERIVATION = Derivation(
    proves=TWO_LAYERS,
    steps=(
        Step(
            r"\dot Q",
            r"FQ-\tfrac12QQ^\top Q, \quad Q = \begin{pmatrix}W_1^\top\\W_2\end{pmatrix}, \quad F = "
            r"\begin{pmatrix}-\frac\delta2I&M^\top\\M&\frac\delta2I\end{pmatrix}",
            r"$\dot W_1 = W_2^\top(M-W_2W_1)$, $\dot W_2 = (M-W_2W_1)W_1^\top$, and $W_2^\top W_2 = "
            r"W_1W_1^\top+\delta I$ "
            r"for all "
            r"$t$ (R10).",
            (SymbolicZero("matrices of any sizes, both blocks", factor),),
        ),
        Step(
            r"\tfrac d{dt}(QQ^\top)",
            r"FQQ^\top+QQ^\top F-(QQ^\top)^2",
            r"Product rule; $F$ is symmetric.",
            (SymbolicZero("matrices of any sizes", product),),
        ),
        Step(
            r"QQ^\top(t)",
            r"e^{Ft}Q_0S^{-1}Q_0^\top e^{Ft}, \quad S = I+Q_0^\top\int_0^te^{2Fs}ds\,Q_0",
            r"$\dot S = Q_0^\top e^{2Ft}Q_0$ and $\frac d{dt}S^{-1} = -S^{-1}\dot SS^{-1}$; at $t = 0$ it is "
            r"$Q_0Q_0^\top$.  $S \ge "
            r"I$ is "
            r"invertible, whatever the ranks and widths, and solutions are unique.",
            (SymbolicZero("matrices of any sizes", solution),),
        ),
    ),
    controls=(
        Control(r"$\pm\delta I$ in $F$", SymbolicZero("", partial(factor, half=sympy.Integer(1)))),
        Control(r"$2\int_0^te^{2Fs}ds$ in $S$", SymbolicZero("", partial(solution, weight=sympy.Integer(2)))),
    ),
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
