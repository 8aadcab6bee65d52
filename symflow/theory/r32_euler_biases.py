r"""R32: Euler's identity of networks with biases and skip connections.

Multiply W_j, and the biases of layer j and of all layers above it, by 1 + t > 0. Where activations are homogeneous, a_j
and everything above become 1 + t times as large, unless a skip connection brings something from below layer j past it.
Without skip connections, W_l -> (1 + t) W_l and b_l -> (1 + t)^l b_l for all layers multiply h by (1 + t)^n.
"""

from __future__ import annotations

from symflow.theory.architecture_checks import HOMOGENEOUS_ACTIVATIONS, NO_SKIP, UNCROSSED
from symflow.theory.result import OURS, Result
from symflow.theory.statement import Claim
from symflow.theory.terms import Derivative, Letter, Uncrossed, j, n

_OUTPUT = Letter("h")
EULER_BIASES = Result(
    "R32",
    "euler-biases",
    "Euler's identity with biases and skip connections",
    "Euler's identity with biases and skip connections: a layer's weights with the biases above reproduce the output",
    f"{OURS}, from R2",
    (HOMOGENEOUS_ACTIVATIONS, UNCROSSED),
    (
        Claim("layer", Derivative(_OUTPUT, "weights and biases", layer=j), "=", _OUTPUT, Uncrossed(j)),
        Claim("all", Derivative(_OUTPUT, "weights and biases"), "=", n * _OUTPUT, None, (NO_SKIP,)),
    ),
    remark=r"The last layer's bias counts $n$ times, the first layer's once. Away from kinks.",
    derivations=("r32_euler_biases",),
)
