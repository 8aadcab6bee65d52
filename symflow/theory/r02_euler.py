"""R2: Euler's identity for homogeneous networks."""

from __future__ import annotations

from symflow.theory.architecture_checks import NETWORK
from symflow.theory.result import CLASSICAL, Result
from symflow.theory.statement import Claim
from symflow.theory.terms import Derivative, Letter, Range, j, n

_OUTPUT = Letter("h")
EULER = Result(
    "R2",
    "euler",
    "Euler's identity",
    "Euler's identity: each layer's weights reproduce a homogeneous network's output",
    CLASSICAL,
    (NETWORK,),
    (
        Claim("layer", Derivative(_OUTPUT, "weights", layer=j), "=", _OUTPUT, Range(j)),
        Claim("all", Derivative(_OUTPUT, "weights"), "=", n * _OUTPUT),
    ),
    derivations=("r02_euler",),
    in_its_place=("R32",),
)
