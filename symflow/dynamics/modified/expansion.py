"""What a modified equation is made of: the terms of an expansion as vectors of an objective, and as formulas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import sympy

from symflow.dynamics.method import Method
from symflow.dynamics.methods.runge_kutta import RungeKutta
from symflow.dynamics.modified.coefficients import Number, Terms, start_terms, terms
from symflow.dynamics.modified.differentials import Differentials, Vector, combined
from symflow.dynamics.modified.modified_loss import loss_nodes, loss_numbers, loss_texts
from symflow.dynamics.modified.notation import equation_latex, start_latex
from symflow.dynamics.modified.trees import Tree
from symflow.networks.objective import Objective
from symflow.programs.nodes import Node

RESULTS = {"HeavyBall": "R25", "Nesterov": "R26"}
"""The results on methods by the names of their classes; R17 for all others."""


class Expansion(Protocol):
    """theta' = sum_i eta^i F_i(theta) for one method.

    Attributes:
        by_samples: whether the terms need the samples of the objective one by one, not only its value.
    """

    by_samples: ClassVar[bool]

    @property
    def order(self) -> int:
        """The highest power of eta."""

    @property
    def result(self) -> str:
        """The id of the result that it states."""

    @property
    def symbols(self) -> tuple[sympy.Symbol, ...]:
        """The settings of the method that are symbols."""

    def vectors(self, objective: Objective) -> Sequence[Vector]:
        """F_0, ..., F_order."""

    def start_vectors(self, objective: Objective) -> Sequence[Vector]:
        """S_1, ..., S_order: the flow starts at theta_0 + sum_i eta^i S_i."""

    def latex(self) -> str:
        """The equation."""

    def start_latex(self) -> str:
        """The start."""

    def loss_nodes(self, objective: Objective) -> Sequence[Node]:
        """L_0, L_1, ..., F_i = -grad L_i."""

    def loss_latex(self) -> Sequence[str]:
        """The same as formulas."""


@dataclass(frozen=True)
class TreeExpansion:
    """The expansion of a method in elementary differentials, by rooted trees."""

    method: Method | RungeKutta
    order: int
    by_samples: ClassVar[bool] = False

    @property
    def coefficients(self) -> Terms:
        """F_0, ..., F_order."""
        return terms(self.method, self.order)

    @property
    def start(self) -> Terms:
        """S_1, ..., S_order."""
        return start_terms(self.method, self.order)

    @property
    def result(self) -> str:
        """R25, R26 or R17."""
        return RESULTS.get(type(self.method).__name__, "R17")

    @property
    def symbols(self) -> tuple[sympy.Symbol, ...]:
        """The settings that are symbols."""
        return self.method.symbols

    def vectors(self, objective: Objective) -> Sequence[Vector]:
        """F_0, ..., F_order."""
        return _vectors(objective, self.coefficients)

    def start_vectors(self, objective: Objective) -> Sequence[Vector]:
        """S_1, ..., S_order."""
        return _vectors(objective, self.start)

    def latex(self) -> str:
        """The equation in derivatives of f."""
        return equation_latex(self.coefficients)

    def start_latex(self) -> str:
        """The start in derivatives of f at theta_0."""
        return start_latex(self.start)

    def loss_nodes(self, objective: Objective) -> Sequence[Node]:
        """L_0, L_1, ...."""
        return loss_nodes(objective, loss_numbers(self.coefficients))

    def loss_latex(self) -> Sequence[str]:
        """The same as formulas."""
        return loss_texts(loss_numbers(self.coefficients))


def _vectors(objective: Objective, series: Sequence[Mapping[Tree, Number]]) -> Sequence[Vector]:
    found = Differentials(objective)
    return [combined(objective, [(c, found(t)) for t, c in term.items()]) for term in series]
