"""R5: the step-size condition with a constant rate m on the tube. (Elkabetz & Cohen 2021)"""

from __future__ import annotations

import sympy

from symflow.numbers.types import Scalar
from symflow.theory.cells import constant_rate
from symflow.theory.functions import SYMBOLS
from symflow.theory.hypotheses import Hypothesis
from symflow.theory.hypothesis_checks import SMOOTH_ALONG
from symflow.theory.r04_step_size import DEVIATION, TUBE, defect, largest_step
from symflow.theory.result import ELKABETZ_COHEN, Result
from symflow.theory.statement import relation


def for_all_time(epsilon: Scalar, curvature: Scalar, beta: Scalar, gamma: Scalar) -> Scalar:
    """The largest eta that keeps descent within epsilon for ever where lambda_min(H) >= mu > 0."""
    return epsilon * curvature / (beta * gamma)


_t, _m = sympy.symbols("t m", real=True)
_eta, _rho, _epsilon, _beta, _gamma, _mu = sympy.symbols("eta rho varepsilon beta gamma mu", positive=True)
_growth, _integral = constant_rate(_m, _t, SYMBOLS)
CONSTANT_CURVATURE = Result(
    "R5",
    "constant-curvature",
    "constant curvature bounds",
    "the step-size condition for a constant lower bound on the curvature",
    ELKABETZ_COHEN,
    (SMOOTH_ALONG,),
    (
        relation("deviation", DEVIATION, "<=", defect(_eta, _beta, _gamma) * _integral),
        relation("step size", _eta, "<", largest_step(_epsilon, _rho, _growth, _beta, _gamma, _integral)),
        relation("for all time", _eta, "<=", for_all_time(_epsilon, _mu, _beta, _gamma)),
    ),
    (Hypothesis("R4 with m constant on the tube", TUBE.latex + "; $m$ constant on the tube"),),
    remark=r"Where $m = 0$, $(e^{mt}-1)/m$ is $t$; the first is for $\rho = 0$, the last for $\lambda_{\min}(H) \ge "
    r"\mu > 0$ "
    r"on the tube and $\rho = 0$.",
    derivations=("r05_constant_curvature",),
)
