"""What is asked of a parametrized map: its known laws, a point, and its outputs near that point as polynomials."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import sympy

from symflow.analysis.laws.families import Rotation
from symflow.analysis.laws.law import Law
from symflow.analysis.laws.polynomials import System


@dataclass(frozen=True, eq=False)
class Local:
    """A map near a point.

    Attributes:
        moves: functions whose gradients are fields of the flow near the point; its Lie algebra bounds the laws above.
        values: residues of the auxiliary functions of `moves` at the point.
        whole: functions whose gradients span all fields near the point, among which laws are searched; None where the
            map was sampled only.
    """

    moves: System
    values: tuple[int, ...] = ()
    whole: System | None = None


class Model(Protocol):
    """A parametrized map and the losses and data of which laws are wanted."""

    @property
    def symbols(self) -> tuple[sympy.Symbol, ...]:
        """A name for each of the P parameters."""

    @property
    def scope(self) -> str:
        """For which data and losses the laws hold."""

    def points(self) -> Iterator[tuple[Fraction, ...]]:
        """Points drawn by a fixed seed, of which the one with the fewest laws is taken."""

    def near(self, point: Sequence[Fraction]) -> Local:
        """The map near a point."""

    def known(self) -> tuple[Law, ...]:
        """Laws that hold for every map of the kind, proved in R10 and R30."""

    def rotations(self) -> tuple[Rotation, ...] | None:
        """Rotations that are known; None where they are searched."""


def drawn_numbers(source: random.Random, count: int) -> list[Fraction]:
    """Random numbers between -10 and 10, with three digits."""
    return [Fraction(source.randint(-9999, 9999), 1000) for _ in range(count)]


def drawn_inputs(source: random.Random, width: int, count: int) -> list[list[Fraction]]:
    """Random inputs of several sizes: kinks of maps with biases lie at all distances from 0."""
    return [
        [v * Fraction(10) ** power for v in drawn_numbers(source, width)]
        for power in (source.randint(-2, 1) for _ in range(count))
    ]
