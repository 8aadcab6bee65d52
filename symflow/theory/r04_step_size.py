r"""R4: the step-size condition under which descent stays in a tube around the flow.

Before it leaves the tube, descent's piecewise linear interpolation has at most the defect eta beta gamma; R3 does the
rest. A time-local form takes beta and gamma over the tube up to t only. `ball_constants` has closed forms for
beta, gamma and m on balls. (Elkabetz & Cohen 2021)
"""

from __future__ import annotations

import sympy

from symflow.numbers.types import Scalar
from symflow.theory.ball_constants import CONSTANTS
from symflow.theory.cells import cell
from symflow.theory.hypotheses import Hypothesis
from symflow.theory.hypothesis_checks import SMOOTH_ALONG
from symflow.theory.result import ELKABETZ_COHEN, Result
from symflow.theory.statement import relation


def defect(step_size: Scalar, beta: Scalar, gamma: Scalar) -> Scalar:
    """At most the defect of descent's interpolation in the tube: eta beta gamma."""
    return step_size * (beta * gamma)


def largest_step(
    epsilon: Scalar, start: Scalar, growth: Scalar, beta: Scalar, gamma: Scalar, integral: Scalar
) -> Scalar:
    """Below which eta keeps descent within epsilon: (epsilon - rho growth) / (beta gamma integral)."""
    return (epsilon - start * growth) / (beta * gamma * integral)


_t, _s = sympy.symbols("t s", real=True)
_eta, _rho, _epsilon, _beta, _gamma = sympy.symbols("eta rho varepsilon beta_t gamma_t", positive=True)
GROWTH = sympy.exp(sympy.Symbol("M(t)"))
"""e^{M(t)}."""
GROWTH_INTEGRAL = sympy.Integral(sympy.exp(sympy.Symbol("M(t)") - sympy.Symbol("M(s)")), (_s, 0, _t))
"""The integral of the growth from s to t."""
DEVIATION = r"\|\theta_k-\theta(k\eta)\|"
TUBE = Hypothesis(
    "that beta, gamma and m bound H and g on the whole tube, and a step size below the bound they give",
    r"gradient flow exists on $[0,T]$; $\varepsilon > \rho = \|\theta_0-\theta(0)\|$; $\beta_t = \sup\|H\|$ and "
    r"$\gamma_t "
    r"= \sup\|g\|$ on the tube $\bigcup_{s\le t}B_\varepsilon(\theta(s))$ of open balls, or more; "
    r"$-\lambda_{\min}(H(q)) "
    r"\le m(t)$ for $q \in B_\varepsilon(\theta(t))$, $m$ integrable, of any sign; $M(t) = \int_0^tm$",
)
STEP_SIZE = Result(
    "R4",
    "step-size",
    "step-size condition",
    "step-size condition under which gradient descent stays close to gradient flow",
    ELKABETZ_COHEN,
    (SMOOTH_ALONG,),
    (
        relation("step size", _eta, "<", largest_step(_epsilon, _rho, GROWTH, _beta, _gamma, GROWTH_INTEGRAL)),
        relation("deviation", DEVIATION, "<=", cell(_rho, GROWTH, defect(_eta, _beta, _gamma), GROWTH_INTEGRAL)),
    ),
    (TUBE,),
    (CONSTANTS,),
    r"If the first holds for all $t \in (0,T]$, descent satisfies $\|\theta_k-\theta(k\eta)\| < \varepsilon$ for "
    r"all $k \le "
    r"\lfloor T/\eta\rfloor$, and the second with $t = k\eta$.",
    ("r04_step_size", "r04_tube_constants", "r04_tube_constants_gated", "r04_tube_drift", "r04_tube_of_balls"),
)
