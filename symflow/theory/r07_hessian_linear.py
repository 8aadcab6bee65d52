"""R7: the Hessian quadratic form of deep linear networks. (Elkabetz & Cohen 2021)"""

from __future__ import annotations

from symflow.theory.architecture_checks import LINEAR
from symflow.theory.result import ELKABETZ_COHEN, Result
from symflow.theory.statement import Claim
from symflow.theory.terms import (
    HESSIAN_FORM,
    Chain,
    Delta,
    Named,
    Pairs,
    Range,
    SecondDerivative,
    Trace,
    grad_phi,
    j,
    k,
    n,
    total,
)

_MOVED = Named("A", (), total(Range(j), Chain(n, j + 1) * Delta(j) * Chain(j - 1, 1)))
_CROSS = total(Pairs(j, k), Chain(n, k + 1) * Delta(k) * Chain(k - 1, j + 1) * Delta(j) * Chain(j - 1, 1))
HESSIAN_LINEAR = Result(
    "R7",
    "hessian-linear",
    "Hessian of deep linear networks",
    "Hessian quadratic form of deep linear networks",
    ELKABETZ_COHEN,
    (LINEAR,),
    (Claim("", HESSIAN_FORM, "=", SecondDerivative("phi", _MOVED) + 2 * Trace(grad_phi.T * _CROSS)),),
    remark=r"For the square loss and $\sigma(z) = z$, $\nabla^2\varphi[A,A] = \langle A\,\Sigma_{xx}, A\rangle$.",
    derivations=("r07_hessian_linear",),
    in_its_place=("R34",),
)
