r"""C1: gradient flow of one linear layer with the square loss is a matrix exponential.

    W(t) = W(0) e^{-Sigma t} + Lambda int_0^t e^{-Sigma s} ds
         = Lambda Sigma^{-1} + (W(0) - Lambda Sigma^{-1}) e^{-Sigma t}  where Sigma_xx = Sigma is invertible.

Run: python -m derivations.c01_one_layer
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

import sympy

from symflow.proofs import Control, Derivation, Step, SymbolicZero
from symflow.proofs.words import inner, matrices, transposed
from symflow.report.derivations import run
from symflow.theory.c01_one_layer import ONE_LAYER, weights

T = sympy.Symbol("t", real=True)


def gradient() -> Iterator[sympy.Expr]:
    """The derivative of 1/(2N) ||W X - Y||_F^2 along W + t A is <W Sigma - Lambda, A>."""
    t, samples = sympy.symbols("t N", positive=True)
    w, a, x, y = matrices("W A X Y")
    residual = (w + t * a) * x - y
    loss = inner(residual, residual) / (2 * samples)
    yield loss.diff(t).subs(t, 0) - inner((w * x * transposed(x) - y * transposed(x)) / samples, a)


def any_size(sign: int = -1, factor: sympy.Expr = sympy.S.One) -> Iterator[sympy.Expr]:
    """W' + W Sigma - Lambda for matrices of any size: E = e^{-Sigma t}, E' = -E Sigma, I' = E, I Sigma = 1 - E.

    `sign` is that of the exponent, -1; `factor` that of Lambda, 1.
    """
    start, target, sigma, e, integral = sympy.symbols("W_0 Lambda Sigma E I", commutative=False)
    w = weights(start, factor * target, e, integral)
    velocity = w.subs({e: sign * e * sigma, integral: e}, simultaneous=True)
    through = sympy.expand(w * sigma).subs(integral * sigma, 1 - e)
    yield sympy.expand(velocity + through - target)


def eigenvalues() -> Iterator[sympy.Expr]:
    """d/dt e^{-st} and s times the integral of e^{-sr}, for every eigenvalue s of Sigma: s > 0, and s = 0."""
    r, positive = sympy.Symbol("r"), sympy.Symbol("s", positive=True)
    for s in (positive, sympy.Integer(0)):
        yield sympy.exp(-s * T).diff(T) + s * sympy.exp(-s * T)
        integral = sympy.integrate(sympy.exp(-s * r), (r, 0, T))
        yield s * integral - (1 - sympy.exp(-s * T))
        yield integral.diff(T) - sympy.exp(-s * T)
        yield integral.subs(T, 0)


def equilibrium() -> Iterator[sympy.Expr]:
    """Sigma invertible, J its inverse: int_0^t e^{-Sigma s} ds = J (1 - E), J Sigma = 1."""
    start, target, inverse, e = sympy.symbols("W_0 Lambda J E", commutative=False)
    first = weights(start, target, e, inverse * (1 - e))
    yield sympy.expand(first - (target * inverse + (start - target * inverse) * e))


DERIVATION = Derivation(
    proves=ONE_LAYER,
    steps=(
        Step(
            r"\dot W",
            r"-(W\Sigma-\Lambda)",
            r"The gradient of $\frac1{2N}\|WX-Y\|_F^2$.",
            (SymbolicZero("matrices of any size", gradient),),
        ),
        Step(
            r"W(t)",
            r"W(0)e^{-\Sigma t}+\Lambda\int_0^te^{-\Sigma s}\,ds",
            r"Substitute: $\frac{d}{dt}e^{-\Sigma t} = -e^{-\Sigma t}\Sigma$ and $\int_0^te^{-\Sigma s}ds\,\Sigma = "
            r"I-e^{-\Sigma t}$, also where $\Sigma$ is singular.  Linear equations have one solution.",
            (
                SymbolicZero("matrices of any size", any_size),
                SymbolicZero(r"every eigenvalue $s \ge 0$ of $\Sigma$: what was substituted", eigenvalues),
            ),
        ),
        Step(
            r"W(0)e^{-\Sigma t}+\Lambda\int_0^te^{-\Sigma s}\,ds",
            r"\Lambda\Sigma^{-1}+(W(0)-\Lambda\Sigma^{-1})e^{-\Sigma t}",
            r"$\Sigma$ invertible: $\int_0^te^{-\Sigma s}ds = \Sigma^{-1}(I-e^{-\Sigma t})$.",
            (SymbolicZero("matrices of any size", equilibrium),),
        ),
    ),
    controls=(
        Control(r"$e^{+\Sigma t}$", SymbolicZero("", partial(any_size, sign=1))),
        Control(
            r"$1.01\,\Lambda$ in place of $\Lambda$",
            SymbolicZero("", partial(any_size, factor=sympy.Rational(101, 100))),
        ),
    ),
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
