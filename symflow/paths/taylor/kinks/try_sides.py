"""One assumption about every gate at its kink, and whether the field it defines agrees with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from symflow.dynamics.sliding import TiedGate, sliding_field
from symflow.errors import ComputationError
from symflow.evaluate.series import Recurrence
from symflow.paths.taylor.kinks.downstream import downstream_sides, followers
from symflow.paths.taylor.kinks.gates import Gates, Position, entries_near_zero, slope, value_of, with_values
from symflow.paths.taylor.kinks.minimal_norm import Side
from symflow.paths.taylor.kinks.region import LOOKAHEAD, Corner, Region, Undecided

PROBES = 8
"""How often the gates downstream of those at their kink are corrected before giving up."""


def try_sides(
    corner: Corner, sides: Sequence[Side], implied: frozenset[Position] = frozenset()
) -> Region | Undecided | None:
    """The region for one assumption about every tie; None if it contradicts itself.

    Gates that are `implied` by sliding ones need to rest on their kink to the noise only: their normals depend on
    those of the sliding gates, whose Gram system rounds.
    """
    assumption = _assume(corner, sides, implied)
    try:
        following = _with_followers(assumption)
        return following if isinstance(following, Undecided) else _continued(following)
    except ComputationError:
        # Dependent normals: fewer gates that slide, the others implied by them, stand for the same flow.
        return None


@dataclass(frozen=True)
class _Assumption:
    """Which gates slide, on which side the others at their kink are, and those downstream of them.

    Attributes:
        corner: where.
        slides: the ties that slide.
        assumed: the values of the gates at their kink that do not slide.
        gates: all values, those downstream as far as they are known at first.
        implied: the assumed gates that rest on their kink because others slide.
        following: the gates downstream of sliding ones.
    """

    corner: Corner
    slides: tuple[TiedGate, ...]
    assumed: Mapping[Position, Fraction]
    gates: Gates
    implied: frozenset[Position]
    following: tuple[Position, ...] = ()

    @property
    def held(self) -> set[Position]:
        """The gates that slide."""
        return {a for tie in self.slides for a in tie.members}


@dataclass
class _Reading:
    """What the Taylor coefficients of the assumed field say about the gates at their kink and downstream of them.

    Attributes:
        resting: how many leading coefficients of a pre-activation vanish.
        resting_monitors: the same for the monitors of sliding gates and of followers.
        parked: the gates that do not move.
        corrected: the downstream gates that turn out to be on the other side.
    """

    resting: dict[Position, int]
    resting_monitors: dict[int, int]
    parked: set[Position]
    corrected: dict[Position, Fraction]


def _assume(corner: Corner, sides: Sequence[Side], implied: frozenset[Position]) -> _Assumption:
    """The values of the gates at their kink under one assumption about every tie, and of those downstream."""
    objective = corner.objective
    pairs = list(zip(corner.ties, sides, strict=True))
    slides = tuple(tie for tie, side in pairs if side == "slide")
    assumed = {
        a: slope(objective, a, (side == "on") == (sign > 0))
        for tie, side in pairs
        if side != "slide"
        for a, sign in zip(tie.members, tie.signs, strict=True)
    }
    gates: Gates = with_values(objective, corner.cut, assumed)
    for tie, side in pairs:
        if side != "slide":
            gates = with_values(objective, gates, downstream_sides(corner, gates, tie, side == "on"))
    return _Assumption(corner, slides, assumed, gates, implied)


def _with_followers(assumption: _Assumption) -> _Assumption | Undecided:
    """The assumption with the gates downstream of sliding ones."""
    gates, following = assumption.gates, list[Position]()
    for tie in assumption.slides:
        found = followers(assumption.corner, gates, tie)
        if isinstance(found, Undecided):
            return found
        gates = with_values(assumption.corner.objective, gates, found)
        following += found
    return replace(assumption, gates=gates, following=tuple(following))


def _continued(assumption: _Assumption) -> Region | Undecided | None:
    """The region of an assumption, the gates downstream corrected until they agree with the field."""
    corner, slides = assumption.corner, assumption.slides
    point, gates = corner.point, assumption.gates
    flow = sliding_field(corner.objective, slides, assumption.following) if slides else corner.base
    if flow is None:
        return corner.undecided("a tie of several gates downstream of another sliding gate")
    for _ in range(PROBES):
        recurrence = point.compiled(flow, gates)
        recurrence.expand(point.values, LOOKAHEAD, point.tau)
        reading = _read(assumption, gates, recurrence)
        if not isinstance(reading, _Reading):
            return reading
        if not reading.corrected:
            return _region(assumption, gates, recurrence, reading)
        gates = with_values(corner.objective, gates, reading.corrected)
    return corner.undecided("the gates that follow an upstream unit do not settle")


def _read(assumption: _Assumption, gates: Gates, recurrence: Recurrence) -> _Reading | Undecided | None:
    """Compares the gates with the expanded field; None where it contradicts what is assumed."""
    corner, assumed, held = assumption.corner, assumption.assumed, assumption.held
    objective, point = corner.objective, corner.point
    reading = _Reading({}, {}, set(), {})
    known = {*assumed, *corner.dependent}
    for a, z in entries_near_zero(recurrence, known, point.noise, point.arithmetic.bits):
        if a in held or not (a in assumed or a in corner.dependent or point.is_zero(z)):
            continue
        leading = point.leading(z, 1)
        if leading is None and (a in assumption.implied or point.at_rest(z[1:])):
            reading.parked.add(a)
            continue
        if leading is None:
            return Undecided("tangency", a, "the pre-activation vanishes together with its derivatives")
        wanted = slope(objective, a, z[leading] > 0)
        reading.resting[a] = leading
        if a in assumed and wanted != assumed[a]:
            return None
        if wanted != value_of(objective, gates, a):
            reading.corrected[a] = wanted
    for i, a in enumerate(assumption.following, start=2 * len(assumption.slides)):
        series = point.series(recurrence.monitors[i])
        leading = point.leading(series, 0)
        reading.resting_monitors[i] = len(series) if leading is None else leading  # None: it does not move
        if leading is not None and slope(objective, a, series[leading] > 0) != value_of(objective, gates, a):
            reading.corrected[a] = slope(objective, a, series[leading] > 0)
    return reading


def _region(assumption: _Assumption, gates: Gates, recurrence: Recurrence, reading: _Reading) -> Region | None:
    """The region, where the sliding gates lie between their slopes; None where they do not."""
    point, slides = assumption.corner.point, assumption.slides
    for i, monitor in enumerate(recurrence.monitors[: 2 * len(slides)]):
        series = point.series(monitor)
        leading = point.leading(series, 0)
        if leading is None and point.at_rest(series):
            leading = len(series)  # at rest: the gate stays exactly at one of its slopes
        if leading is None or (leading < len(series) and series[leading] < 0):
            return None
        reading.resting_monitors[i] = leading
    return Region(
        gates,
        slides,
        recurrence,
        parked=frozenset(reading.parked),
        implied=assumption.implied & reading.parked,
        resting=reading.resting,
        resting_monitors=reading.resting_monitors,
        followers=assumption.following,
    )
