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

from symflow.derivation import Control, Derivation, Step, SymbolicZero
from symflow.presentation.derivation_text import run

T = sympy.Symbol("t", real=True)


def gradient() -> Iterator[sympy.Expr]:
    """The gradient of 1/(2N) ||W X - Y||_F^2 at 2 x 2 matrices, N = 2."""
    w, x, y = (sympy.Matrix(2, 2, sympy.symbols(f"{letter}1:5")) for letter in "wxy")
    residual = w * x - y
    loss = (residual.T * residual).trace() / 4
    stated = w * (x * x.T / 2) - y * x.T / 2
    for entry, slope in zip(w, stated, strict=True):
        yield loss.diff(entry) - slope


def any_size(sign: int = -1) -> Iterator[sympy.Expr]:
    """W' + W Sigma - Lambda for matrices of any size: E = e^{-Sigma t}, E' = -E Sigma, I' = E, I Sigma = 1 - E."""
    start, target, sigma, e = sympy.symbols("W_0 Lambda Sigma E", commutative=False)
    integral_times_sigma = 1 - e
    velocity = sign * start * e * sigma + target * e
    yield sympy.expand(velocity + start * e * sigma + target * integral_times_sigma - target)


def two_by_two(shift: int = 1) -> Iterator[sympy.Expr]:
    """The solution for every symmetric 2 x 2 matrix Sigma = Q diag(p, q) Q^T, p, q > 0, and one with q = 0."""
    p, q, phi = sympy.symbols("p q phi", positive=True)
    c, s = sympy.cos(phi), sympy.sin(phi)
    frame = sympy.Matrix([[c, -s], [s, c]])
    start, target = (sympy.Matrix(1, 2, sympy.symbols(f"{letter}1:3")) for letter in "wl")
    for second, grown in ((q, (1 - sympy.exp(-q * T)) / q), (sympy.Integer(0), T)):
        sigma = frame * sympy.diag(p, second) * frame.T
        decay = frame * sympy.diag(sympy.exp(-p * T), sympy.exp(-second * T)) * frame.T
        integral = frame * sympy.diag((1 - sympy.exp(-p * T)) / p, grown) * frame.T
        w = start * decay + shift * target * integral
        yield from w.diff(T) + w * sigma - target
        yield from w.subs(T, 0) - start


def equilibrium() -> Iterator[sympy.Expr]:
    """Sigma invertible, J its inverse: int_0^t e^{-Sigma s} ds = J (1 - E), J Sigma = 1."""
    start, target, inverse, e = sympy.symbols("W_0 Lambda J E", commutative=False)
    first = start * e + target * inverse * (1 - e)
    yield sympy.expand(first - (target * inverse + (start - target * inverse) * e))


DERIVATION = Derivation(
    result="C1",
    title="One linear layer",
    hypotheses=(r"$n = 1$, square loss; $\Sigma = \Sigma_{xx}$, $\Lambda = \Lambda_{yx}$",),
    steps=(
        Step(
            r"W'",
            r"-(W\Sigma-\Lambda)",
            r"The gradient of $\frac1{2N}\|WX-Y\|_F^2$.",
            (SymbolicZero(r"all $2\times2$ matrices $W$, $X$, $Y$", gradient),),
        ),
        Step(
            r"W(t)",
            r"W(0)e^{-\Sigma t}+\Lambda\int_0^te^{-\Sigma s}\,ds",
            r"Substitute: $\frac{d}{dt}e^{-\Sigma t} = -e^{-\Sigma t}\Sigma$ and $\int_0^te^{-\Sigma s}ds\,\Sigma = "
            r"I-e^{-\Sigma t}$, also where $\Sigma$ is singular.  Linear equations have one solution.",
            (
                SymbolicZero("matrices of any size", any_size),
                SymbolicZero(r"every symmetric $2\times2$ matrix $\Sigma$, invertible or of rank one", two_by_two),
            ),
        ),
        Step(
            r"W(0)e^{-\Sigma t}+\Lambda\int_0^te^{-\Sigma s}\,ds",
            r"\Lambda\Sigma^{-1}+(W(0)-\Lambda\Sigma^{-1})e^{-\Sigma t}",
            r"$\Sigma$ invertible: $\int_0^te^{-\Sigma s}ds = \Sigma^{-1}(I-e^{-\Sigma t})$.",
            (SymbolicZero("matrices of any size", equilibrium),),
        ),
    ),
    conclusion=r"\[ W(t) = W(0)e^{-\Sigma t}+\Lambda\int_0^te^{-\Sigma s}\,ds. \]",
    controls=(
        Control(r"$e^{+\Sigma t}$", SymbolicZero("", partial(any_size, sign=1))),
        Control(r"$-\Lambda$ in place of $\Lambda$", SymbolicZero("", partial(two_by_two, shift=-1))),
    ),
)

if __name__ == "__main__":
    sys.exit(run(DERIVATION))
