r"""R11: gradient flow from near-zero weights has roughly convex curvature.

Linear networks, ||W_j(0)||_F <= eps, w = ||W_{n:1}||, d = max_j ||D_j|| <= eps^2:

    s_j^2 <= w^{2/n} + (3/2)(n-1) d,    lambda_min(H) >= -(n-1) ||grad phi|| (w^{2/n} + (3/2)(n-1) eps^2)^{(n-2)/2}.

Key lemma: the top right singular vector v of W_1 is followed through P_k = W_{k:1} v. (Elkabetz & Cohen 2021; the
constant is ours.) All inequalities hold for any weights with these D_j, so the search ranges over weights.

Run: python -m derivations.r11_roughly_convex
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import jax.numpy as jnp
import sympy

import symflow as sf
from symflow.proofs import Control, Derivation, Inequality, Lemma, NonnegativeCoefficients, Step, SymbolicZero
from symflow.proofs.claims import Case, claim_inequality
from symflow.proofs.lemmas import CAUCHY_SCHWARZ, RAYLEIGH, SUBMULTIPLICATIVITY, WEYL
from symflow.report.derivations import run
from symflow.theory.r11_roughly_convex import ROUGHLY_CONVEX
from symflow.theory.statement import Claim, Statement
from symflow.theory.terms import (
    LAMBDA_MIN,
    Chain,
    Letter,
    Power,
    Range,
    Term,
    W,
    grad_phi,
    j,
    maximum,
    n,
    norm,
)

STATEMENT = ROUGHLY_CONVEX.statement
SHAPES = [(1, 1, 1, 1), (2, 2, 2), (2, 2, 3, 2), (1, 2, 2, 2, 1), (1, 1, 1, 1, 1, 1, 1)]
"""Widths of the weights that the search moves."""
THREE_HALVES = sympy.Rational(3, 2)
MONOTONE = Lemma("monotonicity", r"Products and powers of numbers $\ge 0$ grow with each of them.")


# Matrices of any sizes -----------------------------------------------------------------------------------------------


def propagation() -> Iterator[sympy.Expr]:
    """||V P||^2 = ||W^T P||^2 + P^T D P with D = V^T V - W W^T; and <W^T P, Q> = ||P||^2 for P = W Q."""
    v, vt, w, wt, p, pt, q, qt = sympy.symbols("V Vt W Wt P Pt Q Qt", commutative=False)
    yield sympy.expand(pt * vt * v * p - pt * w * wt * p - pt * (vt * v - w * wt) * p)
    yield (pt * w * q).subs({pt: qt * wt}) - qt * wt * w * q


def mirror() -> Iterator[sympy.Expr]:
    """W_j -> W_{n+1-j}^T turns D_j into -D_{n-j}, here for two neighbouring layers W, V."""
    v, vt, w, wt = sympy.symbols("V Vt W Wt", commutative=False)
    first, second = (vt, v), (wt, w)  # the mirrored layers with their transposes: V^T, then W^T
    yield second[1] * second[0] - first[0] * first[1] + (vt * v - w * wt)


# Inequalities -------------------------------------------------------------------------------------------------------


def weights(widths: tuple[int, ...], z: Any) -> list[Any]:
    """W_1, ..., W_n from the coordinates of the search."""
    found, start = [], 0
    for columns, rows in pairwise(widths):
        found.append(z[start : start + rows * columns].reshape(rows, columns))
        start += rows * columns
    return found


def count(widths: tuple[int, ...]) -> int:
    """The number of weights."""
    return sum(a * b for a, b in pairwise(widths))


def end_to_end(w: list[Any]) -> Any:
    """W_{n:1}."""
    product = w[0]
    for matrix in w[1:]:
        product = matrix @ product
    return product


def differences(w: list[Any]) -> list[Any]:
    """D_1, ..., D_{n-1}."""
    return [after.T @ after - before @ before.T for before, after in pairwise(w)]


def square_norm(matrix: Any) -> Any:
    """||A||^2."""
    return jnp.linalg.eigvalsh(matrix.T @ matrix)[-1]


def at_start(size: int, z: Any) -> tuple[Any, Any]:
    """(||B^T B - A A^T||, max(||A||_F, ||B||_F)^2)."""
    a, b = z.reshape(2, size, size)
    difference = jnp.max(jnp.abs(jnp.linalg.eigvalsh(b.T @ b - a @ a.T)))
    return difference, jnp.maximum(jnp.sum(a**2), jnp.sum(b**2))


def ratios(sign: int, size: int, z: Any) -> tuple[Any, Any]:
    """(r_k - a_k, r_{k+1}): r_k = ||P_k||^2/||P_{k-1}||^2 for P = W Q and V P, a = lambda_max(-D)_+; `sign` is -1."""
    w, v = z[: 2 * size**2].reshape(2, size, size)
    q = z[2 * size**2 :]
    p = w @ q
    a = jnp.maximum(jnp.linalg.eigvalsh(sign * (v.T @ v - w @ w.T))[-1], 0)
    return p @ p / (q @ q) - a, jnp.sum((v @ p) ** 2) / (p @ p)


def key_lemma(shift: int, widths: tuple[int, ...], z: Any) -> tuple[Any, Any]:
    """(prod_k (s_1^2 - sum_{i<k} a_i)_+, w^2); `shift` 1 (wrong) leaves out the last a_i of every factor."""
    w = weights(widths, z)
    top = square_norm(w[0])
    losses = [jnp.maximum(jnp.linalg.eigvalsh(-d)[-1], 0) for d in differences(w)]
    factors = [jnp.maximum(top - sum(losses[: max(0, k - shift)]), 0) for k in range(len(w))]
    return jnp.prod(jnp.stack(factors)), square_norm(end_to_end(w))


def next_layer(size: int, z: Any, factor: float = 1.0) -> tuple[Any, Any]:
    """(||V||^2, ||W||^2 + factor ||V^T V - W W^T||); the factor is 1."""
    w, v = z.reshape(2, size, size)
    return square_norm(v), square_norm(w) + factor * jnp.max(jnp.abs(jnp.linalg.eigvalsh(v.T @ v - w @ w.T)))


def layer_norms(widths: tuple[int, ...], z: Any) -> tuple[Any, Any]:
    """(max_j s_j^2, w^{2/n} + (3/2)(n-1) max_j ||D_j||)."""
    w = weights(widths, z)
    depth, growth = len(w), square_norm(end_to_end(w))
    largest = jnp.max(jnp.stack([jnp.max(jnp.abs(jnp.linalg.eigvalsh(d))) for d in differences(w)]))
    tops = jnp.max(jnp.stack([square_norm(m) for m in w]))
    return tops, jnp.maximum(growth, 1e-200) ** (1 / depth) + 1.5 * (depth - 1) * largest


def shrinking(last: int = 1) -> Iterator[tuple[sympy.Expr, tuple[sympy.Symbol, ...]]]:
    """(x - (k-1) d) - (x - (n-last) d) for x = (n-1) d + y and every k <= n = k + rest; `last` is 1.

    And the smaller factor itself: every factor of the product is at least it, and it is at least 0.
    """
    d, y, k, rest = sympy.symbols("d y k rest", nonnegative=True)
    depth = k + rest
    x = (depth - 1) * d + y
    smaller = x - (depth - last) * d
    yield (x - (k - 1) * d) - smaller, (d, y, rest)
    yield smaller, (d, y, rest)


def nearer_end() -> Iterator[sympy.Expr]:
    """(j-1) + (n-j) = n-1, so the smaller is at most (n-1)/2; (n-1) + (n-1)/2 = (3/2)(n-1)."""
    layer, depth = sympy.symbols("j n")
    yield (layer - 1) + (depth - layer) - (depth - 1)
    yield (depth - 1) + (depth - 1) / 2 - THREE_HALVES * (depth - 1)


def linear_bound(square: Term, constant: sympy.Expr) -> Term:
    """-(n-1) ||grad phi|| (||W_{n:1}||^{2/n} + constant (n-1) square)^{(n-2)/2}."""
    growth = norm(Chain(n, 1)) ** (2 / n) + constant * ((n - 1) * square)
    return -((n - 1) * norm(grad_phi) * Power(growth, (n - 2) / sympy.Integer(2)))


def same_formula() -> Iterator[sympy.Expr]:
    """Whether the package's statement is `linear_bound` with epsilon^2."""
    stated = STATEMENT.claim("linear").right
    yield sympy.Integer(0 if stated == linear_bound(Letter("epsilon") ** 2, THREE_HALVES) else 1)


def curvature(constant: sympy.Expr) -> Inequality:
    """The bound with d = max_j ||D_j|| in place of eps^2, against the smallest eigenvalue of symflow's Hessian."""
    largest = maximum(Range(j, 1, n - 1), norm(W(j + 1).T * W(j + 1) - W(j) * W(j).T))
    claim = Claim("", LAMBDA_MIN, ">=", linear_bound(largest, constant))
    cases = [Case(str(w), sf.FullyConnected(w)) for w in ((1, 1, 1, 1), (2, 2, 2, 1))]
    return claim_inequality(
        Statement("R11", "curvature of nearly balanced networks", (claim,), ()),
        "",
        "square loss, linear networks of widths 1-1-1-1 and 2-2-2-1, any weights",
        cases,
        (SUBMULTIPLICATIVITY, WEYL),
        (SymbolicZero("the package's formula", same_formula),),
    )


def spread(size: int, z: Any, factor: float = 1.0) -> tuple[Any, Any]:
    """(max_{|J|=n-2} prod ||w_l||, (min ||w_k||^2 + factor spread)^{(n-2)/2}), spread = max ||w_j||^2 - ||w_k||^2."""
    squares = jnp.sort(z**2)
    return jnp.prod(squares[2:]) ** 0.5, (squares[0] + factor * (squares[-1] - squares[0])) ** ((size - 2) / 2)


LEMMA_SCOPE = "weights of widths 1-1-1-1, 2-2-2, 2-2-3-2, 1-2-2-2-1 and 1-1-1-1-1-1-1"

DERIVATION = Derivation(
    proves=ROUGHLY_CONVEX,
    steps=(
        Step(
            r"\|D_j(t)\| = \|D_j(0)\|",
            r"\max\{\|W_{j+1}(0)\|^2,\|W_j(0)\|^2\} \le \varepsilon^2",
            r"$D_j$ is conserved (R10), and a difference of positive semidefinite matrices lies between minus the "
            r"second "
            r"and the first.",
            (Inequality("matrices of size 2 and 3", (WEYL,), [2, 3], lambda size: 2 * size**2, at_start),),
            r"\le",
        ),
        Step(
            r"\|W_{k+1}P_k\|^2",
            r"\|W_k^\top P_k\|^2+P_k^\top D_kP_k, \quad P_k = W_{k:1}v, \quad \langle W_k^\top P_k,P_{k-1}\rangle = "
            r"\|P_k\|^2",
            r"Definition of $D_k$, and $P_k = W_kP_{k-1}$.",
            (SymbolicZero("matrices of any sizes", propagation),),
        ),
        Step(
            r"r_{k+1}",
            r"r_k-a_k, \quad r_k = \|P_k\|^2/\|P_{k-1}\|^2",
            r"Step 2 with $\|W_k^\top P_k\| \ge \langle W_k^\top P_k,P_{k-1}\rangle/\|P_{k-1}\| = "
            r"\|P_k\|^2/\|P_{k-1}\|$ "
            r"and $P_k^\top D_kP_k \ge -a_k\|P_k\|^2$.",
            (
                Inequality(
                    "matrices of size 1, 2 and 3",
                    (CAUCHY_SCHWARZ, RAYLEIGH),
                    [1, 2, 3],
                    lambda size: 2 * size**2 + size,
                    partial(ratios, -1),
                    (SymbolicZero("", propagation),),
                ),
            ),
            r"\ge",
        ),
        Step(
            r"w^2 \ge \|P_n\|^2",
            r"\prod_{k=1}^n\Bigl(s_1^2-\sum_{i<k}a_i\Bigr)_+",
            r"Start from the top right singular vector $v$ of $W_1$: $r_1 = s_1^2$, and $\|P_n\|^2 = r_1\cdots "
            r"r_n$.  Where "
            r"a factor is not positive, nothing is claimed.",
            (Inequality(LEMMA_SCOPE, (CAUCHY_SCHWARZ, RAYLEIGH), SHAPES, count, partial(key_lemma, 0)),),
            r"\ge",
        ),
        Step(
            r"W_j \to W_{n+1-j}^\top",
            r"D_j \to -D_{n-j}",
            r"So step 4 holds from the other end: $w^2 \ge \prod_k(s_n^2-\sum_{i<k}\lambda_{\max}(D_{n-i})_+)_+$.",
            (SymbolicZero("matrices of any sizes", mirror),),
            r"\Rightarrow",
        ),
        Step(
            r"s_1^2,\ s_n^2",
            r"w^{2/n}+(n-1)d",
            r"$a_i \le d$ in step 4, and $\prod_k(x-(k-1)d) \ge (x-(n-1)d)^n$ for $x \ge (n-1)d$, factor by factor.",
            (NonnegativeCoefficients(r"the factors, for $x = (n-1)d+y$, every $k \le n$", shrinking),),
            r"\le",
        ),
        Step(
            r"s_j^2",
            r"w^{2/n}+\tfrac32(n-1)d",
            r"$s_{j+1}^2 = \lambda_{\max}(W_jW_j^\top+D_j) \le s_j^2+d$ and its mirror: from the nearer end there are "
            r"$\min\{j-1,n-j\} \le (n-1)/2$ steps.",
            (
                SymbolicZero("every $j$, $n$: the number of steps", nearer_end, "checked exactly"),
                Inequality("matrices of size 2 and 3", (WEYL,), [2, 3], lambda size: 2 * size**2, next_layer),
                Inequality(LEMMA_SCOPE, (WEYL,), SHAPES, count, layer_norms),
            ),
            r"\le",
        ),
        Step(
            r"\lambda_{\min}(H)",
            r"-(n-1)\|\nabla\varphi\|\bigl(w^{2/n}+\tfrac32(n-1)\varepsilon^2\bigr)^{(n-2)/2}",
            r"R9(b) with step 7 for each of the $n-2$ norms; $d \le \varepsilon^2$ by step 1.  Balanced weights: "
            r"$d = 0$.",
            (curvature(THREE_HALVES),),
            r"\ge",
        ),
        Step(
            r"\max_{|J|=n-2}\prod_{l\in J}\|w_l\|",
            r"\bigl(\min_k\|w_k\|^2+\varepsilon^2\bigr)^{(n-2)/2}",
            r"With gates or convolutions the differences $\|w_j\|^2-\|w_k\|^2$ are conserved (R10), between "
            r"$-\varepsilon^2$ and $\varepsilon^2$ at $t = 0$.  Put into R12 and R13.",
            (Inequality("norms of $n = 3, 5$ layers", (MONOTONE,), [3, 5], lambda size: size, spread),),
            r"\le",
        ),
    ),
    controls=(
        Control(
            r"$s_{j+1}^2 \le s_j^2+0.99\,\|D_j\|$",
            Inequality("", (), [2], lambda size: 2 * size**2, partial(next_layer, factor=0.99)),
        ),
        Control(r"no $\varepsilon$ in the bound of step 8", curvature(sympy.Integer(0))),
        Control(
            r"$\sum_{i<k-1}a_i$ in place of $\sum_{i<k}a_i$",
            Inequality("", (), SHAPES, count, partial(key_lemma, 1)),
        ),
        Control(
            r"$\lambda_{\max}(D_k)_+$ in place of $\lambda_{\max}(-D_k)_+$",
            Inequality("", (), [1, 2, 3], lambda size: 2 * size**2 + size, partial(ratios, 1)),
        ),
        Control(r"$(x-(n-2)d)^n$ in step 6", NonnegativeCoefficients("", partial(shrinking, 2))),
        Control(
            r"$0.99\,\varepsilon^2$ in step 9",
            Inequality("", (), [3, 5], lambda size: size, partial(spread, factor=0.99)),
        ),
    ),
    notation=(
        r"linear networks: $D_j = W_{j+1}^\top W_{j+1}-W_jW_j^\top$, $s_j = \|W_j\|$, $w = \|W_{n:1}\|$, $a_j = "
        r"\lambda_{\max}(-D_j)_+$, $d = \max_j\|D_j\|$",
    ),
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
