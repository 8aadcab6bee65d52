r"""Programs in float64 at many points, each value with a bound on its error: running error analysis.

A value v stands for every number within `error` of it. Rounding of one operation is at most u = 2^-53 of its result (a
sum of n terms: n u of the sum of their sizes; elementary functions: `ULPS`), errors of arguments are carried on by the
derivative's largest size. So cancellation shows: p - y of a saturated softmax has the error of p, not of p - y.
Inputs have the error of rounding them to float64. What is beyond float64 has an infinite error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from symflow.derivatives.derived import Derived
from symflow.evaluate.interpret import interpret
from symflow.evaluate.numpy_batches import BatchArithmetic, bound_inputs
from symflow.networks.objective import Objective
from symflow.programs.nodes import Input, Table
from symflow.programs.program import Program
from symflow.programs.rules.arithmetic import Arithmetic
from symflow.programs.rules.elementwise import Interval, elementwise

UNIT = 2.0**-53
"""Rounding of one operation, relative."""
ULPS = 8 * UNIT
"""Rounding of an elementary function, relative: NumPy's are good to 4 units in the last place."""
TINY = 2.0**-1022
"""Rounding where results underflow, absolute."""
VALUES = BatchArithmetic()


@dataclass(frozen=True, eq=False)
class Rounded:
    """An array whose first axis is the batch, and at most how far its entries are from the true ones."""

    value: np.ndarray
    error: np.ndarray

    @property
    def size(self) -> np.ndarray:
        """At least the absolute values of the true entries."""
        return np.asarray(np.abs(self.value) + self.error)


def rounded_input(value: np.ndarray) -> Rounded:
    """Numbers that were rounded to float64."""
    return Rounded(value, UNIT * np.abs(value) + TINY)


class RoundedArithmetic(Arithmetic):
    """Arrays with bounds on their errors; what statements need beyond gradients and Hessians included."""

    def constant(self, value: Fraction, shape: tuple[int, ...]) -> Rounded:
        v = VALUES.constant(value, shape)
        return Rounded(v, np.where(v == value, 0.0, UNIT * np.abs(v)))

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
        return Rounded(value, np.maximum(grown - plain, 0.0) + 4 * terms * UNIT * grown + terms * TINY)

    def broadcast(self, array: Rounded, positions: Sequence[int], shape: tuple[int, ...]) -> Rounded:
        return self._both(lambda a: VALUES.broadcast(a, positions, shape), array)

    def gate(self, z: Rounded, alpha: Fraction, alpha_bar: Fraction) -> Rounded:
        value = VALUES.gate(z.value, alpha, alpha_bar)
        return Rounded(value, UNIT * np.abs(value))

    def function(self, name: str, x: Rounded, exponent: Fraction | None) -> Rounded:
        def at(v: np.ndarray) -> np.ndarray:
            return VALUES.function(name, v, exponent)

        value = at(x.value)
        error = elementwise(name, exponent).known("error", "running error analysis")
        return Rounded(value, error(Interval(value, x.value, x.error, ULPS, at)) + TINY)

    def gather(self, x: Rounded, table: Table, position: int) -> Rounded:
        return self._both(lambda a: VALUES.gather(a, table, position), x)

    def scatter_add(self, x: Rounded, table: Table, position: int) -> Rounded:
        value, carried, sizes = (VALUES.scatter_add(a, table, position) for a in (x.value, x.error, np.abs(x.value)))
        return Rounded(value, carried + (len(table.index) + 1) * UNIT * (sizes + carried) + TINY)

    def log_sum_exp(self, x: Rounded, position: int) -> Rounded:
        value = VALUES.log_sum_exp(x.value, position)
        terms = x.value.shape[position + 1]
        largest = np.abs(x.value).max(axis=position + 1)
        return Rounded(value, x.error.max(axis=position + 1) + ULPS * terms * (np.abs(value) + largest + 1.0))

    def stack(self, arrays: Sequence[Rounded]) -> Rounded:
        return Rounded(VALUES.stack([x.value for x in arrays]), VALUES.stack([x.error for x in arrays]))

    def maximum(self, arrays: Sequence[Rounded]) -> Rounded:
        value = VALUES.maximum([x.value for x in arrays])
        return Rounded(value, np.broadcast_to(VALUES.maximum([x.error for x in arrays]), value.shape))

    def spectral_norm(self, x: Rounded) -> Rounded:
        value = VALUES.spectral_norm(x.value)
        length = np.sqrt(np.sum(x.value**2, axis=(-2, -1)))
        moved = np.sqrt(np.sum(x.error**2, axis=(-2, -1)))
        return Rounded(value, moved + LINEAR_ALGEBRA * (sum(x.value.shape[-2:]) + 2) * UNIT * (length + moved) + TINY)

    def largest_eigenvalue(self, x: Rounded) -> Rounded:
        value = VALUES.largest_eigenvalue(x.value)
        return Rounded(value, spectral_error(x))

    @staticmethod
    def _both(f: Callable[[np.ndarray], np.ndarray], x: Rounded) -> Rounded:
        return Rounded(f(x.value), f(x.error))


LINEAR_ALGEBRA = 16
"""LAPACK's eigenvalues and singular values: at most this many times (size + 2) u of the matrix's Frobenius norm."""


def spectral_error(x: Rounded) -> np.ndarray:
    """At most how far the eigenvalues that NumPy finds of symmetric matrices are from the true ones (Weyl)."""
    length = np.sqrt(np.sum(x.value**2, axis=(-2, -1)))
    moved = np.sqrt(np.sum(x.error**2, axis=(-2, -1)))
    return np.asarray(moved + LINEAR_ALGEBRA * (x.value.shape[-1] + 2) * UNIT * (length + moved) + TINY)


def rounded_program(
    objective: Objective, program: Program, points: np.ndarray, extra: Mapping[Input, np.ndarray] | None = None
) -> dict[str, Rounded]:
    """The outputs of a program at S points (which were rounded to float64), each with a bound on its error."""
    inputs = {x: rounded_input(a) for x, a in bound_inputs(objective, points).items()}
    given = {x: rounded_input(np.atleast_1d(a)) for x, a in (extra or {}).items()}
    with np.errstate(all="ignore"):
        found = interpret(program, inputs | given, RoundedArithmetic())
    return {name: Rounded(v.value, np.nan_to_num(v.error, nan=np.inf)) for name, v in found.items()}


def rounded_result(objective: Objective, derived: Derived, points: np.ndarray) -> Rounded:
    """A derived result such as the gradient, shape (S, P), or the Hessian, (S, P, P), at S points."""
    found = list(rounded_program(objective, derived.program, points).values())

    def joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
        batched = [np.broadcast_to(a, (len(points), *a.shape[1:])) for a in arrays]
        return np.asarray(derived.joined(batched, np, 1))

    return Rounded(joined([x.value for x in found]), joined([x.error for x in found]))


def _contracted(subscripts: str, arrays: Sequence[np.ndarray]) -> int:
    """How many products an einsum adds up for one entry."""
    inputs, out = subscripts.split("->")
    sizes: dict[str, int] = {}
    for letters, array in zip(inputs.split(","), arrays, strict=True):
        sizes |= dict(zip(letters, array.shape[1:], strict=True))
    count = 1
    for letter, size in sizes.items():
        count *= 1 if letter in out else size
    return count
