r"""The language of statements: formulas about networks whose depth n is a symbol.

A term is a tree of the frozen records below. It is written once; `latex.statements` prints it with n
symbolic, `lowering` turns the same tree into typed nodes for a given network. Indices of layers are SymPy integers
(`n`, `j`, `k` printed j', ...). Terms combine with ``+ - *`` (matrix products keep their order) and ``.T``.

    (n - 1) * norm(grad_phi) * maximum(Subsets(J, n - 2), product(Members(j, J), s(j)))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import sympy

Index: TypeAlias = sympy.Expr | int

n = sympy.Symbol("n", integer=True, positive=True)
"""The depth."""
j, k, l, i, c = (sympy.Symbol(name, integer=True) for name in ("j", "j'", "l", "i", "c"))  # noqa: E741 - l as in theory
"""Layers j < j', a layer l, a sample i, a unit or channel c."""
J, S = sympy.Symbol("J"), sympy.Symbol("S")
"""Sets of layers."""


class Term:
    """Base of all terms: the operators that build larger ones."""

    def __add__(self, other: Term) -> Term:
        return Sum((self, other))

    def __sub__(self, other: Term) -> Term:
        return Sum((self, -other))

    def __neg__(self) -> Term:
        return Number(sympy.Integer(-1)) * self

    def __mul__(self, other: Term) -> Term:
        left = self.factors if isinstance(self, Product) else (self,)
        right = other.factors if isinstance(other, Product) else (other,)
        return Product((*left, *right))

    def __rmul__(self, other: Index) -> Term:
        return Number(sympy.sympify(other)) * self

    def __pow__(self, exponent: Index) -> Term:
        return Power(self, sympy.sympify(exponent))

    @property
    def T(self) -> Term:
        """The transpose."""
        return Transpose(self)


# Where an index runs ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Range:
    """index = low, ..., high, but for the layers in `excluding`."""

    index: sympy.Symbol
    low: Index = 1
    high: Index = n
    excluding: tuple[sympy.Symbol, ...] = ()


@dataclass(frozen=True)
class Pairs:
    """1 <= lower < upper <= n."""

    lower: sympy.Symbol
    upper: sympy.Symbol


@dataclass(frozen=True)
class Subsets:
    """The sets of `size` of the layers 1, ..., n, but for those in `excluding`."""

    index: sympy.Symbol
    size: Index
    excluding: tuple[sympy.Symbol, ...] = ()


@dataclass(frozen=True)
class Members:
    """The elements of a set of layers."""

    index: sympy.Symbol
    of: sympy.Symbol


@dataclass(frozen=True)
class Uncrossed:
    """The layers that no skip connection passes."""

    index: sympy.Symbol


@dataclass(frozen=True)
class Streams:
    """The sets of hidden layers whose outputs skip connections add up; of those with whole matrices and no activation.

    Attributes:
        index: a set of layers.
        linear: only sets of linear layers with whole matrices.
    """

    index: sympy.Symbol
    linear: bool = False


Domain: TypeAlias = Range | Pairs | Subsets | Members
Cases: TypeAlias = Range | Uncrossed | Streams
"""Where the free index of a claim runs."""


# Terms --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Number(Term):
    """A number that may depend on n and on other indices."""

    value: sympy.Expr


@dataclass(frozen=True)
class Letter(Term):
    """A quantity that the network, the loss or the data supply, such as W_j; `model` lists them."""

    name: str
    indices: tuple[Index, ...] = ()


@dataclass(frozen=True)
class Chain(Term):
    r"""W_{top:bottom} = W_top ... W_bottom, the identity when top < bottom.

    With gates, per sample: W^{(i)}_{top:bottom} = D_{i,top} W_top ... D_{i,bottom} W_bottom, where D_{i,n} = I.
    """

    top: Index
    bottom: Index
    gated: bool = False


@dataclass(frozen=True)
class Named(Term):
    """A term that prints as a letter with its definition given apart ("with s_j = ||W_j||")."""

    latex: str
    indices: tuple[Index, ...]
    definition: Term


@dataclass(frozen=True)
class Sum(Term):
    """The sum of terms."""

    terms: tuple[Term, ...]


@dataclass(frozen=True)
class Product(Term):
    """The product of matrices, vectors and scalars, in order."""

    factors: tuple[Term, ...]


@dataclass(frozen=True)
class Transpose(Term):
    """The transpose of a matrix or a vector."""

    x: Term


@dataclass(frozen=True)
class Trace(Term):
    """The trace of a square matrix."""

    x: Term


@dataclass(frozen=True)
class Power(Term):
    """A power of a number, or of a symmetric positive semidefinite matrix (with A^0 = I)."""

    x: Term
    exponent: sympy.Expr


@dataclass(frozen=True)
class Norm(Term):
    """The spectral norm of a matrix, the Euclidean norm of a vector; with `frobenius` the root of all squares."""

    x: Term
    frobenius: bool = False


@dataclass(frozen=True)
class Over(Term):
    """A sum, product, maximum or minimum over a domain; the product over none is 1, the other three are 0."""

    operation: Literal["sum", "product", "max", "min"]
    domain: Domain
    body: Term


@dataclass(frozen=True)
class SampleMean(Term):
    """(1/N) sum_i of a term that depends on the sample i."""

    body: Term


@dataclass(frozen=True)
class LargestEigenvalue(Term):
    """lambda_max of the symmetric n x n matrix with zero diagonal and, for j < j', the entries `entry`."""

    entry: Named


@dataclass(frozen=True)
class SecondDerivative(Term):
    """The second derivative of phi (a function of the end-to-end matrix) or of l_i, twice along x."""

    of: Literal["phi", "loss"]
    x: Term


@dataclass(frozen=True)
class Derivative(Term):
    """d^order/dt^order of x at t = 0 along a curve of weights.

    along: "flow" (W_j' = -G_j), "direction" (W_j + t Delta_j), "weights" (W_j + t W_j, of the layer `layer` or all), or
        "weights and biases": also b_l + t b_l for all l >= j, for all layers b_l + t l b_l.
    """

    x: Term
    along: Literal["flow", "direction", "weights", "weights and biases"]
    order: int = 1
    layer: Index | None = None


@dataclass(frozen=True)
class Increment(Term):
    """What one step of gradient descent, W_j -> W_j - eta G_j, adds to x."""

    x: Term


@dataclass(frozen=True)
class Formula(Term):
    """A formula over numbers that whoever evaluates it supplies, made by calling what evaluates it on SymPy symbols."""

    expression: sympy.Expr


# Shorthands ---------------------------------------------------------------------------------------------------------


def W(layer: Index) -> Letter:
    """The weights of a layer."""
    return Letter("W", (layer,))


def Delta(layer: Index) -> Letter:
    """The direction of a layer."""
    return Letter("Delta", (layer,))


def G(layer: Index) -> Letter:
    """The gradient with respect to a layer's weights."""
    return Letter("G", (layer,))


def norm(x: Term) -> Norm:
    """The spectral or Euclidean norm."""
    return Norm(x)


def frobenius(x: Term) -> Norm:
    """The Frobenius norm."""
    return Norm(x, frobenius=True)


def total(domain: Domain, body: Term) -> Over:
    """The sum."""
    return Over("sum", domain, body)


def product(domain: Domain, body: Term) -> Over:
    """The product."""
    return Over("product", domain, body)


def maximum(domain: Domain, body: Term) -> Over:
    """The maximum."""
    return Over("max", domain, body)


def minimum(domain: Domain, body: Term) -> Over:
    """The minimum."""
    return Over("min", domain, body)


def s(layer: Index) -> Named:
    """s_j, the spectral norm of a layer's matrix."""
    return Named("s", (layer,), norm(W(layer)))


def gates(layer: Index) -> Letter:
    """D_{i,j}, the slopes of the activation at sample i and layer j."""
    return Letter("D", (i, layer))


def gated(top: Index, bottom: Index) -> Chain:
    """W^{(i)}_{top:bottom}."""
    return Chain(top, bottom, gated=True)


grad_phi = Letter("grad_phi")
"""The gradient of phi at the end-to-end matrix."""
GRAD_LOSS, SAMPLE = Letter("grad_loss", (i,)), Letter("x", (i,))
"""The gradient of the loss at the prediction for sample i, and the sample."""
SLOPES = Letter("slope") ** (n - 1)
"""max{|alpha|, |alpha_bar|}^(n-1)."""
ERRORS = SampleMean(norm(GRAD_LOSS) * norm(SAMPLE))
"""(1/N) sum_i ||grad l_i|| ||x_i||."""
HESSIAN_FORM = Derivative(Letter("f"), "direction", 2)
"""H[Delta, Delta]."""
LAMBDA_MIN = Letter("lambda_min")
"""The smallest eigenvalue of the Hessian."""


def children(term: Term) -> tuple[Term, ...]:
    """The terms directly below one."""
    if isinstance(term, Sum):
        return term.terms
    if isinstance(term, Product):
        return term.factors
    if isinstance(term, Transpose | Trace | Power | Norm | SecondDerivative | Derivative | Increment):
        return (term.x,)
    if isinstance(term, Over | SampleMean):
        return (term.body,)
    if isinstance(term, LargestEigenvalue):
        return (term.entry,)
    if isinstance(term, Named):
        return (term.definition,)
    return ()
