"""A conservation law: a polynomial in the parameters that the flow does not change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sympy

from symflow.analysis.laws.drift import Drift, drift
from symflow.analysis.laws.terms import Terms, derivative, evaluate_terms, polynomial_node
from symflow.dynamics.method import Method
from symflow.errors import ProblemError, shorten
from symflow.programs.nodes import Axis, Input
from symflow.programs.program import Program


@dataclass(frozen=True)
class Law:
    r"""h(theta), a polynomial that the flow theta' = -grad f(theta) conserves, for every f that its record speaks of.

    It is called with P numbers of any kind (floats, arrays, `Fraction`, mpmath numbers).

    Attributes:
        name: such as "D_1[1,2]", units counted from 1.
        terms: the polynomial: (positions in theta, coefficient), a position as often as it is a factor.
        count: P.
        formula: LaTeX.
        symbols: names of the parameters.
        family: LaTeX of the matrix or vector that it is an entry of; empty where there is none.

    Source: R10, R30.

    Example:
        >>> law = sf.conservation_laws(sf.FullyConnected((2, 2, 1))).laws[1]
        >>> law.name, law.expression
        ('D_1[1,2]', -W1_11*W1_21 - W1_12*W1_22 + W2_11*W2_12)
        >>> law([1, 2, 3, 4, 5, 6])
        19
        >>> print(law.latex())
        (W_{2}^\top W_{2} - W_{1}W_{1}^\top)_{1,2}
    """

    name: str
    terms: Terms
    count: int
    formula: str
    symbols: tuple[sympy.Symbol, ...]
    family: str = ""

    def __call__(self, theta: Sequence[Any]) -> Any:
        """h(theta).

        Raises:
            ProblemError: not P numbers.
        """
        if len(theta) != self.count:
            raise ProblemError(f"theta must have P = {self.count} numbers, got {len(theta)}")
        return evaluate_terms(self.terms, theta)

    @property
    def degree(self) -> int:
        """The degree of the polynomial."""
        return max(len(product) for product, _ in self.terms)

    @property
    def homogeneous(self) -> bool:
        """Whether all terms have the same degree."""
        return all(len(product) == self.degree for product, _ in self.terms)

    @property
    def expression(self) -> sympy.Expr:
        """h as a SymPy expression in `symbols`."""
        return evaluate_terms([(p, sympy.Rational(c.numerator, c.denominator)) for p, c in self.terms], self.symbols)

    @property
    def program(self) -> Program:
        """theta -> h(theta), for every interpreter."""
        theta = Input("theta", (Axis("parameter", self.count),), "state", r"\theta")
        return Program((theta,), {"h": polynomial_node(self.terms, theta)})

    def gradient(self, theta: Sequence[Any]) -> list[Any]:
        """grad h(theta), P numbers."""
        return [evaluate_terms(derivative(self.terms, p), theta) for p in range(self.count)]

    def drift(self, method: Method | None = None) -> Drift:
        """How far one step of descent moves h, exactly, and to leading order in the step size.

        Args:
            method: the recursion; gradient descent if left out.
        """
        return drift(self, method)

    def latex(self) -> str:
        """The formula."""
        return self.formula

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.formula}$"

    def __repr__(self) -> str:
        return f"<law {self.name}: {shorten(str(self.expression))}>"
