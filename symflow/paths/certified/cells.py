r"""The parts of Taylor steps on which the rate of R23 is known, cut as finely as the rate and the kinks need.

A part is fine if every face that its tube meets is convex, and theta~ is known to be close to a path on the right side
of it (`corrections`), or if the kink is crossed in one direction (`windows`). The exponent int m grows by what the size
of the boxes adds to m, about in proportion to it; parts are cut so that this is at most `EXCESS` in all, in as few
parts as possible: in numbers proportional to the square root of what they add. A part that is not fine is cut in two
until it is, or `FINEST` of its step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import pairwise
from math import ldexp

import numpy as np

from symflow.dynamics.vector_field import VectorField
from symflow.evaluate.rounded import Rounded, norm_bound
from symflow.paths.certified.boxes import on_parts, scaled_floats, step_end
from symflow.paths.certified.corrections import NONE, Correction, Stratum, correction, stratum_on, unsupported
from symflow.paths.certified.gates import OnBoxes, known_gates
from symflow.paths.certified.observed import Step
from symflow.paths.certified.rates import Rates, rates
from symflow.paths.certified.windows import Crossing, Part, crossing, normals, on_part
from symflow.paths.taylor.dense import TaylorSteps
from symflow.paths.taylor.kinks.gates import Position, value_of

EXCESS = 2.0
"""What the boxes' size may add to int m, about: a digit."""
FINEST = Fraction(1, 1 << 16)
MOST_PARTS = 64
"""Into how many a part is cut at once, at most."""
MOST_DOUBTFUL = 128
"""Most parts that are cut on at once because they are not fine: more of them say that cutting does not help."""
PLANS = 2
"""How often parts are cut for the sake of the rate."""
MOST_PLANNED = 1 << 15
"""Into how many parts all are cut at once for the sake of the rate, at most, where steps are not more than that."""


@dataclass(frozen=True, eq=False)
class Cell:
    """A part of a step with what holds on its tube.

    Attributes:
        part: of the step.
        rate: at least the one-sided rate, per unit of time.
        open: how many gates may change on it.
        correction: by which theta~ becomes a path that lies where its gates say.
        crossings: of kinks whose faces are not convex.
        reason: why R23 is not known to hold on it; empty where it is.
    """

    part: Part
    rate: float
    open: int
    correction: Correction
    crossings: tuple[Crossing, ...]
    reason: str


def cells(
    field: VectorField,
    steps: TaylorSteps,
    observed: Sequence[Step],
    radius: float,
    weights: np.ndarray | None = None,
    check: Callable[[float], None] = lambda done: None,
) -> Iterator[Cell]:
    """The cells in order of time, up to the first that is not fine.

    Args:
        field: the flow's.
        steps: the Taylor solution theta~.
        observed: what is known of each step.
        radius: of the tube.
        weights: of the norm that the radius and the rates are meant in.
        check: called between parts with the fraction of the time that is covered; what it raises ends the search.
    """
    search = _Search(field, steps, observed, radius, weights, check)
    first = next((i for i, reason in enumerate(search.reasons) if reason), None)
    pending = [Part(i, Fraction(0), Fraction(1)) for i in range(len(observed) if first is None else first)]
    done: list[Cell] = []
    if first is not None:
        refused = Part(first, Fraction(0), Fraction(1))
        done.append(Cell(refused, np.inf, 0, NONE, (), search.reasons[first]))
    rounds = 0
    while pending:
        search.left = float(search.times(pending).sum())
        found, measured = search.examine(pending)
        counts = _counts(measured, search.times(pending)) if rounds < PLANS else np.ones(len(pending))
        rounds += 1
        later: list[Part] = []
        hopeless = sum(bool(cell.reason) for cell in found) > MOST_DOUBTFUL
        for cell, count in zip(found, counts, strict=True):
            if cell.reason and not hopeless and cell.part.high - cell.part.low > FINEST:
                count = max(count, 2)
            if count > 1:
                later += _cut(cell.part, int(count))
            else:
                done.append(cell)
        pending = later
    for cell in sorted(done, key=lambda c: (c.part.number, c.part.low)):
        yield cell
        if cell.reason:
            return


def _counts(measured: Rates, times: np.ndarray) -> np.ndarray:
    """Into how many parts each is cut for the sake of the rate: 1, or a power of 2."""
    excess = np.where(np.isfinite(measured.spread), measured.spread * times, 1e6)
    roots = np.sqrt(np.minimum(excess, 1e6))
    wanted = np.clip(roots * roots.sum() / EXCESS, 1, MOST_PARTS)
    counts = 2 ** np.ceil(np.log2(wanted) - 0.2)
    too_many = max(1.0, float(counts.sum()) / MOST_PLANNED)
    return np.asarray(np.maximum(1, 2 ** np.floor(np.log2(counts / too_many))))


def _cut(part: Part, count: int) -> list[Part]:
    """Equal parts of a part."""
    length = (part.high - part.low) / count
    ends = [part.low + i * length for i in range(count + 1)]
    return [Part(part.number, low, high) for low, high in pairwise(ends)]


class _Search:
    """The steps as float64 polynomials, and what is known of parts of them."""

    def __init__(
        self,
        field: VectorField,
        steps: TaylorSteps,
        observed: Sequence[Step],
        radius: float,
        weights: np.ndarray | None,
        check: Callable[[float], None],
    ) -> None:
        self.check = check
        self.left = 0.0
        self.field, self.steps, self.observed, self.weights = field, steps, observed, weights
        self.radius = radius if weights is None else radius / weights
        self.reasons = [step.reason or unsupported(field, step) for step in observed]
        self.strata: dict[int, Stratum] = {}
        self.ends = [step_end(s, steps.clock) for s in steps.segments]
        self.floats = [
            scaled_floats(s.coefficients, end, steps.bits) for s, end in zip(steps.segments, self.ends, strict=True)
        ]
        self.whole = float(self.times([Part(i, Fraction(0), Fraction(1)) for i in range(len(observed))]).sum())

    def times(self, parts: Sequence[Part]) -> np.ndarray:
        """The lengths of parts in time."""
        lengths = [ldexp(self.ends[p.number], self.steps.segments[p.number].tau) * float(p.high - p.low) for p in parts]
        return np.array(lengths)

    def boxes(self, parts: Sequence[Part]) -> Rounded:
        """The tube around parts, as boxes."""
        value = np.empty((len(parts), self.field.dimension))
        reach = np.empty_like(value)
        numbers = np.array([p.number for p in parts])
        lows, highs = np.array([(float(p.low), float(p.high)) for p in parts]).T
        for number in np.unique(numbers):
            rows = numbers == number
            found = on_parts(self.floats[number], lows[rows], highs[rows])
            value[rows], reach[rows] = found.value, found.error
        return Rounded(value, (reach + self.radius) * (1 + 2.0**-40))

    def examine(self, parts: Sequence[Part]) -> tuple[list[Cell], Rates]:
        """What holds on the tubes around parts."""
        boxes = self.boxes(parts)
        measured = rates(self.field, boxes, [self.observed[p.number].region for p in parts], self.weights)
        found = []
        for row, (part, rate) in enumerate(zip(parts, measured.rate, strict=True)):
            self.check(self._covered(row / len(parts)))
            box, on = boxes[row : row + 1], measured.gates.only(row)
            reason, correct, crossings = self._kinks(part, box, on)
            certain = self._certain(part, box, on) if reason else frozenset()
            if certain:
                again = rates(self.field, box, [self.observed[part.number].region], self.weights, certain)
                rate, on = again.rate[0], again.gates
                reason, correct, crossings = self._kinks(part, box, on)
            if not np.isfinite(rate):
                reason = "the Jacobian is not known on the tube in float64"
            found.append(Cell(part, float(rate), len(on.open[0]), correct, crossings, reason))
        return found, measured

    def _covered(self, examined: float) -> float:
        """The fraction of the time that is covered; what is examined and may yet be cut counts half."""
        return 1 - self.left / self.whole * (1 - examined / 2) if self.whole else 1.0

    def _certain(self, part: Part, box: Rounded, on: OnBoxes) -> frozenset[Position]:
        """The open gates whose z~ is further from 0 on a part than z can be from z~ on the tube.

        Boxes forget how the entries of theta~ move together: next to a tangency z on a box may vanish, on the tube not.
        """
        step, end = self.observed[part.number], self.ends[part.number]
        held, found = step.region.at_zero, []
        for a in on.open[0]:
            watched = step.pre_activations.get(a)
            if watched is None or a in held:
                continue
            z = on_part(watched, 0, part, end, self.steps.bits)
            lost = (watched.remainder + len(watched.series) + 4) * ldexp(1.0, -min(self.steps.bits, 1000))
            away = (abs(z[0]) - z[1]) * (1 - 2.0**-40) - lost
            known = known_gates(self.field.gates, on.low, on.high)
            moved = (
                float(norm_bound(normals(self.field, box, [a], known))[0]) * float(np.max(self.radius)) * (1 + 2.0**-40)
            )
            gate = self.field.gates[a[0]]
            positive = value_of(self.field.objective, step.region.gates, a) == gate.alpha
            if away > moved and positive == (z[0] > 0):
                found.append(a)
        return frozenset(found)

    def _near(self, part: Part, box: Rounded) -> Stratum:
        """The stratum on the whole step, once, or on the part where the step is too long for it."""
        region = self.observed[part.number].region
        if part.number not in self.strata:
            whole = self.boxes([Part(part.number, Fraction(0), Fraction(1))])
            self.strata[part.number] = stratum_on(self.field, region, whole)
        found = self.strata[part.number]
        return found if found.known else stratum_on(self.field, region, box)

    def _kinks(self, part: Part, box: Rounded, on: OnBoxes) -> tuple[str, Correction, tuple[Crossing, ...]]:
        """Why the kinks on a part are not known to be convex or crossed, the correction and the crossings on it."""
        step, end, held = self.observed[part.number], self.ends[part.number], self.observed[part.number].region.at_zero
        crossings: list[Crossing] = []
        for a in on.concave[0]:
            if a in held:
                return "the face of a gate that is held on its kink is not known to be convex", NONE, ()
            met = crossing(self.field, self.steps, step, part, a, end, box, on)
            if met is None:
                return "a kink is met that is not known to be convex or to be crossed at once", NONE, ()
            crossings.append(met)
        late = [a for a in on.open[0] if a not in held and a not in on.concave[0]]
        found = correction(self.field, self.steps, step, part, end, box, on, late, partial(self._near, part, box))
        if found is None:
            return "where the path lies next to a kink is not known", NONE, ()
        return "", found, tuple(crossings)
