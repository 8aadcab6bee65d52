r"""R3: what initial error, defect and one-sided rate make of the distance of two curves; computed here only.

    ||theta(t) - theta~(t)|| <= e^{M(t)} (rho + int_0^t e^{-M(s)} delta(s) ds),    M(t) = int_0^t m.

Time is cut into cells. An error e at the beginning of a cell, where theta~ may jump by j, is at its end at most

    growth (e + j) + defect * integral,    growth = e^{m h},    integral = int_0^h e^{m s} ds = (e^{m h} - 1)/m,

for the rate m and the defect of the cell (or, where the defect varies, its mean in the weight of the integral). A
step whose map has a known Lipschitz constant L has growth = L and what it adds in place of the integral. The fold of
this map over the cells is R3. Only + and * are asked of the numbers: floats, arrays, mpf, intervals or balls.

Float64 rounds: `fold` is told how to round outwards (`symflow.numbers.outward`). What overflows is infinite, a bound
that says nothing; an error that is exactly 0 does not grow. (Hairer, Norsett & Wanner 1993, Theorem 10.6; Elkabetz &
Cohen 2021)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import sympy

from symflow.numbers.types import Scalar
from symflow.theory.functions import FLOAT64, SYMBOLS, Functions
from symflow.theory.hypotheses import Hypothesis
from symflow.theory.hypothesis_checks import SMOOTH_ALONG
from symflow.theory.result import ELKABETZ_COHEN, SOURCES, Result
from symflow.theory.statement import equation, relation


def cell(error: Scalar, growth: Scalar, defect: Scalar, integral: Scalar, jump: Scalar = 0) -> Scalar:
    """The error at the end of a cell: growth (error + jump) + defect * integral."""
    return growth * (error + jump) + defect * integral


def constant_rate(rate: Scalar, time: Scalar, functions: Functions = FLOAT64) -> tuple[Scalar, Scalar]:
    """Growth e^{m h} and its integral (e^{m h} - 1)/m over a cell of length h in which m is constant, of any sign.

    `functions` has `exp` and `mean_exp`, x -> (e^x - 1)/x; see `symflow.theory.functions`.
    """
    exponent = rate * time
    return functions.exp(exponent), time * functions.mean_exp(exponent)


def fold(
    cells: Iterable[tuple[Scalar, ...]], start: Scalar = 0.0, rounded: Callable[[Scalar], Scalar] = lambda x: x
) -> Iterator[Scalar]:
    """The error after each cell.

    Args:
        cells: (growth, defect, integral), with a jump at the beginning of the cell as a fourth number where there is
            one.
        start: rho, the error at the beginning.
        rounded: what makes a bound of a value with the rounding of one cell, such as `outward.above` for float64.
    """
    error = start
    for growth, defect, integral, *jump in cells:
        grows = growth if error or any(jump) else 1.0  # 0 times an infinite growth is 0
        error = rounded(cell(error, grows, defect, integral, *jump))
        yield error


_t, _s = sympy.symbols("t s", real=True)
_rho, _growth, _jump, _defect, _integral = sympy.symbols(r"rho q_i j_i delta_i I_i", positive=True)
_rate, _length, _lipschitz, _added = sympy.symbols("m_i h_i L_i d_i", positive=True)
_constant = constant_rate(_rate, _length, SYMBOLS)
SUPPLIED = Hypothesis(
    "that bounds on the defect and on the curvature between the two curves are supplied",
    r"$\|\theta(0)-\tilde\theta(0)\| \le \rho$ and $\|\dot{\tilde\theta}(t^+)-G(t,\tilde\theta(t))\| \le \delta(t)$; "
    r"$m(t) \ge \lambda_{\max}(\frac12(\partial_\theta G+\partial_\theta G^\top))$ on the segment for almost every "
    r"$t$, of any sign; $m$ and $\delta$ integrable, $M(t) = \int_0^tm$",
)
_FIELD = Hypothesis(
    "",
    r"$\dot\theta = G(t,\theta)$, $G$ of class $C^1$ in $\theta$ on an open set that contains the segments "
    r"$[\theta(t),\tilde\theta(t)]$; $\theta$ absolutely continuous, $\tilde\theta$ continuous and piecewise $C^1$",
)
FUNDAMENTAL_THEOREM = Result(
    "R3",
    "fundamental-theorem",
    "fundamental theorem",
    "fundamental theorem: initial error, defect and one-sided curvature bound the distance of two solutions",
    f"{SOURCES['HNW93']}, Theorem 10.6; used by {ELKABETZ_COHEN}",
    (SMOOTH_ALONG,),
    (
        relation(
            "at all times",
            r"\|\theta(t)-\tilde\theta(t)\|",
            "<=",
            cell(
                _rho,
                sympy.exp(sympy.Symbol("M(t)")),
                1,
                sympy.Integral(
                    sympy.exp(sympy.Symbol("M(t)") - sympy.Symbol("M(s)")) * sympy.Symbol(r"\delta(s)"), (_s, 0, _t)
                ),
            ),
        ),
        relation("cell by cell", "e_{i+1}", "<=", cell(sympy.Symbol("e_i"), _growth, _defect, _integral, _jump)),
        equation("constant rate", _growth, _constant[0]),
        equation("its integral", _integral, _constant[1]),
        relation("steps of a map", "e_{i+1}", "<=", cell(sympy.Symbol("e_i"), _lipschitz, _added, 1, _jump)),
    ),
    (_FIELD, SUPPLIED),
    remark=r"Where the rate $m_i$ is constant on a cell of length $h_i$, $q_i$ and $I_i$ are as stated; for $m_i = 0$, "
    r"$I_i = h_i$. A step whose map has the Lipschitz constant $L_i$, and that misses the curve by $d_i$, has the "
    r"last. For gradient flow $m(t) \ge -\lambda_{\min}(H)$ on the segment; $m < 0$ "
    r"means "
    "contraction.",
    derivations=("r03_fundamental_theorem",),
)
