"""Conservation laws of the momentum flow mu theta'' + kappa theta' = -grad f on phase space (theta, theta', t)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy

from symflow.analysis.laws.families import Rotation
from symflow.displays import Listed, as_formula
from symflow.errors import shorten
from symflow.numbers.rational import rational, rational_latex


@as_formula
@dataclass(frozen=True)
class PhaseLaw:
    r"""e^{tau t} <A theta, theta'>, A antisymmetric, conserved by mu theta'' + kappa theta' = -grad f, tau = kappa/mu.

    Proof: d/dt = e^{tau t} (tau <A theta, theta'> + <A theta', theta'> + <A theta, -tau theta' - grad f / mu>), where
    <A v, v> = 0 as A is antisymmetric, and <A theta, grad f> = 0 as theta -> A theta changes no output.

    Attributes:
        name: such as "J_1[1,2]".
        rate: tau.
        terms: (p, q, c), p < q, of <A theta, theta'> = sum c (theta_p theta_q' - theta_q theta_p').
        formula: LaTeX.
        symbols: the parameters.

    Example:
        >>> law = sf.conservation_laws(sf.FullyConnected((1, 2, 1))).momentum(3)[0]
        >>> law.name, law.rate
        ('J_1[1,2]', Fraction(3, 1))
        >>> law.bracket([1, 2, 3, 4], [0, 1, 1, 0])  # <A theta, theta'> at theta, theta'
        -3
    """

    name: str
    rate: Fraction
    terms: tuple[tuple[int, int, Fraction], ...]
    formula: str
    symbols: tuple[sympy.Symbol, ...]

    def bracket(self, theta: Sequence[Any], velocity: Sequence[Any]) -> Any:
        """<A theta, theta'>, which decays as e^{-tau t}."""
        total: Any = 0
        for p, q, given in self.terms:
            c = given.numerator if given.denominator == 1 else given
            total = total + c * (theta[p] * velocity[q] - theta[q] * velocity[p])
        return total

    @property
    def velocities(self) -> tuple[sympy.Symbol, ...]:
        """theta' as symbols, each named as its parameter with a prime."""
        return tuple(sympy.Symbol(f"{s.name}'", real=True) for s in self.symbols)

    @property
    def expression(self) -> sympy.Expr:
        """The law as a SymPy expression of the parameters, `velocities` and t."""
        terms = [(p, q, sympy.Rational(c.numerator, c.denominator)) for p, q, c in self.terms]
        velocity = self.velocities
        inside = sympy.Add(*(c * (self.symbols[p] * velocity[q] - self.symbols[q] * velocity[p]) for p, q, c in terms))
        rate = sympy.Rational(self.rate.numerator, self.rate.denominator)
        return sympy.exp(rate * sympy.Symbol("t", real=True)) * inside

    def latex(self) -> str:
        """The formula."""
        if self.rate == 0:
            return self.formula
        number = "" if self.rate == 1 else "-" if self.rate == -1 else rational_latex(self.rate)
        return rf"e^{{{number}t}}{self.formula}"

    def __repr__(self) -> str:
        return f"<law {self.name}: {shorten(str(self.expression))}>"


def phase_laws(rotations: Iterable[Rotation], rate: Any, symbols: tuple[sympy.Symbol, ...]) -> tuple[PhaseLaw, ...]:
    """One law for each rotation.

    Raises:
        ProblemError: the rate is not a rational number.
    """
    tau = rational(rate, "rate")
    return Listed(PhaseLaw(r.name, tau, r.terms, r.formula, symbols) for r in rotations)
