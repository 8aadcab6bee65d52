r"""R33: what biases and skip connections leave of balancedness.

    sum_{l in S} (||(W_{l+1})_:c||^2 - ||(W_l)_c:||^2 - (b_l)_c^2) is conserved,

for the sets S of hidden layers that skip connections join, neither to the input nor to the output; for linear layers
with whole matrices the matrix sum_{l in S} (W_{l+1}^T W_{l+1} - W_l W_l^T - b_l b_l^T).

Run: python -m derivations.r33_stream_balance
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import sympy

import symflow as sf
from derivations.r10_balancedness import increments
from symflow.proofs import Control, Derivation, IdentityTest, Step, SymbolicZero
from symflow.proofs.claims import Case, altered, claim_identity
from symflow.proofs.words import inner, matrices, transposed
from symflow.report.derivations import run
from symflow.theory.architecture_checks import HOMOGENEOUS_ACTIVATIONS
from symflow.theory.r10_balancedness import BALANCEDNESS
from symflow.theory.r33_stream_balance import STREAM_BALANCE, over, units
from symflow.theory.statement import Claim, Statement
from symflow.theory.terms import Derivative, Letter, Number, Power, S, Streams, Term, W, frobenius, l

STATEMENT = STREAM_BALANCE.statement
LINEAR = [
    Case("linear 2-3-2, biases", sf.FullyConnected((2, 3, 2), biases=True)),
    Case("linear 2-2-2-2-1, layer 1 added to layer 3, biases",
         sf.FullyConnected((2, 2, 2, 2, 1), skip=[[1, 3]], biases=[True, False, True, True])),
]  # fmt: skip
BIASED = Case("ReLU 2-3-2-1, biases", sf.FullyConnected((2, 3, 2, 1), activation="relu", biases=True))
RESIDUAL = Case(
    "ReLU 2-2-3-2-1, layer 1 added to layer 3, biases",
    sf.FullyConnected((2, 2, 3, 2, 1), activation="relu", skip=[[1, 3]], biases=True),
)
FROM_INPUT = Case("linear 2-2-3-1, input added to layer 1", sf.FullyConnected((2, 2, 3, 1), skip=[[0, 1]]))
GATED = [
    BIASED,
    RESIDUAL,
    FROM_INPUT,
    Case("ReLU and linear 2-2-2-2-2, layers 1, 2 added to layers 2, 3, biases",
         sf.FullyConnected((2, 2, 2, 2, 2), activation=["relu", "linear", "relu"], skip=[[1, 2], [2, 3]], biases=True)),
    Case("slopes 3/2 and -4/7, ReLU, a diagonal layer",
         sf.FullyConnected((2, 3, 3, 1), activation=[("homogeneous", "3/2", "-4/7"), "relu"], diagonal=[2],
                           biases=[False, True, True], output_scale="1/2")),
    Case("convolution, max pooling, dense, biases",
         sf.Convolutional((1, 4), (sf.Convolution(2, (2,), (1,), (0,)), sf.Pool("max", (2,), (1,)), sf.Dense(1)), 1, 0,
                          biases=True)),
]  # fmt: skip
LINEAR_SCOPE = "square loss, linear networks with biases, one of them with a skip connection"
GATED_SCOPE = (
    "ReLU and general slopes, biases, skip connections, a diagonal layer, convolution with max pooling; in the regions "
    "of the points"
)


def invariance(joint: bool = True) -> Iterator[sympy.Expr]:
    """A unit that a skip connection passes from layer 1 to layer 3: e^s in, e^-s out, on both sides of the kinks.

    z_1 = w_1 x + b_1, a_1 = sigma(z_1), z_2 = w_2 a_1 + b_2, z_3 = w_3 sigma(z_2) + b_3, a_3 = sigma(z_3) + a_1,
    h = w_4 a_3. Without `joint` only layer 1 and what reads it move.
    """
    s = sympy.Symbol("s", real=True)
    w1, w2, w3, w4, b1, b2, b3, x = sympy.symbols("w1:5 b1:4 x")
    slopes = sympy.symbols("d1:4")

    def output(up: sympy.Expr, down: sympy.Expr, third: sympy.Expr, fourth: sympy.Expr) -> sympy.Expr:
        first = slopes[0] * (up * w1 * x + up * b1)
        second = slopes[1] * (down * w2 * first + b2)
        return fourth * w4 * (slopes[2] * (third * w3 * second + third * b3) + first)

    up, down = sympy.exp(s), sympy.exp(-s)
    moved = output(up, down, up if joint else sympy.S.One, down if joint else sympy.S.One)
    yield sympy.expand(sympy.powsimp(sympy.expand(moved - output(*[sympy.S.One] * 4))))


def identity_added(weight: int = 1) -> Iterator[sympy.Expr]:
    """(W + tX) a + b + a = V a + b + t X a with V = W + I: the directions of V are those of W; the weight of I is 1."""
    t = sympy.Symbol("t")
    w, x, a, b = sympy.symbols("W X a b", commutative=False)
    yield sympy.expand((w + t * x) * a + b + a - ((w + weight) * a + b + t * x * a))


def first_order() -> Iterator[sympy.Expr]:
    """d/ds f at s = 0 for W -> e^s W, b -> e^s b, V -> e^-s V: <W, G> + <b, g> - <V, K>."""
    s, w, b, v = sympy.symbols("s w b v")
    f = sympy.Function("f")
    moved = f(sympy.exp(s) * w, sympy.exp(s) * b, sympy.exp(-s) * v).diff(s).doit().subs(s, 0).doit()
    plain = f(w, b, v)
    yield moved - (w * plain.diff(w) + b * plain.diff(b) - v * plain.diff(v))


def matrices_of_any_size(sign: int = -1) -> Iterator[sympy.Expr]:
    """V (1 - sA)(1 + sA)(W a + b) has no term in s; <AW, G> + <Ab, g> - <VA, K> = <A, G W^T + g b^T - V^T K>."""
    s = sympy.Symbol("s")
    v, a, w, x = matrices("V A W x")
    b, g, k, bias = matrices("B G K b")
    yield sympy.expand(v * (1 + sign * s * a) * (1 + s * a) * (w * x + b)).coeff(s, 1)
    slope = matrices("g")[0]
    total = inner(a * w, g) + inner(a * bias, slope) + sign * inner(v * a, k)
    yield total - inner(a, g * transposed(w) + slope * transposed(bias) + sign * transposed(v) * k)


def with_bias(order: int) -> Iterator[sympy.Expr]:
    """The column b beside W: [W b][W b]^T = W W^T + b b^T, so that R10's expansion holds for [W b] and [G g]."""
    w, b, wt, bt = sympy.symbols("W b Wt bt", commutative=False)
    yield sympy.Matrix([[w, b]]) * sympy.Matrix([[wt], [bt]]) - sympy.Matrix([[w * wt + b * bt]])
    yield from increments(order)


def identity(stated: Statement, label: str, cases: Sequence[Case], scope: str = "") -> IdentityTest:
    """A claim at random weights, data and step sizes."""
    return claim_identity(stated, label, scope, cases, lambda case: 4 * case.network.depth + 6)


def other(claim: Claim) -> Statement:
    """A claim in place of those stated."""
    return Statement("R33", "a wrong balancedness", (claim,), (HOMOGENEOUS_ACTIVATIONS,))


def conserved(x: Term) -> Statement:
    """That another sum over S is conserved."""
    return other(Claim("", Derivative(x, "flow"), "=", Number(sympy.Integer(0)), Streams(S)))


_PLAIN = Power(frobenius(W(l + 1)), sympy.Integer(2)) - Power(frobenius(W(l)), sympy.Integer(2))
EACH = other(BALANCEDNESS.statement.claim("flow, each unit or channel"))
MATRICES = other(replace(STATEMENT.claim("flow, linear"), over=Streams(S), hypotheses=()))
_SQUARED = Power(Letter("b_unit", (l, sympy.Symbol("c", integer=True))), sympy.Integer(2))
_OTHER_SIGN = units("V", "b_unit") + 2 * _SQUARED
FEWER: Callable[[Term], Term] = lambda right: Number(sympy.Rational(99, 100)) * right  # noqa: E731

DERIVATION = Derivation(
    proves=STREAM_BALANCE,
    steps=(
        Step(
            r"h\big|_{(W_l)_{c:},\,(b_l)_c\,\to\,e^s\cdot,\ (W_{l+1})_{:c}\,\to\,e^{-s}\cdot,\ l\in S}",
            r"h",
            r"Entry $c$ of $a_l$, $l \in S$, is a sum of $\sigma((z_k)_c)$ over $k \in S$: it becomes $e^s$ times as "
            r"large, by $\sigma(e^sz) = e^s\sigma(z)$. Only the columns $c$ of $W_{l+1}$ read it, as $S$ has neither "
            r"input nor output. Nothing else changes, no gate either.",
            (SymbolicZero("a residual block of scalars, any slopes on both sides of the kinks", invariance),),
        ),
        Step(
            r"z_j+a_{j-1}",
            r"V_ja_{j-1}+b_j, \quad V_j = W_j+I",
            r"A skip connection around a layer without activation. $V_j$ moves as $W_j$ does, "
            r"$\partial f/\partial V_j = G_j$, and the skip connection is gone: below, $W_j$ stands for $V_j$.",
            (SymbolicZero("matrices of any sizes", identity_added),),
        ),
        Step(
            r"\tfrac{d}{dt}\sum_{l\in S}\bigl(\|(W_{l+1})_{:c}\|^2-\|(W_l)_{c:}\|^2-(b_l)_c^2\bigr)",
            r"0",
            r"The derivative in $s$ at 0: $\sum_l\langle(W_l)_{c:},(G_l)_{c:}\rangle+(b_l)_c(g_l)_c = "
            r"\sum_l\langle(W_{l+1})_{:c},(G_{l+1})_{:c}\rangle$.",
            (
                SymbolicZero("one weight in, its bias, one weight out", first_order, "checked exactly"),
                identity(STATEMENT, "flow, each unit", GATED, GATED_SCOPE),
                identity(STATEMENT, "flow, each unit", LINEAR, LINEAR_SCOPE),
            ),
        ),
        Step(
            r"\tfrac{d}{dt}\sum_{l\in S}\bigl(\|W_{l+1}\|_F^2-\|W_l\|_F^2-\|b_l\|^2\bigr)",
            r"0",
            "The sum over the units.",
            (identity(STATEMENT, "flow, norms", GATED, GATED_SCOPE),),
        ),
        Step(
            r"\sum_{l\in S}G_lW_l^\top+g_lb_l^\top",
            r"\sum_{l\in S}W_{l+1}^\top G_{l+1}",
            r"Without activations $e^{sA}W_l$, $e^{sA}b_l$ and $W_{l+1}e^{-sA}$ change nothing, for every matrix $A$.",
            (SymbolicZero("matrices of any sizes", matrices_of_any_size),),
        ),
        Step(
            r"\tfrac{d}{dt}\sum_{l\in S}\bigl(W_{l+1}^\top W_{l+1}-W_lW_l^\top-b_lb_l^\top\bigr)",
            r"0",
            r"Step 5 plus its transpose, as in R10 with $[W_l\ b_l]$ in place of $W_l$.",
            (
                SymbolicZero("matrices of any sizes", lambda: with_bias(1)),
                identity(STATEMENT, "flow, linear", LINEAR, LINEAR_SCOPE),
            ),
        ),
        Step(
            r"\sum_{l\in S}(\cdots)\big|_{\theta-\eta g}-\sum_{l\in S}(\cdots)\big|_\theta",
            r"\eta^2\sum_{l\in S}\bigl(G_{l+1}^\top G_{l+1}-G_lG_l^\top-g_lg_l^\top\bigr)",
            r"Expand: the terms in $\eta$ are those of step 6, and of step 3 for one unit.",
            (
                SymbolicZero("matrices of any sizes", lambda: with_bias(2)),
                identity(STATEMENT, "descent, linear", LINEAR, LINEAR_SCOPE),
                identity(STATEMENT, "descent, each unit", GATED, GATED_SCOPE),
            ),
        ),
    ),
    controls=(
        Control("R10 for a network with biases: the law without them", identity(conserved(over(_PLAIN)), "", [BIASED])),
        Control("biases with the other sign", identity(conserved(over(_OTHER_SIGN)), "", [BIASED])),
        Control("each layer by itself, past a skip connection", identity(EACH, EACH.claims[0].label, [RESIDUAL])),
        Control("a layer that the input is added to", identity(EACH, EACH.claims[0].label, [FROM_INPUT])),
        Control("all of the matrix with gates, not only its diagonal", identity(MATRICES, "flow, linear", [BIASED])),
        Control("0.99 of the drift", identity(altered(STATEMENT, "descent, linear", FEWER), "descent, linear", LINEAR)),
        Control("twice the identity", SymbolicZero("", lambda: identity_added(2))),
        Control("layer 1 of the residual block alone, in symbols", SymbolicZero("", lambda: invariance(False))),
        Control("the layer that reads with the wrong sign", SymbolicZero("", lambda: matrices_of_any_size(1))),
    ),
    notation=(
        r"$z_l = W_la_{l-1}+b_l$, $a_l = \sigma(z_l)+\sum_{(i,l)}a_i$; $G_l = \partial f/\partial W_l$, "
        r"$g_l = \partial f/\partial b_l$, $\theta$ on no kink",
        r"$S$: a class of hidden layers under ``a skip connection joins them''; pools pass a class on",
    ),
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
