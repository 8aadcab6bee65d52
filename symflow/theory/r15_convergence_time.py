r"""R15: how long gradient flow of a balanced linear network with one output needs, exactly and as an explicit bound.

With w = ||W_{n:1}||, lambda = ||Lambda_yx||, nu the cosine between both, a = artanh nu(0) and p = 1 - 2/n: theta with
nu = tanh theta moves by dtheta/dt = lambda w^p, and u = 1/w obeys du/dtheta = -n tanh(theta) u + n/lambda. The proof
of the explicit time stands in `symflow.analysis.convergence.time`. (Setting: Elkabetz & Cohen 2021.)
"""

from __future__ import annotations

import sympy

from symflow.numbers.types import Scalar
from symflow.theory.architecture_checks import LINEAR, WHOLE_MATRICES
from symflow.theory.functions import SYMBOLS, AllFunctions
from symflow.theory.hypotheses import Hypothesis
from symflow.theory.hypothesis_checks import ALIGNED, BALANCED, DEPTH_TWO, ONE_OUTPUT, SQUARE_LOSS, UNIT_SLOPE, WHITENED
from symflow.theory.result import ELKABETZ_COHEN, OURS, Result
from symflow.theory.statement import Claim
from symflow.theory.terms import Formula, n


def inverse_norm(n: Scalar, target: Scalar, w0: Scalar, start: Scalar, cosh: Scalar, integral: Scalar) -> Scalar:
    """1/w, with `start` = cosh a, `cosh` = cosh theta and `integral` = int_a^theta (cosh s / cosh theta)^n ds."""
    return (start / cosh) ** n / w0 + n * integral / target


def excess(norm: Scalar, target: Scalar, alignment: Scalar) -> Scalar:
    """E = f - f* = (w^2 - 2 lambda nu w + lambda^2)/2."""
    return (norm**2 - 2 * target * alignment * norm + target**2) / 2


def half_angle(n: Scalar, target: Scalar, w0: Scalar, c0: Scalar, functions: AllFunctions) -> Scalar:
    """theta_1, from which on w >= lambda/2; c0 = cosh a."""
    late = functions.log(2 * c0) + functions.log(2 * (1 + target / w0)) / n
    return functions.maximum(functions.log(6 * (n - 1)), late)


def sech_integral(n: Scalar, functions: AllFunctions) -> Scalar:
    """S_n = int sech^(n-2) over the line = sqrt(pi) Gamma((n-2)/2) / Gamma((n-1)/2), n >= 3."""
    below, above = (functions.gamma(functions.rational(n - k, 2)) for k in (2, 1))
    return functions.sqrt(functions.pi) * below / above


def kernel_bound(n: Scalar, functions: AllFunctions) -> Scalar:
    """I_n >= n int_0^theta (cosh s / cosh theta)^n ds."""
    return functions.sqrt(n) + 1 / (3 * functions.sqrt(n))


def rise_time(
    n: Scalar,
    p: Scalar,
    target: Scalar,
    w0: Scalar,
    minus: Scalar,
    shape: Scalar,
    angle: Scalar,
    bump: Scalar,
    functions: AllFunctions,
) -> Scalar:
    """T_1, by which w >= lambda/2 for good, n >= 3; minus = a_-, shape = C, angle = theta_1 - a_+, bump = I_n."""
    start = w0**-p * shape / target + (n * minus / target) ** p * shape / target
    return start + target ** (-p - 1) * (angle + p * bump * functions.log(2))


def decay_time(p: Scalar, target: Scalar, log: Scalar) -> Scalar:
    """T_2 = 2^p lambda^(-1-p) log, with log = log_+(E(0)/accuracy)."""
    return 2**p * target ** (-1 - p) * log


_lam, _w0, _c0 = sympy.symbols("lambda w(0) c_0", positive=True)
_w, _nu, _p, _C, _I = sympy.symbols("w nu p C I_n", positive=True)
_theta, _s, _a = sympy.symbols("vartheta s a", real=True)
_mean = sympy.Integral((sympy.cosh(_s) / sympy.cosh(_theta)) ** n, (_s, _a, _theta))
_first, _plus, _minus = sympy.symbols("vartheta_1 a_+ a_-", positive=True)
_late = sympy.Symbol(r"\log_+\tfrac{E(0)}{\bar\varepsilon}", positive=True)
SETTING = (LINEAR, WHOLE_MATRICES, UNIT_SLOPE, DEPTH_TWO, ONE_OUTPUT, SQUARE_LOSS, WHITENED, BALANCED, ALIGNED)
"""Of R15 and R16."""
CONVERGENCE_TIME = Result(
    "R15",
    "convergence-time",
    "convergence time of balanced linear networks with one output",
    "convergence time of gradient flow of balanced linear networks with one output, whitened data",
    f"setting: {ELKABETZ_COHEN}; exact solution and time: {OURS}",
    SETTING,
    (
        Claim("excess loss", Formula(sympy.Symbol("E")), "=", Formula(excess(_w, _lam, _nu))),
        Claim(
            "exact",
            Formula(1 / _w),
            "=",
            Formula(inverse_norm(n, _lam, _w0, sympy.cosh(_a), sympy.cosh(_theta), _mean)),
        ),
        Claim("angle", Formula(_first), "=", Formula(half_angle(n, _lam, _w0, _c0, SYMBOLS))),
        Claim(
            "rise",
            Formula(sympy.Symbol("T_1")),
            "=",
            Formula(rise_time(n, _p, _lam, _w0, _minus, _C, _first - _plus, _I, SYMBOLS)),
        ),
        Claim("decay", Formula(sympy.Symbol("T_2")), "=", Formula(decay_time(_p, _lam, _late))),
        Claim("rise at depth 2", Formula(sympy.Symbol("T_1")), "=", Formula((_first - _a) / _lam)),
        Claim("time", Formula(sympy.Symbol("T")), "=", Formula(sympy.Symbol("T_1") + sympy.Symbol("T_2"))),
        Claim("constants", Formula(_I), "=", Formula(kernel_bound(n, SYMBOLS))),
        Claim("integral", Formula(sympy.Symbol("S_n")), "=", Formula(sech_integral(n, SYMBOLS))),
    ),
    (
        Hypothesis(
            "",
            r"$w = \|W_{n:1}\|$, $\lambda = \|\Lambda_{yx}\|$, $\nu = \tanh\vartheta$ the cosine between $W_{n:1}$ and "
            r"$\Lambda_{yx}$, $a = \operatorname{artanh}\nu(0)$, $c_0 = \cosh a$, $a_\pm = \max\{\pm a,0\}$, $p = "
            r"1-2/n$, "
            r"$C = S_nc_0^{n-2}$ if $\nu(0) < 0$, else $S_n/2$; $E = f-\min f$, $\bar\varepsilon > 0$ the accuracy "
            r"asked for, $\log_+ = \max\{\log,0\}$",
        ),
    ),
    remark=r"$E(t) \le \bar\varepsilon$ for all $t \ge T$; the time to an angle is $\frac1\lambda\int_a^\vartheta "
    r"w^{-p}$.",
    derivations=("r15_convergence_time",),
)
