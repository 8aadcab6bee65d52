"""R18: the leading orders of the deviation of descent from flow in the step size.

e is integrated along the flow by `symflow.dynamics.modified.leading_order_field`.
"""

from __future__ import annotations

import sympy

from symflow.theory.hypotheses import Hypothesis
from symflow.theory.hypothesis_checks import SMOOTH_ALONG
from symflow.theory.r17_modified_equation import term
from symflow.theory.result import SOURCES, Result
from symflow.theory.statement import equation

_eta = sympy.Symbol("eta", positive=True)
_p = sympy.Symbol("p", positive=True)
_e, _e2, _He, _He2, _Tee, _Tge, _HHe = (
    sympy.Symbol(name) for name in ("e(t)", "e_2(t)", "He", "He_2", "T[e,e]", "T[g,e]", "H^2e")
)
LEADING_ORDER = Result(
    "R18",
    "leading-order",
    "leading order of the deviation",
    "leading order of the deviation of descent from flow, for any method from its modified equation",
    f"asymptotic expansion of the global error of Euler's method, {SOURCES['HNW93']}, section II.8",
    (SMOOTH_ALONG,),
    (
        equation("deviation", r"\theta_k-\theta(k\eta)", _eta * _e + _eta**2 * _e2 + sympy.Symbol(r"O(\eta^3)")),
        equation("first order", r"\dot e", -_He + term(1)),
        equation("second order", r"\dot e_2", -_He2 - _Tee / 2 - (_Tge + _HHe) / 2 + term(2)),
        equation(
            "any method",
            r"\theta_k-\theta(k\eta)",
            _eta ** (_p + 1) * _e + sympy.Symbol(r"\tau_k") + sympy.Symbol(r"O(\eta^{p+2})"),
        ),
        equation("any method, first order", r"\dot e", sympy.Symbol("{F_0'}e") + sympy.Symbol("F_{p+1}")),
    ),
    (
        Hypothesis(
            "a fixed horizon, and descent and flow with the same start",
            r"$f \in C^5$ near the curve $\theta(t)$, $0 \le t \le T$, and $\theta_0 = \theta(0)$; $t = k\eta$, $T = "
            r"\nabla^3f$, $e(0) = e_2(0) = 0$",
        ),
    ),
    remark=r"For any method $\theta(t)$ solves its modified equation of order $p$, $\dot\theta = "
    r"\sum_{i\le p}\eta^iF_i(\theta)$, from $\theta_0 + \sum_{i\le p}\eta^iS_i(\theta_0)$, $e(0) = S_{p+1}(\theta_0)$ "
    r"(R17, R25, R26), and $\tau_k = \theta_k - \pi(\theta_k, v_k)$ is what the velocity forgets, 0 for gradient "
    r"descent. "
    r"It fails after a kink is crossed, where descent adds a jump of order $\eta$ that depends on the phase "
    r"of its "
    "steps.",
    derivations=("r18_leading_order",),
)
