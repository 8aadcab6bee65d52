"""A recurrence that the kernel expands: its numbers and tables in memory, and the calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from symflow.errors import ComputationError
from symflow.evaluate.blocks.steps import BlockSteps, Entries
from symflow.evaluate.fixed_point import FixedSeries
from symflow.evaluate.native.block_table import BlockWriter, Names
from symflow.evaluate.native.compiled import Compiled, compiled
from symflow.evaluate.native.deferred import Deferred
from symflow.evaluate.native.layout import BLOCK, DIGIT, ENVIRONMENT, FIELD, MOST_SHIFT
from symflow.evaluate.native.pages import aligned
from symflow.evaluate.native.residues import moduli, packed, reduction_tables, tables
from symflow.evaluate.native.table import Seed, Table, Writer
from symflow.evaluate.native.width import Width, width_of
from symflow.evaluate.native.words import (
    KeptSeries,
    differences,
    floats_from_words,
    from_words,
    sizes_from_words,
    to_words,
)
from symflow.evaluate.products import Coefficients
from symflow.evaluate.series_steps import Entry, SeriesArithmetic, Step

if TYPE_CHECKING:
    from gmpy2 import mpz


class Memory:
    """The words that the kernel works on, for one table, width and number of columns."""

    def __init__(self, table: Table, bits: int, width: Width, columns: int) -> None:
        self.table, self.width, self.columns, self.limbs = table, width, columns, width.limbs
        limbs, count = width.limbs, width.moduli
        whole = -(-DIGIT * count // 64)
        wide = max(-(-(DIGIT * count - bits) // 64), limbs)
        chunks = -(-64 * limbs // DIGIT)
        last = 64 * limbs - DIGIT * (chunks - 1)
        room = whole + limbs + 2 * MOST_SHIFT + 8
        words = table.words.copy()
        divisors = self._divisors(words)
        constants = to_words(table.constants, limbs) if table.constants else np.zeros((0, limbs), dtype=np.uint64)
        arrays: dict[str, np.ndarray | int] = {
            "series": table.series * columns * limbs + 1,
            "residues": table.places * columns * count // 2,
            "constants": np.append(constants.reshape(-1), np.uint64(0)),
            "constant_residues": _residues(table.constants, count),
            "operations": words,
            "integrals": table.integrals,
            "divisors": divisors,
            **tables(count).arrays,
            **reduction_tables(count, limbs),
            "prepared": len(table.starts) * count * BLOCK,
            "sums": 2 * count + 2 * limbs + 16,
            "digits": count + chunks + 16,
            "number": room,
            "shifted": room,
            "bad": 1,
        }
        numbers = {
            "limbs": limbs,
            "top": width.bits % 64,
            "moduli": count,
            "columns": columns,
            "rows": table.series,
            "wide": wide,
            "whole": whole,
            "skipped_digits": bits // DIGIT,
            "skipped_bits": bits % DIGIT,
            "chunks": chunks,
            "last_mask": (1 << last) - 1,
            "last_flip": 1 << (last - 1),
            "bits": bits,
            "integrals_end": len(table.integrals),
        }
        self.arrays = {name: aligned(array) for name, array in arrays.items()}  # the kernel has their addresses only
        self.series = self.arrays["series"]
        self.environment = np.zeros(len(ENVIRONMENT), dtype=np.int64)
        for name, number in numbers.items():
            self.environment[FIELD[name]] = number
        for name, array in self.arrays.items():
            self.environment[FIELD[name]] = array.ctypes.data
        self.address = self.environment.ctypes.data
        self.view = self.series[:-1].reshape(columns, table.series, limbs).swapaxes(0, 1)

    def _divisors(self, words: np.ndarray) -> np.ndarray:
        """The rows of divisors: 0, 1, ..., columns for the state, then those of the table; `words` learn where."""
        rows = [divisor_words(max(k, 1)) for k in range(self.columns + 1)]
        starts = []
        for d, multiplied in self.table.divisors:
            if multiplied and d == 1:
                starts.append(0)
                continue
            starts.append(len(rows))
            multiples = [d * max(k, 1) for k in range(self.columns + 1)] if multiplied else [d]
            rows += map(divisor_words, multiples)
        positions, which = self.table.divided.T
        words[positions] = np.array(starts, dtype=np.int64)[which]
        return np.array(rows, dtype=np.uint64).reshape(-1)

    def write(self, series: Sequence[int] | np.ndarray, values: Sequence[mpz]) -> None:
        """The first coefficients of some series.

        Raises:
            OverflowError: one is too large.
        """
        self.check(values)
        self.view[series, 0] = to_words(values, self.limbs)

    def fits(self, narrow: Width, order: int) -> bool:
        """Whether all coefficients would fit into narrower numbers."""
        high = self.view[:, : order + 1, narrow.bits // 64 :].view(np.int64)
        beyond = high[..., 0] >> np.int64(narrow.bits % 64)
        return bool((high[..., 1:] == beyond[..., None]).all() and ((beyond == 0) | (beyond == -1)).all())

    def check(self, values: Iterable[mpz]) -> None:
        """Refuses what is too large.

        Raises:
            OverflowError: one of the values is.
        """
        if any(v.bit_length() > self.width.bits for v in values):
            raise OverflowError


@lru_cache(maxsize=4096)
def divisor_words(d: int) -> tuple[int, int, int]:
    """d normalized, the word that replaces its division, and the shift."""
    shift = 64 - d.bit_length()
    normal = d << shift
    return normal, ((1 << 128) - 1) // normal - (1 << 64), shift


def _residues(constants: Sequence[mpz], count: int) -> np.ndarray:
    """The constants modulo each prime, packed."""
    return np.concatenate([_residues_of(c, count) for c in constants]) if constants else np.zeros(1, dtype=np.uint64)


@lru_cache(maxsize=1 << 14)
def _residues_of(constant: mpz, count: int) -> np.ndarray:
    return packed([int(constant % p) for p in moduli(count)])


class NativeExpansion:
    """The expansions of one recurrence by the kernel.

    Args:
        kernel: the compiled functions.
        table: what they execute.
        state: its series.
        field: the entries of the field.
        bits: after the point.
    """

    def __init__(
        self, kernel: Compiled, table: Table, state: Sequence[Coefficients], field: Sequence[Entry], bits: int
    ) -> None:
        self.kernel, self.table, self.bits = kernel, table, bits
        self.state = self._numbers(state)
        self.field = self._numbers([e for e in field if isinstance(e, list)])
        self.more = 0
        self.memory: Memory | None = None
        self.narrow: Memory | None = None
        self.enough: Memory | None = None
        self.deferred = Deferred(kernel, table)
        self.order = -1

    def expand(self, values: Sequence[mpz], order: int, tau: int, room: int = 0) -> bool:
        """Whether the kernel has expanded the state from its values."""
        if order and self.enough is not None:
            self.more, self.memory, self.enough = 0, self.enough, None
        self.order = -1
        if not -MOST_SHIFT < tau >> 6 < MOST_SHIFT:
            return False
        while True:
            memory = self._prepared(max(order, room))
            if memory is None:
                return False
            try:
                memory.write(self.state, values)
                if self._run(memory, order, tau):
                    self.order = order
                    self._compare(memory, order)
                    return True
            except OverflowError:
                pass
            self.narrow = memory if self.more == 0 else self.narrow
            self.more += 1
            self.memory = None

    def _compare(self, memory: Memory, order: int) -> None:
        """Notes whether the narrow numbers are enough again: a long unit of time makes large coefficients."""
        if order and self.more and self.narrow is not None:
            self.enough = self.narrow if memory.fits(self.narrow.width, order) else None

    def _prepared(self, order: int) -> Memory | None:
        """Room for an expansion to an order; None where the numbers are too wide."""
        memory = self.memory
        if memory is not None and memory.columns > order:
            return memory
        columns = order + 1
        while True:
            linear, quadratic = self.table.terms
            width = width_of(self.bits, linear * columns + quadratic * columns**2, self.more)
            if width is None:
                return None
            if all(c.bit_length() <= width.bits for c in self.table.constants):
                break
            self.more += 1
        self.memory = Memory(self.table, self.bits, width, columns)
        return self.memory

    def _run(self, memory: Memory, order: int, tau: int) -> bool:
        """Whether all coefficients fit."""
        environment, address, starts = memory.environment, memory.address, self.table.starts
        environment[FIELD["order"]], environment[FIELD["tau"]] = order, tau
        self.kernel.begin(address)
        self.deferred.forget()
        if not self.table.seeds:
            return not self.kernel.advance(address, 0, order, 0, starts[-1], 1)
        done = 0
        for seeds in self._together:
            if self.kernel.advance(address, 0, 0, starts[done], starts[seeds[0].operation], 0):
                return False
            done = seeds[0].operation
            named = [a for seed in seeds for a in seed.arguments]
            read = iter(from_words(memory.view[named, 0]) if named else [])
            arguments = [[next(read) for _ in seed.arguments] for seed in seeds]
            memory.write([seed.series for seed in seeds], seeds[0].values(arguments))
        if self.kernel.advance(address, 0, 0, starts[done], starts[-1], 1):
            return False
        return order == 0 or not self.kernel.advance(address, 1, order, 0, starts[-1], 1)

    @cached_property
    def _together(self) -> list[list[Seed]]:
        """The seeds; those of one kind that follow each other together, where none needs another one."""
        found: list[list[Seed]] = []
        made: set[int] = set()
        for seed in self.table.seeds:
            run = found[-1] if found else []
            follows = bool(run) and seed.operation == run[0].operation + len(run) and seed.values is run[0].values
            if follows and made.isdisjoint(seed.arguments):
                run.append(seed)
            else:
                found.append([seed])
                made = set()
            made.add(seed.series)
        return found

    def read(self, series: Sequence[Coefficients]) -> None:
        """Fills lists with the coefficients of the last expansion."""
        if not series:
            return
        count = self.order + 1
        found = from_words(self._words(series, count))
        for i, s in enumerate(series):
            s[:] = found[i * count : (i + 1) * count]

    def coefficient(self, k: int) -> list[mpz]:
        """Coefficient k of the state in the last expansion."""
        assert self.memory is not None
        return from_words(self.memory.view[self.state, k])

    def field_coefficient(self, k: int) -> list[mpz]:
        """Coefficient k of the series among the entries of the field in the last expansion."""
        assert self.memory is not None
        return from_words(self.memory.view[self.field, k])

    def floats(self, series: Sequence[Coefficients], terms: int | None = None) -> np.ndarray:
        """The (first) coefficients of series of the last expansion in float64, a row each."""
        count = self.order + 1 if terms is None else min(terms, self.order + 1)
        return floats_from_words(self._words(series, count), self.bits)

    def sizes(self, series: Sequence[Coefficients]) -> tuple[np.ndarray, np.ndarray]:
        """See `Recurrence.sizes`."""
        return sizes_from_words(self._words(series, self.order + 1), self.bits)

    def _numbers(self, series: Sequence[Coefficients]) -> np.ndarray:
        numbers = self.table.numbers
        if isinstance(series, Entries) and isinstance(numbers, Names):
            return numbers.names[series.numbers - 1]
        return np.array([numbers[id(s)] for s in series], dtype=np.intp)

    def kept(self, series: Sequence[Coefficients]) -> KeptSeries:
        """The coefficients of series, to keep."""
        return KeptSeries(np.ascontiguousarray(self._words(series, self.order + 1)))

    def known(self, series: Sequence[Coefficients]) -> np.ndarray:
        """Which of the series have all their coefficients: nobody has asked for the others yet."""
        return self.deferred.known[self._numbers(series)]

    def _words(self, series: Sequence[Coefficients], count: int) -> np.ndarray:
        """The first coefficients of series of the last expansion, a copy."""
        numbers = self._numbers(series)
        while self.memory is None or not self.deferred.compute(self.memory.address, numbers, self.order, count):
            self._widen()
        return self.memory.view[numbers, :count]

    def _widen(self) -> None:
        """The last expansion once more, in wider numbers."""
        memory = self.memory
        assert memory is not None
        values, order, tau = from_words(memory.view[self.state, 0]), self.order, int(memory.environment[FIELD["tau"]])
        self.more, self.memory, self.enough = self.more + 1, None, None
        if not self.expand(values, order, tau):
            raise ComputationError("numbers outgrow the compiled recurrence; choose a shorter horizon or smaller data")

    def land(self, series: Sequence[Coefficients], s: mpz, tau: int) -> tuple[list[mpz], list[mpz]] | None:
        """Expands the state to order 0 from its values at s >= 0 on kept series; the values and their derivatives.

        None where the kernel can't: series that aren't words, numbers that are too large.
        """
        found = self._horner(series, s, derivatives=True)
        if found is None or self.memory is None:
            return None
        self.order = -1
        rows = len(series)
        self.memory.view[self.state, 0] = found[:rows]
        try:
            if not self._run(self.memory, 0, tau):
                return None
        except OverflowError:
            return None
        self.order = 0
        both = from_words(found)
        return both[:rows], both[rows:]

    def strayed(self, before: Sequence[Coefficients], s: mpz, series: Sequence[Coefficients]) -> mpz | None:
        """The largest distance of kept series at s >= 0 from the first coefficients of series of the last expansion.

        None where the kernel can't say.
        """
        found = self._horner(before, s, derivatives=False)
        if found is None or self.memory is None:
            return None
        apart = differences(found, self._words(series, 1)[:, 0])
        return abs(from_words(apart[[np.abs(floats_from_words(apart, self.bits)).argmax()]])[0])

    def _horner(self, series: Sequence[Coefficients], s: mpz, *, derivatives: bool) -> np.ndarray | None:
        """The words of the values of kept series at s, and of their derivatives."""
        memory = self.memory
        if not isinstance(series, KeptSeries) or series.words is None or memory is None:
            return None
        rows, count, limbs = series.shape
        if limbs != memory.limbs or not 0 <= s <= 1 << self.bits:
            return None
        found = np.empty(((1 + derivatives) * rows + 1, limbs), dtype=np.uint64)
        found[-1] = to_words([s], limbs)[0]
        start, size, source = found.ctypes.data, 8 * rows * limbs, series.words.ctypes.data
        at = start + found.nbytes - 8 * limbs
        for derivative in range(1 + derivatives):
            if self.kernel.horner(memory.address, source, count, rows, at, start + derivative * size, derivative):
                return None
        return found[:-1]


def native_expansion(
    steps: Sequence[Step], state: Sequence[Coefficients], field: Sequence[Entry], arithmetic: SeriesArithmetic
) -> NativeExpansion | None:
    """The recurrence for the kernel; None without llvmlite, or where there is a function that it doesn't know."""
    kernel = compiled()
    if kernel is None or not isinstance(arithmetic, FixedSeries):
        return None
    bits = arithmetic.bits
    writer = BlockWriter(bits, steps) if isinstance(steps, BlockSteps) else Writer(bits)
    if not writer.add_all(steps):
        return None
    return NativeExpansion(kernel, writer.table(state, field, arithmetic), state, field, bits)
