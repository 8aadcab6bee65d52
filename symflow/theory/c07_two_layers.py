"""C7: two linear layers with W_2^T W_2 - W_1 W_1^T = delta I and whitened data: a matrix Riccati equation, solved."""

from __future__ import annotations

from itertools import product as pairs
from typing import Any

import mpmath
import sympy

from symflow.numbers.types import Mpf
from symflow.theory.functions import MPMATH
from symflow.theory.hypotheses import Hypothesis, Setting, Verdict
from symflow.theory.hypothesis_checks import LINEAR, SQUARE_LOSS, balancedness, fails, holds, unchecked
from symflow.theory.result import SOURCES, Result
from symflow.theory.statement import equation
from symflow.theory.whitened import SQUARED_DISTANCE


def _multiple(setting: Setting) -> Verdict:
    """D_1 is a multiple of the identity, exactly."""
    network = setting.objective.network
    if network is None or not network.linear or network.depth != 2:
        return fails("not a linear network of depth 2")
    if setting.theta0 is None:
        return unchecked("no initial weights are given")
    (d,) = balancedness(setting.objective, setting.theta0)
    if any(d[i, j] != (d[0, 0] if i == j else 0) for i, j in pairs(range(len(d)), repeat=2)):
        return fails("W_2^T W_2 - W_1 W_1^T is not a multiple of the identity")
    return holds(f"W_2^T W_2 - W_1 W_1^T = {d[0, 0]} I exactly")


MULTIPLE = Hypothesis(
    "balanced up to a multiple of the identity", r"$n = 2$, $W_2^\top W_2-W_1W_1^\top = \delta I$ at $t = 0$", _multiple
)


def riccati(first: Any, second: Any, target: Any, delta: Mpf, time: Mpf) -> Any:
    """Q Q^T at a time, Q = (W_1^T; W_2): an mpmath matrix of d_0 + d_2 rows.

    In the eigenvectors of F = [[-delta/2, M^T], [M, delta/2]]; no inverse of F is taken, so that zero eigenvalues,
    unequal widths and narrow hidden layers are no exceptions.

    Args:
        first: W_1(0), a matrix of mpmath.
        second: W_2(0).
        target: M, of f = ||W_2 W_1 - M||_F^2/2.
        delta: W_2^T W_2 - W_1 W_1^T = delta I.
        time: t.
    """
    inputs, outputs, hidden = first.cols, second.rows, first.rows
    size = inputs + outputs
    f, q = mpmath.zeros(size, size), mpmath.zeros(size, hidden)
    for i in range(size):
        f[i, i] = -delta / 2 if i < inputs else delta / 2
        for k in range(hidden):
            q[i, k] = first[k, i] if i < inputs else second[i - inputs, k]
    for i, j in pairs(range(outputs), range(inputs)):
        f[inputs + i, j] = f[j, inputs + i] = target[i, j]
    rates, frame = mpmath.eigsy(f)
    turned = frame.T * q
    grown, weighted = turned.copy(), turned.copy()
    for i, k in pairs(range(size), range(hidden)):
        grown[i, k] *= mpmath.exp(rates[i] * time)
        weighted[i, k] *= time * MPMATH.mean_exp(2 * rates[i] * time)
    moved = frame * grown
    return moved * mpmath.inverse(mpmath.eye(hidden) + turned.T * weighted) * moved.T


_Q, _F, _Q0 = (sympy.Symbol(x, commutative=False) for x in ("QQ^\\top", "F", "Q_0"))
TWO_LAYERS = Result(
    "C7",
    "two-layers",
    "two linear layers",
    "closed form: Q Q^T of two linear layers whose balancedness is a multiple of the identity, any widths",
    f"balanced layers: {SOURCES['BDSL22']}; up to a multiple of the identity: {SOURCES['DABM24']}; without their "
    f"rank conditions: symflow",
    (LINEAR, SQUARE_LOSS, SQUARED_DISTANCE, MULTIPLE),
    (
        equation("equation", r"\tfrac{d}{dt}QQ^\top", r"FQQ^\top+QQ^\top F-(QQ^\top)^2"),
        equation(
            "solution",
            r"QQ^\top(t)",
            r"e^{Ft}Q_0\Bigl(I+Q_0^\top\int_0^te^{2Fs}ds\,Q_0\Bigr)^{-1}Q_0^\top e^{Ft}",
        ),
    ),
    (
        Hypothesis(
            "",
            r"$\sigma = 1$ (else $\sigma t$ in place of $t$); $Q = "
            r"\begin{pmatrix}W_1^\top\\W_2\end{pmatrix}$, $Q_0 = Q(0)$, $F = \begin{pmatrix}-\frac\delta2I&M^\top\\M&"
            r"\frac\delta2I\end{pmatrix}$",
        ),
    ),
    remark=r"$W_2W_1$ is the lower left block of $QQ^\top$. The inverse exists: it is that of $I$ plus a Gram matrix. "
    r"One hidden unit satisfies the hypothesis always (C5).",
    derivations=("c07_two_layers",),
)
