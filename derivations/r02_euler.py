r"""R2: Euler's identity for homogeneous networks: each layer's weights reproduce the output.

    <W_j, dh/dW_j> = h for every j,    <theta, grad_theta h> = n h.

Run: python -m derivations.r02_euler
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from math import prod

import sympy

import symflow as sf
from symflow.proofs import Control, Derivation, IdentityTest, Step, SymbolicZero
from symflow.proofs.claims import Case, altered, claim_identity
from symflow.proofs.networks import WIDTHS
from symflow.report.derivations import run
from symflow.theory.r02_euler import EULER
from symflow.theory.statement import Statement
from symflow.theory.terms import n

STATEMENT = EULER.statement
NETWORKS = [Case(str(w), sf.FullyConnected(w)) for w in WIDTHS.values()]
GATED = [
    Case("ReLU 2-3-2", sf.FullyConnected((2, 3, 2), 1, 0)),
    Case("slopes 3/2 and -4/7", sf.FullyConnected((2, 3, 2, 1), "3/2", "-4/7")),
    Case(
        "convolution, max pooling, dense",
        sf.Convolutional((1, 4), (sf.Convolution(2, (2,), (1,), (0,)), sf.Pool("max", (2,), (1,)), sf.Dense(1)), 1, 0),
    ),
]


def positive_homogeneity() -> Iterator[sympy.Expr]:
    """sigma(c z) = c sigma(z) for c > 0, on both sides of the kink and at it."""
    c, z = sympy.symbols("c z", positive=True)
    alpha, alpha_bar = sympy.symbols("alpha alpha_bar", real=True)

    def sigma(x: sympy.Expr) -> sympy.Expr:
        return sympy.Piecewise((alpha * x, x >= 0), (alpha_bar * x, True))

    for x in (z, -z, sympy.Integer(0)):
        yield sigma(c * x) - c * sigma(x)


def output(scales: dict[int, sympy.Expr], depth: int) -> sympy.Expr:
    """h = W_n D_{n-1} W_{n-1} ... D_1 W_1 x with layer j scaled by scales[j]; matrices of any sizes, any gates."""
    x = sympy.Symbol("x", commutative=False)
    layers = [
        scales.get(layer, 1) * sympy.prod(sympy.symbols(f"D{layer} W{layer}", commutative=False))
        for layer in range(1, depth + 1)
    ]
    return prod(reversed(layers), start=sympy.Integer(1)) * x


def one_layer() -> Iterator[sympy.Expr]:
    """d/dt at t = 0 of h with W_j replaced by (1 + t) W_j, minus h."""
    t = sympy.Symbol("t")
    for depth in WIDTHS:
        for layer in range(1, depth + 1):
            yield sympy.expand(output({layer: 1 + t}, depth)).diff(t).subs(t, 0) - output({}, depth)


def induction() -> Iterator[sympy.Expr]:
    """One more layer on top: if h_n is reproduced by W_j, so is W D h_n by W_j and by W."""
    t = sympy.Symbol("t")
    w, d, h = sympy.symbols("W D h", commutative=False)
    yield sympy.expand(w * d * (1 + t) * h).diff(t) - w * d * h
    yield sympy.expand((1 + t) * w * d * h).diff(t) - w * d * h


def all_layers() -> Iterator[sympy.Expr]:
    """All layers scaled: one more turns (1 + t)^n h into (1 + t)^{n+1} W D h; and d/dt (1 + t)^n h at t = 0."""
    t, depth = sympy.Symbol("t"), sympy.Symbol("n", integer=True, positive=True)
    w, d, h = sympy.symbols("W D h", commutative=False)
    yield sympy.powsimp((1 + t) * (1 + t) ** depth) * w * d * h - (1 + t) ** (depth + 1) * w * d * h
    yield ((1 + t) ** depth * h).diff(t).subs(t, 0) - depth * h


def tested(stated: Statement, label: str) -> tuple[IdentityTest, IdentityTest]:
    """A claim on linear networks, and on networks with gates in the regions that the points fall in."""

    def degree(case: Case) -> int:
        return case.network.depth + 1

    linear = r"linear networks of depth $n = 1,\dots,6$"
    gated = "ReLU, general slopes, convolution with max pooling; in the regions that the points fall in"
    return claim_identity(stated, label, linear, NETWORKS, degree), claim_identity(stated, label, gated, GATED, degree)


WRONG = altered(STATEMENT, "all", lambda right: (n + 1) * right)

DERIVATION = Derivation(
    proves=EULER,
    steps=(
        Step(
            r"\sigma(cz)",
            r"c\,\sigma(z) \quad (c > 0)",
            "On each side of the kink $\\sigma$ is linear, and $cz$ has the sign of $z$. So scaling a layer by "
            "$1 + t > 0$ changes no gate.",
            (SymbolicZero(r"all $\alpha$, $\bar\alpha$, $c > 0$, $z$", positive_homogeneity),),
        ),
        Step(
            r"\langle W_j, \partial h/\partial W_j\rangle = \tfrac{d}{dt} h\big|_{W_j \to (1+t)W_j}",
            r"h",
            r"With its gates fixed, $h = W_nD_{n-1}W_{n-1}\cdots D_1W_1x$ has every $W_j$ as a factor once. By "
            r"induction: a factor of $h_n$ is one of $W_{n+1}D_nh_n$.",
            (
                SymbolicZero("matrices and gates of any sizes, the induction step for every $n$", induction),
                SymbolicZero(r"directly for $n = 1,\dots,6$, any sizes and gates", one_layer, "checked exactly"),
                *tested(STATEMENT, "layer"),
            ),
        ),
        Step(
            r"\langle\theta, \nabla_\theta h\rangle = \tfrac{d}{dt}(1+t)^n h\big|_{t=0}",
            r"n\,h",
            "Scale all layers at once; by induction $h$ becomes $(1+t)^nh$.",
            (SymbolicZero("matrices and gates of any sizes, every $n$", all_layers), *tested(STATEMENT, "all")),
        ),
    ),
    controls=(
        Control(r"$\langle\theta, \nabla_\theta h\rangle = (n+1)h$", tested(WRONG, "all")[0]),
        Control("the same for networks with gates", tested(WRONG, "all")[1]),
    ),
    notation=(
        r"$h_\theta(x) = W_n\sigma(W_{n-1}\cdots\sigma(W_1x))$, $\sigma(z) = \alpha z$ for $z \ge 0$ and "
        r"$\bar\alpha z$ for $z < 0$; convolutions and pooling are admitted",
        r"$\theta$ in a smooth region; on a kink with any choice of its gates",
    ),
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
