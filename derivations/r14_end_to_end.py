r"""R14: the end-to-end matrix of a balanced deep linear network moves by itself.

    W' = -sum_j (W W^T)^{(n-j)/n} grad phi(W) (W^T W)^{(j-1)/n},    W = W_{n:1},  A^0 = I

(Arora, Cohen & Hazan 2018). Tested exactly: W_j = U_j S U_{j-1}^T with rational orthogonal U_j (Cayley transforms) and
a rational diagonal S is exactly balanced, and all powers are rational.

Run: python -m derivations.r14_end_to_end
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import partial
from itertools import pairwise

import flint
import numpy as np
import sympy

import symflow as sf
from symflow.proofs import Control, Derivation, Draw, IdentityTest, Step, SymbolicZero
from symflow.proofs.claims import Case, altered, claim_identity, drawn_objective
from symflow.proofs.networks import WIDTHS, chain, flat
from symflow.proofs.words import matrices, transposed
from symflow.report.derivations import run
from symflow.theory.r14_end_to_end import END_TO_END
from symflow.theory.statement import Claim, Statement
from symflow.theory.terms import Chain, Derivative, Power, Range, Term, grad_phi, j, n, total

CASES = {
    1: (2, 3),
    2: (2, 3, 2),
    3: (3, 2, 2, 3),
    4: (2, 2, 3, 2, 2),
    5: (2, 1, 2, 3, 1, 2),
    6: (2, 2, 2, 2, 2, 2, 2),
}
"""Widths for each depth; where an outer layer is wider than another, W W^T or W^T W is singular."""
DEPTHS = tuple(CASES)
MAX_WIDTH = 3


# Exactly balanced weights -------------------------------------------------------------------------------------------


def orthogonal(draw: Draw, size: int) -> np.ndarray:
    """(I + A)^-1 (I - A), A skew with drawn entries."""
    skew = [[Fraction(0)] * size for _ in range(size)]
    for row in range(size):
        for column in range(row):
            entry = draw.number()
            skew[row][column], skew[column][row] = entry, -entry

    def plus_identity(sign: int) -> flint.fmpq_mat:
        entries = [int(sign * skew[row][c]) + int(row == c) for row in range(size) for c in range(size)]
        return flint.fmpq_mat(size, size, entries)

    solved = plus_identity(1).solve(plus_identity(-1))
    found = np.empty((size, size), dtype=object)
    for row, column in np.ndindex(size, size):
        entry = solved[row, column]
        found[row, column] = Fraction(int(entry.p), int(entry.q))
    return found


def balanced(widths: Sequence[int], draw: Draw) -> list[np.ndarray]:
    """W_j = U_j S U_{j-1}^T: W_{j+1}^T W_{j+1} = U_j S^2 U_j^T = W_j W_j^T."""
    rank = min(widths)
    singular = draw.array(rank)
    frames = [orthogonal(draw, width)[:, :rank] for width in widths]
    return [(after * singular).dot(before.T) for before, after in pairwise(frames)]


def degree(factors: int) -> int:
    """A bound on the degree of a product of so many weights times det(I + A_j) powers, in the drawn numbers.

    An entry of U_j is one of adj(I + A) (I - A) over det(I + A), of degree d_j; one of W_j has 2 d + 1.
    """
    return factors * (2 * MAX_WIDTH + 1) + 4


def definition(widths: tuple[int, ...], draw: Draw) -> Iterator[Fraction]:
    """D_j of the drawn weights."""
    w = balanced(widths, draw)
    for before, after in pairwise(w):
        yield from (after.T.dot(after) - before.dot(before.T)).flat


# The proof ----------------------------------------------------------------------------------------------------------

STATEMENT = END_TO_END.statement
_END = Derivative(Chain(n, 1), "flow")
UNBALANCED = Statement(
    "R14",
    "end-to-end dynamics of any deep linear network",
    (
        Claim(
            "",
            _END,
            "=",
            -total(Range(j), Chain(n, j + 1) * Chain(n, j + 1).T * grad_phi * Chain(j - 1, 1).T * Chain(j - 1, 1)),
        ),
    ),
    STATEMENT.hypotheses,
)
NETWORKS = [Case(str(widths), sf.FullyConnected(widths)) for widths in WIDTHS.values()]


def matrix_product(*factors: sympy.Expr) -> sympy.Expr:
    """The product of matrices of any sizes."""
    return sympy.Mul(*factors)


def one_more_power() -> Iterator[sympy.Expr]:
    """W (W^T W)^{m+1} W^T = (W W^T) (W (W^T W)^m W^T), M = (W^T W)^m: the step from m to m + 1; m = 0 is W W^T."""
    w, m = matrices("W M")
    yield w * (transposed(w) * w) * m * transposed(w) - (w * transposed(w)) * (w * m * transposed(w))


def telescoping(swapped: bool = False) -> Iterator[sympy.Expr]:
    """W (W^T W)^m W^T = (W W^T)^{m+1} and W^T (W W^T)^m W = (W^T W)^{m+1}."""
    w, v = sympy.symbols("W V", commutative=False)  # V = W^T
    for m in range(len(DEPTHS) + 1):
        longer = [v, w] * (m + 1) if swapped else [w, v] * (m + 1)
        yield matrix_product(w, *([v, w] * m), v) - matrix_product(*longer)
        yield matrix_product(v, *([w, v] * m), w) - matrix_product(*longer[::-1])


def chains(shift: int, exact: bool, widths: tuple[int, ...], draw: Draw) -> Iterator[Fraction]:
    """W_{n:j+1} W_{n:j+1}^T - (W_n W_n^T)^{n-j+shift} and the mirror image; `exact` balances the weights."""
    w = balanced(widths, draw) if exact else draw.matrices(widths)
    depth = len(w)
    top, bottom = w[-1].dot(w[-1].T), w[0].T.dot(w[0])
    for layer in range(depth + 1 - shift):
        above, below = chain(w, depth, layer + 1), chain(w, depth - layer, 1)
        yield from (above.dot(above.T) - power(top, depth - layer + shift)).flat
        yield from (below.T.dot(below) - power(bottom, depth - layer + shift)).flat


def power(matrix: np.ndarray, exponent: int) -> np.ndarray:
    """A whole power of a square matrix."""
    return chain([matrix] * max(exponent, 1), exponent, 1)


def chain_test(shift: int = 0, exact: bool = True) -> IdentityTest:
    """The products of layers as powers; wrong with `shift` 1 or without balance."""
    return IdentityTest(
        r"exactly balanced weights, one network for each depth $n = 1,\dots,6$",
        list(CASES.values()),
        lambda widths: degree(2 * len(widths)),
        partial(chains, shift, exact),
    )


def roots() -> Iterator[sympy.Expr]:
    """(x^n)^{(n-j)/n} = x^{n-j} and (x^n)^{(j-1)/n} = x^{j-1} for the eigenvalues x >= 0, every n and j."""
    x, y = sympy.symbols("x y", positive=True)
    depth, layer = sympy.symbols("n j", positive=True, integer=True)
    yield sympy.powdenest((x**depth) ** ((depth - layer) / depth)) - x ** (depth - layer)
    yield sympy.powdenest((y**depth) ** ((layer - 1) / depth)) - y ** (layer - 1)


def dynamics(stated: Statement, widths: tuple[int, ...], draw: Draw) -> Iterator[Fraction]:
    """Left minus right side of R14 at exactly balanced weights."""
    weights = flat(balanced(widths, draw))
    instance = stated.instantiate(drawn_objective(Case(str(widths), sf.FullyConnected(widths)), draw))
    for left, right in zip(*instance.evaluate("", weights), strict=True):
        yield from (left - right).flat


def dynamics_test(stated: Statement) -> IdentityTest:
    """R14, or a wrong statement, against the derivative of W_{n:1} along symflow's gradient."""
    return IdentityTest(
        r"exactly balanced weights, square loss, one network for each depth $n = 1,\dots,6$ with widths from 1 to 3",
        list(CASES.values()),
        lambda widths: degree(3 * len(widths)),
        partial(dynamics, stated),
    )


def with_powers(left: sympy.Expr, right: sympy.Expr) -> Statement:
    """R14 with other exponents."""
    w = Chain(n, 1)

    def changed(_: Term) -> Term:
        return -total(Range(j), Power(w * w.T, left) * grad_phi * Power(w.T * w, right))

    return altered(STATEMENT, "", changed)


DERIVATION = Derivation(
    proves=END_TO_END,
    steps=(
        Step(
            r"\tfrac{d}{dt}W_{n:1}",
            r"-\sum_{j=1}^n W_{n:j+1}W_{n:j+1}^\top\,\nabla\varphi\,W_{j-1:1}^\top W_{j-1:1}",
            r"Product rule, and $\partial f/\partial W_j = W_{n:j+1}^\top\nabla\varphi\,W_{j-1:1}^\top$ (the first "
            r"order of R7).  No balance is needed.",
            (
                claim_identity(
                    UNBALANCED,
                    "",
                    r"any weights, square loss, one network for each depth $n = 1,\dots,6$",
                    NETWORKS,
                    lambda case: 4 * case.network.depth + 4,
                ),
            ),
        ),
        Step(
            r"W_{j+1}\,(W_{j+1}^\top W_{j+1})^m\,W_{j+1}^\top",
            r"(W_{j+2}^\top W_{j+2})^{m+1}, \quad W_j^\top (W_jW_j^\top)^m\,W_j = (W_{j-1}W_{j-1}^\top)^{m+1}",
            r"$W(W^\top W)^mW^\top = (WW^\top)^{m+1}$ and its mirror, then balance.",
            (
                SymbolicZero("matrices of any sizes, the induction step for every $m$", one_more_power),
                SymbolicZero(r"directly for $m \le 6$", telescoping, "checked exactly"),
                IdentityTest(
                    "the weights with which the next steps are tested are balanced",
                    list(CASES.values())[1:],
                    lambda widths: degree(2),
                    definition,
                ),
            ),
        ),
        Step(
            r"W_{n:j+1}W_{n:j+1}^\top",
            r"(W_nW_n^\top)^{n-j}, \quad W_{j-1:1}^\top W_{j-1:1} = (W_1^\top W_1)^{j-1}",
            r"Step 2 from the inside: $W_{n:j+1}W_{n:j+1}^\top = W_{n:j+2}(W_{j+2}^\top W_{j+2})W_{n:j+2}^\top$, which "
            r"is $W_{n:j+3}(W_{j+3}^\top W_{j+3})^2W_{n:j+3}^\top$, and so on, by induction for every $n$.",
            (chain_test(),),
        ),
        Step(
            r"(W_nW_n^\top)^{n-j}",
            r"(WW^\top)^{(n-j)/n}, \quad (W_1^\top W_1)^{j-1} = (W^\top W)^{(j-1)/n}",
            r"Step 3 with $j = 0$ and $j = n+1$: $WW^\top = (W_nW_n^\top)^n$ and $W^\top W = (W_1^\top W_1)^n$.  A "
            r"positive semidefinite matrix has one positive semidefinite $n$-th root; the power $0$ is $I$ on both "
            r"sides.",
            (SymbolicZero(r"every eigenvalue $x$, $n$ and $j$", roots),),
        ),
        Step(
            r"\dot W",
            r"-\sum_{j=1}^n (WW^\top)^{(n-j)/n}\,\nabla\varphi(W)\,(W^\top W)^{(j-1)/n}",
            "Steps 1, 3 and 4.",
            (dynamics_test(STATEMENT),),
        ),
    ),
    controls=(
        Control(r"$(n-j+1)/n$ in place of $(n-j)/n$", dynamics_test(with_powers((n - j + 1) / n, (j - 1) / n))),
        Control(r"$j/n$ in place of $(j-1)/n$", dynamics_test(with_powers((n - j) / n, j / n))),
        Control(r"$(W_nW_n^\top)^{n-j+1}$ in step 3", chain_test(shift=1)),
        Control("step 3 without balance", chain_test(exact=False)),
        Control(r"$W(W^\top W)^mW^\top = (W^\top W)^{m+1}$", SymbolicZero("", partial(telescoping, swapped=True))),
    ),
    notation=(r"$\dot W_j = -\partial f/\partial W_j$, any widths; balance holds for all $t$ (R10)",),
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
