r"""R10: balancedness is conserved by gradient flow, and drifts by a closed form along descent.

    D_j = W_{j+1}^T W_{j+1} - W_j W_j^T:    linear networks: D_j' = 0;    with gates: its diagonal;
    descent adds eta^2 (G_{j+1}^T G_{j+1} - G_j G_j^T) exactly.

(Arora, Cohen & Hazan 2018; Du, Hu & Lee 2018; the drift of descent is ours.)

Run: python -m derivations.r10_balancedness
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import partial

import sympy

import symflow as sf
from symflow.proofs import Control, Derivation, IdentityTest, Step, SymbolicZero
from symflow.proofs.claims import Case, altered, claim_identity
from symflow.proofs.networks import WIDTHS
from symflow.proofs.words import inner, matrices, transposed
from symflow.report.derivations import run
from symflow.theory.r10_balancedness import BALANCEDNESS
from symflow.theory.statement import Claim, Statement
from symflow.theory.terms import Chain, Derivative, G, Number, Range, W, grad_phi, j, n

STATEMENT = BALANCEDNESS.statement
DEPTHS = [depth for depth in WIDTHS if depth >= 2]
NETWORKS = [Case(str(widths), sf.FullyConnected(widths)) for widths in WIDTHS.values()]
DEEP = NETWORKS[1:]
RELU = Case("ReLU 2-3-3-2", sf.FullyConnected((2, 3, 3, 2), 1, 0))
GATED = [
    RELU,
    Case("slopes 3/2 and -4/7", sf.FullyConnected((2, 3, 2, 1), "3/2", "-4/7")),
    Case(
        "convolutions, average pooling, dense",
        sf.Convolutional(
            (1, 6),
            (
                sf.Convolution(2, (3,), (1,), (1,)),
                sf.Pool("average", (2,), (1,)),
                sf.Convolution(2, (2,), (2,), (0,)),
                sf.Dense(1),
            ),
            1,
            "1/5",
        ),
    ),
    Case(
        "convolution, max pooling, dense",
        sf.Convolutional((1, 4), (sf.Convolution(2, (2,), (1,), (0,)), sf.Pool("max", (2,), (1,)), sf.Dense(1)), 1, 0),
    ),
]
GRADIENT = Statement(
    "R7",
    "the gradient of a deep linear network",
    (Claim("", G(j), "=", Chain(n, j + 1).T * grad_phi * Chain(j - 1, 1).T, Range(j)),),
    (),
)


# Matrices of any sizes -----------------------------------------------------------------------------------------------


def gradient_word(transposed: Sequence[sympy.Symbol], f: sympy.Symbol, layer: int) -> sympy.Expr:
    """W_{n:j+1}^T F W_{j-1:1}^T, from the transposed weights."""
    return sympy.Mul(*transposed[layer:], f, *transposed[: layer - 1])


def any_depth() -> Iterator[sympy.Expr]:
    """G_j from the first order of R7, and V^T G_V = G W^T, for every n and j.

    U = W_{n:j+2}, V = W_{j+1}, W = W_j, L = W_{j-1:1}, so that W_{n:j+1} = U V and W_{j:1} = W L.
    """
    u, v, w, lower, f, d = matrices("U V W L F D")
    upper_gradient = transposed(u) * f * transposed(w * lower)
    gradient = transposed(u * v) * f * transposed(lower)
    yield inner(f, u * v * d * lower) - inner(gradient, d)
    yield sympy.expand(transposed(v) * upper_gradient - gradient * transposed(w))


def neighbours() -> Iterator[sympy.Expr]:
    """W_{j+1}^T G_{j+1} - G_j W_j^T, n = 2, ..., 6."""
    for depth in DEPTHS:
        transposed = [sympy.Symbol(f"V{layer}", commutative=False) for layer in range(1, depth + 1)]
        f = sympy.Symbol("F", commutative=False)
        for layer in range(1, depth):
            upper, lower = (gradient_word(transposed, f, position) for position in (layer + 1, layer))
            yield transposed[layer] * upper - lower * transposed[layer - 1]


def balance(w: sympy.Expr, wt: sympy.Expr, v: sympy.Expr, vt: sympy.Expr, sign: int) -> sympy.Expr:
    """V^T V - W W^T for a layer W and the next one V; the sign is -1."""
    return sympy.expand(vt * v + sign * w * wt)


def increments(order: int, sign: int = -1, power: int = 2) -> Iterator[sympy.Expr]:
    """Coefficients of eta (order 1) or the rest (order 2) of D_j at W - eta G, given V^T G_V = G W^T = S.

    `power` is the one of eta in the stated drift.
    """
    eta = sympy.Symbol("eta")
    w, wt, v, vt = sympy.symbols("W Wt V Vt", commutative=False)
    g, gt, k, kt, s, st = sympy.symbols("G Gt K Kt S St", commutative=False)
    after = balance(w - eta * g, wt - eta * gt, v - eta * k, vt - eta * kt, sign)
    products = {vt * k: s, kt * v: st, g * wt: s, w * gt: st}
    change = sympy.expand(after - balance(w, wt, v, vt, sign)).subs(products)
    if order == 1:
        yield sympy.expand(change).coeff(eta, 1)
    else:
        yield sympy.expand(change - eta**power * (kt * k - g * gt))


def rescaling() -> Iterator[sympy.Expr]:
    """(1/c) sigma(c z) = sigma(z), c > 0, on both sides of the kink: scaling a unit in and out changes nothing.

    Then, for W_in -> e^r W_in, W_out -> e^{-r} W_out, the derivative in r is <W_in, G_in> - <W_out, G_out>.
    """
    c, z = sympy.symbols("c z", positive=True)
    for sign, slope in ((1, sympy.Symbol("alpha")), (-1, sympy.Symbol("alpha_bar"))):
        yield slope * (c * sign * z) / c - slope * sign * z
    r, a, b, f = *sympy.symbols("r a b"), sympy.Function("f")
    moved = f(a * sympy.exp(r), b * sympy.exp(-r)).diff(r).doit().subs(r, 0).doit()
    yield moved - (a * f(a, b).diff(a) - b * f(a, b).diff(b))


# The package's formulas ----------------------------------------------------------------------------------------------


def tested(stated: Statement, label: str, cases: Sequence[Case], scope: str) -> IdentityTest:
    """A claim at random weights, data and step sizes."""
    return claim_identity(stated, label, scope, cases, lambda case: 4 * case.network.depth + 6)


LINEAR_SCOPE = r"square loss, one linear network for each depth $n = 2,\dots,6$"
GATED_SCOPE = "ReLU, general slopes, convolutions with average and with max pooling; in the regions of the points"


def everywhere(label: str) -> tuple[IdentityTest, IdentityTest]:
    """A claim about units or layers, on linear and on gated networks."""
    return tested(STATEMENT, label, DEEP, LINEAR_SCOPE), tested(STATEMENT, label, GATED, GATED_SCOPE)


SUM = Statement(
    "R10",
    "a wrong balancedness",
    (
        Claim(
            "",
            Derivative(W(j + 1).T * W(j + 1) + W(j) * W(j).T, "flow"),
            "=",
            Number(sympy.Integer(0)),
            Range(j, 1, n - 1),
        ),
    ),
    (),
)

DERIVATION = Derivation(
    proves=BALANCEDNESS,
    steps=(
        Step(
            r"W_{j+1}^\top G_{j+1}",
            r"G_jW_j^\top = W_{n:j+1}^\top\,\nabla\varphi\,W_{j:1}^\top",
            r"Linear networks: $G_j = W_{n:j+1}^\top\nabla\varphi\,W_{j-1:1}^\top$, the first order of R7.",
            (
                SymbolicZero(r"matrices of any sizes, every $n$ and $j$", any_depth),
                SymbolicZero(r"written out for $n = 2,\dots,6$", neighbours, "checked exactly"),
                claim_identity(
                    GRADIENT,
                    "",
                    r"the gradient, square loss, one linear network for each depth $n = 1,\dots,6$",
                    NETWORKS,
                    lambda case: 2 * case.network.depth + 2,
                ),
            ),
        ),
        Step(
            r"\tfrac{d}{dt}D_j",
            r"-(S^\top+S)+(S+S^\top) = 0, \quad S = W_{j+1}^\top G_{j+1} = G_jW_j^\top",
            r"Product rule and step 1.",
            (
                SymbolicZero("matrices of any sizes", partial(increments, 1)),
                tested(STATEMENT, "flow", DEEP, LINEAR_SCOPE),
            ),
        ),
        Step(
            r"D_j\big|_{\theta-\eta g}-D_j\big|_\theta",
            r"\eta^2(G_{j+1}^\top G_{j+1}-G_jG_j^\top)",
            r"Expand; the coefficient of $\eta$ is that of step 2, and there is none beyond $\eta^2$.",
            (
                SymbolicZero("matrices of any sizes", partial(increments, 2)),
                tested(STATEMENT, "descent", DEEP, LINEAR_SCOPE),
            ),
        ),
        Step(
            r"\tfrac{d}{dt}\bigl(\|(W_{j+1})_{:c}\|^2-\|(W_j)_{c:}\|^2\bigr)",
            r"0",
            r"With gates: multiply the weights into unit (or channel) $c$ of layer $j$ by $e^r$ and those out of it by "
            r"$e^{-r}$.  By homogeneity no gate and no output changes, so the derivative of $f$ in $r$ vanishes: "
            r"$\langle(W_j)_{c:},(G_j)_{c:}\rangle = \langle(W_{j+1})_{:c},(G_{j+1})_{:c}\rangle$.",
            (
                SymbolicZero(
                    r"every $\alpha$, $\bar\alpha$ and $c = e^r$; the derivative for one weight in, one out",
                    rescaling,
                    "checked exactly",
                ),
                *everywhere("flow, each unit or channel"),
            ),
        ),
        Step(
            r"\tfrac{d}{dt}\bigl(\|W_{j+1}\|_F^2-\|W_j\|_F^2\bigr)",
            r"0",
            "The sum over the units.",
            everywhere("flow, norms"),
        ),
        Step(
            r"(D_j)_{cc}\big|_{\theta-\eta g}-(D_j)_{cc}\big|_\theta",
            r"\eta^2\bigl(\|(G_{j+1})_{:c}\|^2-\|(G_j)_{c:}\|^2\bigr)",
            "As in step 3; the step may cross kinks, as only the gradient at $\\theta$ enters.",
            everywhere("descent, each unit or channel"),
        ),
    ),
    controls=(
        Control(r"$W_{j+1}^\top W_{j+1}+W_jW_j^\top$ in place of $D_j$", tested(SUM, "", DEEP, "")),
        Control("all of $D_j$ with gates, not only its diagonal", tested(STATEMENT, "flow", [RELU], "")),
        Control(
            r"the drift with $-\eta^2$ in place of $\eta^2$",
            tested(altered(STATEMENT, "descent", lambda right: -right), "descent", DEEP, ""),
        ),
        Control(
            r"the drift with $\eta$ in place of $\eta^2$, in symbols", SymbolicZero("", partial(increments, 2, power=1))
        ),
        Control(
            "0.99 of the drift of a unit",
            tested(
                altered(
                    STATEMENT,
                    "descent, each unit or channel",
                    lambda right: Number(sympy.Rational(99, 100)) * right,
                ),
                "descent, each unit or channel",
                GATED,
                "",
            ),
        ),
        Control("the wrong sign in $D_j$, in symbols", SymbolicZero("", partial(increments, 1, sign=1))),
    ),
    notation=(
        r"$G_j = \partial f/\partial W_j$, $\theta$ on no kink; flow: $\dot W_j = -G_j$; descent: $W_j \to W_j - "
        r"\eta G_j$",
    ),
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
