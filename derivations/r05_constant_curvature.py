r"""R5: the step-size condition R4 for a constant bound m on the curvature.

    m = 0: eta < (epsilon - rho)/(beta gamma T);   m > 0: eta < m (epsilon - rho e^{mT})/(beta gamma (e^{mT} - 1));
    lambda_min >= mu > 0: eta <= epsilon mu/(beta gamma), for all time.

Run: python -m derivations.r05_constant_curvature
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

import sympy

from symflow.proofs import Control, Derivation, NonnegativeCoefficients, Step, SymbolicZero
from symflow.report.derivations import run
from symflow.theory.r05_constant_curvature import CONSTANT_CURVATURE

T, S, M, EPSILON, RHO, GAP, X = sympy.symbols("t s m epsilon rho gap x", positive=True)


def weights(m: sympy.Expr, stated: sympy.Expr) -> Iterator[sympy.Expr]:
    """The integral of e^{m (t - s)} over [0, t], minus what is stated."""
    yield sympy.integrate(sympy.exp(m * (T - S)), (S, 0, T)) - stated


def constants() -> Iterator[sympy.Expr]:
    """m = 0, m > 0 and m = -mu < 0."""
    yield from weights(sympy.Integer(0), T)
    yield from weights(M, (sympy.exp(M * T) - 1) / M)
    yield from weights(-M, (1 - sympy.exp(-M * T)) / M)


def falling() -> Iterator[sympy.Expr]:
    """d/dx (epsilon - rho x)/(x - 1) = -(epsilon - rho)/(x - 1)^2, x = e^{mt}; and of (epsilon - rho)/t."""
    yield ((EPSILON - RHO * X) / (X - 1)).diff(X) + (EPSILON - RHO) / (X - 1) ** 2
    yield ((EPSILON - RHO) / T).diff(T) + (EPSILON - RHO) / T**2


def contraction(constant: sympy.Expr) -> Iterator[tuple[sympy.Expr, tuple[sympy.Symbol, ...]]]:
    """(epsilon - rho x) - constant epsilon (1 - x) with epsilon = rho + gap and x = e^{-mu t}; the constant is 1."""
    yield (RHO + GAP - RHO * X) - constant * (RHO + GAP) * (1 - X), (RHO, GAP, X)


def contracting(constant: sympy.Expr) -> NonnegativeCoefficients:
    """The condition for all time."""
    scope = r"$(\varepsilon-\rho x) - \varepsilon(1-x)$ in $\rho$, $\varepsilon-\rho$ and $x = e^{-\mu t}$"
    return NonnegativeCoefficients(scope, partial(contraction, constant))


DERIVATION = Derivation(
    proves=CONSTANT_CURVATURE,
    steps=(
        Step(
            r"\int_0^t e^{m(t-s)}\,ds",
            r"t \ (m=0), \qquad \frac{e^{mt}-1}{m} \ (m>0), \qquad \frac{1-e^{-\mu t}}{\mu} \ (m=-\mu<0)",
            "Integrate.",
            (SymbolicZero(r"every $m$ and $t > 0$", constants),),
        ),
        Step(
            r"\frac{\varepsilon-\rho}{t}, \quad \frac{\varepsilon-\rho e^{mt}}{e^{mt}-1}",
            r"\text{their values at } t = T",
            r"For $m \ge 0$ they fall in $t$, because $\rho < \varepsilon$: with $x = e^{mt}$ the derivative of the "
            r"second is $-(\varepsilon-\rho)/(x-1)^2$. So the condition for all $t \in (0,T]$ is that at $T$.",
            (SymbolicZero(r"every $\rho$, $\varepsilon$, $x$, $t$", falling),),
            r"\ge",
        ),
        Step(
            r"\frac{\mu(\varepsilon-\rho e^{-\mu t})}{\beta\gamma(1-e^{-\mu t})}",
            r"\frac{\varepsilon\mu}{\beta\gamma}",
            r"With $x = e^{-\mu t} \in (0,1)$: $(\varepsilon-\rho x)-\varepsilon(1-x) = (\varepsilon-\rho)x > 0$. The "
            r"right side does not depend on $T$; equality is admitted since the left side is larger.",
            (contracting(sympy.Integer(1)),),
            ">",
        ),
    ),
    controls=(
        Control(r"the integral for $m > 0$ is $e^{mt}/m$", SymbolicZero("", partial(weights, M, sympy.exp(M * T) / M))),
        Control(r"$\eta \le 1.01\,\varepsilon\mu/(\beta\gamma)$ for all time", contracting(sympy.Rational(101, 100))),
    ),
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
