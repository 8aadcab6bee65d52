r"""R15: exact solution and explicit convergence time of balanced deep linear networks with one output.

    1/w = cosh^-n(theta) [cosh^n(a)/w(0) + (n/lambda) int_a^theta cosh^n],    lambda dt = w^-p dtheta,    p = 1 - 2/n
    T = T_1 + 2^p lambda^-(1+p) log_+(E(0)/accuracy)

The flow stays in the plane of W(0) and Lambda; in the angle theta with nu = tanh theta the equation of 1/w is linear.

Run: python -m derivations.r15_convergence_time
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from math import comb
from typing import Any

import numpy as np
import sympy

from symflow.proofs import Control, Derivation, Inequality, Lemma, Step, SymbolicZero
from symflow.report.derivations import run
from symflow.theory import r15_convergence_time as r15
from symflow.theory.functions import FLOAT64, MPMATH, SYMBOLS
from symflow.theory.r15_convergence_time import CONVERGENCE_TIME

N, W, LAM, U0 = sympy.symbols("n w lambda u_0", positive=True)
NU, THETA, A, X = sympy.symbols("nu theta a x", real=True)
DEPTHS = (2, 3, 4, 8)
NODES = np.polynomial.legendre.leggauss(200)
"""Gauss nodes for the time in the search; the integrands are smooth on a scale of 1/n."""

BERNOULLI = Lemma("Bernoulli", r"$(x+y)^p \le x^p+y^p$ and $x^p \le 1+p(x-1)$ for $x,y \ge 0$, $0 \le p \le 1$.")
ADDITION = Lemma(
    "addition theorem", r"$\cosh(a+x) = \cosh a\cosh x+\sinh a\sinh x \ge \cosh a\cosh x$ for $a,x \ge 0$."
)
PARTS = Lemma(
    "integration by parts",
    r"$n\int\cosh^n = \sinh\cosh^{n-1}+(n-1)\int\cosh^{n-2}$.",
)


# The equations, with symbols ------------------------------------------------------------------------------------------


def plane() -> Iterator[sympy.Expr]:
    """R14 with W = w (nu, sqrt(1 - nu^2)), Lambda = (lambda, 0) against the stated w' and nu'."""
    unit = sympy.Matrix([NU, sympy.sqrt(1 - NU**2)])
    e = W * unit - sympy.Matrix([LAM, 0])
    velocity = -(W ** (2 - 2 / N)) * (e + (N - 1) * e.dot(unit) * unit)
    dw = velocity.dot(unit)
    yield dw - N * W ** (2 - 2 / N) * (LAM * NU - W)
    yield (velocity[0] - dw * NU) / W - LAM * W ** (1 - 2 / N) * (1 - NU**2)


def linear_equation(factor: sympy.Expr = sympy.S.One) -> Iterator[sympy.Expr]:
    """With u = 1/w and dtheta = lambda w^p dt: nu = tanh theta, u' = -n tanh(theta) u + n/lambda, and its solution.

    `factor` is that of the integral in the stated solution, 1.
    """
    speed = LAM * W ** (1 - 2 / N)
    yield LAM * W ** (1 - 2 / N) * (1 - NU**2) / speed - sympy.tanh(THETA).diff(THETA).subs(sympy.tanh(THETA), NU)
    dw = N * W ** (2 - 2 / N) * (LAM * NU - W) / speed
    yield sympy.powsimp(-dw / W**2 - (-N * NU / W + N / LAM))
    primitive = sympy.Function("F")(THETA)  # F' = cosh^n
    u = sympy.cosh(THETA) ** -N * (U0 + factor * N / LAM * primitive)
    slope = u.diff(THETA).subs(primitive.diff(THETA), sympy.cosh(THETA) ** N)
    yield slope + N * sympy.sinh(THETA) / sympy.cosh(THETA) * u - N / LAM


def excess_falls(factor: sympy.Expr) -> Iterator[sympy.Expr]:
    """E' = -w^(1+p) (2 E + (n-1) (w - lambda nu)^2), and what it is in the angle; `factor` is 2."""
    excess = r15.excess(W, LAM, 1 - NU)
    dw, dnu = N * W ** (2 - 2 / N) * (LAM * NU - W), LAM * W ** (1 - 2 / N) * (1 - NU**2)
    rate = excess.diff(W) * dw + excess.diff(NU) * dnu
    fall = factor * excess + (N - 1) * (W - LAM * NU) ** 2
    yield sympy.expand(rate / W ** (2 - 2 / N)) + fall
    in_angle = -(W ** (2 - 2 / N)) * fall * r15.time_slope(r15.exponent(N, SYMBOLS), W, LAM) / excess
    yield sympy.powsimp(in_angle - r15.log_slope(N, W, LAM, NU, excess))


def primitives(index: int = 1) -> Iterator[sympy.Expr]:
    """Integration by parts; K' = n (1 - K tanh); the integral of 1 - tanh over the half line is log 2.

    `index` is that of (n-1) cosh^{n-2}, 1.
    """
    c, s = sympy.cosh(THETA), sympy.sinh(THETA)
    yield sympy.expand(((s * c ** (N - 1)).diff(THETA) - N * c**N + (N - index) * c ** (N - 2)) / c ** (N - 2)).subs(
        s**2, c**2 - 1
    )
    primitive = sympy.Function("F")(THETA)
    bump = N * primitive / c**N
    yield bump.diff(THETA).subs(primitive.diff(THETA), c**N) - N * (1 - bump * s / c)
    yield (THETA - sympy.log(c)).diff(THETA) - (1 - sympy.tanh(THETA))
    yield sympy.limit(X - sympy.log((sympy.exp(X) + sympy.exp(-X)) / 2), X, sympy.oo) - sympy.log(2)
    yield sympy.expand_trig(sympy.cosh(A + X)) - sympy.cosh(A) * sympy.cosh(X) - sympy.sinh(A) * sympy.sinh(X)


# The inequalities, in float64 ----------------------------------------------------------------------------------------


def cosh_power_ratio(n: int, low: Any, theta: Any) -> Any:
    """n int_low^theta (cosh s / cosh theta)^n ds."""
    import jax.numpy as jnp

    width, middle = theta - low, (theta + low) / 2
    total = comb(n, n // 2) * width if n % 2 == 0 else 0.0
    for k in range((n + 1) // 2):
        m = n - 2 * k
        total = total + 4 * comb(n, k) * jnp.sinh(m * width / 2) * jnp.cosh(m * middle) / m
    return n * total / (2 * jnp.cosh(theta)) ** n


def inverse_norm(n: int, a: Any, size: Any, theta: Any) -> Any:
    """lambda/w at theta, for size = lambda/w(0)."""
    import jax.numpy as jnp

    return r15.inverse_norm(n, 1.0, 1 / size, jnp.cosh(a), jnp.cosh(theta), cosh_power_ratio(n, a, theta) / n)


def first_angle(n: int, a: Any, size: Any) -> Any:
    """theta_1."""
    import jax.numpy as jnp

    return r15.half_angle(n, 1.0, 1 / size, jnp.cosh(a), jnp)


def start(z: Any) -> tuple[Any, Any]:
    """a and lambda/w(0) of a point: within 4, and from e^-9 to e^9."""
    import jax.numpy as jnp

    return 4 * jnp.tanh(z[0]), jnp.exp(9 * jnp.tanh(z[1]))


def half_reached(n: int, z: Any) -> tuple[Any, Any]:
    """lambda/w <= 2 from theta_1 on."""
    import jax.numpy as jnp

    a, size = start(z)
    return inverse_norm(n, a, size, first_angle(n, a, size) + 5 * jnp.tanh(z[2]) ** 2), jnp.asarray(2.0)


def bump(n: int, z: Any) -> tuple[Any, Any]:
    """K(theta) <= I_n."""
    import jax.numpy as jnp

    return cosh_power_ratio(n, 0.0, 6 * jnp.tanh(z[0]) ** 2), jnp.asarray(r15.kernel_bound(n, FLOAT64))


def first_time(n: int, z: Any, shape: float = 1.0) -> tuple[Any, Any]:
    """lambda^(1+p) times the true time to theta_1, and times T_1; `shape` multiplies C."""
    import jax.numpy as jnp

    a, size = start(z)
    end, p = first_angle(n, a, size), 1 - 2 / n
    if n == 2:
        return end - a, end - a
    half, middle = (end - a) / 2, (end + a) / 2
    nodes, weights = (jnp.asarray(v) for v in NODES)
    true = half * jnp.sum(weights * inverse_norm(n, a, size, middle + half * nodes) ** p)
    full = float(r15.sech_integral(n, MPMATH))
    c = shape * jnp.where(a < 0, *(r15.shape_bound(n, full, jnp.cosh(a), ahead) for ahead in (False, True)))
    minus, angle = jnp.maximum(-a, 1e-300), end - jnp.maximum(a, 0)
    return true, r15.rise_time(n, p, 1.0, 1 / size, minus, c, angle, r15.kernel_bound(n, FLOAT64), jnp)


def three(_: int) -> int:
    """a, w(0) and how far beyond theta_1."""
    return 3


DERIVATION = Derivation(
    proves=CONVERGENCE_TIME,
    steps=(
        Step(
            r"\dot W = -w^{2-2/n}\bigl(e + (n-1)\langle e,\hat W\rangle\hat W\bigr), \quad e = W-\Lambda",
            r"\dot w = n w^{2-2/n}(\lambda\nu-w), \qquad \dot\nu = \lambda w^{p}(1-\nu^2)",
            "R14 for one row, in the plane of $W$ and $\\Lambda$.",
            (SymbolicZero(r"every $n$, $w$, $\nu$, $\lambda$", plane),),
            r"\Rightarrow",
        ),
        Step(
            r"\frac{1}{w}",
            r"\cosh^{-n}\vartheta\Bigl[\frac{\cosh^n a}{w(0)}+\frac n\lambda\int_a^\vartheta\cosh^n\Bigr], \qquad "
            r"\lambda\,dt = w^{-p}\,d\vartheta",
            r"With $\nu = \tanh\vartheta$: $\dot\vartheta = \lambda w^p$, and $u = 1/w$ obeys $du/d\vartheta = "
            r"-n\tanh(\vartheta)\,u+"
            r"n/\lambda$.",
            (SymbolicZero(r"every $n$; $F' = \cosh^n$", linear_equation),),
        ),
        Step(
            r"\dot E",
            r"-w^{1+p}\bigl(2E+(n-1)(w-\lambda\nu)^2\bigr)",
            "Differentiate. So $E$ never grows, and falls at the rate $2w^{1+p}$ at least.",
            (SymbolicZero(r"every $n$, $w$, $\nu$, $\lambda$", partial(excess_falls, sympy.Integer(2))),),
        ),
        Step(
            r"\frac{\lambda}{w}",
            r"1+\Bigl(\frac{c_0}{\cosh\vartheta}\Bigr)^n\Bigl(\frac{\lambda}{w(0)}+1\Bigr)+\frac{(n-1)(\vartheta-a)}"
            r"{\cosh^2\vartheta} \le 2 \qquad (\vartheta \ge \vartheta_1)",
            r"Integrate $n\cosh^n = (\sinh\cosh^{n-1})'+(n-1)\cosh^{n-2}$ from $a$ to $\vartheta \ge |a|$. The second "
            r"term is at most $\frac12$ since $\cosh\vartheta \ge e^\vartheta/2$; the third at most "
            r"$2(n-1)\vartheta\cdot "
            r"4e^{-2\vartheta} \le \frac43\vartheta e^{-\vartheta} \le \frac29\log 6 < \frac12$. So $w \ge "
            r"\lambda/2$ from $\vartheta_1$ on.",
            (
                SymbolicZero(r"integration by parts and $K'$, every $n$, $\vartheta$", primitives, "checked exactly"),
                Inequality(
                    r"$n = 2,3,4,8$, $|a| \le 4$, $e^{-9} \le \lambda/w(0) \le e^9$",
                    (PARTS,),
                    DEPTHS,
                    three,
                    half_reached,
                ),
            ),
            r"\le",
        ),
        Step(
            r"K(\vartheta) = n\int_0^\vartheta\Bigl(\frac{\cosh s}{\cosh\vartheta}\Bigr)^n ds",
            r"I_n = \sqrt n+\frac{1}{3\sqrt n}",
            r"$K' = n(1-K\tanh)$, so $K = \coth\vartheta$ at its maximum, or $K < 1$ (its limit) everywhere. If "
            r"that $\vartheta \le 1/\sqrt n$, $K \le n\vartheta \le \sqrt n$; else $\coth\vartheta \le \coth(1/\sqrt "
            r"n) "
            r"\le I_n$ by $\coth x \le 1/x+x/3$.",
            (Inequality(r"$n = 2,3,4,8$, $0 \le \vartheta \le 6$", (PARTS,), DEPTHS, lambda n: 1, bump),),
            r"\le",
        ),
        Step(
            r"\int_a^{\vartheta_1}\!\!w^{-p}\,d\vartheta",
            r"\bigl[w(0)^{-p}+(na_-/\lambda)^p\bigr]C+\lambda^{-p}\bigl[\vartheta_1-a_++pI_n\log 2\bigr] = \lambda T_1",
            r"By Bernoulli $w^{-p} \le [w(0)^{-p}+(na_-/\lambda)^p]\allowbreak(c_0/\cosh\vartheta)^{n-2}+\lambda^{-p}"
            r"K_{a_+}^p$, "
            r"$K_b = n\int_b^\vartheta(\cosh s/\cosh\vartheta)^nds \le K$. The first integrates to at most $C$, $C = "
            r"S_nc_0^{n-2}$ for $\nu(0)<0$ and $S_n/2$ otherwise, $S_n = \int\cosh^{-(n-2)}$, by $\cosh(a+x) \ge "
            r"\cosh a\cosh x$. Then $K_b^p \le 1+p(K_b-1)$, and $\int(K_b-1) = \int K_b(1-\tanh)-K_b(\vartheta_1)/n "
            r"\le "
            r"I_n\log 2$. ($n=2$: $p=0$, and the integral is $\vartheta_1-a$.)",
            (
                Inequality(
                    r"$n = 2,3,4,8$, $|a| \le 4$, $e^{-9} \le \lambda/w(0) \le e^9$",
                    (BERNOULLI, ADDITION),
                    DEPTHS,
                    three,
                    first_time,
                ),
            ),
            r"\le",
        ),
    ),
    controls=(
        Control(r"$1.01\,\frac n\lambda$ in place of $\frac n\lambda$ in step 2",
                SymbolicZero("", partial(linear_equation, factor=sympy.Rational(101, 100)))),
        Control(r"$(n-2)\cosh^{n-2}$ in step 4", SymbolicZero("", partial(primitives, index=2))),
        Control(r"0.99 of $C$", Inequality("", (BERNOULLI,), (8,), three, partial(first_time, shape=0.99))),
        Control(r"$\dot E = -w^{1+p}(1.99\,E+\dots)$",
                SymbolicZero("", partial(excess_falls, sympy.Rational(199, 100)))),
    ),
    notation=(r"$\vartheta_1 \ge |a|$",),
    remarks=r"The factor $2^{1-2/n}$ is not sharp: $E$ finally falls at the rate $2\lambda^{2-2/n}$.",
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
