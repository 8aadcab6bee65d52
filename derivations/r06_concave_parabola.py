r"""R6: exponentially small steps can be unavoidable: f = -(m/2) theta^2.

With x = eta m and t = k eta the deviation is |theta_0| e^{mt} (1 - e^{-tau}) with

    m^2 eta t/(2 + 4x/3) <= tau <= m^2 eta t/(2 + x).

Run: python -m derivations.r06_concave_parabola
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from typing import Any

import mpmath
import sympy

import symflow as sf
from symflow.proofs import Control, Derivation, FiftyDigits, NonnegativeCoefficients, Step, SymbolicZero
from symflow.report.derivations import run
from symflow.theory.r06_concave_parabola import CONCAVE_PARABOLA

X, M, ETA, K, A, T, L, Y = sympy.symbols("x m eta k a t L y", positive=True)


def deviation() -> Iterator[sympy.Expr]:
    """a e^{m k eta} - a (1 + m eta)^k - a e^{m k eta} (1 - e^{-tau}), and tau = (m t/x)(x - log(1 + x))."""
    tau = K * (X - sympy.log(1 + X))
    flow, descent = A * sympy.exp(K * X), A * sympy.exp(K * sympy.log(1 + X))
    yield flow - descent - flow * (1 - sympy.exp(-tau))
    yield tau - (M * T / X * (X - sympy.log(1 + X))).subs(T, K * ETA).subs(ETA, X / M)


def symflow_agrees(factor: float) -> Iterator[tuple[Any, Any]]:
    """theta_k by iterating symflow's gradient exactly, and the closed form for the deviation; the factor is 1."""
    theta = sympy.Symbol("theta")
    for m, eta, start, steps in (("3/2", "1/10", "7/5", 20), ("1/3", "2", "-2/7", 9)):
        slope = sf.gradient(sf.expression_objective(-sympy.Rational(m) / 2 * theta**2, [theta]))
        point = Fraction(start)
        for _ in range(steps):
            point -= Fraction(eta) * sf.evaluate_exact(slope, [point])[0]
        rate, x, a = mpmath.mpf(Fraction(m).numerator) / Fraction(m).denominator, Fraction(m) * Fraction(eta), start
        x, a = mpmath.mpf(x.numerator) / x.denominator, mpmath.mpf(Fraction(a).numerator) / Fraction(a).denominator
        t = steps * x / rate
        tau = factor * (rate * t / x) * (x - mpmath.log(1 + x))
        flow = a * mpmath.exp(rate * t)
        descended = mpmath.mpf(point.numerator) / point.denominator
        yield abs(flow - descended), abs(a) * mpmath.exp(rate * t) * (1 - mpmath.exp(-tau))


def lower(constant: sympy.Expr) -> sympy.Expr:
    """x - log(1 + x) - x^2/(2 + constant x); the constant is 4/3."""
    return X - sympy.log(1 + X) - X**2 / (2 + constant * X)


def upper() -> sympy.Expr:
    """x^2/(2 + x) - x + log(1 + x)."""
    return X**2 / (2 + X) - X + sympy.log(1 + X)


def at_zero() -> Iterator[sympy.Expr]:
    """Both differences vanish at x = 0."""
    yield lower(sympy.Rational(4, 3)).subs(X, 0)
    yield upper().subs(X, 0)


def slopes(constant: sympy.Expr) -> Iterator[tuple[sympy.Expr, tuple[sympy.Symbol, ...]]]:
    """Numerators of the derivatives over denominators that are positive for x > 0."""
    for difference in (lower(constant), upper()):
        numerator, denominator = sympy.fraction(sympy.together(difference.diff(X)))
        yield numerator, (X,)
        yield denominator, (X,)


def increasing(constant: sympy.Expr) -> NonnegativeCoefficients:
    """Both differences increase."""
    scope = "numerators and denominators of both derivatives, as polynomials in $x$"
    return NonnegativeCoefficients(scope, partial(slopes, constant))


def below_for_every_step() -> Iterator[tuple[sympy.Expr, tuple[sympy.Symbol, ...]]]:
    """L (2 + c x) - m^2 eta t with x = eta m and c L = m t + rest, rest >= 0: m^2 eta t/(2 + c x) < L."""
    c, rest, bent = sympy.symbols("c rest bent", positive=True)  # bent = m t
    yield (L * (2 + c * M * ETA) - M * ETA * bent).subs(L, (bent + rest) / c) * c, (c, M, ETA, bent, rest)


def threshold() -> Iterator[sympy.Expr]:
    """a e^{mt} (1 - e^{-tau}) = epsilon at tau = L; its derivative in tau is a e^{mt - tau} > 0."""
    epsilon, tau = sympy.symbols("epsilon tau", positive=True)
    distance = A * sympy.exp(M * T) * (1 - sympy.exp(-tau))
    yield distance.subs(tau, -sympy.log(1 - epsilon * sympy.exp(-M * T) / A)) - epsilon
    yield distance.diff(tau) - A * sympy.exp(M * T - tau)


def solved() -> Iterator[sympy.Expr]:
    """m^2 eta t/(2 + c m eta) = L at eta = 2L/(m^2 t - c m L), for c = 1 and 4/3."""
    for c in (sympy.Integer(1), sympy.Rational(4, 3)):
        eta = 2 * L / (M**2 * T - c * M * L)
        yield M**2 * eta * T / (2 + c * M * eta) - L
        # Increasing in eta, so that <= L means eta <= this value: the derivative has no negative term.
        yield (M**2 * ETA * T / (2 + c * M * ETA)).diff(ETA) - 2 * M**2 * T / (2 + c * M * ETA) ** 2


def logarithm() -> Iterator[sympy.Expr]:
    """d/dy (y/(1 - y) + log(1 - y)) = y/(1 - y)^2 >= 0, and the value at 0."""
    difference = Y / (1 - Y) + sympy.log(1 - Y)
    yield difference.diff(Y) - Y / (1 - Y) ** 2
    yield difference.subs(Y, 0)


FOUR_THIRDS = sympy.Rational(4, 3)

DERIVATION = Derivation(
    proves=CONCAVE_PARABOLA,
    steps=(
        Step(
            r"|\theta(t)-\theta_k| = |\theta_0|\,\bigl(e^{mt}-(1+x)^k\bigr)",
            r"|\theta_0|\,e^{mt}(1-e^{-\tau}), \quad \tau = k\,(x-\log(1+x)) = \tfrac{mt}{x}\,(x-\log(1+x))",
            r"Flow is $\theta_0e^{mt}$, descent $\theta_{k+1} = (1+x)\theta_k$.",
            (
                SymbolicZero(r"every $m, \eta, k, \theta_0 > 0$", deviation),
                FiftyDigits("two instances, descent with symflow's gradient", partial(symflow_agrees, 1)),
            ),
        ),
        Step(
            r"\frac{m^2\eta t}{2+\frac43x}",
            r"\tau \le \frac{m^2\eta t}{2+x}",
            r"$\frac{x^2}{2+4x/3} \le x-\log(1+x) \le \frac{x^2}{2+x}$ for $x \ge 0$: the differences vanish at 0 and "
            r"their derivatives are $x^3$ and $x^2$ over positive polynomials, up to positive factors. Multiply by "
            r"$mt/x$.",
            (SymbolicZero("at $x = 0$", at_zero), increasing(FOUR_THIRDS)),
            r"\le",
        ),
        Step(
            r"|\theta(t)-\theta_k| \le \varepsilon \iff \tau \le L; \quad \tau",
            r"L \ \text{ if }\ \eta \le \frac{2L}{m^2t-mL}, \quad\text{only if}\quad "
            r"\eta \le \frac{2L}{m^2t-\frac43mL} \ \text{ or } \ mt \le \tfrac43L",
            r"$m^2\eta t/(2+cx)$ increases in $\eta$ and equals $L$ at $\eta = 2L/(m^2t-cmL)$ if $mt > cL$; if "
            r"$mt \le cL$ it is below $L$ for every $\eta$. Upper bound with $c = 1$, lower bound with $c = \frac43$.",
            (
                SymbolicZero(r"every $m$, $t$, $\varepsilon$, $\theta_0$: the equivalence", threshold),
                SymbolicZero(r"every $m$, $t$, $L$, $\eta$", solved),
                NonnegativeCoefficients(r"$mt \le cL$, every $c$ and $\eta$", below_for_every_step),
            ),
            r"\le",
        ),
        Step(
            r"L",
            r"\frac{y}{1-y}, \quad y = \frac{\varepsilon}{|\theta_0|}e^{-mt}",
            r"$\frac y{1-y}+\log(1-y)$ vanishes at 0 and has the derivative $y/(1-y)^2 \ge 0$. So the necessary $\eta$ "
            r"is $O(e^{-mt}/t)$: the step has to be exponentially small in the horizon.",
            (SymbolicZero("$0 < y < 1$", logarithm),),
            r"\le",
        ),
    ),
    controls=(
        Control(r"$1.32$ in place of $\frac43$ in the lower bound", increasing(sympy.Rational(132, 100))),
        Control(r"$1.01\,\tau$ in place of $\tau$", FiftyDigits("", partial(symflow_agrees, 1.01))),
    ),
    notation=(r"$x = \eta m$",),
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
