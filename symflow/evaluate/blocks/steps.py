"""Blocks as the steps of a recurrence, made when somebody asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import cast, overload

import numpy as np

from symflow.evaluate.blocks.compiler import BlockCompiler
from symflow.evaluate.blocks.rows import NONE, Functions, LogSums, Rows, needed, unread
from symflow.evaluate.products import Coefficients
from symflow.evaluate.series_steps import Entry, Function, LogSumExp, Product, Step, Sum


class BlockSteps(Sequence[Step]):
    """The steps of blocks.

    Args:
        compiler: has compiled a program.
        wanted: entries of what is read.
        watched: entries of what is watched for zeros, and may be read.

    Attributes:
        unread: the series that are watched only: nothing else is computed from them.
    """

    def __init__(self, compiler: BlockCompiler, wanted: np.ndarray, watched: np.ndarray) -> None:
        self.compiler, self.constants = compiler, compiler.constants
        self.size = compiler.count
        read, seen = (entries[entries > 0] - 1 for entries in (wanted, watched))
        self.wanted = np.concatenate([read, seen])
        self.blocks = needed(compiler.blocks, self.wanted, self.size)
        self.unread = unread(self.blocks, seen, read, self.size)
        self.numbers: dict[int, int] = {}
        self._lists: dict[int, Coefficients] = {}

    def series(self, number: int) -> Coefficients:
        """The list of a series."""
        if number not in self._lists:
            made: Coefficients = []
            self._lists[number] = made
            self.numbers[id(made)] = number
        return self._lists[number]

    @cached_property
    def unread_rows(self) -> list[Rows]:
        """The blocks that compute the unread series, among others."""
        only = np.zeros(self.size, dtype=bool)
        only[self.unread] = True
        return [block for block in self.blocks if isinstance(block, Rows) and only[block.out].any()]

    def entry(self, entry: int) -> Entry:
        """An entry of an array."""
        if entry > 0:
            return self.series(entry - 1)
        return self.constants.values[-1 - entry] if entry else None

    @cached_property
    def functions(self) -> list[Function]:
        """The steps of elementwise functions."""
        return [step for block in self.blocks if isinstance(block, Functions) for step in self._functions(block)]

    @cached_property
    def _steps(self) -> list[Step]:
        found: list[Step] = []
        for block in self.blocks:
            if isinstance(block, Rows):
                found += self._rows(block)
            else:
                found += self.scalar(block)
        return found

    def scalar(self, block: Functions | LogSums) -> Sequence[Step]:
        """The steps of functions."""
        if isinstance(block, Functions):
            return self._functions(block)
        series = self.series
        rows = zip(block.out.tolist(), block.xs.tolist(), block.shares.tolist(), strict=True)
        return [LogSumExp(series(out), list(map(series, xs)), list(map(series, shares))) for out, xs, shares in rows]

    def _functions(self, block: Functions) -> list[Function]:
        series, d = self.series, block.derivative
        slopes = [None] * len(block.out) if d is None else list(map(series, d.tolist()))
        rows = zip(block.out.tolist(), block.x.tolist(), slopes, strict=True)
        return [Function(series(out), block.name, block.exponent, series(x), d, block.sign) for out, x, d in rows]

    def _rows(self, block: Rows) -> Iterator[Step]:
        series, d, constants = self.series, block.denominator, self.constants
        pairs, scaled = iter(block.pairs.tolist()), iter(block.scaled.tolist())
        counts = zip(block.pair_counts.tolist(), block.scaled_counts.tolist(), block.constant.tolist(), strict=True)
        for out, (products, multiples, constant) in zip(block.out.tolist(), counts, strict=True):
            factors = [(series(a), series(b)) for a, b in (next(pairs) for _ in range(products))]
            terms = [next(scaled) for _ in range(multiples)]
            offset = None if constant == NONE else constants.lifted(constant)
            if d is None:
                yield Product(series(out), factors, [(constants.lifted(c), series(x)) for c, x in terms], offset)
            else:
                yield Sum(series(out), [(constants.whole(c, d), series(x)) for c, x in terms], d, offset)

    def __len__(self) -> int:
        return sum(len(block.out) for block in self.blocks)

    @overload
    def __getitem__(self, index: int) -> Step: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Step]: ...
    def __getitem__(self, index: int | slice) -> Step | Sequence[Step]:
        return self._steps[index]


class Entries(Sequence[Entry]):
    """Entries of an array, whose lists are made when somebody asks for them.

    Args:
        steps: what computes the series.
        array: how a compiler names them.
    """

    def __init__(self, steps: BlockSteps, array: np.ndarray) -> None:
        self.steps, self.numbers = steps, array.reshape(-1)

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Entry]: ...
    def __getitem__(self, index: int | slice) -> Entry | Sequence[Entry]:
        if isinstance(index, slice):
            return Entries(self.steps, self.numbers[index])
        return self.steps.entry(int(self.numbers[index]))


def acting(entries: Sequence[Entry]) -> np.ndarray:
    """Which entries are not zero by structure."""
    return entries.numbers != 0 if isinstance(entries, Entries) else np.array([e is not None for e in entries], bool)


def moving(entries: Sequence[Entry]) -> np.ndarray:
    """Which entries are series."""
    return entries.numbers > 0 if isinstance(entries, Entries) else np.array([type(e) is list for e in entries], bool)


def only_series(entries: Entries, chosen: np.ndarray) -> Sequence[Coefficients]:
    """The chosen ones of entries that are series."""
    return series_of(entries.steps, entries.numbers[chosen] - 1)


def series_of(steps: BlockSteps, numbers: np.ndarray) -> Sequence[Coefficients]:
    """Series by their numbers."""
    return cast(Sequence[Coefficients], Entries(steps, numbers + 1))


def series_among(entries: Sequence[Sequence[Entry]], *, once: bool = False) -> Sequence[Coefficients]:
    """The series among entries; `once`: in any order, each of them once."""
    blocks = [part for part in entries if isinstance(part, Entries)]
    if blocks:
        numbers = np.concatenate([part.numbers[moving(part)] for part in blocks])
        return cast(Sequence[Coefficients], Entries(blocks[0].steps, np.unique(numbers) if once else numbers))
    found = [e for part in entries for e in part if isinstance(e, list)]
    return list({id(e): e for e in found}.values()) if once else found
