"""The steps of a recurrence as the table of operations that the kernel executes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from itertools import chain
from typing import TypeAlias

import mpmath
import numpy as np
from gmpy2 import mpz

from symflow.evaluate.blocks.rows import NONE
from symflow.evaluate.elementary_series import check, elementary_values, fixed_log_sums
from symflow.evaluate.native.layout import HEAD, INTEGRAL, PRODUCT, SUM, WEIGHTED, WORD
from symflow.evaluate.native.word_rows import WordRows, head
from symflow.evaluate.products import Coefficients
from symflow.evaluate.series_steps import Entry, Function, LogSumExp, Product, SeriesArithmetic, Step, Sum
from symflow.numbers.fixed_point import from_mpf, to_mpf
from symflow.programs.rules.elementwise import Elementwise, elementwise

LARGEST_WORD = 1 << 62
MOST_REMEMBERED = 4
"""Of so many expansions the first coefficients of functions are known."""
Numbers: TypeAlias = Sequence[int] | np.ndarray
Values = Callable[[Sequence[Sequence["mpz"]]], "list[mpz]"]


@dataclass(frozen=True)
class Operation:
    """One operation; series by their numbers, constants by theirs.

    Attributes:
        kind: PRODUCT, SUM, INTEGRAL or WEIGHTED.
        out: the series.
        pairs: factors; of an INTEGRAL the first one stands for its slope k a_k where `slopes` says so.
        scaled: (constant, series), or (word, series) of a SUM.
        constant: added to the first coefficient.
        factor: n of an INTEGRAL.
        divisor: d; 0 for no division.
        slopes: see `pairs`.
    """

    kind: int
    out: int
    pairs: list[tuple[int, int]] = field(default_factory=list)
    scaled: list[tuple[int, int]] = field(default_factory=list)
    constant: int = NONE
    factor: int = 1
    divisor: int = 0
    slopes: bool = True

    @property
    def most_terms(self) -> int:
        """Of its sum."""
        return len(self.pairs) + len(self.scaled)

    def factors(self) -> list[int]:
        """The series that are multiplied."""
        return [*chain.from_iterable(self.pairs), *(x for _, x in self.scaled)]

    def words(self, places: Numbers, slopes: Numbers) -> tuple[np.ndarray, np.ndarray]:
        """The operation as the kernel reads it, without its numbers of rows and places, and its length."""
        first = slopes if self.kind == INTEGRAL and self.slopes else places
        pairs = [(first[a], places[b]) for a, b in self.pairs]
        scaled = self.scaled if self.kind == SUM else [(c, places[x]) for c, x in self.scaled]
        words = [*([NONE] * len(HEAD)), *chain.from_iterable(pairs), *chain.from_iterable(scaled)]
        found = head(self.kind, self.out, len(words), self.constant, self.factor)
        for name, value in (found | {"pairs": len(pairs), "scaled": len(scaled)}).items():
            words[WORD[name]] = value
        return np.array(words, dtype=np.int64), np.array([len(words)])


Part: TypeAlias = Operation | WordRows
"""One operation, or several of a kind."""


class Remembered:
    """First coefficients from those of other series, of which the last ones are known.

    A step ends where the next one begins, and a kink leaves the samples that it does not touch as they are.
    """

    def __init__(self, values: Values) -> None:
        self.values = values
        self._known: dict[tuple[mpz, ...], mpz] = {}

    def __call__(self, rows: Sequence[Sequence[mpz]]) -> list[mpz]:
        keys = [tuple(row) for row in rows]
        known = self._known
        new = [key for key in dict.fromkeys(keys) if key not in known]
        if len(known) > MOST_REMEMBERED * len(keys):
            known = {key: known[key] for key in keys if key in known}
        known |= zip(new, self.values(new), strict=True) if new else ()
        self._known = known
        return [known[key] for key in keys]


@dataclass(frozen=True)
class Seed:
    """The first coefficient of a series, which is not computed by the kernel, from those of other series.

    `values` computes many of its kind, each from its arguments.
    """

    operation: int
    series: int
    arguments: list[int]
    values: Values


@dataclass(frozen=True, eq=False)
class Table:
    """A recurrence for the kernel.

    Attributes:
        words: the operations.
        starts: where each begins.
        integrals: the entries of the state.
        divisors: d, and whether it is multiplied by k: its rows follow those for the state, in this order.
        constants: fixed-point numbers.
        seeds: in the order of their operations.
        series: how many.
        places: how many of them have residues, slopes counted too.
        numbers: of the lists of the recurrence, by their ids.
        divided: the words that name rows of divisors: where they are, and which divisor, a row each.
        deferred: the series that nothing else is computed from, and where their operations begin.
        terms: bounds the sums: at most terms[0] (order + 1) + terms[1] (order + 1)^2 products of two coefficients.
    """

    words: np.ndarray
    starts: list[int]
    integrals: np.ndarray
    divisors: list[tuple[int, bool]]
    divided: np.ndarray
    deferred: tuple[np.ndarray, np.ndarray]
    constants: list[mpz]
    seeds: list[Seed]
    series: int
    places: int
    numbers: dict[int, int]
    terms: tuple[int, int]


class Writer:
    """Collects operations."""

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.numbers: dict[int, int] = {}
        self.count = 0
        self.parts: list[Part] = []
        self.size = 0
        self.constants: dict[int, int] = {}
        self.seeds: list[Seed] = []
        self.log_sums: Values = Remembered(partial(_log_sums, bits))
        self.functions: dict[Hashable, Values] = {}

    def fresh(self) -> int:
        """A series of the kernel's own."""
        self.count += 1
        return self.count - 1

    def series(self, coefficients: Coefficients) -> int:
        """The number of a series."""
        key = id(coefficients)
        try:
            return self.numbers[key]
        except KeyError:
            return self.numbers.setdefault(key, self.fresh())

    def constant(self, value: mpz | None) -> int:
        """The number of a constant."""
        return NONE if value is None else self.constants.setdefault(int(value), len(self.constants))

    def seed(self, series: int, arguments: Iterable[int], values: Values) -> None:
        """The operation that comes next has its first coefficient from Python."""
        self.seeds.append(Seed(self.size, series, list(arguments), values))

    def append(self, *operations: Operation) -> None:
        """Adds operations."""
        self.parts += operations
        self.size += len(operations)

    def rows(self, rows: WordRows) -> None:
        """Adds the operations of a block."""
        self.parts.append(rows)
        self.size += len(rows.out)

    def add_all(self, steps: Sequence[Step]) -> bool:
        """Whether all steps could be written."""
        return all(self.add(step) for step in steps)

    def add(self, step: Step) -> bool:
        """Whether a step could be written."""
        match step:
            case Product():
                pairs = [(self.series(a), self.series(b)) for a, b in step.pairs]
                scaled = [(self.constant(c), self.series(x)) for c, x in step.scaled]
                out = self.series(step.out)
                self.append(Operation(PRODUCT, out, pairs, scaled, self.constant(step.constant)))
            case Sum():
                self._sum(step)
            case LogSumExp():
                pairs = [(self.series(x), self.series(s)) for x, s in zip(step.xs, step.shares, strict=True)]
                out = self.series(step.out)
                self.seed(out, [a for a, _ in pairs], self.log_sums)
                self.append(Operation(INTEGRAL, out, pairs, divisor=1))
            case Function():
                return self._function(step)
        return True

    def _sum(self, step: Sum) -> None:
        out, constant = self.series(step.out), self.constant(step.constant)
        divisor = 0 if step.denominator == 1 else step.denominator
        words = all(abs(n) < LARGEST_WORD for n, _ in step.terms)
        terms = [(int(n) if words else self.constant(n), self.series(x)) for n, x in step.terms]
        self.append(Operation(SUM if words else WEIGHTED, out, [], terms, constant, divisor=divisor))

    def _function(self, step: Function) -> bool:
        out, x = self.series(step.out), self.series(step.x)
        first = self.first(step.name, step.exponent)
        if step.derivative is not None:
            pairs = [(x, self.series(step.derivative))]
            self.seed(out, [x], first)
            self.append(Operation(INTEGRAL, out, pairs, factor=step.sign, divisor=1))
            return True
        if step.name == "log":
            r = self._reciprocal(x, elementwise("log", None))
            self.seed(out, [x], first)
            self.append(Operation(INTEGRAL, out, [(x, r)], divisor=1))
            return True
        if step.name == "power" and step.exponent is not None:
            p, q = step.exponent.numerator, step.exponent.denominator
            if abs(p) >= LARGEST_WORD or q >= LARGEST_WORD:
                return False
            r, relative = self._reciprocal(x, elementwise(step.name, step.exponent)), self.fresh()
            self.seed(relative, [], lambda rows: [mpz(0) for _ in rows])
            self.append(Operation(INTEGRAL, relative, [(x, r)]))
            self.seed(out, [x], first)
            pairs = [(relative, out)]
            self.append(Operation(INTEGRAL, out, pairs, factor=p, divisor=q, slopes=False))
            return True
        return False

    def first(self, name: str, exponent: Fraction | None) -> Values:
        """What computes the values of a function."""
        key = (name, exponent)
        return self.functions.setdefault(key, Remembered(partial(_firsts, elementwise(*key), self.bits)))

    def _reciprocal(self, x: int, u: Elementwise) -> int:
        """r = 1/x with r' = -r^2 x', as `reciprocal_series` has it; x as u allows it."""
        r, square, bits = self.fresh(), self.fresh(), self.bits

        def first(rows: Sequence[Sequence[mpz]]) -> list[mpz]:
            for (v,) in rows:
                check(u, v, bits)
            with mpmath.workprec(bits + 32):
                return [from_mpf(1 / to_mpf(v, bits), bits) for (v,) in rows]

        self.seed(r, [x], first)
        self.append(Operation(INTEGRAL, r, [(x, square)], factor=-1, divisor=1))
        self.append(Operation(PRODUCT, square, [(r, r)]))
        return r

    def table(self, state: Sequence[Coefficients], field: Sequence[Entry], arithmetic: SeriesArithmetic) -> Table:
        """All that was collected, with the state's integrals."""
        integrals: list[tuple[int, int, int]] = []
        for coefficients, entry in zip(state, field, strict=True):
            source = self.series(entry) if isinstance(entry, list) else NONE
            constant = self.constant(arithmetic.lift(entry)) if isinstance(entry, Fraction) else NONE
            integrals.append((self.series(coefficients), source, constant))
        plain, sloped = _factors(self.parts, self.count)
        places, slopes, count = self.places(plain, sloped)
        written = self.all_words(places, slopes)
        words = np.concatenate([w for w, _ in written]) if written else np.zeros(0, dtype=np.int64)
        starts = np.cumsum(np.concatenate([np.zeros(1, dtype=np.int64), *(lengths for _, lengths in written)]))
        heads = starts[:-1]
        out = words[heads + WORD["out"]]
        places, slopes = np.where(plain, places, NONE), np.where(sloped, slopes, NONE)
        words[heads + WORD["row"]] = np.arange(len(heads))
        deferred = self.deferred()[out]
        words[heads + WORD["deferred"]] = deferred
        words[heads + WORD["residues"]], words[heads + WORD["slope"]] = places[out], slopes[out]
        divisors: dict[tuple[int, bool], int] = {}
        which = [
            divisors.setdefault((p.divisor, p.kind == INTEGRAL), len(divisors)) if p.divisor else NONE
            for p in self.parts
        ]
        divided = np.repeat(np.array(which, dtype=np.int64), [len(lengths) for _, lengths in written])
        divides = divided != NONE
        rows = [[series, places[series], slopes[series], source, constant] for series, source, constant in integrals]
        return Table(
            words,
            starts.tolist(),
            np.array(rows, dtype=np.int64).reshape(-1),
            list(divisors),
            np.stack([heads[divides] + WORD["divisor"], divided[divides]], axis=1),
            (out[deferred], heads[deferred]),
            [mpz(c) for c in self.constants],
            self.seeds,
            self.count,
            count,
            self.numbers,
            _terms(self.parts),
        )

    def deferred(self) -> np.ndarray:
        """Which series nothing else is computed from, so that they are computed when they are asked for."""
        return np.zeros(self.count, dtype=bool)

    def places(self, plain: np.ndarray, sloped: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
        """Places for residues and for those of slopes, for the series that need them; and how many there are."""
        first = int(plain.sum())
        return numbered(plain, 0), numbered(sloped, first), first + int(sloped.sum())

    def all_words(self, places: np.ndarray, slopes: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """What the kernel reads of each part, and the lengths of its operations."""
        known = places.tolist(), slopes.tolist()  # which read faster, one by one
        return [
            part.words(*known) if isinstance(part, Operation) else part.words(places, slopes) for part in self.parts
        ]


def _firsts(u: Elementwise, bits: int, rows: Sequence[Sequence[mpz]]) -> list[mpz]:
    return elementary_values(u, [x for (x,) in rows], bits)


def _log_sums(bits: int, rows: Sequence[Sequence[mpz]]) -> list[mpz]:
    return fixed_log_sums(rows, bits)


def _factors(parts: Sequence[Part], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Which series are factors, and of which the slopes are."""
    plain, sloped = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    for part in parts:
        if part.kind != SUM:
            plain[part.factors()] = True
            if part.kind == INTEGRAL and part.slopes:
                sloped[np.reshape(part.pairs, (-1, 2))[:, 0]] = True
    return plain, sloped


def numbered(chosen: np.ndarray, first: int) -> np.ndarray:
    """Places, from `first` on, for the chosen series; NONE for the others."""
    return np.where(chosen, np.cumsum(chosen) - 1 + first, NONE)


def _terms(parts: Sequence[Part]) -> tuple[int, int]:
    """What bounds the sums of products of two coefficients (see `Table`); slopes are k a_k."""
    found = [1, 0]
    for part in parts:
        integral = part.kind == INTEGRAL
        found[integral] = max(found[integral], (part.most_terms + 1) * abs(part.factor))
    return found[0], found[1]
