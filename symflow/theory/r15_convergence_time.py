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
from symflow.theory.statement import equation
from symflow.theory.terms import n


def inverse_norm(n: Scalar, target: Scalar, w0: Scalar, start: Scalar, cosh: Scalar, integral: Scalar) -> Scalar:
    """1/w, with `start` = cosh a, `cosh` = cosh theta and `integral` = int_a^theta (cosh s / cosh theta)^n ds."""
    return (start / cosh) ** n / w0 + n * integral / target


def excess(norm: Scalar, target: Scalar, gap: Scalar) -> Scalar:
    """E = f - f* = (w^2 - 2 lambda nu w + lambda^2)/2 without cancellation, gap = 1 - nu."""
    return (norm - target) ** 2 / 2 + target * norm * gap


def log_slope(n: Scalar, norm: Scalar, target: Scalar, alignment: Scalar, excess: Scalar) -> Scalar:
    """d log E/dtheta = -(w/lambda) (2 + (n-1) (w - lambda nu)^2/E)."""
    return -(norm / target) * (2 + (n - 1) * (norm - target * alignment) ** 2 / excess)


def time_slope(p: Scalar, norm: Scalar, target: Scalar) -> Scalar:
    """dt/dtheta = w^-p/lambda."""
    return norm**-p / target


def exponent(n: Scalar, functions: AllFunctions) -> Scalar:
    """p = 1 - 2/n."""
    return functions.rational(n - 2, n)


def half_angle(n: Scalar, target: Scalar, w0: Scalar, c0: Scalar, functions: AllFunctions) -> Scalar:
    """theta_1, from which on w >= lambda/2; c0 = cosh a."""
    late = functions.log(2 * c0) + functions.log(2 * (1 + target / w0)) / n
    return functions.maximum(functions.log(6 * (n - 1)), late)


def sech_integral(n: Scalar, functions: AllFunctions) -> Scalar:
    """S_n = int sech^(n-2) over the line = sqrt(pi) Gamma((n-2)/2) / Gamma((n-1)/2), n >= 3."""
    below, above = (functions.gamma(functions.rational(n - k, 2)) for k in (2, 1))
    return functions.sqrt(functions.pi) * below / above


def shape_bound(n: Scalar, full: Scalar, c0: Scalar, ahead: bool) -> Scalar:
    """C, at least the integral of (c_0 sech theta)^(n-2) from a on; full = S_n, ahead: nu(0) >= 0."""
    return full / 2 if ahead else full * c0 ** (n - 2)


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


def rise_time_at_two(target: Scalar, start: Scalar, angle: Scalar) -> Scalar:
    """T_1 for n = 2, angle = theta_1."""
    return (angle - start) / target


def decay_time(p: Scalar, target: Scalar, log: Scalar) -> Scalar:
    """T_2 = 2^p lambda^(-1-p) log, with log = log_+(E(0)/accuracy)."""
    return 2**p * target ** (-1 - p) * log


_lam, _w0, _c0 = sympy.symbols("lambda w(0) c_0", positive=True)
_w, _nu, _p, _C, _I = sympy.symbols("w nu p C I_n", positive=True)
_theta, _s, _a = sympy.symbols("vartheta s a", real=True)
_mean = sympy.Integral((sympy.cosh(_s) / sympy.cosh(_theta)) ** n, (_s, _a, _theta))
_E, _S = sympy.symbols("E S_n", positive=True)
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
        equation("excess loss", _E, excess(_w, _lam, 1 - _nu)),
        equation("exact", 1 / _w, inverse_norm(n, _lam, _w0, sympy.cosh(_a), sympy.cosh(_theta), _mean)),
        equation("time of an angle", r"\frac{dt}{d\vartheta}", time_slope(_p, _w, _lam)),
        equation("fall", r"\frac{d\log E}{d\vartheta}", log_slope(n, _w, _lam, _nu, _E)),
        equation("angle", _first, half_angle(n, _lam, _w0, _c0, SYMBOLS)),
        equation("rise", "T_1", rise_time(n, _p, _lam, _w0, _minus, _C, _first - _plus, _I, SYMBOLS)),
        equation("decay", "T_2", decay_time(_p, _lam, _late)),
        equation("rise at depth 2", "T_1", rise_time_at_two(_lam, _a, _first)),
        equation("time", "T", sympy.Symbol("T_1") + sympy.Symbol("T_2")),
        equation("exponent", _p, exponent(n, SYMBOLS)),
        equation("constants", _I, kernel_bound(n, SYMBOLS)),
        equation("integral", _S, sech_integral(n, SYMBOLS)),
        equation("shape, ahead", _C, shape_bound(n, _S, _c0, ahead=True)),
        equation("shape, behind", _C, shape_bound(n, _S, _c0, ahead=False)),
    ),
    (
        Hypothesis(
            "",
            r"$w = \|W_{n:1}\|$, $\lambda = \|\Lambda_{yx}\|$, $\nu = \tanh\vartheta$ the cosine between $W_{n:1}$ and "
            r"$\Lambda_{yx}$, $a = \operatorname{artanh}\nu(0)$, $c_0 = \cosh a$, $a_\pm = \max\{\pm a,0\}$; the "
            r"first $C$ for $\nu(0) \ge 0$, the second for $\nu(0) < 0$; $E = f-\min f$, $\bar\varepsilon > 0$ the "
            r"accuracy asked for, $\log_+ = \max\{\log,0\}$",
        ),
    ),
    remark=r"$E(t) \le \bar\varepsilon$ for all $t \ge T$.",
    derivations=("r15_convergence_time",),
)
