"""Sums of products of residues: convolutions, coefficient by coefficient and ahead of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from symflow.evaluate.native.code import POINTER, VECTOR, WORD, Code, Value
from symflow.evaluate.native.layout import BLOCK, DIGIT, INTEGRAL, TERMS
from symflow.evaluate.native.layout import WORD as OPERATION
from symflow.evaluate.native.limbs import Environment

LOW32, LOW28 = (1 << 32) - 1, (1 << DIGIT) - 1


def _halves(words: Value) -> tuple[Value, Value]:
    """Two residues of each word, in words of their own."""
    return words & LOW32, words.lshr(32)


def lanes(address: Value, vector: Value | int = 0) -> tuple[Value, Value]:
    """Sixteen packed residues."""
    return _halves(address.load(vector, VECTOR))


def _low_lanes(address: Value, vector: Value | int, part: int) -> Value:
    """One half of sixteen packed residues, in the low 32 bits of words.

    What is above them is not cleared: it is a mask at the product that tells LLVM to multiply 32 bits, and one before a
    loop would not (vpmullq instead of vpmuludq, at three times the cost).
    """
    words = address.load(vector, VECTOR)
    return words.swapped() if part else words


def _folded32(x: Value, delta16: Value) -> Value:
    """A word modulo p, below 2^50: 2^32 is congruent to 16 d."""
    return (x & LOW32) + x.lshr(32) * delta16


def folded(x: Value, delta: Value, delta16: Value) -> Value:
    """A word modulo p, below 2^28 + 2^22."""
    x = _folded32(x, delta16)
    for _ in range(2):
        x = (x & LOW28) + (x.lshr(DIGIT) & LOW32) * delta  # LLVM sees that 32 bits times 32 bits suffice
    return x


class _Sums:
    """Sums of products of residues, in registers: a word holds TERMS products and what folding leaves."""

    def __init__(self, code: Code, start: Sequence[Value | int], delta16: Sequence[Value]) -> None:
        self.code, self.delta16 = code, delta16
        self.held = [code.variable(value, VECTOR) for value in start]
        self.used = code.variable(0)

    def fold(self) -> None:
        """Brings all of them below 2^50."""
        for place, d in zip(self.held, self.delta16, strict=True):
            place.set(_folded32(place.value, d))

    def room(self, terms: Value) -> None:
        """Makes room for so many more products, at most TERMS."""
        with self.code.when(self.code.number(TERMS).less(self.used.value + terms)):
            self.fold()
            self.used.set(0)
        self.used.set(self.used.value + terms)

    def add(self, products: Iterable[tuple[Value, Value]]) -> None:
        """One product more in each."""
        for place, (x, y) in zip(self.held, products, strict=True):
            place.set(place.value + x * y)

    def store(self, address: Value, step: int = 1, first: int = 0) -> None:
        """Writes them, folded, to every `step`-th vector."""
        self.fold()
        for i, place in enumerate(self.held):
            address.store(place.value, step * i + first, VECTOR)


class _Factors:
    """The factors of one operation, for one vector of residues."""

    def __init__(self, code: Code, e: Environment, operation: Value, vector: Value) -> None:
        self.code, self.operation, self.vector = code, operation, vector
        self.row, self.vectors = e["columns"], e["moduli"].lshr(4)
        self.residues, self.fixed = e.place("residues"), e.place("constant_residues")
        self.listed = operation.at(len(OPERATION))
        self.pairs = operation.load(OPERATION["pairs"])

    def place(self, index: Value) -> Value:
        """Where the residues of a series are."""
        return self.residues.at((index * self.vectors + self.vector) * self.row, VECTOR)

    @contextmanager
    def each(self) -> Iterator[tuple[Value, Value]]:
        """The pairs."""
        with self.code.loop(0, self.pairs) as i:
            yield self.place(self.listed.load(i * 2)), self.place(self.listed.load(i * 2 + 1))

    @contextmanager
    def scaled(self) -> Iterator[tuple[Value, Value]]:
        """The constants with their series."""
        listed = self.listed.at(self.pairs * 2)
        with self.code.loop(0, self.operation.load(OPERATION["scaled"])) as i:
            c = self.fixed.at(listed.load(i * 2) * self.vectors + self.vector, VECTOR)
            yield c, self.place(listed.load(i * 2 + 1))


def _write_ahead(code: Code, part: int) -> None:
    """The terms with BLOCK <= i < k of the coefficients k, ..., k + BLOCK - 1 of an operation's products, for one half
    of a vector of residues; k is a multiple of BLOCK.

    What is loaded of b serves BLOCK sums: they are in registers, and the factors move past them.
    """
    with code.function(f"ahead{part}", [POINTER, POINTER, WORD, WORD]) as (address, operation, v, k):
        e = Environment(address)
        n = k - BLOCK
        sums = _Sums(code, [0] * BLOCK, [lanes(e.place("delta16").at(v, VECTOR))[part]] * BLOCK)
        with _Factors(code, e, operation, v).each() as (a, b):
            a, b = a.at(BLOCK, VECTOR), b.at(n, VECTOR)
            window = [code.variable(_low_lanes(b, c, part), VECTOR) for c in range(1, BLOCK)]
            with code.loop(0, n, TERMS) as start:
                rest = n - start
                run = rest.less(TERMS).choose(rest, TERMS)
                sums.room(run)
                with code.loop(start, start + run, BLOCK) as first:
                    later = [place.value for place in window]
                    for i in range(BLOCK):
                        x = _low_lanes(a, first + i, part) & LOW32
                        current = [_low_lanes(b, code.number(0) - first - i, part), *later]
                        sums.add((x, y & LOW32) for y in current)
                        later = current[:-1]
                    for place, y in zip(window, later, strict=True):
                        place.set(y)
        sums.store(_prepared(e, operation, v), 2, part)


def write_sums(code: Code) -> None:
    """`sum`: coefficient k of an operation's products.

    Terms with BLOCK <= i < k0, k0 = k - k mod BLOCK, are added for BLOCK coefficients at a time, at k0, when all of
    them are known: `prepare`.
    """
    for part in range(2):
        _write_ahead(code, part)
    with code.function("prepare", [POINTER, POINTER, WORD]) as (address, operation, k):
        e = Environment(address)
        with code.loop(0, e["moduli"].lshr(4)) as v:
            for part in range(2):
                code.call(f"ahead{part}", address, operation, v, k)
    with code.function("sum", [POINTER, POINTER, WORD]) as (address, operation, k):
        e = Environment(address)
        first = operation.load().equals(INTEGRAL).choose(1, 0)
        start = k & -BLOCK
        blocked = code.number(BLOCK).less(start)
        stop = blocked.choose(BLOCK, k + 1)
        with code.loop(0, e["moduli"].lshr(4)) as v:
            factors = _Factors(code, e, operation, v)
            sums = _Sums(code, [0, 0], lanes(e.place("delta16").at(v, VECTOR)))
            with code.when(blocked):
                ahead = _prepared(e, operation, v).at((k - start) * 2, VECTOR)
                for i, place in enumerate(sums.held):
                    place.set(ahead.load(i, VECTOR))

            def run(a: Value, b: Value, n: Value) -> None:
                """sums += sum_{i<n} a_i b_{-i}."""
                with code.loop(0, n) as i:
                    sums.add(zip(lanes(a, i), lanes(b, code.number(0) - i), strict=True))

            with factors.each() as (a, b):
                sums.room(code.number(2 * BLOCK))
                run(a.at(first, VECTOR), b.at(k - first, VECTOR), stop - first)
                with code.when(blocked):
                    run(a.at(start, VECTOR), b.at(k - start, VECTOR), k + 1 - start)
            with factors.scaled() as (c, x):
                sums.room(code.number(1))
                sums.add(zip(lanes(c), lanes(x, k), strict=True))
            sums.store(e.place("sums").at(v * 2, VECTOR))


def _prepared(e: Environment, operation: Value, vector: Value) -> Value:
    """The place for BLOCK sums of an operation."""
    row = operation.load(OPERATION["row"]) * e["moduli"].lshr(4) + vector
    return e.place("prepared").at(row * (2 * BLOCK), VECTOR)
