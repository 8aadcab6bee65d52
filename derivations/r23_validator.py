r"""R23: the defect of a numerical solution bounds its error: step by step, through convex kinks, through crossings.

    e_{i+1} = e^{m h} (e_i + j_i) + delta_i (e^{m h} - 1)/m,

which is R3 on a step of constant m; the tube is not left while epsilon > max(e_i + j_i, e_{i+1}). With kinks whose
faces are convex R3 holds as it is: f + (m/2) ||theta||^2 is convex, so its subdifferential is monotone (Brezis 1973).

Run: python -m derivations.r23_validator
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import jax.numpy as jnp
import sympy

from symflow.proofs import Control, Derivation, Inequality, NonnegativeCoefficients, Step, SymbolicZero
from symflow.proofs.lemmas import CAUCHY_SCHWARZ, TRIANGLE, Lemma
from symflow.proofs.words import inner, matrices
from symflow.report.derivations import run
from symflow.theory.functions import SYMBOLS
from symflow.theory.r23_validator import VALIDATOR, after_crossing, after_step, tail

ERROR, JUMP, TIME, DEFECT, S = sympy.symbols("e j h delta s", positive=True)
RATE = sympy.Symbol("m", real=True, nonzero=True)
DEGREE = 4
"""Degree of the polynomials in the instances."""
FUNDAMENTAL = Lemma(
    "fundamental theorem (R3)",
    r"$\|\theta(t)-\tilde\theta(t)\| \le e^{M(t)}\bigl(\rho+\int_0^te^{-M(s)}\delta(s)\,ds\bigr)$, $\dot M = m \ge "
    r"\lambda_{\max}(\frac12(\partial G+\partial G^\top))$ on the segment from $\theta(t)$ to $\tilde\theta(t)$.",
)
MONOTONE = Lemma(
    "monotonicity",
    r"The subgradients of a convex function satisfy $\langle v-w,x-y\rangle \ge 0$, $v \in \partial F(x)$, $w \in "
    r"\partial F(y)$.",
)
CAUCHY = Lemma("Cauchy's estimate", r"$|r_k| \le B R^{-k}$ where $|r(s)| \le B$ on the disc $|s| \le R$.")


def one_step() -> Iterator[sympy.Expr]:
    """e^{m h} (rho + int_0^h e^{-m s} delta ds) at rho = e + j, minus what is evaluated; and the case m = 0."""
    integral = sympy.integrate(sympy.exp(-RATE * S) * DEFECT, (S, 0, TIME), conds="none")
    evaluated = after_step(ERROR, JUMP, RATE, TIME, DEFECT, SYMBOLS)
    yield sympy.exp(RATE * TIME) * (ERROR + JUMP + integral) - evaluated
    yield sympy.limit(evaluated, RATE, 0) - (ERROR + JUMP + TIME * DEFECT)


def within_a_step(sign: int = 1) -> Iterator[sympy.Expr]:
    """v(s) = e^{m s} (e + j) + delta (e^{m s} - 1)/m has v' = e^{m s} (m (e + j) + delta); `sign` is 1."""
    v = after_step(ERROR, JUMP, RATE, S, DEFECT, SYMBOLS)
    yield v.diff(S) - sympy.exp(RATE * S) * (RATE * (ERROR + JUMP) + sign * DEFECT)


def linear(weight: float, size: int, z: Any) -> tuple[Any, Any]:
    """(||theta - theta~|| at h, the bound) for theta' = -H theta, H diagonal, and a straight line theta~ with a jump.

    `weight` is that of the jump, 1. The defect is largest at an end of the step: it is affine.
    """
    h, start, slope, jump = z[: 4 * size].reshape(4, size)
    time, error = 1.5 * jnp.tanh(z[-1]) ** 2 + 1e-3, 0.3 * start[::-1]
    at = jnp.exp(-h * time) * (start + error + jump) - (start + time * slope)
    m = jnp.max(-h)
    delta = jnp.maximum(jnp.linalg.norm(slope + h * start), jnp.linalg.norm(slope + h * (start + time * slope)))
    growth = jnp.exp(m * time)
    bound = growth * (jnp.linalg.norm(error) + weight * jnp.linalg.norm(jump)) + delta * (growth - 1) / m
    return jnp.linalg.norm(at), bound


def on_a_step(weight: float = 1.0) -> Inequality:
    """The bound for linear fields."""
    scope = (
        r"$\dot\theta = -H\theta$, $H$ diagonal of size 1 and 2, $\tilde\theta$ a straight line after a jump, "
        r"$h \le 1.5$"
    )
    return Inequality(scope, (FUNDAMENTAL,), [1, 2], lambda size: 4 * size + 1, partial(linear, weight))


def polynomial(radius: float, size: int, z: Any) -> tuple[Any, Any]:
    """(||r(s)|| at a point s of [0, h], ||(sum_k |r_pk| (radius h)^k)_p||), the radius is 1."""
    r, h = z[:-2].reshape(size, DEGREE + 1), jnp.exp(jnp.tanh(z[-2]))
    powers = jnp.arange(DEGREE + 1)
    s = h * (0.5 + 0.5 * jnp.tanh(2 * z[-1]))
    return jnp.linalg.norm(r @ s**powers), jnp.linalg.norm(jnp.abs(r) @ (radius * h) ** powers)


def coefficients(radius: float = 1.0) -> Inequality:
    """The bound of a polynomial by its coefficients."""
    scope = r"polynomials of degree 4 in 1 and 2 dimensions, $e^{-1} \le h \le e$"
    return Inequality(
        scope, (TRIANGLE,), [1, 2], lambda size: size * (DEGREE + 1) + 2, partial(polynomial, radius)
    )  # fmt: skip


def geometric(first: int = 1) -> Iterator[sympy.Expr]:
    """T(K) = B q^{K + first}/(1 - q) has T(K - 1) - T(K) = B q^K and tends to 0 with K; `first` is 1."""
    b, order, n = sympy.Symbol("B", positive=True), sympy.Symbol("K", positive=True), sympy.Symbol("n", positive=True)
    q = 1 / (1 + n)  # any number between 0 and 1
    stated = tail(b, q, order + first - 1)
    yield sympy.simplify((tail(b, q, order + first - 2) - stated - b * q**order) * q ** (-order))
    yield sympy.limit(stated.subs(n, 1), order, sympy.oo)


def subgradients() -> Iterator[sympy.Expr]:
    """The two subgradient inequalities of F added: <v - w, x - y>, F(x) and F(y) cancel."""
    x, y, v, w = matrices("x y v w")
    at_x, at_y = sympy.symbols("F_x F_y")
    first = at_y - at_x - inner(v, y - x)  # >= 0
    second = at_x - at_y - inner(w, x - y)  # >= 0
    yield first + second - inner(v - w, x - y)


def shifted() -> Iterator[sympy.Expr]:
    """With subgradients v + m x and w + m y of f + (m/2) ||.||^2: <-v + w, x - y> = m ||x - y||^2 - <..., x - y>."""
    x, y, v, w = matrices("x y v w")
    m = sympy.Symbol("m")
    whole = inner((v + m * x) - (w + m * y), x - y)
    yield inner(w - v, x - y) - (m * inner(x - y, x - y) - whole)


def kinked(sign: float, size: int, z: Any) -> tuple[Any, Any]:
    """(-<v - w, x - y>, m ||x - y||^2), f = sum_k b_k max(<a_k, .> - c_k, 0) + (1/2) <., H .>, b_k > 0; sign is 1."""
    a, rest = z[: 3 * size].reshape(3, size), z[3 * size :]
    b, c, h, x, y = rest[:3] ** 2, rest[3:6], *rest[6:].reshape(3, size)

    def slope(at: Any) -> Any:
        return sign * (b * (a @ at > c)) @ a + h * at

    m = jnp.max(-h)
    # An allowance for rounding where the two points nearly agree.
    return -jnp.dot(slope(x) - slope(y), x - y), m * jnp.dot(x - y, x - y) + 1e-12 * jnp.dot(z, z)


def convex_faces(sign: float = 1.0) -> Inequality:
    """One-sided Lipschitz through kinks."""
    scope = r"three convex kinks and a quadratic, in 1 and 2 dimensions"
    return Inequality(scope, (MONOTONE,), [1, 2], lambda size: 6 * size + 6, partial(kinked, sign))


def window() -> Iterator[sympy.Expr]:
    """e^{m D} (e + int delta + int over [tau*, tau~] of b), less what is evaluated at m >= 0 and |tau* - tau~| = a."""
    m, d, a, b = sympy.symbols("m D a b", positive=True)
    defect = sympy.integrate(DEFECT, (S, 0, d)) + sympy.integrate(b, (S, 0, a))
    yield sympy.exp(m * d) * (ERROR + defect) - after_crossing(ERROR, m, d, DEFECT, a, b, SYMBOLS)
    yield ERROR + defect - after_crossing(ERROR, -m, d, DEFECT, a, b, SYMBOLS)


def weight(sign: int = 1) -> Iterator[tuple[sympy.Expr, tuple[sympy.Symbol, ...]]]:
    """m_+ D - m (D - s) for m >= 0, and for m = -mu: nonnegative; D = s + rest. `sign` is 1."""
    m, s, rest = sympy.symbols("m s rest", nonnegative=True)
    yield sign * (m * (s + rest) - m * rest), (m, s, rest)
    yield 0 - (-m) * rest, (m, rest)


def crossing(larger: bool, _: int, z: Any) -> tuple[Any, Any]:
    """(|theta - theta~| at tau^+, the bound): theta' = a_1 - h theta until tau*, then a_2 - h theta; theta~ switches at
    tau~. `larger`: a is the larger of the distances of tau~ from the ends, else (a control) the smaller.
    """
    h, first, second, start, error = z[:5]
    h = h + jnp.where(h >= 0, 0.1, -0.1)
    width = 0.5 * jnp.tanh(z[5]) ** 2 + 1e-3
    true, ours = (width * (0.5 + 0.5 * jnp.tanh(v)) for v in z[6:8])

    def at_end(x: Any, switch: Any) -> Any:
        middle = (x - first / h) * jnp.exp(-h * switch) + first / h
        return (middle - second / h) * jnp.exp(-h * (width - switch)) + second / h

    apart = jnp.maximum(ours, width - ours) if larger else jnp.minimum(ours, width - ours)
    bound = after_crossing_jax(jnp.abs(error), -h, width, apart, jnp.abs(first - second))
    return jnp.abs(at_end(start + error, true) - at_end(start, ours)), bound


def after_crossing_jax(error: Any, rate: Any, time: Any, apart: Any, difference: Any) -> Any:
    """What the package evaluates, on JAX numbers, without defect."""
    return after_crossing(error, rate, time, 0.0, apart, difference, jnp)


def on_a_window(larger: bool = True) -> Inequality:
    """The bound for two affine fields."""
    scope = r"two affine fields of one variable with the same slope, windows up to 0.5"
    return Inequality(scope, (FUNDAMENTAL,), [1], lambda _: 8, partial(crossing, larger))


def reached(factor: int = 1) -> Iterator[sympy.Expr]:
    """-Z + int_0^{Z/c} c ds; `factor` is 1."""
    height, c = sympy.symbols("Z c", positive=True)
    yield -height + sympy.integrate(c, (S, 0, factor * height / c))


def tangent() -> Iterator[sympy.Expr]:
    """<n, G_s> for one gate, and <n_a, G_s> for two: G_s = -(I - n^T K^{-1} n) c, K_ab = <n_a, n_b>."""
    n, p, c = matrices("n p c")
    nc, pc, nn, pp, np_ = inner(n, c), inner(p, c), inner(n, n), inner(p, p), inner(n, p)
    yield -(nc - nn * (nc / nn))
    gram = sympy.Matrix([[nn, np_], [np_, pp]])
    yield sympy.simplify(-(sympy.Matrix([nc, pc]) - gram * gram.inv() * sympy.Matrix([nc, pc])))


DERIVATION = Derivation(
    proves=VALIDATOR,
    part=VALIDATOR.statement,
    steps=(
        Step(
            r"\|\theta(h)-\tilde\theta(h)\|",
            r"e^{mh}\Bigl(e+j+\int_0^he^{-ms}\delta\,ds\Bigr) = e^{mh}(e+j)+\delta\,\frac{e^{mh}-1}{m}",
            r"R3 on one step with constant $m$ and $\delta$: after the jump the initial error is at most $e+j$. "
            r"($e+j+h\delta$ for $m = 0$.)",
            (SymbolicZero(r"every $m$ of either sign, $e$, $j$, $h$, $\delta$", one_step), on_a_step()),
            r"\le",
        ),
        Step(
            r"v(s) = e^{ms}(e+j)+\delta\,\frac{e^{ms}-1}{m}",
            r"\max\{v(0),v(h)\} = \max\{e+j,e_{i+1}\} < \varepsilon",
            r"$\dot v = e^{ms}(m(e+j)+\delta)$ keeps its sign. At the first time with $\|\theta-\tilde\theta\| = "
            r"\varepsilon$ "
            r"the bound $v$ still holds, a contradiction: the flow stays in the tube.",
            (SymbolicZero(r"every $m$, $e$, $j$, $\delta$ and $s$: the derivative", within_a_step),),
            r"\le",
        ),
        Step(
            r"\sup_{0\le s\le h}\|\dot{\tilde\theta}+g(\tilde\theta)\|",
            r"\Bigl\|\Bigl(\sum_k|r_{pk}|h^k\Bigr)_p\Bigr\|",
            r"Where field and $\tilde\theta$ are polynomials the defect is one, with coefficients $r_{pk}$.",
            (coefficients(),),
            r"\le",
        ),
        Step(
            r"\sum_{k>K}|r_k|h^k",
            r"B\sum_{k>K}(h/R)^k = B\,\frac{(h/R)^{K+1}}{1-h/R}",
            r"Cauchy's estimate on the disc $|s| \le R$, then a geometric series (by its differences).",
            (SymbolicZero(r"every $B$, $K$ and $0 < h/R < 1$", geometric),),
            r"\le",
        ),
        Step(
            r"\langle-v+w,x-y\rangle",
            r"m\,\|x-y\|^2, \quad v \in \partial f(x),\ w \in \partial f(y)",
            r"All faces convex: $F = f+\frac m2\|\theta\|^2$ is convex on the ball, because along a segment the slope "
            r"of $F$ grows on smooth pieces and jumps upward at faces. Add the two subgradient inequalities of $F$.",
            (
                SymbolicZero("any number of dimensions: the sum of the two inequalities", subgradients),
                SymbolicZero("any number of dimensions, every $m$: from $F$ to $f$", shifted),
                convex_faces(),
            ),
            r"\le",
        ),
        Step(
            r"\tfrac12\tfrac d{dt}\|\theta-\tilde\theta\|^2",
            r"m\,\|\theta-\tilde\theta\|^2+\delta\,\|\theta-\tilde\theta\|",
            r"$\dot\theta \in -\partial f(\theta)$, and $\dot{\tilde\theta}$ is within $\delta$ of $-\partial "
            r"f(\tilde\theta)$; "
            r"step 5 and Cauchy--Schwarz. From here R3 and steps 1 and 2 as without kinks.",
            (convex_faces(), Inequality(
                "two vectors", (CAUCHY_SCHWARZ,), [2, 3], lambda size: 2 * size,
                lambda size, z: (jnp.dot(z[:size], z[size:]), jnp.linalg.norm(z[:size]) * jnp.linalg.norm(z[size:])))),
            r"\le",
        ),
        Step(
            r"e(\tau^+)",
            r"e^{m_+\Delta}\bigl(e(\tau^-)+\delta\Delta+a\,b\bigr)",
            r"A crossing: $\theta$ solves $\dot\theta = G_1$ until $\tau^*$ and $G_2$ after it. Between $\tau^*$ and "
            r"$\tilde\tau$, "
            r"which are at most $a$ apart, $\tilde\theta$ follows the other field, at most $b$ away. R3 with $m \le "
            r"m_+$, "
            r"$e^{m(\Delta-s)} \le e^{m_+\Delta}$.",
            (
                SymbolicZero(r"every $m$, $\Delta$, $a$, $b$, $\delta$, $e$", window),
                NonnegativeCoefficients(r"the exponents, $m$ of either sign", weight),
                on_a_window(),
            ),
            r"\le",
        ),
        Step(
            r"z(\tau^-+Z/c)",
            r"-Z+\int_0^{Z/c}c\,ds = 0",
            r"Entering a slide from $z < 0$: $\dot z \ge c$ until $z = 0$ (and the mirror image); from then on both "
            r"fields "
            r"point to the face and $z$ stays 0.",
            (SymbolicZero(r"every $Z$, $c$", reached),),
            r"\ge",
        ),
        Step(
            r"n_aG_s",
            r"-(n_ac-n_an^\top K^{-1}nc) = 0",
            r"The rows of $n$ are independent, $K = nn^\top$: a slide stays on $z_a = 0$. $G_s$ is $C^1$ on the "
            r"tube, so R3 "
            r"applies to it with its own rate.",
            (SymbolicZero("one and two gates, any number of dimensions", tangent, "checked exactly"),),
        ),
    ),
    controls=(
        Control(r"the jump counted at 0.99 of its size", on_a_step(0.99)),
        Control(r"$\dot v = e^{ms}(m(e+j)-\delta)$", SymbolicZero("", partial(within_a_step, -1))),
        Control(r"$(0.99\,h)^k$ in the sum of coefficients", coefficients(0.99)),
        Control(r"$(h/R)^{K+2}$ in the tail", SymbolicZero("", partial(geometric, 2))),
        Control(r"concave faces, $b < 0$", convex_faces(-1.0)),
        Control(r"$a$ the smaller of the two distances", on_a_window(False)),
        Control(r"a face reached after $2Z/c$", SymbolicZero("", partial(reached, 2))),
    ),
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
