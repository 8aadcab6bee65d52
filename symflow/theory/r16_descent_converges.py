r"""R16: gradient descent on balanced deep linear networks with one output converges, with every constant.

R4 on the tube of radius eps around the flow, whose curvature R9(b) bounds, and R15 for the time; then trapping.  The
proofs stand in `symflow.analysis.convergence.guarantee`.  (Elkabetz & Cohen 2021; constants and trapping are ours.)
"""

from __future__ import annotations

from typing import Any

import sympy

from symflow.theory.functions import SYMBOLS
from symflow.theory.hypotheses import Hypothesis
from symflow.theory.r15_convergence_time import SETTING
from symflow.theory.result import ELKABETZ_COHEN, Result
from symflow.theory.statement import Claim
from symflow.theory.terms import Formula, n


def radius(n: Any, s_max: Any, kappa: Any, functions: Any) -> Any:
    """eps, so that the product moves by at most kappa in the tube: (s + eps/sqrt n)^n - s^n = kappa."""
    return functions.sqrt(n) * (functions.root(s_max**n + kappa, n) - s_max)


def gamma(n: Any, gradient: Any, reach: Any, functions: Any) -> Any:
    """At least ||g|| on the tube, with gradient >= ||grad phi|| and reach = s_max + eps."""
    return functions.sqrt(n) * gradient * reach ** (n - 1)


def beta(n: Any, gradient: Any, reach: Any) -> Any:
    """At least ||H|| where ||grad phi|| <= gradient and layers have norms <= reach."""
    return n * reach ** (2 * n - 2) + (n - 1) * gradient * reach ** (n - 2)


def curvature(n: Any, gradient: Any, reach: Any) -> Any:
    """At least -lambda_min(H) there: R9(b)."""
    return (n - 1) * gradient * reach ** (n - 2)


def moved_product(n: Any, s: Any, inner: Any) -> Any:
    """At most how far the product moves, inner = eps/sqrt n: (s + inner)^n - s^n."""
    return (s + inner) ** n - s**n


def contraction(target: Any, offset: Any) -> Any:
    """q = 2 offset/(lambda - offset), offset = sqrt(2 E_B)."""
    return 2 * offset / (target - offset)


def lojasiewicz(target: Any, offset: Any, layer: Any) -> Any:
    """mu, ||g||^2 >= 2 mu E where the first layer's norm is at most `layer`."""
    return ((target - offset) / layer) ** 2


_lam, _eps, _s, _G = sympy.symbols(r"lambda epsilon \bar{s} \bar{G}", positive=True)
_kappa, _E, _EB, _st, _b, _sB, _r, _q, _R, _mu, _eta = sympy.symbols(
    r"kappa E(t) E_B s b s_B r q R mu eta", positive=True
)


def _equals(label: str, left: str, right: Any) -> Claim:
    return Claim(label, Formula(sympy.Symbol(left)), "=", Formula(right))


DESCENT_CONVERGES = Result(
    "R16",
    "descent-converges",
    "gradient descent on deep linear networks converges",
    "gradient descent on deep linear networks converges",
    ELKABETZ_COHEN,
    SETTING,
    (
        _equals("radius", "epsilon", radius(n, _s, _kappa, SYMBOLS)),
        _equals("gradient", "gamma", gamma(n, _G, _s + _eps, SYMBOLS)),
        _equals("Hessian", "beta", beta(n, _G, _s + _eps)),
        _equals(
            "curvature",
            "m(t)",
            curvature(n, sympy.sqrt(2 * _E) + moved_product(n, _st, _eps / sympy.sqrt(n)), _st + _eps),
        ),
        _equals("contraction", "q", contraction(_lam, _b)),
        _equals("steepness", "mu", lojasiewicz(_lam, _b, _sB + _eps + _r)),
        _equals("smoothness", "L", beta(n, _b, _R)),
        Claim("trapping", Formula(sympy.Symbol("E_{k+1}")), "<=", Formula((1 - _eta * _mu) * sympy.Symbol("E_k"))),
    ),
    (
        Hypothesis(
            "that the step size is as small as the result asks",
            r"$s = w^{1/n}$, $\bar s = \max\{w(0),\lambda\}^{1/n}$, $\kappa = \sqrt{E_B/2}$, $\bar G = "
            r"\sqrt{2E(0)}+\kappa$, "
            r"$E(t) \le E_B/4$ for $t \ge T$; $\eta\beta\gamma\int_0^te^{M(t)-M(s)}ds < \epsilon$ at $t = T+\eta$",
        ),
        Hypothesis(
            "",
            r"for the trapping $b = \sqrt{2E_B} < \lambda/3$, $s_B = (\lambda+b/2)^{1/n}$, $r = "
            r"q(s_B+\epsilon)/(1-q)$, "
            r"$R = s_B+(\epsilon+r)/\sqrt n$ and $\eta \le 1/L$",
        ),
    ),
    remark=r"$f(\theta_k)-f^* \le E_B$ at $k^* = \lceil T/\eta\rceil$, and with the trapping it falls by the factor "
    r"$1-\eta\mu$ "
    r"in every later step.",
    derivations=("r16_descent_converges",),
)
