r"""R24: from a point with a small loss, flow and descent converge, close by and at a rate, for all time.

If ||g||^2 >= 2 mu (f - f*) on a ball around q, the rest of the flow's path is at most sqrt(2 (f(q) - f*)/mu), and it
cannot leave the ball if that is less than its radius: d/dt sqrt(f - f*) <= -sqrt(mu/2) ||g||. Descent with step size
eta < 2/beta pays a factor 2/(2 - eta beta). (Polyak 1963; Lojasiewicz 1963)
"""

from __future__ import annotations

import sympy

from symflow.numbers.types import Scalar
from symflow.theory.functions import SYMBOLS, Functions
from symflow.theory.hypotheses import Hypothesis
from symflow.theory.hypothesis_checks import SMOOTH_ALONG
from symflow.theory.result import SOURCES, Result
from symflow.theory.statement import Statement, equation, relation


def flow_length(excess: Scalar, mu: Scalar, functions: Functions) -> Scalar:
    """At most how long the rest of the flow's path is: sqrt(2 (f - f*)/mu); `excess` is f - f*."""
    return functions.sqrt(2 * excess / mu)


def descent_length(length: Scalar, step_size: Scalar, beta: Scalar) -> Scalar:
    """At most how long the rest of descent's path is, from that of the flow: length 2/(2 - eta beta), eta < 2/beta."""
    return length * 2 / (2 - step_size * beta)


def descent_factor(step_size: Scalar, mu: Scalar, beta: Scalar) -> Scalar:
    """By what f - f* shrinks in a step at least: 1 - eta mu (2 - eta beta), at most 1 - eta mu for eta <= 1/beta."""
    return 1 - step_size * mu * (2 - step_size * beta)


def interpolating_rate(gram: Scalar, samples: Scalar) -> Scalar:
    """mu for the square loss with f* = 0: lambda_min(J J^T)/N, J the Jacobian of all outputs."""
    return gram / samples


def linear_rate(chains: Scalar, moment: Scalar) -> Scalar:
    """mu for the square loss of a linear network: lambda_min of the sum of its chains, times lambda^+_min(Sigma_xx)."""
    return chains * moment


def isolated_factor(step_size: Scalar, mu: Scalar, beta: Scalar, functions: Functions) -> Scalar:
    """By what the distance of the minimum shrinks in a step at least: max(1 - eta mu, eta beta - 1)."""
    return functions.maximum(1 - step_size * mu, step_size * beta - 1)


def isolated_length(gradient: Scalar, mu: Scalar) -> Scalar:
    """At most how far the minimum is where lambda_min(H) >= mu: ||g||/mu."""
    return gradient / mu


_excess = sympy.Symbol("f(q)", real=True) - sympy.Symbol("f^*", real=True)
_mu, _eta, _beta, _t, _N = sympy.symbols("mu eta beta t N", positive=True)
_k = sympy.Symbol("k", integer=True, positive=True)
_length = flow_length(_excess, _mu, SYMBOLS)
_INEQUALITY = Hypothesis(
    "the inequality of Polyak and Lojasiewicz on a ball",
    r"on $B_r(q)$ $f$ is $C^1$ with locally Lipschitz gradient, $f \ge f^*$ and $\|g\|^2 \ge 2\mu(f-f^*)$; "
    r"$\sqrt{2(f(q)-f^*)/\mu} < r$",
)
_STEP = Hypothesis(
    "a step size below 2/beta",
    r"also $f$ is $C^2$ on $B_r(q)$ with $\lambda_{\max}(H) \le \beta$, $\eta < 2/\beta$, and "
    r"$\sqrt{2(f(q)-f^*)/\mu}\cdot2/(2-\eta\beta) < r$",
)
_SQUARE = Hypothesis(
    "outputs whose Jacobian has full row rank",
    r"square loss, $f^* = 0$, $J$ the $Nd_n \times P$ Jacobian of all outputs, its rows independent on $B_r(q)$",
)
_KINKS = Hypothesis(
    "outputs whose Jacobian has full row rank whatever the gates",
    r"square loss, $f^* = 0$, a (leaky) ReLU network, $\dot\theta \in -\partial f(\theta)$; on $B_r(q)$ every gate "
    r"takes its "
    r"values in a set $\Gamma$ of slopes, $\mathcal J$ a convex set of matrices that contains the Jacobian of all "
    r"outputs "
    r"for each of them",
)
_CHAINS = Hypothesis(
    "a linear network, square loss",
    r"a linear network, square loss, $f^*$ the least value of $\varphi$ over all matrices; "
    r"$\lambda_{\min}^+$ the smallest eigenvalue that is not 0",
)
_SYMMETRIES = Hypothesis(
    "positive curvature but for symmetries on a ball",
    r"flow of a fully connected homogeneous network, no gate changes on $B_r(q)$; the columns of $X(\theta)$ are "
    r"$(0,\dots,AW_j,-W_{j+1}A,\dots,0)$ for matrices $A$, diagonal ones unless the network is linear; "
    r"$H+\rho XX^\top \succeq \mu > 0$ there, $\|g(q)\|/\mu < r$; for the second $A$ diagonal, "
    r"$c = \frac12(\|(W_j)_{a\cdot}\|^2-\|(W_{j+1})_{\cdot a}\|^2)_{j,a}$, "
    r"$\bar\mu = \mu-2\rho\max\|c-c(q)\|$, $F = f+\frac\rho2\|c-c(q)\|^2$, $p \in B_r(q)$",
)
_CONVEX = Hypothesis(
    "positive curvature on a ball",
    r"$f$ is $C^2$ and $\lambda_{\min}(H) \ge \mu > 0$ on $B_r(q)$, $\|g(q)\|/\mu < r$; for descent "
    r"$\lambda_{\max}(H) \le \beta$, $\eta < 2/\beta$ and $2\|g(q)\|/\mu < r$",
)
FOR_ALL_TIME = Result(
    "R24",
    "for-all-time",
    "convergence for all time",
    "for all time: from a point of small loss, flow and descent converge close by, at a rate",
    f"{SOURCES['P63']}; {SOURCES['L63']}; with kinks: {SOURCES['DDKL20']}",
    (SMOOTH_ALONG,),
    (
        relation("flow, loss", r"f(\theta(t))-f^*", "<=", _excess * sympy.exp(-2 * _mu * _t)),
        relation("flow, path", r"\int_0^\infty\|\dot\theta\|", "<=", _length),
        relation("flow, distance", r"\|\theta(t)-\theta(\infty)\|", "<=", _length * sympy.exp(-_mu * _t)),
    ),
    (_INEQUALITY,),
    (
        Statement(
            "R24",
            "descent",
            (
                relation("descent, loss", r"f(\theta_k)-f^*", "<=", _excess * descent_factor(_eta, _mu, _beta) ** _k),
                relation(
                    "descent, path", r"\sum_k\|\theta_{k+1}-\theta_k\|", "<=", descent_length(_length, _eta, _beta)
                ),
            ),
            (_INEQUALITY, _STEP),
        ),
        Statement(
            "R24",
            "interpolating networks",
            (
                equation(
                    "interpolating", _mu, interpolating_rate(sympy.Symbol(r"\min_{B_r(q)}\lambda_{\min}(JJ^\top)"), _N)
                ),
            ),
            (_SQUARE,),
        ),
        Statement(
            "R24",
            "interpolating networks with kinks, for flow",
            (
                equation(
                    "kinks", _mu, interpolating_rate(sympy.Symbol(r"\min_{J\in\mathcal J}\lambda_{\min}(JJ^\top)"), _N)
                ),
            ),
            (_KINKS,),
        ),
        Statement(
            "R24",
            "linear networks",
            (
                equation(
                    "linear",
                    _mu,
                    linear_rate(
                        sympy.Symbol(
                            r"\min_{B_r(q)}\lambda_{\min}\Bigl(\sum_jW_{n:j+1}W_{n:j+1}^\top\otimes "
                            r"W_{j-1:1}^\top W_{j-1:1}\Bigr)"
                        ),
                        sympy.Symbol(r"\lambda^+_{\min}(\Sigma_{xx})"),
                    ),
                ),
            ),
            (_CHAINS,),
        ),
        Statement(
            "R24",
            "minima isolated but for symmetries, for flow",
            (
                relation(
                    "symmetric",
                    r"\|q-\theta(\infty)\|",
                    "<=",
                    isolated_length(sympy.Symbol(r"\|g(q)\|", positive=True), _mu),
                ),
                relation(
                    "conserved",
                    r"\|p-\theta(\infty)\|",
                    "<=",
                    isolated_length(
                        sympy.Symbol(r"\|\nabla F(p)\|", positive=True), sympy.Symbol(r"\bar\mu", positive=True)
                    ),
                ),
            ),
            (_SYMMETRIES,),
        ),
        Statement(
            "R24",
            "isolated minima",
            (
                relation(
                    "isolated", r"\|q-\theta^*\|", "<=", isolated_length(sympy.Symbol(r"\|g(q)\|", positive=True), _mu)
                ),
                relation(
                    "isolated, flow",
                    r"\|\theta(t)-\theta^*\|",
                    "<=",
                    sympy.exp(-_mu * _t) * sympy.Symbol(r"\|q-\theta^*\|"),
                ),
                relation(
                    "isolated, descent",
                    r"\|\theta_k-\theta^*\|",
                    "<=",
                    isolated_factor(_eta, _mu, _beta, SYMBOLS) ** _k * sympy.Symbol(r"\|q-\theta^*\|"),
                ),
            ),
            (_CONVEX,),
        ),
    ),
    remark=r"Both paths stay in $B_r(q)$. For $\eta \le 1/\beta$ the factor of descent is at most $1-\eta\mu$. The "
    r"minimum $\theta^*$ is the only critical point in $B_r(q)$.",
    derivations=("r24_for_all_time",),
)
