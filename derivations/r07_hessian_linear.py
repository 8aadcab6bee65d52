r"""R7: the Hessian quadratic form of a deep linear network (Elkabetz & Cohen 2021).

    H[Delta, Delta] = hess phi[A, A] + 2 Tr(grad phi^T B),    A = sum_j W_{n:j+1} Delta_j W_{j-1:1},
    B = sum_{j<j'} W_{n:j'+1} Delta_{j'} W_{j'-1:j+1} Delta_j W_{j-1:1}

The end-to-end matrix along theta + t Delta is a polynomial in t with matrix coefficients; its first and second
coefficients follow by induction on the depth, in noncommuting symbols, and the chain rule does the rest.

Run: python -m derivations.r07_hessian_linear
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from math import prod

import sympy

import symflow as sf
from symflow.proofs import Control, Derivation, IdentityTest, Step, SymbolicZero
from symflow.proofs.claims import Case, altered, claim_identity
from symflow.proofs.networks import WIDTHS
from symflow.proofs.words import inner, matrices, transposed
from symflow.report.derivations import run
from symflow.theory.r07_hessian_linear import HESSIAN_LINEAR
from symflow.theory.statement import Statement
from symflow.theory.terms import Chain, Delta, Pairs, Sum, Term, Trace, grad_phi, j, k, n, total

DEPTHS = tuple(WIDTHS)


# The curve of end-to-end matrices, in symbols that do not commute ----------------------------------------------------


def symbols(letter: str, depth: int) -> list[sympy.Symbol]:
    """letter_1, ..., letter_n: matrices of any sizes."""
    return [sympy.Symbol(f"{letter}{layer}", commutative=False) for layer in range(1, depth + 1)]


def word(w: Sequence[sympy.Symbol], top: int, bottom: int) -> sympy.Expr:
    """W_{top:bottom}."""
    return prod((w[layer - 1] for layer in range(top, bottom - 1, -1)), start=sympy.Integer(1))


def first_order(w: Sequence[sympy.Symbol], d: Sequence[sympy.Symbol]) -> sympy.Expr:
    """sum_j W_{n:j+1} Delta_j W_{j-1:1}."""
    n = len(w)
    return sympy.Add(*(word(w, n, j + 1) * d[j - 1] * word(w, j - 1, 1) for j in range(1, n + 1)))


def second_order(w: Sequence[sympy.Symbol], d: Sequence[sympy.Symbol]) -> sympy.Expr:
    """sum_{j<k} W_{n:k+1} Delta_k W_{k-1:j+1} Delta_j W_{j-1:1}."""
    n = len(w)
    pairs = [(j, k) for k in range(1, n + 1) for j in range(1, k)]
    return sympy.Add(
        *(word(w, n, k + 1) * d[k - 1] * word(w, k - 1, j + 1) * d[j - 1] * word(w, j - 1, 1) for j, k in pairs)
    )


def expansion() -> Iterator[sympy.Expr]:
    """Coefficients of t and t^2 in (W_n + t Delta_n) ... (W_1 + t Delta_1), n = 1, ..., 6."""
    t = sympy.Symbol("t")
    for depth in DEPTHS:
        w, d = symbols("W", depth), symbols("Delta", depth)
        curve = sympy.expand(word([a + t * b for a, b in zip(w, d, strict=True)], depth, 1))
        yield curve.coeff(t, 1) - first_order(w, d)
        yield curve.coeff(t, 2) - second_order(w, d)


def induction() -> Iterator[sympy.Expr]:
    """One more layer: P, A, B (coefficients of 1, t, t^2 at depth n) become W P, Delta P + W A, Delta A + W B."""
    t = sympy.Symbol("t")
    w, d, p, a, b, rest = sympy.symbols("W Delta P A B R", commutative=False)
    curve = sympy.expand((w + t * d) * (p + t * a + t**2 * b + t**3 * rest))
    yield curve.coeff(t, 0) - w * p
    yield curve.coeff(t, 1) - (d * p + w * a)
    yield curve.coeff(t, 2) - (d * a + w * b)


def generic_terms() -> Iterator[sympy.Expr]:
    """The terms of the stated sums at depth n + 1, every n: W times those at depth n, and those with the new layer.

    U, V, L stand for W_{n:j'+1}, W_{j'-1:j+1}, W_{j-1:1}; one more layer makes W U of the first. The new terms have
    j = n + 1: Delta W_{n:1}; or j' = n + 1: Delta W_{n:j+1} Delta_j W_{j-1:1}, Delta times a term of A.
    """
    w, new, upper, mid, lower, d, later = matrices("W N U V L D E")
    yield (w * upper) * d * lower - w * (upper * d * lower)
    yield (w * upper) * later * mid * d * lower - w * (upper * later * mid * d * lower)
    yield new * upper * d * lower - new * (upper * d * lower)


def splitting() -> Iterator[sympy.Expr]:
    """The stated sums obey the same recursion: the terms with the new layer, and W times the others."""
    for depth in DEPTHS[:-1]:
        w, d = symbols("W", depth + 1), symbols("Delta", depth + 1)
        below = w[:-1], d[:-1]
        yield sympy.expand(first_order(w, d) - d[-1] * word(w, depth, 1) - w[-1] * first_order(*below))
        yield sympy.expand(second_order(w, d) - d[-1] * first_order(*below) - w[-1] * second_order(*below))


# The chain rule -----------------------------------------------------------------------------------------------------


def chain_rule() -> Iterator[sympy.Expr]:
    """d^2/dt^2 phi(M(t)) for any phi of a 1 x 2 matrix and any curve M."""
    t = sympy.Symbol("t")
    x = sympy.symbols("x1:3")
    curve = [sympy.Function(f"M{i}")(t) for i in (1, 2)]
    phi = sympy.Function("phi")
    at_curve = dict(zip(x, curve, strict=True))
    slope = [phi(*x).diff(a) for a in x]
    bent = sum(
        phi(*x).diff(a, b).subs(at_curve).doit() * at_curve[a].diff(t) * at_curve[b].diff(t) for a in x for b in x
    )
    pulled = sum(s.subs(at_curve).doit() * m.diff(t, 2) for s, m in zip(slope, curve, strict=True))
    yield phi(*curve).diff(t, 2).doit() - bent - pulled


def square_loss() -> Iterator[sympy.Expr]:
    """phi(W) = 1/(2N) ||W X - Y||_F^2: gradient and second derivative along W + t A."""
    t, samples = sympy.symbols("t N", positive=True)
    w, a, x, y = matrices("W A X Y")
    residual = (w + t * a) * x - y
    phi = inner(residual, residual) / (2 * samples)
    sigma, moment = x * transposed(x) / samples, y * transposed(x) / samples
    yield phi.diff(t).subs(t, 0) - inner(w * sigma - moment, a)
    yield phi.diff(t, 2) - inner(a * sigma, a)


# The package's formula against its differentiator --------------------------------------------------------------------

STATEMENT = HESSIAN_LINEAR.statement
NETWORKS = [Case(str(widths), sf.FullyConnected(widths)) for widths in WIDTHS.values()]


def with_cross_terms(cross: Term) -> Statement:
    """The statement with its second summand changed."""

    def changed(right: Term) -> Term:
        assert isinstance(right, Sum)
        return right.terms[0] + cross

    return altered(STATEMENT, "", changed)


def comparison(stated: Statement, first: int = 1) -> IdentityTest:
    """The statement, or a wrong one, against d^2/dt^2 f(theta + t Delta) by differentiating the program twice."""
    scope = rf"square loss, one network for each depth $n = {first},\dots,6$ with widths from 1 to 3"
    return claim_identity(stated, "", scope, NETWORKS[first - 1 :], lambda case: 2 * case.network.depth + 2)


def cross(weight: sympy.Expr) -> Term:
    """2 Tr(grad phi^T sum_{j<j'} weight W_{n:j'+1} Delta_{j'} W_{j'-1:j+1} Delta_j W_{j-1:1}); the weight is 1."""
    pair = Chain(n, k + 1) * Delta(k) * Chain(k - 1, j + 1) * Delta(j) * Chain(j - 1, 1)
    return 2 * Trace(grad_phi.T * total(Pairs(j, k), weight * pair))


DERIVATION = Derivation(
    proves=HESSIAN_LINEAR,
    steps=(
        Step(
            r"M(t) = (W_n + t\Delta_n)\cdots(W_1 + t\Delta_1)",
            r"W_{n:1} + tA + t^2B + O(t^3), \quad B = \sum_{j<j'} W_{n:j'+1}\Delta_{j'}W_{j'-1:j+1}\Delta_jW_{j-1:1}",
            r"Choose $t\Delta_j$ in one factor (this is $A = \sum_j W_{n:j+1}\Delta_jW_{j-1:1}$) or in two. By "
            r"induction: one more layer turns $(W_{n:1}, A, B)$ into $(W_{n+1:1}, \Delta_{n+1}W_{n:1} + W_{n+1}A, "
            r"\Delta_{n+1}A + W_{n+1}B)$, and the sums split in the same way.",
            (
                SymbolicZero(r"matrices of any sizes, the induction step for every $n$", induction),
                SymbolicZero("matrices of any sizes, the splitting of the sums for every $n$", generic_terms),
                SymbolicZero(r"the splitting written out for $n = 1,\dots,5$", splitting, "checked exactly"),
                SymbolicZero(r"directly for $n = 1,\dots,6$", expansion, "checked exactly"),
            ),
        ),
        Step(
            r"\tfrac{d^2}{dt^2}\varphi(M(t))",
            r"\nabla^2\varphi[M',M'] + \langle\nabla\varphi, M''\rangle",
            "Chain rule.",
            (SymbolicZero(r"every $\varphi$ of two variables and every curve", chain_rule, "checked exactly"),),
        ),
        Step(
            r"H[\Delta,\Delta]",
            r"\nabla^2\varphi[A,A] + 2\operatorname{Tr}(\nabla\varphi^\top B)",
            r"Steps 1 and 2 at $t = 0$: $M'(0) = A$, $M''(0) = 2B$ and $\langle P,Q\rangle = "
            r"\operatorname{Tr}(P^\top Q)$.",
            (comparison(STATEMENT),),
        ),
        Step(
            r"\nabla^2\varphi[A,A]",
            r"\langle A\Sigma_{xx}, A\rangle, \quad \nabla\varphi(W) = W\Sigma_{xx} - \Lambda_{yx}",
            r"The square loss, $\varphi(W) = \frac1{2N}\|WX-Y\|_F^2$.",
            (SymbolicZero("matrices of any sizes", square_loss),),
        ),
    ),
    controls=(
        Control(
            "the factor 2 before the trace is 1.98",
            comparison(with_cross_terms(cross(sympy.Rational(99, 100))), first=2),
        ),
        Control(r"each pair weighted with $j'-j$", comparison(with_cross_terms(cross(k - j)), first=3)),
    ),
    notation=(
        r"$\varphi \in C^2$ and any widths; $H[\Delta,\Delta] = \frac{d^2}{dt^2} f(\theta+t\Delta)\big|_{t=0}$, "
        r"$\Delta = (\Delta_1,\dots,\Delta_n)$",
    ),
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
