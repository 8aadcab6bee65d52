"""Smooth regions and strata of kinks, and the point at which one of them is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import mpmath
import numpy as np
from gmpy2 import mpz

from symflow.dynamics.sliding import TiedGate
from symflow.dynamics.vector_field import VectorField
from symflow.errors import KinkCause
from symflow.evaluate.blocks.steps import acting
from symflow.evaluate.fixed_point import FixedSeries
from symflow.evaluate.products import Coefficients
from symflow.evaluate.series import Entry, Recurrence
from symflow.networks.objective import Objective
from symflow.numbers.types import Mpf
from symflow.paths.taylor.kinks.compiled import Compiled
from symflow.paths.taylor.kinks.gates import Gates, Position, slope, with_values

LOOKAHEAD = 4
"""Taylor coefficients that are looked at for the side to which a pre-activation moves."""
REST = 64
"""Coefficients of at most this many units in the last place count as a pre-activation that does not move."""


@dataclass(frozen=True)
class Undecided:
    """Why a flow stops at a kink."""

    cause: KinkCause
    position: Position
    explanation: str


@dataclass(frozen=True)
class Region:
    """A smooth region, or a stratum of kinks: where one set of recurrences holds.

    Attributes:
        gates: the value of every gate (sliding ones are cut to 0).
        ties: the gates that slide.
        recurrence: the compiled field.
        parked: gates whose pre-activation has come to rest at zero: nothing moves it while the region lasts, so that
            its gate does not matter.
        implied: those of them that rest because gates with dependent normals slide (a unit with zero weights).
        resting: for gates that start on their kink, how many leading coefficients of the pre-activation vanish.
        resting_monitors: the same for the monitors of sliding gates and of followers.
        followers: the deeper gates whose input vanishes with sliding ones; they take part in how these stand.
    """

    gates: Gates
    ties: tuple[TiedGate, ...]
    recurrence: Recurrence
    parked: frozenset[Position] = frozenset()
    implied: frozenset[Position] = frozenset()
    resting: Mapping[Position, int] = field(default_factory=dict)
    resting_monitors: Mapping[int, int] = field(default_factory=dict)
    followers: tuple[Position, ...] = ()

    @property
    def sliding(self) -> tuple[Position, ...]:
        """All gates that slide."""
        return tuple(a for tie in self.ties for a in tie.members)

    @property
    def on_kink(self) -> frozenset[Position]:
        """The gates that are held on their kink, sliding or implied."""
        return self.implied.union(self.sliding)

    @property
    def at_zero(self) -> frozenset[Position]:
        """All gates whose pre-activation is zero while the region lasts."""
        return self.parked.union(self.sliding)

    def pre_activation(self, a: Position) -> Entry:
        """The entry of a gate's pre-activation; None where it is inert."""
        return self.recurrence.switching[a[0]][a[1]]

    def same_flow(self, objective: Objective, other: Region) -> bool:
        """Whether two regions are one flow: they hold the same gates on their kinks and agree on all others that act.

        The flow on a stratum is unique whatever gates hold it there (docs/theory/kinks.md); gates that are inert in
        both have no influence.
        """
        if self.at_zero != other.at_zero:
            return False
        both = zip(self.recurrence.switching, other.recurrence.switching, strict=True)
        inert = ((i, e) for i, (a, b) in enumerate(both) for e in np.flatnonzero(~(acting(a) | acting(b))).tolist())
        indifferent = dict.fromkeys([*self.at_zero, *inert], Fraction(0))
        first, second = (with_values(objective, region.gates, indifferent) for region in (self, other))
        return all(np.array_equal(first[g], second[g]) for g in first)


@dataclass(frozen=True)
class Point:
    """Where the flow stands, and the numbers to decide with.

    Attributes:
        values: the state, fixed point.
        arithmetic: the numbers.
        noise: what is not larger counts as zero.
        tau: Taylor coefficients are taken in s = t / 2^tau.
        compiled: compiles fields for fixed gates.
        jitter: log2, in units of the last place, of what a check run has added at random; 0 without.
    """

    values: Sequence[mpz]
    arithmetic: FixedSeries
    noise: int
    tau: int
    compiled: Compiled
    jitter: int = 0

    def is_zero(self, entry: Entry) -> bool:
        """Whether a live entry vanishes at the point (its recurrence has been expanded there)."""
        return isinstance(entry, list) and abs(entry[0]) <= 4 * self.noise

    def at_rest(self, series: Coefficients) -> bool:
        """Whether coefficients are zero up to rounding, or up to what a check run adds, which moves rates as much."""
        return bool(max(map(abs, series)) <= REST << self.jitter)

    def leading(self, series: Coefficients, start: int) -> int | None:
        """The first significant coefficient from `start` on; None if there is none to look at."""
        return next((k for k in range(start, len(series)) if is_definite(series[k], self.noise)), None)

    def series(self, entry: Entry) -> Coefficients:
        """The Taylor coefficients of an entry, one of a constant."""
        return entry if isinstance(entry, list) else [self.arithmetic.lift(entry or Fraction(0))]


@dataclass(frozen=True)
class Corner:
    """What is known where the kinks of some gates meet.

    Attributes:
        base: the flow in smooth regions.
        cut: all gate values, 0 for those at their kink.
        ties: the independent gates at their kink, grouped by the surface on which they vanish.
        dependent: the deeper gates whose input vanishes with theirs.
        point: where.
    """

    base: VectorField
    cut: Gates
    ties: tuple[TiedGate, ...]
    dependent: tuple[Position, ...]
    point: Point

    @property
    def objective(self) -> Objective:
        """What flows."""
        return self.base.objective

    def undecided(self, explanation: str) -> Undecided:
        """The combinations cannot be tried."""
        return Undecided("coincident", self.ties[0].first, explanation)


def is_definite(coefficient: mpz, noise: int) -> bool:
    """Whether a coefficient is more than what may be rounding."""
    return bool(abs(coefficient) > 1000 * noise)


def sliding_values(objective: Objective, region: Region, point: Point) -> dict[Position, Mpf]:
    """Where each sliding gate stands between its slopes, an mpmath number with the digits of the context.

    It is alpha_bar + (alpha - alpha_bar) x with x = (p - p_off) / (p_on - p_off), the share of the "on" side.
    """
    region.recurrence.expand(point.values, LOOKAHEAD, point.tau)
    result: dict[Position, Mpf] = {}
    for i, tie in enumerate(region.ties):
        low, high = (point.series(m) for m in region.recurrence.monitors[2 * i : 2 * i + 2])
        # The gate has no weight at the point itself where both vanish: its limit from beyond counts.
        pairs = ((a, b) for a, b in zip(low, high, strict=False) if a + b > point.noise)
        above, below = next(pairs, (1, 1))
        share = mpmath.mpf(int(above)) / int(above + below)
        for a, sign in zip(tie.members, tie.signs, strict=True):
            on, off = slope(objective, a, sign > 0), slope(objective, a, sign < 0)
            rise = on - off
            result[a] = mpmath.mpf(off.numerator) / off.denominator + share * rise.numerator / rise.denominator
    return result
