r"""R35: gradient flow of diagonal linear networks.

    w_{j+1}^2 - w_j^2 is conserved in every entry;    w = w_n ... w_1:    w' = -sum_j prod_{l != j} w_l^2 phi'(w);
    two layers:    w' = -sqrt(Delta^2 + 4 w^2) phi'(w),    Delta = w_2^2 - w_1^2.

(Woodworth et al. 2020)

Run: python -m derivations.r35_diagonal_flow
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import sympy

import symflow as sf
from symflow.proofs import Control, Derivation, IdentityTest, Step, SymbolicZero
from symflow.proofs.claims import Case, altered, claim_identity
from symflow.report.derivations import run
from symflow.theory.r35_diagonal_flow import DIAGONAL_FLOW, unit
from symflow.theory.statement import Claim, Statement
from symflow.theory.terms import Derivative, Number, Power, Range, j, n

STATEMENT = DIAGONAL_FLOW.statement
NETWORKS = [
    Case("3-3-1, first layer diagonal", sf.FullyConnected((3, 3, 1), diagonal=[1])),
    Case("2-2-2, both diagonal, h scaled by 2/3", sf.FullyConnected((2, 2, 2), diagonal=[1, 2], output_scale="2/3")),
    Case("2-2-2-2-1, three diagonal", sf.FullyConnected((2, 2, 2, 2, 1), diagonal=[1, 2, 3])),
    Case("scalars, depth 3", sf.FullyConnected((1, 1, 1, 1), diagonal=[1, 2, 3])),
]
SCOPE = "square loss, depths 2 to 4, a row or a diagonal last layer"


def product_rule(depths: Sequence[int] = (2, 3, 4, 5, 6), factor: int = 1) -> Iterator[sympy.Expr]:
    """w' for w_j' = -(w/w_j) phi', and (w_{j+1}^2 - w_j^2)'; the factor is 1."""
    slope = sympy.Symbol("p")
    for depth in depths:
        w = sympy.symbols(f"w1:{depth + 1}")
        velocity = [-slope * sympy.prod(w[:layer] + w[layer + 1 :]) for layer in range(depth)]
        whole = sympy.prod(w)
        moved = sum(whole.diff(x) * v for x, v in zip(w, velocity, strict=True))
        speed = sum(sympy.prod(x**2 for x in w[:layer] + w[layer + 1 :]) for layer in range(depth))
        yield sympy.expand(moved + factor * speed * slope)
        for layer in range(depth - 1):
            yield sympy.expand(2 * w[layer + 1] * velocity[layer + 1] - 2 * w[layer] * velocity[layer])


def induction() -> Iterator[sympy.Expr]:
    """One more factor v: (v w)' = v w' + v' w with v' = -w p, w' = -s v p (phi' is v p for the rest)."""
    v, w, s, p = sympy.symbols("v w s p")
    yield sympy.expand(v * (-s * v * p) + (-w * p) * w + (s * v**2 + w**2) * p)


def root(four: int = 4) -> Iterator[sympy.Expr]:
    """(v^2 + u^2)^2 = (v^2 - u^2)^2 + 4 (u v)^2."""
    u, v = sympy.symbols("u v", real=True)
    yield sympy.expand((u**2 + v**2) ** 2 - (v**2 - u**2) ** 2 - four * (u * v) ** 2)


def potential() -> Iterator[sympy.Expr]:
    """The second derivative of (w arsinh(2w/D) - sqrt(4w^2 + D^2)/2)/2 is 1/sqrt(D^2 + 4w^2), D > 0."""
    w, d = sympy.Symbol("w", real=True), sympy.Symbol("D", positive=True)
    psi = (w * sympy.asinh(2 * w / d) - sympy.sqrt(4 * w**2 + d**2) / 2) / 2
    yield sympy.simplify(psi.diff(w, 2) - 1 / sympy.sqrt(d**2 + 4 * w**2))


def identity(stated: Statement, label: str, scope: str = "") -> IdentityTest:
    """A claim at random weights and data."""
    return claim_identity(stated, label, scope, NETWORKS, lambda case: 4 * case.network.depth + 4)


_SUM = Claim(
    "", Derivative(Power(unit(j + 1), sympy.Integer(2)) + Power(unit(j), sympy.Integer(2)), "flow"), "=",
    Number(sympy.Integer(0)), Range(j, 1, n - 1),
)  # fmt: skip

DERIVATION = Derivation(
    proves=DIAGONAL_FLOW,
    steps=(
        Step(
            r"\tfrac{d}{dt}\bigl((w_{j+1})_c^2-(w_j)_c^2\bigr)",
            r"0",
            r"$(\dot w_j)_c = -\prod_{l\ne j}(w_l)_c\,\partial_c\varphi(w)$, so that $(w_j)_c(\dot w_j)_c$ does not "
            r"depend on "
            r"$j$.",
            (
                SymbolicZero(r"$n = 2,\dots,6$", product_rule, "checked exactly"),
                identity(STATEMENT, "laws", SCOPE),
            ),
        ),
        Step(
            r"\tfrac{d}{dt}w_c",
            r"-\sum_j\prod_{l\ne j}(w_l)_c^2\;\partial_c\varphi(w)",
            r"Product rule.",
            (
                SymbolicZero("the induction step for every $n$", induction),
                identity(STATEMENT, "product", SCOPE),
            ),
        ),
        Step(
            r"(w_1)_c^2+(w_2)_c^2",
            r"\sqrt{\Delta_c^2+4w_c^2}, \quad \Delta_c = (w_2)_c^2-(w_1)_c^2",
            r"$n = 2$; both sides are $\ge 0$, and their squares agree.",
            (SymbolicZero("all weights", root),),
        ),
        Step(
            r"\tfrac{d}{dt}\nabla\psi(w)",
            r"-\nabla\varphi(w), \quad \psi(w) = \tfrac12\sum_c\bigl(w_c\operatorname{arsinh}(2w_c/|\Delta_c|)-"
            r"\tfrac12\sqrt{4w_c^2+\Delta_c^2}\bigr)",
            r"$\psi_c'' = 1/\sqrt{\Delta_c^2+4w_c^2}$, and $\Delta_c \ne 0$ is conserved: a mirror flow, the "
            r"hyperbolic entropy of Woodworth et al.",
            (SymbolicZero(r"all $w$, $\Delta > 0$", potential),),
        ),
    ),
    controls=(
        Control(r"$w_{j+1}^2+w_j^2$", identity(Statement("R35", "a wrong law", (_SUM,), STATEMENT.hypotheses), "")),
        Control("0.99 of the speed", identity(
            altered(STATEMENT, "product", lambda right: Number(sympy.Rational(99, 100)) * right), "product")),
        Control("twice the speed, in symbols", SymbolicZero("", lambda: product_rule(factor=2))),
        Control(r"$\Delta^2+2w^2$", SymbolicZero("", lambda: root(2))),
    ),
    notation=(
        r"$h = c\,w_n\odot\cdots\odot w_1\odot x$, or $h = c\,w_n^\top(w_{n-1}\odot\cdots\odot w_1\odot x)$; "
        r"$f = \varphi(w)$, $w = w_n\odot\cdots\odot w_1$",
    ),
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
