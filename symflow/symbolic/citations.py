"""Where each result comes from: result ids of the theory, their statement in a line, and their source."""

from __future__ import annotations

from dataclasses import dataclass

ELKABETZ_COHEN = (
    "O. Elkabetz and N. Cohen, Continuous vs. Discrete Optimization of Deep Neural Networks, NeurIPS 2021, "
    "arXiv:2107.06608"
)
HAIRER = "E. Hairer, S. P. Norsett and G. Wanner, Solving Ordinary Differential Equations I, 2nd ed., Springer 1993"
ARORA = (
    "S. Arora, N. Cohen and E. Hazan, On the Optimization of Deep Networks: Implicit Acceleration by "
    "Overparameterization, ICML 2018"
)
DU = (
    "S. S. Du, W. Hu and J. D. Lee, Algorithmic Regularization in Learning Deep Homogeneous Models: Layers are "
    "Automatically Balanced, NeurIPS 2018"
)


@dataclass(frozen=True)
class Citation:
    """A result id, what it says in one line, and where it comes from."""

    id: str
    statement: str
    source: str

    def __str__(self) -> str:
        return f"{self.id}: {self.statement} [{self.source}]"


_RESULTS = [
    Citation("R1", "the loss falls along gradient flow at the rate of the squared gradient norm", "classical"),
    Citation("R2", "Euler's identity: each layer's weights reproduce a homogeneous network's output", "classical"),
    Citation("R3", "fundamental theorem: initial error, defect and one-sided curvature bound the error",
             f"{HAIRER}, Theorem 10.6; used by {ELKABETZ_COHEN}"),
    Citation("R4", "step-size condition for gradient descent to stay close to gradient flow", ELKABETZ_COHEN),
    Citation("R6", "for f = -(m/2) theta^2 exponentially small steps are unavoidable", ELKABETZ_COHEN),
    Citation("R7", "Hessian quadratic form of deep linear networks", ELKABETZ_COHEN),
    Citation("R10", "balancedness is conserved by gradient flow", f"{ARORA}; {DU}"),
    Citation("R17", "modified equation of gradient descent",
             "D. G. T. Barrett and B. Dherin, Implicit Gradient Regularization, ICLR 2021 (order 1); E. Hairer, "
             "C. Lubich and G. Wanner, Geometric Numerical Integration, Springer 2006 (all orders)"),
    Citation("R18", "leading order of the deviation of gradient descent from gradient flow",
             f"asymptotic expansion of the global error of Euler's method, {HAIRER}, section II.8"),
    Citation("R22", "trajectory-wise bound: the fundamental theorem with the true defect and signed curvature",
             "symflow, from R3"),
]  # fmt: skip
RESULTS = {c.id: c for c in _RESULTS}


def cite(result: str) -> Citation:
    """The citation of a result id such as "R4".

    Raises:
        KeyError: no such result.
    """
    if result not in RESULTS:
        raise KeyError(f"unknown result {result!r}; known: {', '.join(RESULTS)}")
    return RESULTS[result]
