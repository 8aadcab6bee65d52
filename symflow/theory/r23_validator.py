r"""R23: R3 with our own numerical solution: its defect and its jumps, known by computation, bound its error.

theta~ is the Taylor solution: on each step a polynomial with exact coefficients, at the joints it jumps. On a tube of
radius epsilon around it m >= -lambda_min(H); the error after a step is that of R3, and as long as it is below epsilon
the flow has not left the tube. Kinks: where all faces that the tube meets are convex nothing changes; elsewhere a
crossing costs what the two fields differ by, between the numerical switch and the true one.
"""

from __future__ import annotations

import sympy

from symflow.numbers.types import Scalar
from symflow.theory.cells import after_step
from symflow.theory.functions import SYMBOLS, Functions
from symflow.theory.hypotheses import Hypothesis
from symflow.theory.hypothesis_checks import SMOOTH_ALONG
from symflow.theory.result import OURS, SOURCES, Result
from symflow.theory.statement import Statement, equation, relation


def tail(bound: Scalar, ratio: Scalar, order: Scalar) -> Scalar:
    """At most sum_{k > K} |r_k| h^k: B (h/R)^{K+1}/(1 - h/R), B a bound on |s| <= R, R > h; `ratio` is h/R."""
    return bound * ratio ** (order + 1) / (1 - ratio)


def after_crossing(
    error: Scalar,
    rate: Scalar,
    time: Scalar,
    defect: Scalar,
    apart: Scalar,
    difference: Scalar,
    functions: Functions,
) -> Scalar:
    """The error after a crossing that lies in a window: e^{m_+ D} (e + delta D + apart sup ||G_1 - G_2||).

    Args:
        error: at the beginning of the window.
        rate: m, valid for both fields on the tube, of either sign.
        time: D, the length of the window.
        defect: at most, with the field that theta~ follows.
        apart: at least how far the numerical switch is from either end of the window.
        difference: at least the distance of the two fields along theta~ in the window.
        functions: the elementary functions of the arithmetic.
    """
    return functions.exp(functions.maximum(rate, 0) * time) * (error + defect * time + apart * difference)


_e, _j, _h, _delta = sympy.symbols("e_i j_i h_i delta_i", positive=True)
_m = sympy.Symbol("m_i", real=True)
_B, _ratio, _K, _width = sympy.symbols("B r K Delta", positive=True)
_rate = sympy.Symbol("m", real=True)
_before, _off, _apart, _defect = sympy.symbols(r"e(\tau^-) a b delta", positive=True)
_sum = sympy.Symbol(r"\Bigl\|\Bigl(\sum_k|r_{pk}|h_i^k\Bigr)_p\Bigr\|", positive=True)
_DEFECT = Hypothesis(
    "a bound on the defect of each step",
    r"$\tilde\theta$ a polynomial on each step, of length $h_i$, with the jump $j_i$ where it begins; "
    r"$\|\dot{\tilde\theta}+g(\tilde\theta)\| \le \delta_i$",
)
_TUBE = Hypothesis(
    "a tube that the error does not leave",
    r"$m_i \ge -\lambda_{\min}(H)$, of any sign, on $\bigcup_sB_{\varepsilon_i}(\tilde\theta(s))$, where $f$ is $C^2$, "
    r"and $\varepsilon_i > \max(e_i+j_i, e_{i+1})$",
)
_CONVEX_FACES = Hypothesis(
    "convex faces",
    r"on the tube $f+\frac{m_i}2\|\theta\|^2$ is convex, as it is where the back-propagated coefficient $b$ of every "
    r"gate whose face the tube meets is positive and $m_i \ge -\lambda_{\min}(H)$ on all its smooth pieces; "
    r"$\operatorname{dist}(\dot{\tilde\theta}, -\partial f(\tilde\theta)) \le \delta_i$ almost everywhere",
)
_CROSSING = Hypothesis(
    "one crossing in a window",
    r"on the tube $z$ has opposite signs at $\tau^-$ and $\tau^+ = \tau^-+\Delta$ and $\dot z$ one strict sign between "
    r"them for both fields $G_1$, $G_2$; no other gate changes there; $m \ge \lambda_{\max}(\operatorname{sym}\partial "
    r"G)$ for both; $\tilde\theta$ switches at $\tilde\tau$, $a = \max(\tilde\tau-\tau^-, \tau^+-\tilde\tau)$, "
    r"$b = \sup\|G_1-G_2\|$ along $\tilde\theta$",
)
_ENTRY = Hypothesis(
    "an attracting face",
    r"on the tube over $[\tau^-,\tau^+]$ $\langle\nabla z,G_1\rangle \ge c$ where $z \le 0$ and "
    r"$\langle\nabla z,G_2\rangle \le -c$ where $z \ge 0$, $c > 0$; $|z| \le Z$ at $\tau^-$",
)
_HOLD = Hypothesis(
    "a slide that is held",
    r"$n$ has the rows $\nabla z_a$ of the sliding gates, $K = nn^\top \succeq \kappa > 0$, $b_a > 0$ and "
    r"$\bar\alpha < g_a < \alpha$ on the tube; $G_s = -(I-n^\top K^{-1}n)c$",
)
VALIDATOR = Result(
    "R23",
    "validator",
    "validator",
    "validator: the defect of a numerical solution, computed, bounds its error",
    f"{OURS}, from R3; convex faces: {SOURCES['B73']}",
    (SMOOTH_ALONG,),
    (
        relation("", r"\|\theta(t)-\tilde\theta(t)\|", "<=", "e_{i+1}"),
        equation("step", "e_{i+1}", after_step(_e, _j, _m, _h, _delta, SYMBOLS)),
        equation("polynomial defect", _delta, _sum),
        relation("tail", r"\sum_{k>K}|r_k|h^k", "<=", tail(_B, _ratio, _K)),
    ),
    (_DEFECT, _TUBE),
    (
        Statement(
            "R23",
            "all faces convex",
            (
                relation(
                    "convex faces", r"\|\theta(t)-\tilde\theta(t)\|", "<=", after_step(_e, _j, _m, _h, _delta, SYMBOLS)
                ),
            ),
            (_CONVEX_FACES,),
        ),
        Statement(
            "R23",
            "a crossing",
            (
                relation(
                    "crossing",
                    r"e(\tau^+)",
                    "<=",
                    after_crossing(_before, _rate, _width, _defect, _off, _apart, SYMBOLS),
                ),
            ),
            (_CROSSING,),
        ),
        Statement(
            "R23",
            "entering a slide",
            (
                relation(
                    "entry", r"\tau^*-\tau^-", "<=", sympy.Symbol("Z", positive=True) / sympy.Symbol("c", positive=True)
                ),
            ),
            (_ENTRY,),
        ),
        Statement(
            "R23",
            "a slide",
            (equation("slide", "nG_s", sympy.Integer(0)),),
            (_HOLD,),
        ),
    ),
    remark=r"The error is at most the larger of its values at the two ends of a step. $r = h/R$, $|r(s)| \le B$ on "
    r"the disc $|s| \le R$. With convex faces crossings, slides, entries and leavings need no event. A slide is "
    r"R3 with the field $G_s$ and $m \ge \lambda_{\max}(\operatorname{sym}\partial G_s)$; entering and leaving it are "
    r"bounded as a crossing is.",
    derivations=("r23_validator",),
)
