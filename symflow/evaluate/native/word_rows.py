"""Blocks of operations as the kernel reads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from symflow.evaluate.blocks.rows import NONE, Functions, LogSums, Rows
from symflow.evaluate.blocks.steps import BlockSteps
from symflow.evaluate.native.layout import HEAD, INTEGRAL, PRODUCT, SUM, WORD


def head(kind: int, out: Any, length: Any, constant: Any, factor: int) -> dict[str, Any]:
    """The first words of an operation, or of several, as far as they don't depend on all the others."""
    return {"kind": kind, "length": length, "out": out, "constant": constant, "factor": factor}


@dataclass(frozen=True, eq=False)
class WordRows:
    """Operations of one kind.

    Attributes:
        kind: PRODUCT, SUM or INTEGRAL.
        rows: with the kernel's numbers of series and constants; of a SUM with integers in place of the latter.
        divisor: of a SUM; 0 for no division.
        factor, slopes: as those of an `Operation`.
    """

    kind: int
    rows: Rows
    divisor: int = 0
    factor: int = 1
    slopes: bool = False

    @property
    def out(self) -> np.ndarray:
        """The series that are computed."""
        return self.rows.out

    @property
    def pairs(self) -> np.ndarray:
        """All pairs of factors."""
        return self.rows.pairs

    @property
    def most_terms(self) -> int:
        """Of a sum."""
        return int((self.rows.pair_counts + self.rows.scaled_counts).max(initial=0))

    def factors(self) -> np.ndarray:
        """The series that are multiplied."""
        return np.concatenate([self.rows.pairs.reshape(-1), self.rows.scaled[:, 1]])

    def words(self, places: np.ndarray, slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The operations without their numbers of rows and places, and their lengths."""
        r = self.rows
        lengths = len(HEAD) + 2 * (r.pair_counts + r.scaled_counts)
        starts = np.cumsum(lengths) - lengths
        found = np.full(int(lengths.sum()), NONE, dtype=np.int64)
        first = head(self.kind, r.out, lengths, r.constant, self.factor)
        for name, value in (first | {"pairs": r.pair_counts, "scaled": r.scaled_counts}).items():
            found[starts + WORD[name]] = value
        begin = starts + len(HEAD)
        left = slopes if self.slopes else places
        pairs = np.stack([left[r.pairs[:, 0]], places[r.pairs[:, 1]]], axis=1)
        scaled = r.scaled if self.kind == SUM else np.stack([r.scaled[:, 0], places[r.scaled[:, 1]]], axis=1)
        for terms, counts, first in (
            (pairs, r.pair_counts, begin),
            (scaled, r.scaled_counts, begin + 2 * r.pair_counts),
        ):
            at = np.repeat(first, counts) + 2 * _positions(counts)
            found[at], found[at + 1] = terms[:, 0], terms[:, 1]
        return found, lengths


def _positions(counts: np.ndarray) -> np.ndarray:
    """0, 1, ..., count - 1 for each count."""
    return np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)


def _mapped(numbers: np.ndarray, function: Callable[[int], int]) -> np.ndarray:
    """A function of small numbers, called once for each."""
    used = np.flatnonzero(np.bincount(numbers))
    table = np.zeros(int(used.max(initial=-1)) + 1, dtype=np.int64)
    table[used] = [function(c) for c in used.tolist()]
    return np.asarray(table[numbers])


def word_rows(rows: Rows, names: np.ndarray, steps: BlockSteps, constant: Callable[[int], int]) -> WordRows:
    """A block with the kernel's numbers.

    Args:
        rows: the block.
        names: the number of each series.
        steps: what it belongs to.
        constant: the number of a constant of the block.
    """
    d = rows.denominator
    factors = _mapped(rows.scaled[:, 0], constant if d is None else (lambda c: steps.constants.whole(c, d)))
    scaled = np.stack([factors, names[rows.scaled[:, 1]]], axis=1)
    constants = np.full(len(rows.constant), NONE, dtype=np.int64)
    given = rows.constant != NONE
    constants[given] = _mapped(rows.constant[given], constant)
    own = Rows(names[rows.out], names[rows.pairs], rows.pair_counts, scaled, rows.scaled_counts, constants, d)
    return WordRows(PRODUCT if d is None else SUM, own, 0 if d in (None, 1) else d)


def integral_rows(block: Functions | LogSums, names: np.ndarray) -> WordRows | None:
    """A block whose slopes are sums of u' x' with the kernel's numbers; None for functions of which no u' is given."""
    if isinstance(block, LogSums):
        factors, sign = (block.xs, block.shares), 1
    elif block.derivative is not None:
        factors, sign = (block.x[:, None], block.derivative[:, None]), block.sign
    else:
        return None
    pairs = names[np.stack(factors, axis=-1)]
    count, terms, _ = pairs.shape
    nothing = np.zeros(count, dtype=np.int64)
    scaled = np.zeros((0, 2), dtype=np.int64)
    constants = np.full(count, NONE, dtype=np.int64)
    rows = Rows(names[block.out], pairs.reshape(-1, 2), nothing + terms, scaled, nothing, constants)
    return WordRows(INTEGRAL, rows, divisor=1, factor=sign, slopes=True)
