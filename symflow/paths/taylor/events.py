"""The kinks that a Taylor step meets, and the events that lead from one region to the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import inf
from typing import NamedTuple

import numpy as np
from gmpy2 import mpz
from mpmath import workdps

from symflow.errors import KinkError
from symflow.evaluate.blocks.reach import SLACK
from symflow.evaluate.blocks.steps import acting
from symflow.evaluate.fixed_point import FixedSeries
from symflow.evaluate.products import Coefficients
from symflow.networks.objective import Objective
from symflow.numbers.fixed_point import to_float
from symflow.numbers.types import Mpf
from symflow.paths.event import Event
from symflow.paths.taylor.kinks.gates import LivePlaces, Position, chosen_entries, kink_at, value_of, which_are
from symflow.paths.taylor.kinks.region import Point, Region, Undecided, is_definite, sliding_values
from symflow.paths.taylor.powers import Powers
from symflow.paths.taylor.roots import Root, Unresolved, excludes_zero, first_zero

HELD = 16
"""A pre-activation that is held at zero may stray from it by this multiple of the noise."""


class Zero(NamedTuple):
    """The first zero of several series on [0, s_end].

    Attributes:
        position: where, as a fraction of s_end in fixed point.
        number: of the series.
        what: a simple zero, or what cannot be told from one.
    """

    position: mpz
    number: int
    what: Root | Unresolved


def earliest_zero(series: Sequence[Coefficients], powers: Powers, noise: int) -> Zero | None:
    """The first zero of several series in s on [0, s_end]; None if there is none.

    Args:
        series: their coefficients, fixed point.
        powers: those of s_end.
        noise: bound on the error of each series.
    """
    earliest: Zero | None = None
    bits = powers.bits
    nearer = powers
    for number in sorted(range(len(series)), key=lambda i: _linear(series[i])):
        coefficients = series[number]
        if excludes_zero(nearer.scaled(coefficients), noise):
            continue
        what = first_zero(powers.scaled(coefficients), bits, noise)
        if what is None:
            continue
        position = what.position if isinstance(what, Root) else (mpz(int(what.lo * 2**53)) << bits) >> 53
        if earliest is None or (position, number) < (earliest.position, earliest.number):
            earliest = Zero(position, number, what)
            nearer = Powers(((position + 1) * powers.s >> bits) + 1, bits, powers.most)
    return earliest


def _linear(coefficients: Coefficients) -> float:
    """About where a series vanishes that is linear."""
    if len(coefficients) < 2 or not coefficients[1]:
        return inf
    place = -to_float(coefficients[0], 0) / to_float(coefficients[1], 0)
    return place if place > 0 else inf


class KinkMet(NamedTuple):
    """A kink on a step.

    Attributes:
        position: where, as a fraction of the step in fixed point.
        gates: all gates at their kink there (sliding ones included), or why they cannot be resolved.
        alone: the only gate that comes to its kink there, with a definite slope, all sliding ones being definitely
            between their slopes; None where there is none.
    """

    position: mpz
    gates: list[Position] | Undecided
    alone: Position | None = None


@dataclass(frozen=True)
class _Watched:
    """A series that is not zero until its gate comes to its kink, or ceases to slide or to follow a sliding one."""

    gate: Position
    series: Coefficients
    positive: bool


def first_kink(
    objective: Objective, region: Region, arithmetic: FixedSeries, noise: int, powers: Powers
) -> KinkMet | Undecided | None:
    """The earliest zero of a pre-activation or of a sliding gate's monitors on a step; None if there is none.

    Undecided where a gate contradicts its pre-activation at the step's start.
    """
    gates: list[_Watched] = []
    for a, z in _near_zero(objective, region, to_float(powers.s, arithmetic.bits), to_float(noise, arithmetic.bits)):
        if a not in region.at_zero:
            gates.append(_Watched(a, z[region.resting.get(a, 0) :], _is_on(objective, region, a)))
        elif max(map(abs, z)) > HELD * noise:
            return Undecided("precision", a, "a pre-activation held at zero moves by more than the noise")
    watched = [*gates, *_monitors(objective, region, noise)]
    for w in watched:
        if w.series[0] == 0 or (w.series[0] > 0) != w.positive:
            return Undecided("precision", w.gate, "the pre-activation is lost in the rounding noise")
    zero = earliest_zero([w.series for w in watched], powers, noise)
    if zero is None:
        return None
    met = watched[zero.number].gate
    if isinstance(zero.what, Unresolved):
        return KinkMet(zero.position, Undecided("tangency", met, zero.what.reason))

    def vanishes(series: Coefficients) -> bool:
        value = arithmetic.horner(powers.scaled(series), zero.position)
        return bool(abs(value) <= 4 * noise)

    together = {w.gate for w in gates if not excludes_zero(w.series, noise) and vanishes(w.series)}
    here = sorted({*together, met, *region.at_zero})
    at = (zero.position * powers.s) >> arithmetic.bits
    series, monitors = watched[zero.number].series, watched[len(gates) :]
    slope = arithmetic.horner([k * c for k, c in enumerate(series)][1:], at)
    single = zero.number < len(gates) and together <= {met} and region.at_zero == set(region.sliding)
    held = len(monitors) == 2 * len(region.ties) and not region.followers
    if (
        single
        and held
        and is_definite(slope, noise)
        and all(is_definite(arithmetic.horner(w.series, at), noise) for w in monitors)
    ):
        return KinkMet(zero.position, here, met)
    return KinkMet(zero.position, here)


def _near_zero(objective: Objective, region: Region, s: float, noise: float) -> list[tuple[Position, Coefficients]]:
    """The pre-activations that may vanish on [0, s], or that start on the other side than their gate says.

    float64 excludes the others: |z_0| > sum_{k>=1} |z_k| s^k + noise, first by the bounds that are known, then by the
    coefficients of those that these leave.
    """
    recurrence = region.recurrence
    places = LivePlaces(recurrence)
    if not places.starts[-1]:
        return []
    gates = zip(objective.gates, places.entries, strict=True)
    positive = np.concatenate([which_are(region.gates[g], g.alpha)[e] for g, e in gates])
    kept = np.zeros(len(positive), dtype=bool)
    kept[places.numbers({*region.at_zero, *region.resting})] = True

    def left(numbers: np.ndarray, first: np.ndarray, moved: np.ndarray) -> np.ndarray:
        """Those among some that are not excluded."""
        with np.errstate(invalid="ignore", over="ignore"):
            away = np.abs(first) > (moved + 4 * noise + 2.0**-900) * SLACK
        return numbers[~(away & ((first > 0) == positive[numbers])) | kept[numbers]]

    near = left(np.arange(len(positive)), *recurrence.reaches(s))
    if len(near):
        near = left(near, *recurrence.reaches(s, [recurrence.live[i] for i in near.tolist()]))
    return chosen_entries(recurrence, places, near)


def _is_on(objective: Objective, region: Region, a: Position) -> bool:
    return value_of(objective, region.gates, a) == objective.gates[a[0]].alpha


def _monitors(objective: Objective, region: Region, noise: int) -> Iterator[_Watched]:
    """The monitors of sliding gates, which are positive, and of their followers, each with its gate's sign.

    A monitor that does not move belongs to a gate that rests at one of its slopes.
    """
    signs = [(tie.first, True) for tie in region.ties for _ in range(2)]
    signs += [(a, _is_on(objective, region, a)) for a in region.followers]
    for i, (a, positive) in enumerate(signs):
        monitor = region.recurrence.monitors[i]
        if isinstance(monitor, list) and max(map(abs, monitor)) > 4 * noise:
            yield _Watched(a, monitor[region.resting_monitors.get(i, 0) :], positive)


def changes(
    objective: Objective, before: Region, after: Region, point: Point, time: Mpf, *, start: bool, digits: int
) -> list[Event]:
    """The events that lead from one region to the next; at the start only what begins to slide."""
    events: list[Event] = []
    held, holds = before.on_kink, after.on_kink
    with workdps(digits):
        between = sliding_values(objective, after, point) if after.ties and not holds <= held else {}
    for a in _affected(objective, before, after):
        was, now = value_of(objective, before.gates, a), value_of(objective, after.gates, a)
        acted, acts = before.pre_activation(a) is not None, after.pre_activation(a) is not None
        kind = _kind(a in held, a in holds, acted, acts, was != now)
        if kind is None or (start and kind != "sliding"):
            continue
        old: Fraction | None = None if a in held or not acted else was
        new: Mpf = between.get(a, now) if a in holds else (now if acts else None)
        k = kink_at(objective, a)
        events.append(Event(time, kind, k.sample, k.layer, k.unit, old, new))
    return events


def _affected(objective: Objective, before: Region, after: Region) -> list[Position]:
    """The gates with another value, those that act in one region only, and those that are held on their kink."""
    found = {*before.on_kink, *after.on_kink}
    for gate, node in enumerate(objective.gates):
        values = zip(before.gates[node].reshape(-1).tolist(), after.gates[node].reshape(-1).tolist(), strict=True)
        found |= {(gate, e) for e, (a, b) in enumerate(values) if a is not b and a != b}
        acted, acts = (acting(region.recurrence.switching[gate]) for region in (before, after))
        found |= {(gate, e) for e in np.flatnonzero(acted != acts).tolist()}
    return sorted(found)


def _kind(held: bool, holds: bool, acted: bool, acts: bool, changed: bool) -> str | None:
    """The kind of a gate's event, from before and after: whether it is on its kink, acts, and has another value."""
    if held or holds:
        return None if held and holds else "sliding" if holds else "leaving"
    if acts != acted:
        return "revival" if acts else "inert"
    return "crossing" if acts and changed else None


def kink_error(objective: Objective, undecided: Undecided, time: Mpf) -> KinkError:
    """The typed error for a kink where the flow cannot be decided."""
    k = kink_at(objective, undecided.position)
    elsewhere = f"choose {'a horizon before that time, or ' if time else ''}another initial point"
    return KinkError(
        f"the flow stops at t = {float(time):.10g} on a kink ({k}): {undecided.explanation} ({undecided.cause})",
        f"{'ask for more digits, or ' if undecided.cause in ('tangency', 'precision') else ''}{elsewhere}",
        cause=undecided.cause,
        time=time,
        sample=k.sample,
        layer=k.layer,
        unit=k.unit,
    )
