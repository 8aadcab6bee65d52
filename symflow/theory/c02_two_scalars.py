"""C2: gradient flow of two scalar layers, f = (w_1 w_2 - lambda)^2/2, for u = w_1 w_2 and c = |w_1^2 - w_2^2|."""

from __future__ import annotations

import sympy

from symflow.numbers.types import Scalar
from symflow.theory.functions import SYMBOLS, Functions
from symflow.theory.hypotheses import Hypothesis
from symflow.theory.result import OURS, Result
from symflow.theory.statement import equation


def balanced(u0: Scalar, target: Scalar, rate: Scalar, time: Scalar, functions: Functions) -> Scalar:
    """u for w_1 = w_2 (rate 2 lambda) or w_1 = -w_2 (rate -2 lambda), u(0) not 0: logistic."""
    return target * u0 / (u0 + (target - u0) * functions.exp(-rate * time))


def roots(target: Scalar, c: Scalar, functions: Functions) -> tuple[Scalar, Scalar, Scalar]:
    """kappa = sqrt(4 lambda^2 + c^2), q_+ and q_- = (2 lambda +- kappa)/c."""
    kappa = functions.sqrt(4 * target**2 + c**2)
    return kappa, (2 * target + kappa) / c, (2 * target - kappa) / c


def start(u0: Scalar, c: Scalar, functions: Functions) -> Scalar:
    """q_0."""
    return (2 * u0 + functions.sqrt(c**2 + 4 * u0**2)) / c


def quotient(plus: Scalar, minus: Scalar, first: Scalar, decay: Scalar) -> Scalar:
    """q, with K = (q_0 - q_+)/(q_0 - q_-) and decay = e^{-kappa t}."""
    k = (first - plus) / (first - minus)
    return (plus - minus * k * decay) / (1 - k * decay)


def product(c: Scalar, q: Scalar) -> Scalar:
    """u = (c/4)(q - 1/q)."""
    return c / 4 * (q - 1 / q)


def two_scalars(u0: Scalar, c: Scalar, target: Scalar, time: Scalar, functions: Functions) -> Scalar:
    """u(t)."""
    if c == 0:
        if u0 == 0:
            return u0
        if target == 0:
            return u0 / (1 + 2 * abs(u0) * time)
        return balanced(u0, target, 2 * target if u0 > 0 else -2 * target, time, functions)
    kappa, plus, minus = roots(target, c, functions)
    return product(c, quotient(plus, minus, start(u0, c, functions), functions.exp(-kappa * time)))


_u0, _lam, _t, _c = sympy.symbols("u_0 lambda t c", positive=True)
_q, _plus, _minus, _first, _kappa = sympy.symbols("q q_+ q_- q_0 kappa", positive=True)
_U = "u"
TWO_SCALARS = Result(
    "C2",
    "two-scalars",
    "two scalar layers",
    "closed form: two scalar layers",
    OURS,
    (),
    (
        equation("equal", _U, balanced(_u0, _lam, 2 * _lam, _t, SYMBOLS)),
        equation("opposite", _U, balanced(_u0, _lam, -2 * _lam, _t, SYMBOLS)),
        equation("otherwise", _U, product(_c, _q)),
        equation("quotient", _q, quotient(_plus, _minus, _first, sympy.exp(-_kappa * _t))),
        equation("at the start", _first, start(_u0, _c, SYMBOLS)),
        *(
            equation(label, left, right)
            for label, left, right in zip(
                ("rate", "upper root", "lower root"), (_kappa, _plus, _minus), roots(_lam, _c, SYMBOLS), strict=True
            )
        ),
    ),
    (
        Hypothesis(
            "",
            r"$f = \frac12(w_1w_2-\lambda)^2$, $u = w_1w_2$, $u_0 = u(0)$, $\lambda > 0$, $c = |w_1^2-w_2^2|$ at $t "
            r"= 0$; equal: $w_1 = w_2$, "
            r"opposite: "
            r"$w_1 = -w_2$ (then $u \le 0$ for all $t$), otherwise $c > 0$",
        ),
    ),
    derivations=("c02_two_scalars",),
)
