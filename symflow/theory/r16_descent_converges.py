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
from symflow.theory.cells import cell, constant_rate
from symflow.theory.functions import SYMBOLS, AllFunctions, Functions
from symflow.theory.hypotheses import Hypothesis
from symflow.theory.r15_convergence_time import SETTING
from symflow.theory.result import ELKABETZ_COHEN, Result
from symflow.theory.statement import equation, relation
from symflow.theory.terms import n


def largest_layer(n: Scalar, w0: Scalar, target: Scalar, functions: AllFunctions) -> Scalar:
    """s_max, at least the norm of every layer along the flow."""
    return functions.root(functions.maximum(w0, target), n)


def allowed_move(basin: Scalar, functions: AllFunctions) -> Scalar:
    """kappa, by how much the product may move in the tube."""
    return functions.sqrt(basin / 2)


def largest_gradient(excess: Scalar, kappa: Scalar, functions: AllFunctions) -> Scalar:
    """G, at least ||grad phi|| on the tube, with excess = E(0)."""
    return functions.sqrt(2 * excess) + kappa


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


def integrated_gradient(
    n: Scalar, target: Scalar, excess: Scalar, kappa: Scalar, rise: Scalar, time: Scalar, functions: AllFunctions
) -> Scalar:
    """At least int_0^T sqrt(2E) + kappa: E <= E(0) up to T_1, then sqrt(E) falls at the rate (lambda/2)^(2-2/n)."""
    tail = (2 / target) ** (2 - functions.rational(2, n))
    return functions.sqrt(2 * excess) * (rise + tail) + kappa * time


def spent(step_size: Scalar, rate: Scalar, integral: Scalar, functions: Functions) -> Scalar:
    """eta times at least int_0^{T+eta} e^{M(T+eta)-M(s)} ds, with rate = m_T and integral = I."""
    growth, longer = constant_rate(rate, step_size, functions)
    return step_size * cell(integral, growth, 1, longer)


def contraction(target: Scalar, offset: Scalar) -> Scalar:
    """q = 2 offset/(lambda - offset), offset = sqrt(2 E_B)."""
    return 2 * offset / (target - offset)


def basin_layer(n: Scalar, target: Scalar, offset: Scalar, functions: AllFunctions) -> Scalar:
    """s_B, at least the norm of every layer along the flow from T on."""
    return functions.root(target + offset / 2, n)


def remaining_path(contraction: Scalar, layer: Scalar) -> Scalar:
    """r, at least how far descent still moves; layer = s_B + eps."""
    return contraction * layer / (1 - contraction)


def ball_layer(n: Scalar, layer: Scalar, radius: Scalar, functions: AllFunctions) -> Scalar:
    """R, at least the quadratic mean of the layers' norms in the ball; layer = s_B, radius = eps + r."""
    return layer + radius / functions.sqrt(n)


def contraction_factor(step_size: Scalar, mu: Scalar) -> Scalar:
    """By which E falls at least in a step: 1 - eta mu."""
    return 1 - step_size * mu


def lojasiewicz(target: Scalar, offset: Scalar, layer: Scalar) -> Scalar:
    """mu, ||g||^2 >= 2 mu E where the first layer's norm is at most `layer`."""
    return ((target - offset) / layer) ** 2


_lam, _eps, _s, _G, _w0, _E0 = sympy.symbols(r"lambda epsilon \bar{s} \bar{G} w(0) E(0)", positive=True)
_kappa, _E, _EB, _st, _b, _sB, _r, _q, _R, _mu, _eta = sympy.symbols(
    r"kappa E(t) E_B s b s_B r q R mu eta", positive=True
)

_T, _T1, _mT, _I, _beta, _gamma = sympy.symbols("T T_1 m_T I beta gamma", positive=True)
DESCENT_CONVERGES = Result(
    "R16",
    "descent-converges",
    "gradient descent on deep linear networks converges",
    "gradient descent on deep linear networks converges",
    ELKABETZ_COHEN,
    SETTING,
    (
        equation("layers", _s, largest_layer(n, _w0, _lam, SYMBOLS)),
        equation("product", _kappa, allowed_move(_EB, SYMBOLS)),
        equation("end-to-end gradient", _G, largest_gradient(_E0, _kappa, SYMBOLS)),
        equation("radius", _eps, radius(n, _s, _kappa, SYMBOLS)),
        equation("gradient", "gamma", gamma(n, _G, _s + _eps, SYMBOLS)),
        equation("Hessian", "beta", beta(n, _G, _s + _eps)),
        equation(
            "curvature",
            "m(t)",
            curvature(n, sympy.sqrt(2 * _E) + moved_product(n, _st, _eps / sympy.sqrt(n)), _st + _eps),
        ),
        relation(
            "growth", "M(T)", "<=", curvature(n, integrated_gradient(n, _lam, _E0, _kappa, _T1, _T, SYMBOLS), _s + _eps)
        ),
        relation("step size", _beta * _gamma * spent(_eta, _mT, _I, SYMBOLS), "<", _eps),
        equation("layers in the basin", _sB, basin_layer(n, _lam, _b, SYMBOLS)),
        equation("contraction", _q, contraction(_lam, _b)),
        equation("path", _r, remaining_path(_q, _sB + _eps)),
        equation("layers in the ball", _R, ball_layer(n, _sB, _eps + _r, SYMBOLS)),
        equation("steepness", _mu, lojasiewicz(_lam, _b, _sB + _eps + _r)),
        equation("smoothness", "L", beta(n, _b, _R)),
        relation("trapping", "E_{k+1}", "<=", contraction_factor(_eta, _mu) * sympy.Symbol("E_k")),
    ),
    (
        Hypothesis(
            "that the step size is as small as the result asks",
            r"$w = \|W_{n:1}\|$, $\lambda = \|\Lambda_{yx}\|$, $\nu$ the cosine between $W_{n:1}$ and $\Lambda_{yx}$, "
            r"$E = f-\min f$ along flow and $E_k$ along descent, $E_B > 0$ the accuracy asked for, $M(t) = \int_0^tm$; "
            r"$s = w^{1/n}$, $E(t) \le E_B/4$ for $t \ge T$, $T_1$ that of R15; $I \ge \int_0^Te^{M(T)-M(s)}ds$, "
            r"$m_T \ge m(t)$ for $t \ge T$",
        ),
        Hypothesis(
            "",
            r"for the trapping $b = \sqrt{2E_B} < \lambda/3$ and $\eta \le 1/L$",
        ),
    ),
    remark=r"$E_k \le E_B$ at $k^* = \lceil T/\eta\rceil$, and with the trapping it falls by the factor "
    r"$1-\eta\mu$ "
    r"in every later step.",
    derivations=("r16_descent_converges",),
)
