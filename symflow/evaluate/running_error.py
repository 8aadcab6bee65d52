r"""Programs in float64 at many points, each value with a bound on its error: running error analysis.

A value v stands for every number within `error` of it: float64 balls. Rounding of +, -, * and / is at most u = 2^-53 of
the result, or TINY where it underflows, so a sum of n products in any order is known to n u of the sum of their sizes;
every bound below takes several times that, which also covers the rounding of the bound itself. Square roots are those
of IEEE 754, other elementary functions and sums of exponentials are enclosed by FLINT's balls, eigenvalues as
`eigenvalue_bounds` shows: nothing is assumed of NumPy's or LAPACK's accuracy beyond IEEE 754. Cancellation shows: p - y
of a saturated softmax has the error of p, not of p - y. Inputs have the error of rounding them to float64. What is
beyond float64 has an infinite error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction

import numpy as np
from flint import arb

from symflow.caching import kept
from symflow.derivatives.derived import Derived
from symflow.dynamics.vector_field import VectorField
from symflow.evaluate.balls import log_sum_exp
from symflow.evaluate.eigenvalue_bounds import eigenvalue_bounds
from symflow.evaluate.interpret import interpret
from symflow.evaluate.numpy_batches import BatchArithmetic, bound_inputs
from symflow.evaluate.rounded import TINY, UNIT, Rounded, between, rounded_input
from symflow.networks.objective import Objective
from symflow.numbers.balls import FLOAT64_BITS, ball_precision
from symflow.numbers.outward import down, up
from symflow.programs.nodes import Input, Node, Table
from symflow.programs.program import Program
from symflow.programs.rules.arithmetic import Arithmetic
from symflow.programs.rules.elementwise import elementwise

VALUES = BatchArithmetic()
UNDERFLOW = 2.0**-1000
"""Errors below this are those of products that underflow, not of rounding."""


class RoundedArithmetic(Arithmetic):
    """Arrays with bounds on their errors; what statements need beyond gradients and Hessians included."""

    def constant(self, value: Fraction, shape: tuple[int, ...]) -> Rounded:
        v = VALUES.constant(value, shape)
        return Rounded(v, np.where(v == value, 0.0, UNIT * np.abs(v) + TINY))

    def identity(self, size: int) -> Rounded:
        v = VALUES.identity(size)
        return Rounded(v, np.zeros_like(v))

    def combine(self, coefficients: Sequence[Fraction], arrays: Sequence[Rounded]) -> Rounded:
        value = VALUES.combine(coefficients, [x.value for x in arrays])
        weights = [abs(c) for c in coefficients]
        carried = VALUES.combine(weights, [x.error for x in arrays])
        sizes = VALUES.combine(weights, [np.abs(x.value) for x in arrays])
        return Rounded(value, carried + (len(arrays) + 2) * UNIT * (sizes + carried) + TINY)

    def einsum(self, subscripts: str, arrays: Sequence[Rounded]) -> Rounded:
        values, sizes = [x.value for x in arrays], [np.abs(x.value) for x in arrays]
        value = VALUES.einsum(subscripts, values)
        plain = VALUES.einsum(subscripts, sizes)
        grown = VALUES.einsum(subscripts, [x.size for x in arrays])
        terms = _contracted(subscripts, values) + len(arrays) + 2
        # `grown` - `plain` is what the errors of the arguments do, up to the rounding of both.
        found = Rounded(value, np.maximum(grown - plain, 0.0) + 4 * terms * UNIT * grown + terms * TINY)
        return _not_negative(found) if _is_square(subscripts, arrays) else found

    def broadcast(self, array: Rounded, positions: Sequence[int], shape: tuple[int, ...]) -> Rounded:
        return self._both(lambda a: VALUES.broadcast(a, positions, shape), array)

    def gate(self, z: Rounded, alpha: Fraction, alpha_bar: Fraction) -> Rounded:
        value = VALUES.gate(z.value, alpha, alpha_bar)
        return Rounded(value, UNIT * np.abs(value))

    def function(self, name: str, x: Rounded, exponent: Fraction | None) -> Rounded:
        if exponent == Fraction(1, 2):
            return _square_root(x)
        ball = elementwise(name, exponent).known("ball", "running error analysis")
        shape = np.broadcast_shapes(x.value.shape, x.error.shape)
        values, errors = np.broadcast_to(x.value, shape), np.broadcast_to(x.error, shape)
        with ball_precision(FLOAT64_BITS):
            return _from_balls([ball(b) for b in _balls(values, errors)], shape)

    def gather(self, x: Rounded, table: Table, position: int) -> Rounded:
        return self._both(lambda a: VALUES.gather(a, table, position), x)

    def scatter_add(self, x: Rounded, table: Table, position: int) -> Rounded:
        value, carried, sizes = (VALUES.scatter_add(a, table, position) for a in (x.value, x.error, np.abs(x.value)))
        return Rounded(value, carried + (len(table.index) + 1) * UNIT * (sizes + carried) + TINY)

    def log_sum_exp(self, x: Rounded, position: int) -> Rounded:
        values, errors = (np.moveaxis(a, position + 1, -1) for a in np.broadcast_arrays(x.value, x.error))
        terms = values.shape[-1]
        with ball_precision(FLOAT64_BITS):
            balls = _balls(values, errors)
            lines = [balls[i : i + terms] for i in range(0, len(balls), terms)]
            return _from_balls([log_sum_exp(line) for line in lines], values.shape[:-1])

    def stack(self, arrays: Sequence[Rounded]) -> Rounded:
        return Rounded(VALUES.stack([x.value for x in arrays]), VALUES.stack([x.error for x in arrays]))

    def maximum(self, arrays: Sequence[Rounded]) -> Rounded:
        value = VALUES.maximum([x.value for x in arrays])
        return Rounded(value, np.broadcast_to(VALUES.maximum([x.error for x in arrays]), value.shape))

    def spectral_norm(self, x: Rounded) -> Rounded:
        tall = x.value.shape[-2] >= x.value.shape[-1]
        a = x if tall else Rounded(*(np.swapaxes(v, -1, -2) for v in (x.value, x.error)))
        found = eigenvalue_bounds(self.einsum("ki,kj->ij", [a, a]))
        ends = (np.sqrt(np.maximum(v, 0)) for v in (found.largest_low, found.largest_high))
        return between(*ends)

    def largest_eigenvalue(self, x: Rounded) -> Rounded:
        found = eigenvalue_bounds(x)
        return between(found.largest_low, found.largest_high)

    @staticmethod
    def _both(f: Callable[[np.ndarray], np.ndarray], x: Rounded) -> Rounded:
        return Rounded(f(x.value), f(x.error))


def _balls(values: np.ndarray, errors: np.ndarray) -> list[arb]:
    """Values with errors as balls, in C order."""
    pairs = zip(values.reshape(-1).tolist(), errors.reshape(-1).tolist(), strict=True)
    return [arb(v, e) for v, e in pairs]


def _is_square(subscripts: str, arrays: Sequence[Rounded]) -> bool:
    """Whether a product is that of an array with itself, entry by entry: the square of a norm."""
    labels = subscripts.split("->")[0].split(",")
    return len(arrays) == 2 and arrays[0] is arrays[1] and labels[0] == labels[1]


def _not_negative(x: Rounded) -> Rounded:
    """Numbers that cannot be negative, where their errors allow it: the upper half of these."""
    straddles = x.error > np.abs(x.value)
    half = between(np.zeros_like(x.value), np.maximum(x.value, 0) + x.error)
    return Rounded(np.where(straddles, half.value, x.value), np.where(straddles, half.error, x.error))


def _square_root(x: Rounded) -> Rounded:
    """sqrt by that of IEEE 754, from the ends outwards; not known where the square root of a number may not exist.

    The square of a norm may fall below 0 only by what its error is rounded up (2^-28 of it is ample) or by products
    that underflow: where its root exists, it is between 0 and that of the upper end.
    """
    low, high = down(x.value - x.error), up(x.value + x.error)
    positive = (low >= 0) | (np.maximum(-low, high) < UNDERFLOW) | (-low <= 2.0**-28 * high)
    known = positive & np.isfinite(high)
    ends = (np.sqrt(np.where(known, np.maximum(end, 0), 0)) for end in (low, high))
    found = between(np.maximum(down(next(ends)), 0), up(next(ends)))
    return Rounded(found.value, np.where(known, found.error, np.inf))


def _from_balls(balls: Sequence[arb], shape: tuple[int, ...]) -> Rounded:
    """Balls as float64 values with errors."""
    value, error = np.empty(len(balls)), np.empty(len(balls))
    for i, b in enumerate(balls):
        value[i], error[i] = float(b.mid()), float(b.rad())
    infinite = ~np.isfinite(value)
    value[infinite], error[infinite] = 0.0, np.inf
    # The midpoint is rounded to 53 bits, and numbers below the least float64 to 0.
    return Rounded(value.reshape(shape), (error * (1 + UNIT) + 2 * UNIT * np.abs(value) + TINY).reshape(shape))


@kept
def _rounded_data(of: Objective | VectorField) -> Mapping[Node, Rounded]:
    """Exact data, rounded to float64; zeros stay exact, since what is made of them vanishes by structure."""
    found: dict[Node, Rounded] = {}
    for x, exact in of.data.items():
        rounded = rounded_input(np.asarray(exact, dtype=np.float64))
        found[x] = Rounded(rounded.value[None], np.where(exact == 0, 0.0, rounded.error)[None])
    return found


def box_inputs(
    of: Objective | VectorField, places: Iterable[tuple[Input, tuple[slice, tuple[int, ...]]]], boxes: Rounded
) -> dict[Node, Rounded]:
    """Its data, rounded to float64, and the arrays of S boxes of states, shape (S, P), that are cut at `places`."""
    known = dict(_rounded_data(of))
    for x, (where, shape) in places:
        known[x] = Rounded(*(v[:, where].reshape(len(v), *shape) for v in (boxes.value, boxes.error)))
    return known


def field_boxes(field: VectorField, boxes: Rounded) -> dict[Node, Rounded]:
    """The inputs of a field's programs on S boxes of its states."""
    return box_inputs(field, zip(field.state, field.slices(), strict=True), boxes)


def evaluated(program: Program, inputs: Mapping[Node, Rounded], arithmetic: RoundedArithmetic) -> dict[str, Rounded]:
    """The outputs of a program; what is not a number has an infinite error."""
    with np.errstate(all="ignore"):
        found = interpret(program, inputs, arithmetic)
    return {name: Rounded(v.value, np.where(np.isnan(v.error), np.inf, v.error)) for name, v in found.items()}


def joined(derived: Derived, found: Mapping[str, Rounded], count: int) -> Rounded:
    """A derived result from the outputs of its program at `count` points or on so many boxes."""

    def whole(arrays: Sequence[np.ndarray]) -> np.ndarray:
        batched = [np.broadcast_to(a, (count, *a.shape[1:])) for a in arrays]
        return np.asarray(derived.joined(batched, np, 1))

    return Rounded(whole([x.value for x in found.values()]), whole([x.error for x in found.values()]))


def rounded_boxes(field: VectorField, program: Program, boxes: Rounded, known: Mapping[Node, Rounded]) -> list[Rounded]:
    """The outputs of a program on S boxes of states, shape (S, P), one array for each, whose first axis is S.

    Args:
        field: whose states they are; it supplies the data.
        program: what to evaluate.
        boxes: the states.
        known: other nodes whose values are known, such as gates.
    """
    found = evaluated(program, {**field_boxes(field, boxes), **known}, RoundedArithmetic()).values()
    count = len(boxes.value)
    return [Rounded(*(np.broadcast_to(a, (count, *a.shape[1:])) for a in (v.value, v.error))) for v in found]


def rounded_program(
    objective: Objective, program: Program, points: np.ndarray, extra: Mapping[Input, np.ndarray] | None = None
) -> dict[str, Rounded]:
    """The outputs of a program at S points (which were rounded to float64), each with a bound on its error."""
    inputs: dict[Node, Rounded] = {x: rounded_input(a) for x, a in bound_inputs(objective, points).items()}
    given: dict[Node, Rounded] = {x: rounded_input(np.atleast_1d(a)) for x, a in (extra or {}).items()}
    return evaluated(program, {**inputs, **given}, RoundedArithmetic())


def rounded_result(objective: Objective, derived: Derived, points: np.ndarray) -> Rounded:
    """A derived result such as the gradient, shape (S, P), or the Hessian, (S, P, P), at S points."""
    return joined(derived, rounded_program(objective, derived.program, points), len(points))


def _contracted(subscripts: str, arrays: Sequence[np.ndarray]) -> int:
    """How many products an einsum adds up for one entry."""
    inputs, out = subscripts.split("->")
    sizes: dict[str, int] = {}
    for letters, array in zip(inputs.split(","), arrays, strict=True):
        sizes |= dict(zip(letters, array.shape[array.ndim - len(letters) :], strict=True))
    count = 1
    for letter, size in sizes.items():
        count *= 1 if letter in out else size
    return count
