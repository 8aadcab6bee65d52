"""R26: the modified equation of Nesterov's method, and where its flow starts."""

from __future__ import annotations

from symflow.dynamics.methods.nesterov import Nesterov
from symflow.dynamics.modified.coefficients import start_terms, terms
from symflow.theory.differential_sums import BETA
from symflow.theory.hypothesis_checks import SMOOTH_ALONG
from symflow.theory.r25_heavy_ball import MOMENTUM, modified_claims
from symflow.theory.result import SOURCES, Result

METHOD = Nesterov(BETA)
TERMS = terms(METHOD, 2)
START = start_terms(METHOD, 1)
NESTEROV = Result(
    "R26",
    "nesterov",
    "modified equation of Nesterov's method",
    "modified equation of Nesterov's method with constant momentum, and the start of its flow",
    f"{SOURCES['KS21']} and {SOURCES['GLZW23']} (orders 0 and 1); {SOURCES['CS25']} (all orders); order 2 in this "
    "form and the start: symflow",
    (SMOOTH_ALONG,),
    modified_claims(TERMS, START),
    (MOMENTUM,),
    remark=r"The gradient is taken at $y_k = \theta_k+\beta(\theta_k-\theta_{k-1})$. The terms up to $\eta$ are the "
    r"gradient flow of $f/\nu + \eta\frac{1-\beta+2\beta^2}{4\nu^3}\|g\|^2$; $J(F_2)-J(F_2)^\top = "
    r"-\frac{1-7\beta}{6\nu^4}[H,T[g]]$ forbids a modified loss at order $\eta^2$ unless $\beta = 1/7$.",
    derivations=("r26_nesterov",),
)
