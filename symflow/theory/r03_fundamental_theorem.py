r"""R3: what initial error, defect and one-sided rate make of the distance of two curves; `cells` computes it.

    ||theta(t) - theta~(t)|| <= e^{M(t)} (rho + int_0^t e^{-M(s)} delta(s) ds),    M(t) = int_0^t m.

(Hairer, Norsett & Wanner 1993, Theorem 10.6; Elkabetz & Cohen 2021)
"""

from __future__ import annotations

import sympy

from symflow.theory.cells import cell, constant_rate
from symflow.theory.functions import SYMBOLS
from symflow.theory.hypotheses import Hypothesis
from symflow.theory.hypothesis_checks import SMOOTH_ALONG
from symflow.theory.result import ELKABETZ_COHEN, SOURCES, Result
from symflow.theory.statement import equation, relation

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
