"""C8: where gradient flow of a diagonal network ends: the interpolator of least hyperbolic entropy."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import sympy

from symflow.errors import ComputationError
from symflow.networks.losses import SQUARE
from symflow.networks.network import FullyConnected
from symflow.numbers.types import Mpf
from symflow.theory.hypotheses import Hypothesis, Setting, Verdict
from symflow.theory.hypothesis_checks import fails, holds, unchecked
from symflow.theory.result import SOURCES, Result
from symflow.theory.statement import equation

MAX_STEPS = 400
"""Newton steps of the dual problem before it is called unsolved."""
MAX_GROWTH = 50
"""What one step may add to an exponent: far from the solution Newton's step may be as long as 1/c."""
NOT_FOUND = (
    "the least hyperbolic entropy was not found; give more dps, or a start without w_2^2 = w_1^2, where beta keeps its "
    "sign (no interpolator may have these signs)"
)


def _diagonal(setting: Setting) -> Verdict:
    network = setting.objective.architecture
    if not isinstance(network, FullyConnected) or network.depth != 2 or tuple(network.diagonal) != (1,):
        return fails("not a network of depth 2 whose first layer is diagonal")
    plain = not any(network.biases) and not network.skip and network.output_scale == 1
    if not plain or network.sigma.slopes != (Fraction(1), Fraction(1)) or network.output_axes[0].size != 1:
        return fails("the network is not x -> <w_2 * w_1, x> with one output")
    return holds("the diagonal network x -> <w_2 * w_1, x>")


def _square(setting: Setting) -> Verdict:
    alone = setting.objective.sample_loss == SQUARE and setting.objective.undecayed is None
    return holds("the square loss") if alone else fails("the loss is not the square loss alone")


def _independent(setting: Setting) -> Verdict:
    x = next((a for key, a in setting.objective.data.items() if key.name == "X"), None)
    if x is None:
        return unchecked("no data are given")
    rank = sympy.Matrix(x.T.tolist()).rank()
    independent = rank == x.shape[1]
    return holds(f"{rank} inputs, independent") if independent else fails("the inputs of the samples are dependent")


DIAGONAL = Hypothesis(
    "a diagonal network",
    r"$h(x) = \langle\beta,x\rangle$, $\beta = w_2\odot w_1$ (the first of two layers diagonal, $d_2 = 1$)",
    _diagonal,
)
SQUARE_ALONE = Hypothesis("the square loss, no decay", r"$\ell(\hat y,y) = \frac12(\hat y-y)^2$", _square)
INDEPENDENT = Hypothesis("independent inputs", "the inputs of the samples are linearly independent", _independent)


def entropy_limit(x: Any, y: Sequence[Mpf], start: Sequence[Mpf], c: Sequence[Mpf]) -> list[Mpf]:
    """The interpolator of least Bregman divergence from the start, in mpmath at the working precision.

    It solves the dual problem, X beta(nu) = y, by Newton's method with halved steps: the dual function is concave.

    Args:
        x: N x d inputs, an mpmath matrix.
        y: N targets.
        start: beta(0).
        c: |w_2^2 - w_1^2| of each coordinate; where it is 0, beta keeps the sign of its start, or remains 0.

    Raises:
        ComputationError: no solution within `MAX_STEPS` steps (with c = 0 somewhere there may be none).
    """
    count, size = x.rows, x.cols
    offset = [mpmath.asinh(2 * b / k) if k else None for b, k in zip(start, c, strict=True)]

    def beta(nu: Any) -> tuple[list[Mpf], list[Mpf], Mpf]:
        """beta, d beta/d(X^T nu), and the sum of the conjugate entropies, whose gradient beta is."""
        pull = [mpmath.fsum(x[i, j] * nu[i] for i in range(count)) for j in range(size)]
        values, slopes, total = [], [], mpmath.mpf(0)
        for p, k, o, b in zip(pull, c, offset, start, strict=True):
            if o is None:
                sign = (b > 0) - (b < 0)
                values.append(b * mpmath.exp(2 * sign * p))
                slopes.append(2 * abs(values[-1]))
                total += abs(values[-1]) / 2
            else:
                values.append(k / 2 * mpmath.sinh(2 * p + o))
                slopes.append(k * mpmath.cosh(2 * p + o))
                total += slopes[-1] / 4
        return values, slopes, total

    def dual(nu: Any, total: Mpf) -> Mpf:
        return total - mpmath.fsum(a * b for a, b in zip(y, nu, strict=True))

    nu = [mpmath.mpf(0)] * count
    values, slopes, total = beta(nu)
    tiny = mpmath.eps * 2**10 * (1 + max(map(abs, y)))
    for _ in range(MAX_STEPS):
        rest = [mpmath.fsum(x[i, j] * values[j] for j in range(size)) - y[i] for i in range(count)]
        if max(map(abs, rest)) <= tiny:
            return values
        matrix = mpmath.matrix(count, count)
        for i in range(count):
            for k in range(count):
                matrix[i, k] = mpmath.fsum(x[i, j] * slopes[j] * x[k, j] for j in range(size))
        try:
            step = mpmath.lu_solve(matrix, mpmath.matrix(rest))
        except ZeroDivisionError:
            break
        growth = (2 * abs(mpmath.fsum(x[i, j] * step[i] for i in range(count))) for j in range(size))
        before, length = dual(nu, total), MAX_GROWTH / max(MAX_GROWTH, *growth)
        slope = mpmath.fsum(a * b for a, b in zip(rest, step, strict=True))
        for _ in range(60):
            moved = [v - length * step[i] for i, v in enumerate(nu)]
            values, slopes, total = beta(moved)
            # close to the solution the decrease is below rounding
            if dual(moved, total) <= before - length * slope / 4 or slope < mpmath.sqrt(mpmath.eps):
                break
            length /= 2
        nu = moved
    raise ComputationError(NOT_FOUND)


def conserved(theta0: Sequence[Fraction], size: int) -> tuple[list[Fraction], list[Fraction]]:
    """beta(0) and |w_2^2 - w_1^2|, exact."""
    first, second = theta0[:size], theta0[size:]
    products = [a * b for a, b in zip(first, second, strict=True)]
    return products, [abs(b * b - a * a) for a, b in zip(first, second, strict=True)]


def inputs_and_targets(setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    """X^T (N x d) and y (N), exact."""
    data = {x.name: a for x, a in setting.objective.data.items()}
    return data["X"].T, data["Y"].reshape(-1)


_beta, _start, _nu, _c = sympy.symbols(r"\beta_i \beta_i(0) (X\nu)_i c_i", real=True)
HYPERBOLIC_ENTROPY = Result(
    "C8",
    "hyperbolic-entropy",
    "the limit of a diagonal network",
    "closed form: the limit of a diagonal network minimizes the hyperbolic entropy among all interpolators",
    f"{SOURCES['WGLM20']}; for any start and with its evaluation: symflow",
    (DIAGONAL, SQUARE_ALONE, INDEPENDENT),
    (
        equation("flow", r"\tfrac{d}{dt}\Psi'(\beta_i)", r"-\partial_i\varphi(\beta)"),
        equation("entropy", r"\Psi'(\beta_i)", sympy.asinh(2 * _beta / _c) / 2),
        equation(
            "limit",
            r"\beta(\infty)",
            r"\operatorname{argmin}_{X^\top\beta=y}\textstyle\sum_i\bigl[\Psi(\beta_i)-\Psi'(\beta_i(0))\beta_i\bigr]",
        ),
        equation("dual", _beta, _c / 2 * sympy.sinh(2 * _nu + sympy.asinh(2 * _start / _c))),
    ),
    (
        Hypothesis(
            "",
            r"$f = \varphi(\beta) = \frac1{2N}\|X^\top\beta-y\|^2$, $c_i = |w_{2,i}^2-w_{1,i}^2| > 0$ at "
            r" $t = 0$, which is conserved; where it is 0, $\beta_i = "
            r"\beta_i(0)e^{\pm2(X\nu)_i}$ with the sign of $\beta_i(0)$",
        ),
        Hypothesis(
            "that the flow converges to an interpolator", "the flow converges to some $\\beta$ with $X^\\top\\beta = y$"
        ),
    ),
    remark=r"Woodworth et al. write $\beta = u^2-v^2$: with $w_1 = u-v$, $w_2 = u+v$ it is the same flow at half the "
    r"speed, and $u = v = \alpha$ is $w_1 = 0$, $w_2 = 2\alpha$, $c = 4\alpha^2$.",
    derivations=("c08_hyperbolic_entropy",),
)
