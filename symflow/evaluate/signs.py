"""Signs that the entries of a program's values may have, from those of its inputs: exact, whatever their sizes.

An entry that can be neither positive nor negative is 0 by structure, as what lies behind dead units is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from symflow.evaluate.numpy_batches import BatchArithmetic
from symflow.evaluate.rounded import Rounded
from symflow.programs.nodes import Table
from symflow.programs.rules.arithmetic import Arithmetic

COUNTS = BatchArithmetic()


@dataclass(frozen=True, eq=False)
class Signs:
    """Whether entries may be positive and whether they may be negative; 1.0 or 0.0."""

    positive: np.ndarray
    negative: np.ndarray


def signs_of(x: Rounded) -> Signs:
    """The signs of float64 balls; of what is no number, both."""
    return Signs((~(x.value <= -x.error)).astype(float), (~(x.value >= x.error)).astype(float))


class SignArithmetic(Arithmetic):
    """What pre-activations are made of; other operations may have either sign."""

    def constant(self, value: Fraction, shape: tuple[int, ...]) -> Signs:
        one = np.ones((1, *shape))
        return Signs(one * (value > 0), one * (value < 0))

    def identity(self, size: int) -> Signs:
        return Signs(np.eye(size)[None], np.zeros((1, size, size)))

    def combine(self, coefficients: Sequence[Fraction], arrays: Sequence[Signs]) -> Signs:
        turned = [x if c > 0 else Signs(x.negative, x.positive) for c, x in zip(coefficients, arrays, strict=True) if c]
        ones = [Fraction(1)] * len(turned)
        return _either(
            COUNTS.combine(ones, [x.positive for x in turned]), COUNTS.combine(ones, [x.negative for x in turned])
        )

    def einsum(self, subscripts: str, arrays: Sequence[Signs]) -> Signs:
        both = COUNTS.einsum(subscripts, [x.positive + x.negative for x in arrays])
        apart = COUNTS.einsum(subscripts, [x.positive - x.negative for x in arrays])
        return _either((both + apart) / 2, (both - apart) / 2)

    def broadcast(self, array: Signs, positions: Sequence[int], shape: tuple[int, ...]) -> Signs:
        return Signs(*(COUNTS.broadcast(a, positions, shape) for a in (array.positive, array.negative)))

    def gather(self, x: Signs, table: Table, position: int) -> Signs:
        return Signs(*(COUNTS.gather(a, table, position) for a in (x.positive, x.negative)))

    def scatter_add(self, x: Signs, table: Table, position: int) -> Signs:
        return _either(*(COUNTS.scatter_add(a, table, position) for a in (x.positive, x.negative)))

    def function(self, name: str, x: Signs, exponent: Fraction | None) -> Signs:
        return Signs(np.ones_like(x.positive), np.ones_like(x.positive))


def _either(positive: np.ndarray, negative: np.ndarray) -> Signs:
    """Numbers of terms of each sign as whether there are any; whole numbers, which float64 adds exactly."""
    return Signs((positive > 0.25).astype(float), (negative > 0.25).astype(float))
