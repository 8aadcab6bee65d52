r"""R4, constants: closed forms for beta, gamma and m on the ball B_eps(theta) of a deep linear network.

For a set I of r layers with s_l = ||W_l||, all products of layers I grow on the ball by at most

    d_I(eps) = sum_{m=1}^r eps^m sqrt(C(r,m)/r^m E_{r-m}),    E_k = sum over sets of k layers of prod s_l^2,

which is less than what s_l -> s_l + eps would give, and an equality for equal s_l.

Run: python -m derivations.r04_tube_constants
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from math import comb
from typing import Any

import jax
import jax.numpy as jnp
import sympy

import symflow as sf
from symflow.evaluate.interpret import interpret
from symflow.evaluate.jax import JaxArithmetic
from symflow.networks.objective import Objective
from symflow.programs.nodes import Input
from symflow.programs.program import entries, shape_of
from symflow.proofs import Control, Derivation, Inequality, Lemma, Step, SymbolicZero
from symflow.proofs.claims import SAMPLES, Case, blank_objective, jax_value, moving
from symflow.proofs.lemmas import CAUCHY_SCHWARZ, MEAN_VALUE, SUBMULTIPLICATIVITY
from symflow.report.derivations import run
from symflow.theory.ball_constants import CONSTANTS
from symflow.theory.model import EPSILON
from symflow.theory.r04_step_size import STEP_SIZE

LINEAR = replace(
    CONSTANTS, claims=tuple(c for c in CONSTANTS.claims if c.label.startswith("linear") and "drift" not in c.label)
)
MACLAURIN = Lemma(
    "Maclaurin",
    r"The elementary symmetric polynomials of $x_1,\dots,x_r \ge 0$ obey $e_m(x) \le \binom rm(e_1(x)/r)^m$.",
)
NETWORK = Case("square loss, widths 2-2-2-1", sf.FullyConnected((2, 2, 2, 1)))


def elementary(values: Any, count: int) -> Any:
    """The elementary symmetric polynomial e_count."""
    total: Any = 0
    for chosen in combinations(range(len(values)), count):
        term = values[0] ** 0
        for i in chosen:
            term = term * values[i]
        total = total + term
    return total


def growth(s: Any, epsilon: Any, root: Any) -> Any:
    """d_I(epsilon)."""
    r = len(s)
    squares = [x**2 for x in s]
    return sum(epsilon**m * root(comb(r, m) * elementary(squares, r - m) / r**m) for m in range(1, r + 1))


def expansion() -> Iterator[sympy.Expr]:
    """prod (s_l + e_l) - prod s_l, by the number of factors e."""
    for r in range(1, 6):
        s, e = sympy.symbols(f"s1:{r + 1}"), sympy.symbols(f"e1:{r + 1}")
        terms = [
            sympy.prod([e[i] if i in chosen else s[i] for i in range(r)])
            for m in range(1, r + 1)
            for chosen in combinations(range(r), m)
        ]
        yield sympy.prod([a + b for a, b in zip(s, e, strict=True)]) - sympy.prod(s) - sympy.Add(*terms)


def one_more_layer() -> Iterator[sympy.Expr]:
    """(s + t e) times a polynomial in t with the coefficients ..., A, B, ...: the new one of t^m is s B + e A.

    So the coefficients T_m of prod (s_l + t e_l) obey T_m <- s T_m + e T_{m-1}. The stated sums do, too: a set of
    m layers contains the new layer or not.
    """
    s, e, t, a, b, m = sympy.symbols("s e t A B m")
    shifted = sympy.expand((s + t * e) * (a * t ** (m - 1) + b * t**m) / t ** (m - 1))
    yield sympy.collect(sympy.expand(sympy.powsimp(shifted)), t).coeff(t, 1) - (s * b + e * a)


def equal_layers() -> Iterator[sympy.Expr]:
    """d_I(eps) = (s + eps/sqrt r)^r - s^r for equal s_l: term by term the binomial theorem, and directly, r <= 3.

    E_{r-m} = C(r, r-m) s^{2(r-m)}; the squares of both sides, which are positive.
    """
    s, epsilon = sympy.symbols("s epsilon", positive=True)
    r, m = sympy.symbols("r m", integer=True, positive=True)
    squares = sympy.binomial(r, r - m) * s ** (2 * (r - m))
    term = epsilon ** (2 * m) * sympy.binomial(r, m) / r**m * squares
    stated = (sympy.binomial(r, m) * s ** (r - m) * (epsilon / sympy.sqrt(r)) ** m) ** 2
    yield sympy.simplify((term - stated).rewrite(sympy.factorial))
    for count in range(1, 4):
        yield growth([s] * count, epsilon, sympy.sqrt) - ((s + epsilon / sympy.sqrt(count)) ** count - s**count)


def one_order(r: int, z: Any) -> tuple[Any, Any]:
    """(sum over K of prod_K s prod_{not K} e, sqrt(E_{r-m}) sqrt(e_m(e^2))) with m = 2."""
    s, e = jnp.abs(z[:r]), jnp.abs(z[r:])
    mixed: Any = 0.0
    for chosen in combinations(range(r), 2):
        mixed = mixed + jnp.prod(jnp.stack([e[i] if i in chosen else s[i] for i in range(r)]))
    return mixed, jnp.sqrt(elementary(s**2, r - 2) * elementary(e**2, 2))


def maclaurin(r: int, z: Any) -> tuple[Any, Any]:
    """(e_2(x), C(r,2) (e_1/r)^2)."""
    return elementary(z**2, 2), comb(r, 2) * (jnp.sum(z**2) / r) ** 2


def products(factor: float, r: int, z: Any) -> tuple[Any, Any]:
    """(prod (s_l + e_l) - prod s_l, factor d_I(||e||)); the factor is 1."""
    s, e = jnp.abs(z[:r]), jnp.abs(z[r:])
    return jnp.prod(s + e) - jnp.prod(s), factor * growth(s, jnp.linalg.norm(e), jnp.sqrt)


def product_bound(factor: float) -> Inequality:
    """The lemma for two to four layers."""
    return Inequality(
        r"$r = 2, 3, 4$ layers", (CAUCHY_SCHWARZ, MACLAURIN), [2, 3, 4], lambda r: 2 * r, partial(products, factor)
    )


def drawn(case: Case, z: Any) -> tuple[Objective, dict[Input, Any], Any, Any]:
    """The objective, its data, theta and a step from the coordinates of the search."""
    objective = blank_objective(case)
    count = objective.parameter_count
    theta, step, z = z[:count], z[count : 2 * count], z[2 * count :]
    data: dict[Input, Any] = {x: jnp.asarray(a.astype(float)) for x, a in objective.data.items()}
    for x in moving(objective, case):
        data[x] = z[: entries(x.axes)].reshape(shape_of(x.axes))
        z = z[entries(x.axes) :]
    return objective, data, theta, step


def on_the_ball(label: str, factor: float, case: Case, z: Any) -> tuple[Any, Any]:
    """(the quantity at a point at distance eps from theta, factor times the package's bound at theta)."""
    objective, data, theta, step = drawn(case, z)
    epsilon, quantity = jnp.linalg.norm(step), label.split(", ")[1]

    def loss(point: Any) -> Any:
        return interpret(objective.program, {**data, **objective.cut(point)}, JaxArithmetic(jnp.float64))["f"]

    def largest(point: Any) -> Any:
        if quantity == "gamma":
            return jnp.linalg.norm(jax.grad(loss)(point))
        values = jnp.linalg.eigvalsh(jax.hessian(loss)(point))
        return -values[0] if quantity == "m" else jnp.maximum(values[-1], -values[0])

    instance = CONSTANTS.instantiate(objective)
    bound = {**data, **objective.cut(theta), EPSILON: epsilon}
    return largest(theta + step), factor * jax_value(instance, label, "right", bound)


def dimension(case: Case) -> int:
    """theta, a step, X, and Y where it is not a label."""
    objective = blank_objective(case)
    return 2 * objective.parameter_count + sum(entries(x.axes) for x in moving(objective, case))


def ball(label: str, factor: float = 1.0, cases: Sequence[Case] = (NETWORK,)) -> Inequality:
    """A claim of the package's statement about a ball."""
    scope = f"{'; '.join(map(str, cases))}; {SAMPLES} samples"
    lemmas = (MEAN_VALUE, SUBMULTIPLICATIVITY, CAUCHY_SCHWARZ)
    return Inequality(scope, lemmas, cases, dimension, partial(on_the_ball, label, factor))


DERIVATION = Derivation(
    proves=STEP_SIZE,
    name="Closed forms for the constants on a ball",
    part=LINEAR,
    steps=(
        Step(
            r"\prod_{l\in I}(s_l+e_l) - \prod_{l\in I}s_l",
            r"\sum_{m=1}^r\ \sum_{|K|=r-m}\ \prod_{l\in K}s_l\prod_{l\in I\setminus K}e_l",
            "Expand; by induction on $r$: the sets contain the new layer or not.",
            (
                SymbolicZero("the induction step for every $r$ and $m$", one_more_layer),
                SymbolicZero(r"directly for $r = 1,\dots,5$", expansion, "checked exactly"),
            ),
        ),
        Step(
            r"\sum_{|K|=r-m}\ \prod_{l\in K}s_l\prod_{l\in I\setminus K}e_l",
            r"\sqrt{E_{r-m}}\,\sqrt{\tbinom rm(\varepsilon^2/r)^m}, \quad E_k = \sum_{|K|=k}\prod_{l\in K}s_l^2",
            r"Cauchy--Schwarz over $K$, then Maclaurin's inequality for the $e_l^2$.",
            (
                Inequality("$r = 3, 4$, $m = 2$", (CAUCHY_SCHWARZ,), [3, 4], lambda r: 2 * r, one_order),
                Inequality("$r = 3, 4$, $m = 2$", (MACLAURIN,), [3, 4], lambda r: r, maclaurin),
            ),
            r"\le",
        ),
        Step(
            r"\prod_{l\in I}(s_l+e_l) - \prod_{l\in I}s_l",
            r"d_I(\varepsilon) = \sum_{m=1}^r\varepsilon^m\sqrt{\tbinom rmr^{-m}E_{r-m}}",
            r"Sum over $m$. For equal $s_l = s$ this is $(s+\varepsilon/\sqrt r)^r-s^r$, attained at equal $e_l$.",
            (product_bound(1.0), SymbolicZero("equal layers, every $r$", equal_layers, "checked exactly")),
            r"\le",
        ),
        Step(
            r"\|\nabla\varphi(W_{n:1}')\|_F \le \|\nabla\varphi\|_F + B\,d, \qquad \|g(\theta')\|",
            r"(\|\nabla\varphi\|_F + B\,d)\Bigl(\sum_jC_j^2\Bigr)^{1/2}",
            r"$\|W_{n:1}'-W_{n:1}\|_F \le d = d_{\{1,\dots,n\}}$: expand; one factor $E_l$ of each term carries the "
            r"Frobenius norm. Likewise $\|W_{n:j+1}'\|\|W_{j-1:1}'\| \le C_j = \|W_{n:j+1}\|\|W_{j-1:1}\| + \hat d_j$, "
            r"$\hat d_j = d_{\{l\ne j\}}$, and $G_j' = W_{n:j+1}'^\top\nabla\varphi'W_{j-1:1}'^\top$.",
            (ball("linear, gamma"),),
            r"\le",
        ),
        Step(
            r"-\lambda_{\min}(H(\theta')) \le \mathcal M, \qquad \|H(\theta')\|",
            r"B\sum_jC_j^2 + \mathcal M, \quad \mathcal M = (\|\nabla\varphi\| + B\,d)\,\lambda_{\max}(M)",
            r"R7: $\|A'\|_F \le \sum_jC_j\|\Delta_j\|_F$ bounds the first term; the second is bounded as in R9(d) with "
            r"$M_{jj'} = \|W_{n:j'+1}\|\|W_{j'-1:j+1}\|\|W_{j-1:1}\| + \check d_{jj'}$, "
            r"$\check d_{jj'} = d_{\{l\ne j,j'\}}$.",
            (ball("linear, m"), ball("linear, beta")),
            r"\le",
        ),
    ),
    controls=(
        Control(r"0.99 of $d_I(\varepsilon)$", product_bound(0.99)),
        Control(r"0.99 of the bound on $\|g\|$", ball("linear, gamma", 0.99)),
    ),
    notation=(
        r"$|\nabla^2\varphi[A,A]| \le B\|A\|_F^2$ (square loss: $B = \|\Sigma_{xx}\|$); for $m$ also $\varphi$ convex",
        r"$\theta' \in B_\varepsilon(\theta)$, $W_l' = W_l + E_l$, $e_l = \|E_l\|_F$, so that $\sum_le_l^2 \le "
        r"\varepsilon^2$; $s_l = \|W_l\|$; $I$ a set of $r$ layers",
    ),
    remarks="These constants are of this work; the condition that they serve is that of the paper.",
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
