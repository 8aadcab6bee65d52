"""Where each result (R) and closed form (C) comes from: its id, its statement in a line, and its source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from symflow.errors import ProblemError

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


BARRETT_DHERIN = "D. G. T. Barrett and B. Dherin, Implicit Gradient Regularization, ICLR 2021"
GEOMETRIC = "E. Hairer, C. Lubich and G. Wanner, Geometric Numerical Integration, 2nd ed., Springer 2006"
OURS = "symflow"

_STATEMENTS = [
    ("R1", "the loss falls along gradient flow at the rate of the squared gradient norm", "classical"),
    ("R2", "Euler's identity: each layer's weights reproduce a homogeneous network's output", "classical"),
    ("R3", "fundamental theorem: initial error, defect and one-sided curvature bound the distance of two solutions",
     f"{HAIRER}, Theorem 10.6; used by {ELKABETZ_COHEN}"),
    ("R4", "step-size condition under which gradient descent stays close to gradient flow", ELKABETZ_COHEN),
    ("R5", "the step-size condition for a constant lower bound on the curvature", ELKABETZ_COHEN),
    ("R6", "for f = -(m/2) theta^2 exponentially small steps are unavoidable", ELKABETZ_COHEN),
    ("R7", "Hessian quadratic form of deep linear networks", ELKABETZ_COHEN),
    ("R8", "the smallest Hessian eigenvalue of networks of depth three or more is unbounded below", ELKABETZ_COHEN),
    ("R9", "lower bounds on the smallest Hessian eigenvalue of deep linear networks",
     f"(a): {ELKABETZ_COHEN}; (b)-(e): {OURS}"),
    ("R10", "balancedness is conserved by gradient flow", f"{ARORA}; {DU}"),
    ("R11", "gradient flow from near-zero initialization has roughly convex curvature", ELKABETZ_COHEN),
    ("R12", "curvature bound for (leaky) ReLU networks on a smooth region", ELKABETZ_COHEN),
    ("R13", "curvature bound for convolutional networks", ELKABETZ_COHEN),
    ("R14", "end-to-end dynamics of balanced deep linear networks", ARORA),
    ("R15", "convergence time of gradient flow of balanced linear networks with one output, whitened data",
     f"setting: {ELKABETZ_COHEN}; exact solution and time: {OURS}"),
    ("R16", "gradient descent on deep linear networks converges", ELKABETZ_COHEN),
    ("R17", "modified equation of gradient descent", f"{BARRETT_DHERIN} (order 1); {GEOMETRIC} (all orders)"),
    ("R18", "leading order of the deviation of gradient descent from gradient flow",
     f"asymptotic expansion of the global error of Euler's method, {HAIRER}, section II.8"),
    ("R22", "trajectory-wise bound: the fundamental theorem with the true defect and signed curvature",
     f"{OURS}, from R3"),
    ("C1", "closed form: one linear layer, a matrix exponential", "classical"),
    ("C2", "closed form: two scalar layers", OURS),
    ("C3", "closed form: two balanced layers with one output", OURS),
    ("C4", "closed form: descent and flow on quadratics", "classical"),
]  # fmt: skip
RESULTS = {id: Citation(id, statement, source) for id, statement, source in _STATEMENTS}


def cite(result: str) -> Citation:
    """The citation of a result id such as "R4".

    Raises:
        ProblemError: no such result.
    """
    if result not in RESULTS:
        raise ProblemError(f"there is no result {result!r}; known are {', '.join(RESULTS)}")
    return RESULTS[result]


def cited(record: Any) -> Citation | None:
    """Where the result that a record states comes from."""
    return None if record.result is None else cite(record.result)
