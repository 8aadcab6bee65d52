"""R8: from depth three on, the smallest Hessian eigenvalue is unbounded below. (Elkabetz & Cohen 2021)

On the family of weights with two layers 0 and the others rank-one chains that join the top singular vectors of
grad phi(0), one of them scaled by s, lambda_min(H) = -s ||grad phi(0)|| exactly: rung (c) of R9 is an equality there.
"""

from __future__ import annotations

import sympy

from symflow.theory.architecture_checks import LINEAR_WITH_BIASES, WHOLE_MATRICES
from symflow.theory.hypothesis_checks import DEPTH_THREE, SLOPE_AT_ZERO
from symflow.theory.result import ELKABETZ_COHEN, Result
from symflow.theory.statement import Claim
from symflow.theory.terms import Formula

UNBOUNDED_CURVATURE = Result(
    "R8",
    "unbounded-curvature",
    "curvature is unbounded below",
    "the smallest Hessian eigenvalue of networks of depth three or more is unbounded below",
    ELKABETZ_COHEN,
    (LINEAR_WITH_BIASES, WHOLE_MATRICES, DEPTH_THREE, SLOPE_AT_ZERO),
    (Claim("", Formula(sympy.Symbol(r"\inf_\theta\lambda_{\min}(H(\theta))")), "=", Formula(-sympy.oo)),),
    remark=r"A family on which it is seen: let two layers $a < b$ be $0$ and the others $x_jx_{j-1}^\top$ with unit "
    r"vectors, $x_n$ and $x_0$ the top singular vectors of $\nabla\varphi(0)$, one of them multiplied by $s > 0$. Then "
    r"$\lambda_{\min}(H) = -s\,\|\nabla\varphi(0)\|$, so that R9(c) is an equality there. For $n = 2$ the infimum is "
    r"$-\infty$ for the square loss and finite for the logistic loss. "
    r"With biases, at $b = 0$ the Hessian in the weights is a principal submatrix: $\lambda_{\min}(H)$ is at most what "
    r"it is without them.",
    derivations=("r08_unbounded_curvature",),
)
