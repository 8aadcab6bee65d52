"""What makes a path converge near a point: the contract that the three cases of R24 share."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Literal, Protocol, TypeAlias

import numpy as np

from symflow.networks.objective import Objective
from symflow.numbers.balls import Ball

Kind: TypeAlias = Literal["interpolating", "linear", "symmetric", "isolated"]
Refined: TypeAlias = tuple[list[Ball], Ball]
"""A point, and at most how far the limit is from it."""


class Route(Protocol):
    """One case of R24 on one objective; boxes are arrays of balls, numbers are balls."""

    @property
    def objective(self) -> Objective:
        """f."""

    @property
    def kind(self) -> Kind:
        """Its name."""

    @property
    def minimum(self) -> Fraction | None:
        """f*, exactly; None where it is only enclosed at the limit."""

    @property
    def crosses_kinks(self) -> bool:
        """Whether mu holds where gates change, for all subgradients: enough for flow, not for descent."""

    @property
    def degenerate(self) -> str:
        """What it means that mu is 0, in words."""

    def rate(self, theta: np.ndarray) -> Ball:
        """At most mu on a box; of any sign.

        Raises:
            GateUndecided: a gate may change in the box, and kinks are not crossed.
        """

    def excess(self, theta: np.ndarray, mu: Ball) -> Ball:
        """At least f - f* on a box, where mu holds around it."""

    def length(self, theta: np.ndarray, mu: Ball) -> Ball:
        """At least how long the flow's path is from any point of a box."""

    def stretch(self, step_size: Ball, beta: Ball) -> Ball:
        """By what that is longer for descent at most, for eta beta < 2; not a number where only flow is known."""

    def refined(self, center: Sequence[Ball], near: np.ndarray, theta: np.ndarray) -> Refined | None:
        """A point near the limit by Newton's method, where the limit is the only one in the neighbourhood.

        Args:
            center: of the neighbourhood.
            near: a box that the path passes.
            theta: a box that contains the neighbourhood.

        Returns:
            The bound holds if the point is in the neighbourhood; None where there is none.
        """
