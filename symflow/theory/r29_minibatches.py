"""R29: one epoch of gradient descent on batches, in the mean over their orders."""

from __future__ import annotations

import sympy

from symflow.theory.hypotheses import Hypothesis
from symflow.theory.hypothesis_checks import SMOOTH_ALONG
from symflow.theory.result import SOURCES, Result
from symflow.theory.statement import equation

ETA, M = sympy.symbols("eta m", positive=True)
MINIBATCHES = Result(
    "R29",
    "minibatches",
    "mean of stochastic gradient descent over an epoch",
    "one epoch of stochastic gradient descent in the mean over the orders of its batches follows a modified loss",
    SOURCES["SDBD21"],
    (SMOOTH_ALONG,),
    (
        equation(
            "mean over orders",
            r"\frac{1}{m!}\sum_\pi\theta_m^{(\pi)}",
            sympy.Symbol(r"\theta(m\eta)") + sympy.Symbol(r"O(m^3\eta^3)"),
        ),
        equation(
            "modified loss",
            r"\dot\theta",
            -sympy.Symbol(r"\nabla\Bigl(f+\frac{\eta}{4m}\sum_{k=1}^m\|\nabla f_k\|^2\Bigr)"),
        ),
        equation("one order", "F_1", sympy.Symbol(r"\frac{1}{m}\sum_{j<k}H_kg_j") - M / 2 * sympy.Symbol("Hg")),
    ),
    (
        Hypothesis(
            "one epoch of batches",
            r"$f = \frac1m\sum_{k=1}^mf_k$, one step $\theta_{k} = \theta_{k-1}-\eta\nabla f_{\pi(k)}(\theta_{k-1})$ "
            r"for each "
            r"batch, $\theta(0) = \theta_0$; $g_k$, $H_k$, $g$, $H$ are gradients and Hessians of $f_k$ and $f$",
        ),
    ),
    remark=r"A single order of the batches is $\theta(m\eta)+O(\eta^3)$ for $\dot\theta = -g+\eta F_1$ with the sum "
    r"over "
    r"its own pairs; its mean over the orders is $-\frac1{2m}\sum_kH_kg_k$. If $N$ samples are cut at random into "
    r"batches of $b$, the mean of $\frac1m\sum_k\|\nabla f_k\|^2$ is $(1-c)\|g\|^2+\frac cN\sum_i\|g_i\|^2$ over "
    r"samples, "
    r"$c = \frac{N-b}{b(N-1)}$.",
    derivations=("r29_minibatches",),
)
