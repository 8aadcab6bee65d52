"""The conservation laws of a map: how many there are, which are known, and what is proved of their number."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import sympy

from symflow.analysis.laws.families import Rotation
from symflow.analysis.laws.law import Law
from symflow.analysis.laws.phase import PhaseLaw, phase_laws
from symflow.displays import as_formula, listing, show


@as_formula
@dataclass(frozen=True)
class ConservationLaws:
    """The laws h with <grad h, X> = 0 for every field X of the flow, near a point.

    `at_least` and `at_most` are proved: independent laws at the point, and P less the rank of iterated brackets there,
    each computed modulo a prime at one rational point, which can only make a rank smaller. Where they agree the number
    of laws is exact, and so it is near the point: the Lie algebra has the same dimension at all points nearby.

    Attributes:
        parameter_count: P.
        dimension: of the Lie algebra of the fields at the point, from below; exact where `exact`.
        laws: independent laws that were found.
        exact: whether the number is proved, with `dimension` the same at all points near the point.
        how: how the number is known, in one line.
        scope: for which data and losses.
        point: theta, P rational numbers; with gates, the laws are those of its region.
        symbols: the parameters.
        rotations: antisymmetric symmetries of the map, which `momentum` turns into laws.

    Example:
        >>> laws = sf.conservation_laws(sf.FullyConnected((1, 2, 2, 1)))
        >>> laws.count, laws.dimension, len(laws.laws), laws.complete
        (7, 1, 6, False)
        >>> print(laws.how)
        exact: one field, so that its Lie algebra has dimension 1; 6 of the laws are polynomials of degree 2
    """

    parameter_count: int
    dimension: int
    laws: tuple[Law, ...]
    exact: bool
    how: str
    scope: str
    point: tuple[Fraction, ...] = field(repr=False)
    symbols: tuple[sympy.Symbol, ...] = field(repr=False)
    rotations: tuple[Rotation, ...] = field(repr=False, default=())

    def __post_init__(self) -> None:
        listing(self, "laws")

    @property
    def at_least(self) -> int:
        """As many laws are found, independent at the point."""
        return len(self.laws)

    @property
    def at_most(self) -> int:
        """There are no more independent laws near the point."""
        return self.parameter_count - self.dimension

    @property
    def count(self) -> int:
        """The number of independent laws near the point: exact where `exact`, else an upper bound."""
        return self.at_most

    @property
    def complete(self) -> bool:
        """Whether `laws` are all of them: every other law is a function of these near the point."""
        return self.at_least == self.at_most

    @property
    def result(self) -> str:
        """The id of the result that it is an instance of."""
        return "R30"

    @property
    def citation(self) -> Any:
        """Where the result comes from: a `Citation`."""
        return show(self, "citation")

    def momentum(self, rate: Any) -> tuple[PhaseLaw, ...]:
        r"""Laws of the momentum flow mu theta'' + kappa theta' = -grad f on phase space, tau = kappa/mu.

        For theta -> A theta, A antisymmetric, that changes no output to first order: e^{tau t} <A theta, theta'>.
        For two layers U = W_2 and V = W_1^T: e^{tau t} (U^T U' - U'^T U + V^T V' - V'^T V).

        Args:
            rate: tau, a rational number.

        Returns:
            One `PhaseLaw` for each A of a basis of those that are known (all, where the map was searched).

        Raises:
            ProblemError: not a rational number.

        Source: Marcotte, Gribonval & Peyre 2024, R30.

        Example:
            >>> laws = sf.conservation_laws(sf.FullyConnected((2, 2, 2))).momentum("1/2")
            >>> [law.expression for law in laws]
            [(-W1_11*W1_21' + ...)*exp(t/2)]
        """
        return phase_laws(self.rotations, rate, self.symbols)

    def latex(self) -> str:
        """The laws that were found, and how many there are."""
        return show(self, "latex")

    def __repr__(self) -> str:
        number = f"{self.count}" if self.exact else f"{self.at_least} to {self.at_most}"
        return f"<{number} conservation laws of P={self.parameter_count} parameters for {self.scope}: {self.how}>"
