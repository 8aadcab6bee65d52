"""Kinks of (leaky) ReLU flows: where pre-activations vanish, on which side or surface the flow goes on.

At such a point every independent gate may go on to be on, to be off, or to slide (its pre-activation stays zero).  All
combinations are tried; one is *consistent* if the field it defines moves every pre-activation to the side assumed for
it, and if sliding gates lie strictly between their two slopes.  The sign of a pre-activation beyond the point is that
of its first significant Taylor coefficient.  Exactly one consistent combination decides; none or several are reported
as a typed stop, never guessed.  Gates that vanish on one surface (parallel samples, a width-1 layer before) count as
one; deeper gates that live and die with an upstream unit follow it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np

from symflow.dynamics.sliding import TiedGate, gram_field, sliding_field
from symflow.dynamics.vector_field import VectorField
from symflow.errors import ComputationError
from symflow.evaluate.object_arrays import EXACT
from symflow.evaluate.series import Entry, Recurrence, SeriesArithmetic, compile_recurrence
from symflow.networks.objective import Objective
from symflow.paths.scale import pre_activations
from symflow.paths.taylor.simultaneous_kinks import Side, Surfaces, propose, read_surfaces
from symflow.programs.nodes import Gate

MAX_SIMULTANEOUS = 4
"""Most independent gates at their kink at once whose 3^m combinations are tried."""
LOOKAHEAD = 4
"""Taylor coefficients that are looked at for the side to which a pre-activation moves."""
PROBES = 8
"""How often the gates that follow an upstream unit are corrected before giving up."""

PARALLEL = 100
"""Normals count as parallel where their Gram determinant is at most this multiple of its rounding noise."""

REST = 64
"""Coefficients of at most this many units in the last place count as a pre-activation that does not move."""

Gates = Mapping[Gate, np.ndarray]
Position = tuple[int, int]
"""A gate: index of the gate node in the objective, flat entry (unit, sample) in it."""


@dataclass(frozen=True, order=True)
class Kink:
    """One gate: `layer` counted from 1, `unit` and `sample` from 0."""

    layer: int
    unit: int
    sample: int

    def __str__(self) -> str:
        return f"sample {self.sample}, layer {self.layer}, unit {self.unit}"


@dataclass(frozen=True)
class Undecided:
    """Why a flow stops at a kink; `cause` is "repelling", "tangency", "coincident", "sliding" or "precision"."""

    cause: str
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
        followers: the deeper gates that live only beside the kinks of sliding ones; they take part in how these stand.
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
        """All gates whose pre-activation stays zero while the region lasts."""
        return self.parked.union(self.sliding)

    def pre_activation(self, a: Position) -> Entry:
        """The entry of a gate's pre-activation; None where it is inert."""
        return self.recurrence.switching[a[0]][a[1]]


@dataclass(frozen=True)
class Point:
    """Where the flow stands, and the numbers to decide with.

    Attributes:
        values: the state, fixed point.
        arithmetic: the numbers.
        noise: what is not larger counts as zero.
        tau: Taylor coefficients are taken in s = t / 2^tau.
    """

    values: Sequence[Any]
    arithmetic: SeriesArithmetic
    noise: int
    tau: int

    def is_zero(self, entry: Entry) -> bool:
        """Whether a live entry vanishes at the point (its recurrence has been expanded there)."""
        return isinstance(entry, list) and abs(entry[0]) <= 4 * self.noise

    def leading(self, entry: list[Any], start: int) -> int | None:
        """The first significant coefficient from `start` on; None if there is none to look at."""
        return next((k for k in range(start, len(entry)) if abs(entry[k]) > 1000 * self.noise), None)


def kink_at(objective: Objective, a: Position) -> Kink:
    """Layer, unit and sample of a gate; units are counted row-major over all axes but the last, the samples."""
    gate = objective.gates[a[0]]
    samples = int(gate.axes[-1].size)
    return Kink(gate.layer, a[1] // samples, a[1] % samples)


def initial_gates(base: VectorField, theta0: Sequence[Fraction]) -> tuple[dict[Gate, np.ndarray], list[Position]]:
    """The gates at theta0 in exact arithmetic, and those exactly at their kink there (set to alpha for now)."""
    objective = base.objective
    result: dict[Gate, np.ndarray] = {}
    zeros: list[Position] = []
    if not objective.gates:
        return result, zeros
    for i, (g, z) in enumerate(zip(objective.gates, pre_activations(objective, theta0), strict=True)):
        result[g] = EXACT.gate(z, g.alpha, g.alpha_bar)
        zeros += [(i, e) for e, v in enumerate(z.reshape(-1)) if v == 0]
    return result, zeros


def value_of(objective: Objective, gates: Gates, a: Position) -> Fraction:
    """The value of one gate."""
    value: Fraction = gates[objective.gates[a[0]]].reshape(-1)[a[1]]
    return value


def with_values(objective: Objective, gates: Gates, values: Mapping[Position, Fraction]) -> dict[Gate, np.ndarray]:
    """The gates with some of them changed."""
    result = {g: a.copy() for g, a in gates.items()}
    for a, value in values.items():
        result[objective.gates[a[0]]].reshape(-1)[a[1]] = value
    return result


def slope(objective: Objective, a: Position, positive: bool) -> Fraction:
    """sigma' of a gate on one side."""
    g = objective.gates[a[0]]
    return g.alpha if positive else g.alpha_bar


def live_entries(recurrence: Recurrence) -> list[tuple[Position, list[Any]]]:
    """The pre-activations that are computed, that is, not zero or constant by structure."""
    return [
        ((i, e), z)
        for i, entries in enumerate(recurrence.switching)
        for e, z in enumerate(entries)
        if isinstance(z, list)
    ]


def settle(base: VectorField, gates: Gates, zeros: Sequence[Position], point: Point) -> Region | Undecided:
    """Decides how the flow goes on from a point where some pre-activations vanish.

    Args:
        base: the flow in smooth regions.
        gates: all gate values; those of `zeros` are reconsidered.
        zeros: the gates whose pre-activation vanishes here (sliding ones included).
        point: where.

    Returns:
        The region or stratum beyond the point, or why it cannot be decided.
    """
    objective = base.objective
    cut = with_values(objective, gates, dict.fromkeys(zeros, Fraction(0)))
    recurrence = compile_recurrence(base, cut, point.arithmetic)
    if not any(point.values) and _at_rest(recurrence, point):
        return Region(cut, (), recurrence, frozenset(a for a, _ in live_entries(recurrence)))
    independent = [a for a in zeros if recurrence.switching[a[0]][a[1]] is not None]
    ties = _ties(objective, cut, independent, point)
    if isinstance(ties, Undecided):
        return ties
    alive = compile_recurrence(base, with_values(objective, cut, dict.fromkeys(zeros, Fraction(1))), point.arithmetic)
    dependent = [a for a, _ in live_entries(alive) if recurrence.switching[a[0]][a[1]] is None]
    crowded = _crowded(objective, dependent, ties)
    if crowded is not None:
        return Undecided("coincident", crowded, "several gates and a deeper one that lives by them meet at their kinks")
    if len(ties) > MAX_SIMULTANEOUS:
        return _settle_crowd(base, cut, ties, dependent, point)
    choices: tuple[Side, ...] = ("on", "off", "slide") if base.slides else ("on", "off")
    surfaces = read_surfaces(objective, cut, ties, point) if len(ties) > 1 else None
    flows: list[list[Region]] = []
    for sides in product(choices, repeat=len(ties)):
        if len(ties) == 1 and sides == ("slide",) and any(not region.parked for flow in flows for region in flow):
            break  # a surface that the flow can leave does not attract it from both sides
        outcome = _try(base, cut, ties, sides, dependent, point, _implied(surfaces, ties, sides))
        if isinstance(outcome, Undecided):
            return outcome
        if outcome is not None:
            same = next((flow for flow in flows if _same_flow(objective, outcome, flow[0])), None)
            if same is None:
                flows.append([outcome])
            else:
                same.append(outcome)
    if len(flows) == 1:
        # A gate at rest on its kink is held like a sliding one, which watches what could move it, where possible.
        return max(flows[0], key=lambda region: len(region.ties))
    if flows:
        first, second = flows[0][0], flows[1][0]
        changed = (
            a for a in independent if value_of(objective, first.gates, a) != value_of(objective, second.gates, a)
        )
        return Undecided("repelling", next(changed, independent[0]), "the flow can go on in more than one way")
    if not base.slides:
        return Undecided("sliding", independent[0], "the flow slides along the kink")
    return Undecided("coincident", independent[0], f"no continuation of {len(zeros)} gates at their kink is consistent")


def _at_rest(recurrence: Recurrence, point: Point) -> bool:
    """Whether the flow stands still at theta = 0: every gradient has a factor that is zero, whatever the gates."""
    recurrence.expand(point.values, 0, 0)
    return len(recurrence.switching) > 1 and not any(e[0] if isinstance(e, list) else e for e in recurrence.field)


def _settle_crowd(
    base: VectorField, cut: Gates, ties: Sequence[TiedGate], dependent: Sequence[Position], point: Point
) -> Region | Undecided:
    """More gates than combinations can be tried of: the one that the box problem proposes, if it is consistent."""
    first = ties[0].first
    surfaces = read_surfaces(base.objective, cut, ties, point) if base.slides else None
    proposal = None if surfaces is None else propose(surfaces, ties)
    if proposal is None:
        return Undecided("coincident", first, f"{len(ties)} independent gates reach their kink at once")
    implied = frozenset(a for tie in proposal.implied for a in tie.members)
    outcome = _try(base, cut, ties, proposal.sides, dependent, point, implied)
    if outcome is None or (isinstance(outcome, Region) and not implied <= outcome.parked):
        return Undecided("coincident", first, f"no continuation of {len(ties)} gates at their kink could be verified")
    return outcome


def _crowded(objective: Objective, dependent: Sequence[Position], ties: Sequence[TiedGate]) -> Position | None:
    """A gate that lives by several independent ones of its sample: it could slide too, but that is not tried."""
    meeting = [{kink_at(objective, a).sample for a in tie.members} for tie in ties]
    for a in dependent:
        if sum(kink_at(objective, a).sample in samples for samples in meeting) > 1:
            return a
    return None


def _implied(surfaces: Surfaces | None, ties: Sequence[TiedGate], sides: Sequence[Side]) -> frozenset[Position]:
    """The gates assumed on or off that rest on their kink because those that slide do."""
    if surfaces is None:
        return frozenset()
    slides = [i for i, side in enumerate(sides) if side == "slide"]
    return frozenset(a for i in surfaces.implied_by(slides) for a in ties[i].members)


def _same_flow(objective: Objective, a: Region, b: Region) -> bool:
    """Whether two regions are one flow: they hold the same gates on their kinks and agree on all others that act.

    The flow on a stratum is unique whatever gates hold it there (docs/theory/kinks.md); gates that are inert in both
    have no influence.
    """
    if a.at_zero != b.at_zero:
        return False
    both = [region.recurrence.switching for region in (a, b)]
    inert = (
        (i, e)
        for i, pairs in enumerate(zip(*both, strict=True))
        for e, z in enumerate(zip(*pairs, strict=True))
        if z == (None, None)
    )
    indifferent = dict.fromkeys([*a.at_zero, *inert], Fraction(0))
    first, second = with_values(objective, a.gates, indifferent), with_values(objective, b.gates, indifferent)
    return all(np.array_equal(first[g], second[g]) for g in first)


def _ties(objective: Objective, cut: Gates, positions: Sequence[Position], point: Point) -> list[TiedGate] | Undecided:
    """Groups gates that vanish on the same surface: their gradients are parallel where they vanish together."""
    if len(positions) < 2:
        return [TiedGate((a,), (1,)) for a in positions]
    recurrence = compile_recurrence(gram_field(objective, tuple(positions)), cut, point.arithmetic)
    recurrence.expand(point.values[: objective.parameter_count], 0, 0)
    entries = iter(recurrence.monitors)
    gram: dict[tuple[int, int], Any] = {}
    for i in range(len(positions)):
        for j in range(i + 1):
            entry = next(entries)
            lifted = point.arithmetic.lift(entry) if isinstance(entry, Fraction) else 0
            gram[i, j] = entry[0] if isinstance(entry, list) else lifted
    groups: list[list[tuple[int, int]]] = []
    for i, a in enumerate(positions):
        if gram[i, i] <= point.noise:
            return Undecided("tangency", a, "the pre-activation vanishes together with its gradient")
        for group in groups:
            first = group[0][0]
            defect = gram[i, i] * gram[first, first] - gram[i, first] ** 2
            # Parallel to what the numbers can tell: the defect of parallel normals is the rounding of its terms.
            if defect <= PARALLEL * point.noise * (gram[i, i] + gram[first, first]):
                if positions[first][0] != a[0]:
                    return Undecided("coincident", a, "gates of two layers reach one kink together")
                group.append((i, 1 if gram[i, first] > 0 else -1))
                break
        else:
            groups.append([(i, 1)])
    return [TiedGate(tuple(positions[i] for i, _ in group), tuple(sign for _, sign in group)) for group in groups]


def _try(
    base: VectorField,
    cut: Gates,
    ties: Sequence[TiedGate],
    sides: Sequence[Side],
    dependent: Sequence[Position],
    point: Point,
    implied: frozenset[Position] = frozenset(),
) -> Region | Undecided | None:
    """The region for one assumption about every tie; None if it contradicts itself.

    Gates that are `implied` by sliding ones need to rest on their kink to the noise only: their normals depend on
    those of the sliding gates, whose Gram system rounds.
    """
    objective = base.objective
    slides = tuple(tie for tie, side in zip(ties, sides, strict=True) if side == "slide")
    held = {a for tie in slides for a in tie.members}
    assumed = {
        a: slope(objective, a, (side == "on") == (sign > 0))
        for tie, side in zip(ties, sides, strict=True)
        if side != "slide"
        for a, sign in zip(tie.members, tie.signs, strict=True)
    }
    gates: Gates = with_values(objective, cut, assumed)
    for tie, side in zip(ties, sides, strict=True):
        if side != "slide":
            gates = with_values(objective, gates, _dependents(base, gates, tie, side == "on", dependent, point))
    following: list[Position] = []
    try:
        for tie in slides:
            followers = _followers(base, gates, tie, dependent, point)
            if isinstance(followers, Undecided):
                return followers
            gates = with_values(objective, gates, followers)
            following += followers
        flow = sliding_field(objective, slides, tuple(following)) if slides else base
        for _ in range(PROBES):
            recurrence = compile_recurrence(flow, gates, point.arithmetic)
            recurrence.expand(point.values, LOOKAHEAD, point.tau)
            resting: dict[Position, int] = {}
            parked: set[Position] = set()
            corrected: dict[Position, Fraction] = {}
            for a, z in live_entries(recurrence):
                if a in held or not (a in assumed or a in dependent or point.is_zero(z)):
                    continue
                leading = point.leading(z, 1)
                if leading is None and (a in implied or max(map(abs, z[1:])) <= REST):
                    parked.add(a)
                    continue
                if leading is None:
                    return Undecided("tangency", a, "the pre-activation vanishes together with its derivatives")
                wanted = slope(objective, a, z[leading] > 0)
                resting[a] = leading
                if a in assumed and wanted != assumed[a]:
                    return None
                if wanted != value_of(objective, gates, a):
                    corrected[a] = wanted
            resting_monitors: dict[int, int] = {}
            for i, a in enumerate(following, start=2 * len(slides)):
                series = _series(recurrence.monitors[i], point)
                leading = point.leading(series, 0)
                resting_monitors[i] = len(series) if leading is None else leading  # None: it does not move
                if leading is not None and slope(objective, a, series[leading] > 0) != value_of(objective, gates, a):
                    corrected[a] = slope(objective, a, series[leading] > 0)
            if not corrected:
                break
            gates = with_values(objective, gates, corrected)
        else:
            return Undecided("coincident", ties[0].first, "the gates that follow an upstream unit do not settle")
    except ComputationError:
        # Dependent normals: fewer gates that slide, the others implied by them, stand for the same flow.
        return None
    except NotImplementedError as error:
        return Undecided("coincident", ties[0].first, str(error))
    for i, monitor in enumerate(recurrence.monitors[: 2 * len(slides)]):
        series = _series(monitor, point)
        leading = point.leading(series, 0)
        if leading is None and max(map(abs, series)) <= REST:
            leading = len(series)  # at rest: the gate stays exactly at one of its slopes
        if leading is None or (leading < len(series) and series[leading] < 0):
            return None
        resting_monitors[i] = leading
    return Region(
        gates, slides, recurrence, frozenset(parked), implied & parked, resting, resting_monitors, tuple(following)
    )


def _series(entry: Entry, point: Point) -> list[Any]:
    """The Taylor coefficients of a monitor, one of a constant."""
    return entry if isinstance(entry, list) else [point.arithmetic.lift(entry or Fraction(0))]


def _dependents(
    base: VectorField, gates: Gates, tie: TiedGate, on: bool, dependent: Sequence[Position], point: Point
) -> dict[Position, Fraction]:
    """The gates that live by a tie that stands on one side: their z moves with the tie's where <grad z, n> > 0."""
    objective = base.objective
    samples = {kink_at(objective, a).sample for a in tie.members}
    found: dict[Position, Fraction] = {}
    for layer in sorted({gate for gate, _ in dependent}):
        alive = with_values(objective, gates, found)
        switching = compile_recurrence(base, alive, point.arithmetic).switching[layer]
        for a in dependent:
            if a[0] != layer or kink_at(objective, a).sample not in samples or not isinstance(switching[a[1]], list):
                continue
            recurrence = compile_recurrence(gram_field(objective, (tie.first, a)), alive, point.arithmetic)
            recurrence.expand(point.values[: objective.parameter_count], 0, 0)
            entry = recurrence.monitors[1]
            along = entry[0] if isinstance(entry, list) else entry or 0
            found[a] = slope(objective, a, (along >= 0) == on)
    return found


def _followers(
    base: VectorField, gates: Gates, tie: TiedGate, dependent: Sequence[Position], point: Point
) -> dict[Position, Fraction] | Undecided:
    """The gates that live only beside a sliding tie: where they stand then (the tie's b depends on them)."""
    objective = base.objective
    followers: dict[Position, Fraction] = {}
    for on in (True, False):
        aside = {a: slope(objective, a, (sign > 0) == on) for a, sign in zip(tie.members, tie.signs, strict=True)}
        found = _dependents(base, with_values(objective, gates, aside), tie, on, dependent, point)
        for a in found:
            if objective.gates[a[0]].alpha_bar != 0:
                return Undecided("coincident", a, "a leaky gate slides together with the one upstream of it")
            if a in followers:
                return Undecided("coincident", a, "a gate slides together with those upstream of it on both sides")
        followers |= found
    return followers


def sliding_values(objective: Objective, region: Region, point: Point) -> dict[Position, Any]:
    """Where each sliding gate stands between its slopes, an mpmath number with the digits of the context.

    It is alpha_bar + (alpha - alpha_bar) x with x = (p - p_off) / (p_on - p_off), the share of the "on" side.
    """
    import mpmath

    region.recurrence.expand(point.values, LOOKAHEAD, point.tau)
    result: dict[Position, Any] = {}
    for i, tie in enumerate(region.ties):
        low, high = (_series(m, point) for m in region.recurrence.monitors[2 * i : 2 * i + 2])
        # The gate has no weight at the point itself where both vanish: its limit from beyond counts.
        pairs = ((a, b) for a, b in zip(low, high, strict=False) if a + b > point.noise)
        above, below = next(pairs, (1, 1))
        share = mpmath.mpf(int(above)) / int(above + below)
        for a, sign in zip(tie.members, tie.signs, strict=True):
            on, off = slope(objective, a, sign > 0), slope(objective, a, sign < 0)
            rise = on - off
            result[a] = mpmath.mpf(off.numerator) / off.denominator + share * rise.numerator / rise.denominator
    return result
