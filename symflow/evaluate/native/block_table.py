"""Blocks of operations as a table for the kernel; what is known of blocks that were written before is used again."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from symflow.evaluate.blocks.compiler import BlockCompiler
from symflow.evaluate.blocks.rows import NONE, Block, Functions, LogSums, Rows
from symflow.evaluate.blocks.steps import BlockSteps
from symflow.evaluate.native.table import Operation, Part, Seed, Values, Writer
from symflow.evaluate.native.word_rows import WordRows, integral_rows, word_rows
from symflow.evaluate.series_steps import Step


@dataclass(frozen=True, eq=False)
class _Written:
    """A block for the kernel: its operations, and its seeds, counted from its first operation."""

    block: Block
    parts: list[Part]
    seeds: list[Seed]


class _Numbers:
    """The numbers by which the kernel knows the series of one compiler, and their places; they remain.

    Attributes:
        names: of the compiler's series.
        count: how many series the kernel knows.
        plain, sloped: the places of the kernel's series.
        places: how many there are.
        constants: by their numbers.
        functions, log_sums: what computes their first coefficients.
        written: the blocks of the last table, by their ids.
        words: the words of its parts, by the ids of these.
    """

    def __init__(self) -> None:
        self.names = np.zeros(0, dtype=np.int64)
        self.plain = self.sloped = self.names
        self.count = self.places = 0
        self.constants: dict[int, int] = {}
        self.functions: dict[Hashable, Values] = {}
        self.log_sums: Values | None = None
        self.written: dict[int, _Written] = {}
        self.words: dict[int, tuple[Part, tuple[np.ndarray, np.ndarray]]] = {}

    def name(self, series: np.ndarray, size: int) -> None:
        """Gives series their numbers, if they have none; `size`: of all series of the compiler."""
        self.names = _grown(self.names, size)
        new = np.unique(series[self.names[series] == NONE])
        self.names[new] = np.arange(self.count, self.count + len(new))
        self.count += len(new)

    def place(self, places: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """The places with those that are wanted."""
        found = _grown(places, self.count)
        new = np.flatnonzero(wanted & (found == NONE))
        found[new] = np.arange(self.places, self.places + len(new))
        self.places += len(new)
        return found


def _grown(numbers: np.ndarray, size: int) -> np.ndarray:
    """A copy with NONE behind."""
    return np.concatenate([numbers, np.full(size - len(numbers), NONE, dtype=np.int64)])


_KNOWN: WeakKeyDictionary[BlockCompiler, _Numbers] = WeakKeyDictionary()


class BlockWriter(Writer):
    """Collects blocks of operations."""

    def __init__(self, bits: int, steps: BlockSteps) -> None:
        super().__init__(bits)
        self.steps, self.known = steps, _KNOWN.setdefault(steps.compiler, _Numbers())
        self.constants, self.functions = self.known.constants, self.known.functions
        self.log_sums = self.known.log_sums = self.known.log_sums or self.log_sums
        read = np.fromiter(steps.numbers.values(), dtype=np.int64, count=len(steps.numbers))  # of the state too
        new = [s.reshape(-1) for b in steps.blocks if id(b) not in self.known.written for s in b.series]
        self.known.name(np.concatenate([read, steps.wanted, *new]), steps.size)
        self.numbers = Names(steps, self.known.names)

    def fresh(self) -> int:
        self.known.count += 1
        return self.known.count - 1

    def add_all(self, steps: Sequence[Step]) -> bool:
        written = []
        for block in self.steps.blocks:
            known = self.known.written.get(id(block))
            if known is None:
                parts, seeds, start = len(self.parts), len(self.seeds), self.size
                if not self._write(block):
                    return False
                own = _moved(self.seeds[seeds:], -start)
                known = _Written(block, self.parts[parts:], own)
            else:
                self.seeds += _moved(known.seeds, self.size)
                self.parts += known.parts
                self.size += sum(1 if isinstance(part, Operation) else len(part.out) for part in known.parts)
            written.append(known)
        self.known.written = {id(w.block): w for w in written}
        self.count = self.known.count
        return True

    def _write(self, block: Block) -> bool:
        """Whether a block could be written."""
        if isinstance(block, Rows):
            self.rows(word_rows(_local(block), self.known.names, self.steps, self._constant_of))
            return True
        rows = integral_rows(block, self.known.names)
        if rows is None:
            return all(self.add(step) for step in self.steps.scalar(block))
        self._integrals(block, rows)
        return True

    def _integrals(self, block: Functions | LogSums, rows: WordRows) -> None:
        """The operations of functions that are integrals, whose first coefficients come from Python."""
        first = self.log_sums if isinstance(block, LogSums) else self.first(block.name, block.exponent)
        arguments = rows.pairs[:, 0].reshape(len(rows.out), -1).tolist()
        for i, (out, xs) in enumerate(zip(rows.out.tolist(), arguments, strict=True)):
            self.seeds.append(Seed(self.size + i, out, xs, first))
        self.rows(rows)

    def _constant_of(self, number: int) -> int:
        return self.constant(self.steps.constants.lifted(number))

    def deferred(self) -> np.ndarray:
        found = np.zeros(self.count, dtype=bool)
        found[self.known.names[self.steps.unread]] = True
        return found

    def places(self, plain: np.ndarray, sloped: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
        known = self.known
        known.plain, known.sloped = known.place(known.plain, plain), known.place(known.sloped, sloped)
        return known.plain, known.sloped, known.places

    def all_words(self, places: np.ndarray, slopes: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        known, words = self.known, {}
        for part in self.parts:
            words[id(part)] = known.words.get(id(part)) or (part, part.words(places, slopes))
        known.words = words
        return [words[id(part)][1] for part in self.parts]


def _local(rows: Rows) -> Rows:
    """Rows in an order in which those that share factors follow each other, so that these remain in the cache.

    Of a product of matrices these are columns: the second factor has the higher numbers.
    """
    if not rows.pair_counts.all():
        return rows
    first = np.cumsum(rows.pair_counts) - rows.pair_counts
    return rows.in_order(np.argsort(rows.pairs[first, 1], kind="stable"))


def _moved(seeds: Sequence[Seed], operations: int) -> list[Seed]:
    """Seeds of operations that come later."""
    return [Seed(seed.operation + operations, seed.series, seed.arguments, seed.values) for seed in seeds]


class Names(dict[int, int]):
    """Numbers of lists by their ids: those of blocks are known without all lists being made."""

    def __init__(self, steps: BlockSteps, names: np.ndarray) -> None:
        super().__init__()
        self.steps, self.names = steps, names

    def __missing__(self, key: int) -> int:
        self[key] = int(self.names[self.steps.numbers[key]])
        return self[key]
