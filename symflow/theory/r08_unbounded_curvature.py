"""R8: from depth three on, the smallest Hessian eigenvalue is unbounded below. (Elkabetz & Cohen 2021)

On the family of weights with two layers 0 and the others rank-one chains that join the top singular vectors of
grad phi(0), one of them scaled by s, lambda_min(H) = -s ||grad phi(0)|| exactly: rung (c) of R9 is an equality there.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import sympy

from symflow.numbers.types import Scalar
from symflow.theory.architecture_checks import LINEAR_WITH_BIASES, WHOLE_MATRICES
from symflow.theory.hypothesis_checks import DEPTH_THREE, SLOPE_AT_ZERO
from symflow.theory.result import ELKABETZ_COHEN, Result
from symflow.theory.statement import equation


def family(units: Sequence[np.ndarray], zero: tuple[int, int], size: Scalar) -> list[np.ndarray]:
    """The weights W_1, ..., W_n of the family.

    Args:
        units: unit vectors x_0, ..., x_n; the first and the last are the top singular vectors of grad phi(0).
        zero: the two layers that are 0, counted from 1.
        size: s, by which the first of the other layers is multiplied.
    """
    weights = [np.multiply.outer(b, a) for a, b in pairwise(units)]
    scaled = next(j for j in range(1, len(units)) if j not in zero)
    factors = [0 if j in zero else size if j == scaled else 1 for j in range(1, len(units))]
    return [factor * w for factor, w in zip(factors, weights, strict=True)]


def on_the_family(size: Scalar, slope: Scalar) -> Scalar:
    """lambda_min(H) there: -s ||grad phi(0)||."""
    return -size * slope


_s = sympy.Symbol("s", positive=True)
UNBOUNDED_CURVATURE = Result(
    "R8",
    "unbounded-curvature",
    "curvature is unbounded below",
    "the smallest Hessian eigenvalue of networks of depth three or more is unbounded below",
    ELKABETZ_COHEN,
    (LINEAR_WITH_BIASES, WHOLE_MATRICES, DEPTH_THREE, SLOPE_AT_ZERO),
    (
        equation("infimum", r"\inf_\theta\lambda_{\min}(H(\theta))", -sympy.oo),
        equation(
            "on a family",
            r"\lambda_{\min}(H(\theta_s))",
            on_the_family(_s, sympy.Symbol(r"\|\nabla\varphi(0)\|", positive=True)),
        ),
    ),
    remark=r"In $\theta_s$ two layers $a < b$ are $0$ and the others $x_jx_{j-1}^\top$ with unit vectors, $x_n$ and "
    r"$x_0$ the top singular vectors of $\nabla\varphi(0)$, one of them multiplied by $s > 0$; "
    r"R9(c) is an equality there. For $n = 2$ the infimum is "
    r"$-\infty$ for the square loss and finite for the logistic loss. "
    r"With biases, at $b = 0$ the Hessian in the weights is a principal submatrix: $\lambda_{\min}(H)$ is at most what "
    r"it is without them.",
    derivations=("r08_unbounded_curvature",),
)
