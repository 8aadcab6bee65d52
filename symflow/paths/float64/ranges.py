"""What a step missed: between its ends a function may leave the region where float64 tells it from a constant.

Error control looks at the field at the stages of a step alone. Where e^z is below every tolerance at all of them, a
step may jump over a place at which it is not, or over the whole transition of a sigmoid, without a trace. Here every
argument z of a function gets an interval that it keeps within along the step, or along a part of it; a step is cut
where an argument that has been out of sight goes through more than `REACH` of what can be seen.

The path of a step is taken to lie in the hull of the control points of its Hermite cubic, widened a little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import reduce

import numpy as np

from symflow.caching import kept
from symflow.derivatives.derived import gradient
from symflow.evaluate.interpret import interpret
from symflow.evaluate.jax_batches import at_points, in_batches
from symflow.networks.objective import Objective
from symflow.programs.nodes import Input, LogSumExp, Map, Node, Table
from symflow.programs.program import entries
from symflow.programs.rules.elementwise import Elementwise, Interval, elementwise

REACH = 5.0
"""By how much the argument of e^z may change in one step while it is not in sight all the time: by a factor e^5."""
TURN = 2.0
"""The same for sine and cosine, and for functions of which nothing else is known, wherever they are."""
SIGHT = 25.0
"""e^-25 = 1e-11: a function whose argument stays within this distance of its transition is seen by error control."""
LEAST, FULL = -745.0, 40.0
"""Below, e^z is 0 in float64; above, 1 - sigmoid(z) is rounded away: no step is cut there."""
BLOCK = 32
"""How many consecutive steps are first looked at together."""
WIDER = 0.1
"""How much the hull of a path is widened on each side, relative to its size."""
FINEST = 2.0**-50
"""The shortest part of a step that is looked at."""
FINE = 1 / 16
"""How finely the place of a cut is found, relative to how far it is from the beginning of the step."""
CELLS = 2_000_000
"""Most entries of the largest array while several steps are looked at together."""


@dataclass(frozen=True)
class Range:
    """Midpoints and radii, both with the steps as first axis, of size 1 where all have the same; no radii: exact."""

    middle: np.ndarray
    radius: np.ndarray | None = None

    @property
    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends."""
        if self.radius is None:
            return self.middle, self.middle
        return self.middle - self.radius, self.middle + self.radius

    @property
    def spread(self) -> np.ndarray:
        """The radii."""
        return np.zeros_like(self.middle) if self.radius is None else self.radius


def between(low: np.ndarray, high: np.ndarray) -> Range:
    """The range with these ends."""
    return Range(0.5 * low + 0.5 * high, 0.5 * high - 0.5 * low)


@dataclass
class RangeArithmetic:
    """Ranges of all values of a program; the arguments of functions are noted as (function, lower, upper ends)."""

    arguments: list[tuple[str, np.ndarray, np.ndarray]] = field(default_factory=list)

    def constant(self, value: Fraction, shape: tuple[int, ...]) -> Range:
        return Range(np.full((1, *shape), float(value)))

    def identity(self, size: int) -> Range:
        return Range(np.eye(size)[None])

    def combine(self, coefficients: Sequence[Fraction], arrays: Sequence[Range]) -> Range:
        numbers = [float(c) for c in coefficients]
        middle = sum(c * x.middle for c, x in zip(numbers, arrays, strict=True))
        radii = [abs(c) * x.radius for c, x in zip(numbers, arrays, strict=True) if x.radius is not None]
        return Range(np.asarray(middle), reduce(np.add, radii) if radii else None)

    def einsum(self, subscripts: str, arrays: Sequence[Range]) -> Range:
        inputs, out = subscripts.split("->")
        text = ",".join(f"...{letters}" for letters in inputs.split(",")) + f"->...{out}"

        def product(factors: list[np.ndarray]) -> np.ndarray:
            return np.asarray(np.einsum(text, *factors, optimize=len(factors) > 2))

        middle = product([x.middle for x in arrays])
        if all(x.radius is None for x in arrays):
            return Range(middle)
        sizes = [np.abs(x.middle) for x in arrays]
        largest = product([size + x.spread for size, x in zip(sizes, arrays, strict=True)])
        return Range(middle, np.maximum(largest - product(sizes), 0.0))

    def broadcast(self, array: Range, positions: Sequence[int], shape: tuple[int, ...]) -> Range:
        def one(part: np.ndarray) -> np.ndarray:
            return np.broadcast_to(np.expand_dims(part, tuple(p + 1 for p in positions)), (len(part), *shape))

        return Range(one(array.middle), None if array.radius is None else one(array.radius))

    def gate(self, z: Range, alpha: Fraction, alpha_bar: Fraction) -> Range:
        low, high = (np.where(end >= 0, float(alpha), float(alpha_bar)) for end in z.ends)
        return between(np.minimum(low, high), np.maximum(low, high))

    def function(self, name: str, x: Range, exponent: Fraction | None) -> Range:
        low, high = x.ends
        if exponent is not None and (exponent < 0 or exponent.denominator > 1):
            name = "log"  # what is near 0 is out of sight as it is for the logarithm
        if exponent is None or name == "log":
            faster = elementwise(name, None).transition
            self.arguments.append((name, low, high) if faster is None else ("sigmoid", faster * low, faster * high))
        if exponent is not None:
            return _power(low, high, exponent)
        if name in ("sin", "cos"):
            return Range(getattr(np, name)(x.middle), np.minimum(x.spread, 2.0))
        if name in FUNCTIONS:
            return between(*(FUNCTIONS[name](end) for end in (low, high)))
        return _of_record(elementwise(name, exponent), x)

    def gather(self, x: Range, table: Table, position: int) -> Range:
        index = table.positions

        def one(part: np.ndarray) -> np.ndarray:
            taken = np.take(part, np.maximum(index, 0), axis=position + 1)
            kept = (index >= 0).reshape(*([1] * (position + 1)), *index.shape, *([1] * (part.ndim - position - 2)))
            return np.where(kept, taken, 0.0)

        return Range(one(x.middle), None if x.radius is None else one(x.radius))

    def log_sum_exp(self, x: Range, position: int) -> Range:
        """Shares are sigmoids of how far an entry lies above all others together: above their maximum, nearly."""
        low, high = (np.moveaxis(end, position + 1, -1) for end in x.ends)
        size = low.shape[-1]
        if size > 1:
            least, most = low - _of_others(high), high - _of_others(low)
            self.arguments.append(("sigmoid", least, most))
        return between(np.logaddexp.reduce(low, axis=-1), np.logaddexp.reduce(high, axis=-1))

    def stack(self, arrays: Sequence[Range]) -> Range:
        middle = np.stack(np.broadcast_arrays(*(x.middle for x in arrays)), axis=-1)
        return Range(middle, np.stack(np.broadcast_arrays(*(x.spread for x in arrays)), axis=-1))

    def maximum(self, arrays: Sequence[Range]) -> Range:
        low, high = (reduce(np.maximum, ends) for ends in zip(*(x.ends for x in arrays), strict=True))
        return between(low, high)

    def scatter_add(self, x: Range, table: Table, position: int) -> Range:
        raise TypeError("only derivatives scatter; ranges are those of an objective")

    def spectral_norm(self, x: Range) -> Range:
        raise TypeError("only bounds have norms; ranges are those of an objective")

    def matrix_power(self, x: Range, exponent: Fraction) -> Range:
        raise TypeError("only bounds have powers of matrices; ranges are those of an objective")

    largest_eigenvalue = spectral_norm


FUNCTIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "exp": np.exp,
    "log": lambda x: np.log(np.maximum(x, 0.0)),
    "softplus": lambda x: np.logaddexp(0.0, x),
    "sigmoid": lambda x: np.exp(-np.logaddexp(0.0, -x)),
}


def _of_record(u: Elementwise, x: Range) -> Range:
    """The range of a function from what its record says of running errors."""
    at, error = (u.known(entry, "flows in float64") for entry in ("numpy", "error"))
    value = at(x.middle)
    return Range(value, error(Interval(value, x.middle, x.spread, 0.0, at)))


def _of_others(x: np.ndarray) -> np.ndarray:
    """The maximum of all other entries of the last axis."""
    order = np.sort(x, axis=-1)
    return np.where(x == order[..., -1:], order[..., -2:-1], order[..., -1:])


def _power(low: np.ndarray, high: np.ndarray, exponent: Fraction) -> Range:
    if exponent.denominator > 1:
        low, high = np.maximum(low, 0.0), np.maximum(high, 0.0)
    number = exponent.numerator if exponent.denominator == 1 else float(exponent)
    ends = np.stack([low ** float(number) if exponent < 0 else low**number, high ** float(number)])
    inside = (low < 0) & (high > 0)
    bottom, top = ends.min(axis=0), ends.max(axis=0)
    if exponent < 0:
        return between(np.where(inside, -np.inf, bottom), np.where(inside, np.inf, top))
    return between(np.where(inside & (number % 2 == 0), 0.0, bottom), top)


def _is_blind(node: Node) -> bool:
    """Whether error control may miss a change of a node's function."""
    if isinstance(node, LogSumExp):
        return True
    return isinstance(node, Map) and (node.exponent is None or node.exponent < 0 or node.exponent.denominator > 1)


@kept
def _data(objective: Objective) -> dict[Input, Range]:
    return {x: Range(np.asarray(a, dtype=np.float64)[None]) for x, a in objective.data.items()}


Arguments = list[tuple[str, np.ndarray, np.ndarray]]


def _arguments(objective: Objective, low: np.ndarray, high: np.ndarray) -> Arguments:
    """The ranges of all arguments of functions over boxes of parameters, shape (S, P)."""
    box, values = between(low, high), dict(_data(objective))
    assert box.radius is not None
    for w, (where, shape) in zip(objective.parameters, objective.slices(), strict=True):
        parts = (a[:, where].reshape(len(low), *shape) for a in (box.middle, box.radius))
        values[w] = Range(*parts)
    arithmetic = RangeArithmetic()
    with np.errstate(all="ignore"):
        interpret(objective.program, values, arithmetic)
    return arithmetic.arguments


def _unseen(arguments: Arguments, count: int) -> np.ndarray:
    """Which of the boxes hide something: an argument is out of sight in part, and goes through more than `REACH`."""
    found = np.zeros(count, dtype=bool)
    for name, low, high in arguments:
        if name not in FUNCTIONS:
            hidden = ~(high - low <= TURN)
        elif name == "log":
            with np.errstate(all="ignore"):
                hidden = ~((low * high > 0) & (np.abs(np.log(np.abs(high / low))) <= REACH))
        else:
            top = np.minimum(high, FULL) if name != "exp" else high
            sighted = (low >= -SIGHT) & ((high <= SIGHT) | (name == "exp"))
            hidden = ~(sighted | (top - np.maximum(low, LEAST) <= REACH))
        found |= hidden.reshape(len(hidden), -1).any(axis=1)
    return found


@dataclass(frozen=True)
class Cut:
    """Where a run must take shorter steps.

    Attributes:
        step: the step, counted from 0.
        size: how much of it may be kept, 0 if nothing.
        next: how long the step after it may be.
    """

    step: int
    size: float
    next: float


def first_cut(objective: Objective, knots: np.ndarray, states: np.ndarray) -> Cut | None:
    """The first step of a run that goes by something unseen; None where every step saw all there is.

    Args:
        objective: whose gradient flow it is.
        knots: the ends of S consecutive steps, shape (S + 1,).
        states: the states there, shape (S + 1, P).
    """
    if not any(map(_is_blind, objective.program.nodes)):
        return None
    sizes = np.diff(knots)
    for first in _blocks(objective, states):
        ends = states[first : first + BLOCK + 1]
        moves = -in_batches(at_points(objective, gradient), ends)
        path = Path.of(ends[:-1], ends[1:], moves[:-1], moves[1:], sizes[first : first + BLOCK])
        for step in np.flatnonzero(_unseen_steps(objective, path)):
            one = path.part(slice(step, step + 1))
            kept = _visible(objective, one, 0.0)
            if kept < 1:
                following, size = _visible(objective, one, kept) - kept, float(sizes[first + step])
                return Cut(first + int(step), kept * size, following * size)
    return None


def _blocks(objective: Objective, states: np.ndarray) -> Iterator[int]:
    """The first steps of the blocks of steps that have to be looked at one by one.

    A block's box has the steps next to it too, by which a path that turns within a step shows.
    """
    firsts = range(0, len(states) - 1, BLOCK)
    if len(firsts) == 1:
        yield 0
        return
    windows = [states[max(0, first - 1) : first + BLOCK + 2] for first in firsts]
    low, high = np.stack([w.min(axis=0) for w in windows]), np.stack([w.max(axis=0) for w in windows])
    more = WIDER * (high - low)
    yield from (firsts[i] for i in np.flatnonzero(_unseen_boxes(objective, low - more, high + more)))


def unseen_rows(objective: Objective, times: np.ndarray, states: np.ndarray) -> np.ndarray:
    """Which rows of a sweep may have gone by something unseen between two times, shape (B,).

    Args:
        objective: whose gradient flow it is.
        times: S + 1 of them.
        states: the states there, shape (B, S + 1, P), finite.
    """
    rows, count, parameters = states.shape
    if not any(map(_is_blind, objective.program.nodes)):
        return np.zeros(rows, dtype=bool)
    flat = states.reshape(-1, parameters)
    moves = -in_batches(at_points(objective, gradient), flat).reshape(states.shape)

    def joined(part: np.ndarray) -> np.ndarray:
        return part.reshape(-1, parameters)

    sizes = np.tile(np.diff(times), rows)
    starts, ends = joined(states[:, :-1]), joined(states[:, 1:])
    path = Path.of(starts, ends, joined(moves[:, :-1]), joined(moves[:, 1:]), sizes)
    return np.asarray(_unseen_steps(objective, path).reshape(rows, count - 1).any(axis=1))


def _unseen_steps(objective: Objective, path: Path) -> np.ndarray:
    """Which of the paths hide something, seen as a whole."""
    return _unseen_boxes(objective, *path.hull(0.0, 1.0))


def _unseen_boxes(objective: Objective, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Which of the boxes, shape (S, P), hide something; so many at once as fit into memory."""
    rows = max(1, CELLS // max(entries(x.axes) for x in objective.program.nodes))
    parts = [slice(first, first + rows) for first in range(0, len(low), rows)]
    return np.concatenate([_unseen(_arguments(objective, low[p], high[p]), len(low[p])) for p in parts])


@dataclass(frozen=True)
class Path:
    """Hermite cubics: states at both ends, and velocities there times the length of the step, each of shape (S, P)."""

    start: np.ndarray
    end: np.ndarray
    away: np.ndarray
    ahead: np.ndarray

    @classmethod
    def of(
        cls, start: np.ndarray, end: np.ndarray, leaving: np.ndarray, arriving: np.ndarray, sizes: np.ndarray
    ) -> Path:
        """Those with velocities at the ends of steps of such sizes."""
        with np.errstate(all="ignore"):
            return cls(start, end, sizes[:, None] * leaving, sizes[:, None] * arriving)

    def part(self, which: slice) -> Path:
        """Some of them."""
        return Path(*(a[which] for a in (self.start, self.end, self.away, self.ahead)))

    def at(self, s: float) -> tuple[np.ndarray, np.ndarray]:
        """Value and derivative at a fraction of the step."""
        change = self.end - self.start
        cubic = self.ahead + self.away - 2 * change
        square = change - self.away - cubic
        value = self.start + s * (self.away + s * (square + s * cubic))
        return value, self.away + s * (2 * square + 3 * s * cubic)

    def hull(self, first: float, last: float) -> tuple[np.ndarray, np.ndarray]:
        """The box of the control points of a part, widened."""
        (a, left), (b, right) = self.at(first), self.at(last)
        third = (last - first) / 3
        points = np.stack([a, a + third * left, b - third * right, b])
        low, high = points.min(axis=0), points.max(axis=0)
        more = WIDER * (high - low)
        return low - more, high + more


def _visible(objective: Objective, path: Path, first: float) -> float:
    """Up to which fraction of a step, from `first` on, nothing unseen lies; found to `FINE`."""
    reached, known, part = first, None, 1 - first
    while reached < 1 and part > FINEST:
        last = min(1.0, reached + part)
        found = _arguments(objective, *path.hull(reached, last))
        if known is not None:
            pairs = zip(known, found, strict=True)
            found = [(name, np.minimum(a, c), np.maximum(b, d)) for (name, a, b), (_, c, d) in pairs]
        if not _unseen(found, 1)[0]:
            reached, known, part = last, found, 1 - last
        elif reached > first and part < FINE * (reached - first):
            break
        else:
            part /= 2
    return reached
