r"""R16: gradient descent on balanced deep linear networks with one output converges, with every constant, and stays so.

Setting of R15; epsilon-bar is the accuracy, s = w^(1/n) the norm of every layer along the flow, B_eps balls in
parameter space. s_max = max(w(0), lambda)^(1/n) bounds s, because w' <= 0 where w > lambda.

**At k*** (R4 on the tube of radius eps around the flow). With layer-wise distances eps_j from the flow, sum eps_j^2 <=
eps^2, the product moves by at most prod (s + eps_j) - s^n <= (s + eps/sqrt n)^n - s^n; call it kappa at s = s_max.

    eps = sqrt(n) [(s_max^n + sqrt(epsilon-bar/2))^(1/n) - s_max], so that kappa = sqrt(epsilon-bar/2);
    G = sqrt(2E(0)) + kappa >= ||grad phi||, gamma = sqrt(n) G (s_max + eps)^(n-1) >= ||g||,
    beta = n (s_max + eps)^(2n-2) + (n-1) G (s_max + eps)^(n-2) >= ||H||,
    m(t) = (n-1) (sqrt(2E(t)) + (s + eps/sqrt n)^n - s^n) (s + eps)^(n-2) >= -lambda_min(H)   (R9(b)).

All on the tube. T: E(t) <= epsilon-bar/4 for t >= T. If eta beta gamma int_0^t e^(M(t)-M(s)) ds < eps at t = T + eta,
R4 keeps descent in the tube up to k* = ceil(T/eta), and there sqrt(2E_k*) <= sqrt(epsilon-bar/2) + kappa =
sqrt(2 epsilon-bar). The integral over [0, T + eta] is at most e^(m_T eta) I + (e^(m_T eta) - 1)/m_T, I the one over
[0, T] and m_T = (n-1) 2 sqrt(epsilon-bar/2) (s_max + eps)^(n-2); the supremum of such eta solves one equation.

**For all k >= k***. Let E_B be the accuracy at k*, E_B < lambda^2/18, q = 2 sqrt(2E_B)/(lambda - sqrt(2E_B)) < 1,

    s_B = (lambda + sqrt(E_B/2))^(1/n) >= s(t) for t >= T,   r = q (s_B + eps)/(1 - q),   R = s_B + (eps + r)/sqrt n,
    mu = ((lambda - sqrt(2E_B))/(s_B + eps + r))^2,   L = n R^(2n-2) + (n-1) sqrt(2E_B) R^(n-2).

*If eta <= 1/L then E_{k+1} <= (1 - eta mu) E_k for all k >= k*.*  So E falls monotonically and is at most any smaller
epsilon-bar from k* + ceil(log(E_B/epsilon-bar)/-log(1 - eta mu)) on: with E_B fixed, eta does not depend on it.

Proof. Let B be the closed ball of radius eps + r around theta(k* eta). (1) In B layer norms have (sum s_j^2)^(1/2) <=
sqrt(n) R and ||W_1|| <= s_B + eps + r. (2) Where E <= E_B in B, ||H|| <= L: the Hessian is bounded by the first and
second derivatives of prod s_j (the product of norms) as ||H|| <= ||grad prod||^2 + ||grad phi|| ||hess prod||, and
for the symmetric n-linear form of prod, whose norm is n^(-n/2), Banach's theorem (polarization on Hilbert space costs
nothing) gives ||grad prod|| <= n n^(-n/2) (sqrt(n) R)^(n-1) = sqrt(n) R^(n-1), ||hess prod|| <= (n-1) R^(n-2).
(3) Where E <= E_B in B, ||g||^2 >= ||W_{n:2}||^2 ||grad phi||^2 >= 2 mu E: the gradient of W_1 is W_{n:2}^T grad phi
of rank one, ||W_{n:2}|| ||W_1|| >= w >= lambda - sqrt(2E_B). (4) Follow the segments of descent from theta_k*, a
point of B with E <= E_B within eps of its centre. While they stay in B and E <= E_B, the descent lemma with ||H|| <=
L and any part tau <= eta <= 1/L of a step gives E(theta_k - tau g) <= E_k - (tau/2) ||g||^2, so with (3) sqrt(E) falls
by at least (tau/4) ||g|| sqrt(2 mu): the path is at most (4/sqrt(2 mu)) (sqrt(E_B) - sqrt(E)), less than 2 sqrt(2 E_B /
mu) = q (s_B + eps + r) = r as long as E > 0. So neither E <= E_B nor the ball can be left first; a whole step gives
E_{k+1} <= E_k - eta mu E_k. (E = 0 is a fixed point.)

(Elkabetz & Cohen 2021; the constants and the trapping are ours.)
"""

from __future__ import annotations

import sympy

from symflow.numbers.types import Scalar
from symflow.theory.functions import SYMBOLS, AllFunctions
from symflow.theory.hypotheses import Hypothesis
from symflow.theory.r15_convergence_time import SETTING
from symflow.theory.result import ELKABETZ_COHEN, Result
from symflow.theory.statement import Claim
from symflow.theory.terms import Formula, n


def radius(n: Scalar, s_max: Scalar, kappa: Scalar, functions: AllFunctions) -> Scalar:
    """eps, so that the product moves by at most kappa in the tube: (s + eps/sqrt n)^n - s^n = kappa."""
    return functions.sqrt(n) * (functions.root(s_max**n + kappa, n) - s_max)


def gamma(n: Scalar, gradient: Scalar, reach: Scalar, functions: AllFunctions) -> Scalar:
    """At least ||g|| on the tube, with gradient >= ||grad phi|| and reach = s_max + eps."""
    return functions.sqrt(n) * gradient * reach ** (n - 1)


def beta(n: Scalar, gradient: Scalar, reach: Scalar) -> Scalar:
    """At least ||H|| where ||grad phi|| <= gradient and layers have norms <= reach."""
    return n * reach ** (2 * n - 2) + (n - 1) * gradient * reach ** (n - 2)


def curvature(n: Scalar, gradient: Scalar, reach: Scalar) -> Scalar:
    """At least -lambda_min(H) there: R9(b)."""
    return (n - 1) * gradient * reach ** (n - 2)


def moved_product(n: Scalar, s: Scalar, inner: Scalar) -> Scalar:
    """At most how far the product moves, inner = eps/sqrt n: (s + inner)^n - s^n."""
    return (s + inner) ** n - s**n


def contraction(target: Scalar, offset: Scalar) -> Scalar:
    """q = 2 offset/(lambda - offset), offset = sqrt(2 E_B)."""
    return 2 * offset / (target - offset)


def lojasiewicz(target: Scalar, offset: Scalar, layer: Scalar) -> Scalar:
    """mu, ||g||^2 >= 2 mu E where the first layer's norm is at most `layer`."""
    return ((target - offset) / layer) ** 2


_lam, _eps, _s, _G = sympy.symbols(r"lambda epsilon \bar{s} \bar{G}", positive=True)
_kappa, _E, _EB, _st, _b, _sB, _r, _q, _R, _mu, _eta = sympy.symbols(
    r"kappa E(t) E_B s b s_B r q R mu eta", positive=True
)


def _equals(label: str, left: str, right: sympy.Expr) -> Claim:
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
            r"$w = \|W_{n:1}\|$, $\lambda = \|\Lambda_{yx}\|$, $\nu$ the cosine between $W_{n:1}$ and $\Lambda_{yx}$, "
            r"$E = f-\min f$ along flow and $E_k$ along descent, $E_B > 0$ the accuracy asked for, $M(t) = \int_0^tm$; "
            r"$s = w^{1/n}$, $\bar s = \max\{w(0),\lambda\}^{1/n}$, $\kappa = \sqrt{E_B/2}$, $\bar G = "
            r"\sqrt{2E(0)}+\kappa$, "
            r"$E(t) \le E_B/4$ for $t \ge T$; $\eta\beta\gamma\int_0^te^{M(t)-M(s)}ds < \varepsilon$ at $t = T+\eta$",
        ),
        Hypothesis(
            "",
            r"for the trapping $b = \sqrt{2E_B} < \lambda/3$, $s_B = (\lambda+b/2)^{1/n}$, $r = "
            r"q(s_B+\varepsilon)/(1-q)$, "
            r"$R = s_B+(\varepsilon+r)/\sqrt n$ and $\eta \le 1/L$",
        ),
    ),
    remark=r"$E_k \le E_B$ at $k^* = \lceil T/\eta\rceil$, and with the trapping it falls by the factor "
    r"$1-\eta\mu$ "
    r"in every later step.",
    derivations=("r16_descent_converges",),
)
