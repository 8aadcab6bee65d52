"""Blocks as the steps of a recurrence, made when somebody asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import overload

import numpy as np

from symflow.evaluate.blocks.compiler import BlockCompiler
from symflow.evaluate.blocks.rows import NONE, Functions, LogSums, Rows, needed
from symflow.evaluate.products import Coefficients
from symflow.evaluate.series_steps import Entry, Function, LogSumExp, Product, Step, Sum


class BlockSteps(Sequence[Step]):
    """The steps of blocks.

    Args:
        compiler: has compiled a program.
        wanted: entries of what is read.
    """

    def __init__(self, compiler: BlockCompiler, wanted: np.ndarray) -> None:
        self.compiler, self.constants = compiler, compiler.constants
        self.size = compiler.count
        self.blocks = needed(compiler.blocks, wanted[wanted > 0] - 1, self.size)
        self.numbers: dict[int, int] = {}
        self._lists: dict[int, Coefficients] = {}

    def series(self, number: int) -> Coefficients:
        """The list of a series."""
        if number not in self._lists:
            made: Coefficients = []
            self._lists[number] = made
            self.numbers[id(made)] = number
        return self._lists[number]

    def entries(self, array: np.ndarray) -> list[Entry]:
        """The entries of an array."""
        flat = array.reshape(-1).tolist()
        new = [n - 1 for n in dict.fromkeys(flat) if n > 0 and n - 1 not in self._lists]
        made: list[Coefficients] = [[] for _ in new]
        self._lists.update(zip(new, made, strict=True))
        self.numbers.update(zip(map(id, made), new, strict=True))
        lists, values = self._lists, self.constants.values
        return [lists[n - 1] if n > 0 else values[-1 - n] if n else None for n in flat]

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
