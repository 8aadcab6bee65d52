"""Blocks as the steps of a recurrence, made when somebody asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, overload

import numpy as np

from symflow.evaluate.blocks.compiler import BlockCompiler
from symflow.evaluate.blocks.rows import NONE, Functions, LogSums, Rows, needed
from symflow.evaluate.products import Coefficients
from symflow.evaluate.series_steps import Entry, Function, LogSumExp, Product, SeriesArithmetic, Step, Sum


class BlockSteps(Sequence[Step]):
    """The steps of blocks; the series have their lists from the beginning.

    Args:
        compiler: has compiled a program.
        wanted: entries of what is read.
        arithmetic: the numbers.
    """

    def __init__(self, compiler: BlockCompiler, wanted: np.ndarray, arithmetic: SeriesArithmetic) -> None:
        self.constants, self.arithmetic = compiler.constants, arithmetic
        self.blocks = needed(compiler.blocks, wanted[wanted > 0] - 1, compiler.count)
        self.lists: list[Coefficients] = [[] for _ in range(compiler.count)]

    def entry(self, entry: int) -> Entry:
        """An entry of an array."""
        if entry > 0:
            return self.lists[entry - 1]
        return self.constants[-1 - entry] if entry else None

    def lifted(self, number: int) -> Any:
        """A constant in fixed point; None for NONE."""
        return None if number == NONE else self.arithmetic.lift(self.constants[number])

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
        lists = self.lists
        rows = zip(block.out.tolist(), block.xs.tolist(), block.shares.tolist(), strict=True)
        return [LogSumExp(lists[out], [lists[x] for x in xs], [lists[s] for s in shares]) for out, xs, shares in rows]

    def _functions(self, block: Functions) -> list[Function]:
        lists = self.lists
        slopes = [None] * len(block.out) if block.derivative is None else [lists[d] for d in block.derivative.tolist()]
        rows = zip(block.out.tolist(), block.x.tolist(), slopes, strict=True)
        return [Function(lists[out], block.name, block.exponent, lists[x], d, block.sign) for out, x, d in rows]

    def _rows(self, block: Rows) -> Iterator[Step]:
        lists, d = self.lists, block.denominator
        pairs, scaled = iter(block.pairs.tolist()), iter(block.scaled.tolist())
        counts = zip(block.pair_counts.tolist(), block.scaled_counts.tolist(), block.constant.tolist(), strict=True)
        for out, (products, multiples, constant) in zip(block.out.tolist(), counts, strict=True):
            factors = [(lists[a], lists[b]) for a, b in (next(pairs) for _ in range(products))]
            terms = [next(scaled) for _ in range(multiples)]
            offset = self.lifted(constant)
            if d is None:
                yield Product(lists[out], factors, [(self.lifted(c), lists[x]) for c, x in terms], offset)
            else:
                whole = [(int(self.constants[c] * d), lists[x]) for c, x in terms]
                yield Sum(lists[out], whole, d, offset)

    def __len__(self) -> int:
        return sum(len(block.out) for block in self.blocks)

    @overload
    def __getitem__(self, index: int) -> Step: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Step]: ...
    def __getitem__(self, index: int | slice) -> Step | Sequence[Step]:
        return self._steps[index]


def state_series(compiler: BlockCompiler, shape: tuple[int, ...]) -> np.ndarray:
    """Entries of an array of the state."""
    return (compiler.fresh(int(np.prod(shape, dtype=np.int64))) + 1).reshape(shape)


def constant_entries(compiler: BlockCompiler, array: np.ndarray) -> np.ndarray:
    """Entries of exact constants."""
    return compiler.entries(np.asarray(array, dtype=object))


