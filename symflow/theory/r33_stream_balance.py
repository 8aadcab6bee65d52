r"""R33: what biases and skip connections leave of balancedness.

Let S be a set of hidden layers whose outputs skip connections add up, joined neither to the input nor to the output.
Unit c of all of them is written by the rows c of W_l and b_l and read by the columns c of W_{l+1}, l in S. Multiply
what writes by e^s and what reads by e^-s: where the activations are homogeneous, h stays, so that
sum_l <(W_l)_c:, (G_l)_c:> + (b_l)_c (g_l)_c = sum_l <(W_{l+1})_:c, (G_{l+1})_:c>. For linear layers e^{sA} with any A.

A skip connection (j-1, j) around a layer without activation adds the identity: z_j + a_{j-1} = V_j a_{j-1} + b_j with
V_j = W_j + I, and V_j' = W_j'. So V_j takes the place of W_j, and the skip connection joins nothing.
"""

from __future__ import annotations

import sympy

from symflow.theory.architecture_checks import LINEAR_STREAMS, STREAMS
from symflow.theory.result import OURS, SOURCES, Result
from symflow.theory.statement import Claim
from symflow.theory.terms import (
    Derivative,
    G,
    Increment,
    Index,
    Letter,
    Members,
    Named,
    Number,
    Power,
    S,
    Streams,
    Term,
    c,
    frobenius,
    l,
    total,
)

_TWO, _ZERO = sympy.Integer(2), Number(sympy.Integer(0))
_SQUARE_STEP = Power(Letter("eta"), _TWO)


def V(layer: Index) -> Letter:
    """W_j, or W_j + I where a skip connection leads around a layer without activation."""
    return Letter("V", (layer,))


def over(body: Term) -> Term:
    """The sum over the layers of S."""
    return total(Members(l, S), body)


def units(weights: str, bias: str) -> Term:
    """What reads unit c less what writes it: squares of columns, of rows and of entries of biases."""
    outwards, inwards = Letter(f"{weights}_out", (l + 1, c)), Letter(f"{weights}_in", (l, c))
    squares = [Power(frobenius(outwards), _TWO), Power(frobenius(inwards), _TWO), Power(Letter(bias, (l, c)), _TWO)]
    return squares[0] - squares[1] - squares[2]


UNIT = Named("B", (S, c), over(units("V", "b_unit")))
LAYERS = over(
    Power(frobenius(V(l + 1)), _TWO) - Power(frobenius(V(l)), _TWO) - Power(frobenius(Letter("b", (l,))), _TWO)
)
MATRIX = Named("D", (S,), over(V(l + 1).T * V(l + 1) - V(l) * V(l).T - Letter("b_square", (l,))))
_MATRIX_DRIFT = _SQUARE_STEP * over(G(l + 1).T * G(l + 1) - G(l) * G(l).T - Letter("g_square", (l,)))
STREAM_BALANCE = Result(
    "R33",
    "stream-balance",
    "balancedness with biases and skip connections",
    "balancedness with biases and skip connections: a law for each unit that skip connections pass on, and its drift",
    f"{OURS}, from R10; without biases a unit of a residual block: {SOURCES['MGP25']}",
    (STREAMS,),
    (
        Claim("flow, each unit", Derivative(UNIT, "flow"), "=", _ZERO, Streams(S)),
        Claim("flow, norms", Derivative(LAYERS, "flow"), "=", _ZERO, Streams(S)),
        Claim("flow, linear", Derivative(MATRIX, "flow"), "=", _ZERO, Streams(S, True), (LINEAR_STREAMS,)),
        Claim("descent, each unit", Increment(UNIT), "=", _SQUARE_STEP * over(units("G", "g_unit")), Streams(S)),
        Claim("descent, linear", Increment(MATRIX), "=", _MATRIX_DRIFT, Streams(S, True), (LINEAR_STREAMS,)),
    ),
    remark=r"The last bias belongs to no law. Skip connections to the input or to the output end the laws of the "
    r"layers that they join, but around a layer without activation; without them $S = \{j\}$. $b_l = 0$ where layer "
    r"$l$ has no bias. Away from kinks.",
    derivations=("r33_stream_balance",),
)
