r"""R22: R3 with the true defect of descent, on a tube and without one.

Within a step the defect D(s) = ||g(theta~(s)) - g(theta_k)|| has D' <= ||H(theta~) g(theta_k)|| <= P + beta D with P >=
||H g||, so that its integral over the step is at most P (e^x - 1 - x)/beta^2, x = eta beta, which is at most P eta^2/2
(1 + (x/3) e^x). Without a tube: theta(t) has the local error (eta^2/2) max ||H g|| per step, carried on by the
Lipschitz constant of the steps on the segments between descent and flow.
"""

from __future__ import annotations

import sympy

from symflow.numbers.types import Scalar
from symflow.theory.cells import cell
from symflow.theory.functions import SYMBOLS, Functions
from symflow.theory.hypotheses import Hypothesis
from symflow.theory.hypothesis_checks import SMOOTH_ALONG
from symflow.theory.r04_step_size import DEVIATION
from symflow.theory.result import OURS, Result
from symflow.theory.statement import equation, relation


def integrated_defect(step_size: Scalar, beta: Scalar, hessian_gradient: Scalar, functions: Functions) -> Scalar:
    """At least the integral of the defect over a step: (eta^2/2) (1 + (x/3) e^x) P, x = eta beta."""
    x = step_size * beta
    return step_size**2 * ((1 + x / 3 * functions.exp(x)) / 2) * hessian_gradient


def added_on_tube(step_size: Scalar, m: Scalar, beta: Scalar, hessian_gradient: Scalar, functions: Functions) -> Scalar:
    """What a step adds at most: max(1, e^{m eta}) times the integral of its defect."""
    return functions.maximum(1, functions.exp(m * step_size)) * integrated_defect(
        step_size, beta, hessian_gradient, functions
    )


def local_error(step_size: Scalar, hessian_gradient: Scalar) -> Scalar:
    """The local error of a step on the flow: (eta^2/2) max ||H g||."""
    return step_size**2 / 2 * hessian_gradient


def excess_growth(step_size: Scalar, m: Scalar, max_eigenvalue: Scalar, functions: Functions) -> Scalar:
    """||I - eta H|| - 1 <= max(eta m, eta Lambda - 2)."""
    return functions.maximum(step_size * m, step_size * max_eigenvalue - 2)


_s, _t = sympy.symbols("s t", real=True)
_m, _top = sympy.symbols("m Lambda", real=True)
_eta, _beta, _P, _L = sympy.symbols("eta beta P L_k", positive=True)
_P0 = sympy.Symbol(r"\max_{[k\eta,(k+1)\eta]}\|Hg(\theta(t))\|", positive=True)
_b, _after = sympy.symbols("b_k b_{k+1}", positive=True)
_weight = sympy.exp(sympy.Symbol(r"M(k\eta)") - sympy.Symbol("M(s)"))
_true_defect = sympy.Symbol(r"\|g(\tilde\theta(s))-g(\theta_{\lfloor s/\eta\rfloor})\|", positive=True)
TRAJECTORY_WISE = Result(
    "R22",
    "trajectory-wise",
    "trajectory-wise bound",
    "trajectory-wise bound: the fundamental theorem with the true defect and signed curvature",
    f"{OURS}, from R3",
    (SMOOTH_ALONG,),
    (
        relation(
            "", DEVIATION, "<=", cell(0, 1, 1, sympy.Integral(_weight * _true_defect, (_s, 0, sympy.Symbol(r"k\eta"))))
        ),
        equation("tube", _after, cell(_b, sympy.exp(_m * _eta), 1, added_on_tube(_eta, _m, _beta, _P, SYMBOLS))),
        equation("tube-free", _after, cell(_b, _L, 1, local_error(_eta, _P0))),
        equation("growth", _L, 1 + excess_growth(_eta, _m, _top, SYMBOLS)),
    ),
    (
        Hypothesis(
            "that the curvature bound holds on the segments between descent and flow",
            r"$\theta_0 = \theta(0)$, $\tilde\theta(s) = \theta_k-(s-k\eta)g(\theta_k)$ for $k\eta \le s \le "
            r"(k+1)\eta$; "
            r"$m(s) \ge -\lambda_{\min}(H)$ on the segment from $\theta(s)$ to $\tilde\theta(s)$, of any sign, $\dot M "
            r"= m$; "
            r"for the others $b_0 = 0$, $m$, $\Lambda \ge \lambda_{\max}(H)$, $\beta \ge \|H\|$, $P \ge \|Hg\|$ on "
            r"the tube "
            r"around the step, or $L_k = \sup\|I-\eta H\|$ on the segment $[\theta_k,\theta(k\eta)]$",
        ),
    ),
    remark=r"$\|\theta_k-\theta(k\eta)\| \le b_k$ with either recursion, on a tube as long as $b_k$ is smaller than "
    r"its radius.",
    derivations=("r22_trajectory_bound", "r22_tube_recursion"),
)
