r"""R32: Euler's identity with biases and skip connections.

    <W_j, dh/dW_j> + sum_{l >= j} <b_l, dh/db_l> = h,    sum_j <W_j, dh/dW_j> + j <b_j, dh/db_j> = n h;

the first for layers that no skip connection passes, the second without skip connections.

Run: python -m derivations.r32_euler_biases
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

import sympy

import symflow as sf
from derivations.r02_euler import positive_homogeneity
from symflow.proofs import Control, Derivation, IdentityTest, Step, SymbolicZero
from symflow.proofs.claims import Case, altered, claim_identity
from symflow.report.derivations import run
from symflow.theory.architecture_checks import HOMOGENEOUS_ACTIVATIONS
from symflow.theory.r02_euler import EULER
from symflow.theory.r32_euler_biases import EULER_BIASES
from symflow.theory.statement import Statement
from symflow.theory.terms import Range, j, n

STATEMENT = EULER_BIASES.statement
BIASED = [
    Case("linear 2-3-2, biases", sf.FullyConnected((2, 3, 2), biases=True)),
    Case("ReLU 2-3-2-1, biases in layers 1 and 3",
         sf.FullyConnected((2, 3, 2, 1), activation="relu", biases=[True, False, True])),
    Case("ReLU and slopes 3/2, -4/7, biases, h scaled by 2/3",
         sf.FullyConnected((2, 3, 2, 1), activation=["relu", ("homogeneous", "3/2", "-4/7")], biases=True,
                           output_scale="2/3")),
    Case("convolution, max pooling, dense, biases",
         sf.Convolutional((1, 4), (sf.Convolution(2, (2,), (1,), (0,)), sf.Pool("max", (2,), (1,)), sf.Dense(1)), 1, 0,
                          biases=True)),
    Case("diagonal 3-3-1, bias", sf.FullyConnected((3, 3, 1), diagonal=[1], biases=True)),
]  # fmt: skip
SKIPPED = [
    Case("ReLU 2-3-3-3-1, layer 1 added to layer 3, biases",
         sf.FullyConnected((2, 3, 3, 3, 1), activation="relu", skip=[[1, 3]], biases=True)),
    Case("linear 2-2-2, input added to layer 1", sf.FullyConnected((2, 2, 2), skip=[[0, 1]])),
]  # fmt: skip
SCOPE = "linear, ReLU, general slopes, a diagonal layer, convolution with max pooling; in the regions of the points"
SKIP_SCOPE = "skip connections inside and from the input"


def one_layer(power: int = 1) -> Iterator[sympy.Expr]:
    """A layer above, with input and bias (1 + t) times as large, and what a skip connection from above j adds."""
    t = sympy.Symbol("t")
    w, d, a, b, skip = sympy.symbols("W D a b s", commutative=False)
    moved = d * (w * (1 + t) * a + (1 + t) ** power * b) + (1 + t) * skip
    yield sympy.expand(moved - (1 + t) * (d * (w * a + b) + skip))


def all_layers() -> Iterator[sympy.Expr]:
    """All weights (1 + t) times as large, b_l (1 + t)^l times: a_l is so (1 + t)^l times, by induction."""
    t, l = sympy.Symbol("t", positive=True), sympy.Symbol("l", integer=True, positive=True)  # noqa: E741
    w, d, a, b = sympy.symbols("W D a b", commutative=False)
    moved = d * (((1 + t) * (1 + t) ** (l - 1)) * w * a + (1 + t) ** l * b)
    yield sympy.expand(sympy.powsimp(moved) - (1 + t) ** l * d * (w * a + b))


def identity(stated: Statement, label: str, cases: Sequence[Case], scope: str = "") -> IdentityTest:
    """A claim at random weights and data."""
    return claim_identity(stated, label, scope, cases, lambda case: case.network.depth + 1)


WITHOUT = replace(EULER.statement, hypotheses=(HOMOGENEOUS_ACTIVATIONS,))
EVERY = replace(STATEMENT, claims=(replace(STATEMENT.claim("layer"), over=Range(j)),))
SKIP_ALL = replace(STATEMENT, claims=(replace(STATEMENT.claim("all"), hypotheses=()),))

DERIVATION = Derivation(
    proves=EULER_BIASES,
    steps=(
        Step(
            r"\sigma(cz)",
            r"c\,\sigma(z) \quad (c > 0)",
            r"On each side of the kink $\sigma$ is linear, and $cz$ has the sign of $z$.",
            (SymbolicZero(r"all $\alpha$, $\bar\alpha$, $c > 0$, $z$", positive_homogeneity),),
        ),
        Step(
            r"\bigl\langle W_j,\tfrac{\partial h}{\partial W_j}\bigr\rangle+\sum_{l\ge j}"
            r"\bigl\langle b_l,\tfrac{\partial h}{\partial b_l}\bigr\rangle",
            r"h",
            r"Multiply $W_j$ and $b_j, \dots, b_n$ by $1+t$. Then $z_j$, and by induction every $z_l$ and $a_l$ with "
            r"$l \ge j$, becomes $1+t$ times as large, since no skip connection brings $a_i$ with $i < j$ there. No "
            r"gate changes. Differentiate at $t = 0$.",
            (
                SymbolicZero("matrices and gates of any sizes, the induction step", one_layer),
                identity(STATEMENT, "layer", BIASED, SCOPE),
                identity(STATEMENT, "layer", SKIPPED, SKIP_SCOPE),
            ),
        ),
        Step(
            r"\sum_j\bigl\langle W_j,\tfrac{\partial h}{\partial W_j}\bigr\rangle+j\bigl\langle b_j,"
            r"\tfrac{\partial h}{\partial b_j}\bigr\rangle",
            r"n\,h",
            r"The sum of step 2 over $j$; $b_l$ occurs in the layers $1, \dots, l$.",
            (
                SymbolicZero("matrices and gates of any sizes, the induction step for every $l$", all_layers),
                identity(STATEMENT, "all", BIASED, SCOPE),
            ),
        ),
    ),
    controls=(
        Control("R2 for a network with biases", identity(WITHOUT, "layer", BIASED[:1])),
        Control(
            r"$\langle\theta,\nabla_\theta h\rangle = n h$ for a network with biases",
            identity(WITHOUT, "all", BIASED[1:2]),
        ),
        Control("layers that a skip connection passes", identity(EVERY, "layer", SKIPPED[:1])),
        Control("the second identity with a skip connection", identity(SKIP_ALL, "all", SKIPPED[:1])),
        Control(
            r"$(n+1)h$",
            identity(altered(STATEMENT, "all", lambda _: (n + 1) * STATEMENT.claim("layer").right), "all", BIASED[:1]),
        ),
        Control("biases that scale with the square", SymbolicZero("", lambda: one_layer(2))),
    ),
    notation=(
        r"$z_j = W_ja_{j-1}+b_j$, $a_j = \sigma(z_j)+\sum_{(i,j)}a_i$ over skip connections, $h = c\,a_n$ without "
        r"activation",
        r"$\theta$ in a smooth region; $b_j = 0$ and no derivative in it where layer $j$ has no bias",
    ),
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
