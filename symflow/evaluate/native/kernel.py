"""The kernel: power-series recurrences over fixed-point integers, products of series by residues.

A coefficient is a two's complement number of `limbs` words. A convolution sum is an integer T, known by its residues
modulo many primes p just below 2^28: residues of the factors are multiplied and added lane by lane, and each
coefficient is reduced once, not in every product. T comes back by the explicit Chinese remainder theorem (Bernstein,
"Multidigit modular multiplication with the explicit Chinese remainder theorem", 1995): with P = prod p,
y_p = (T (P/p)^-1 mod p) and q = round(sum y_p / p),

    T = sum_p y_p P/p - q P,    exactly, for |T| < 0.49 P,

where q needs floating point of a few bits only. So the integers are those of schoolbook arithmetic; of a number of L
limbs a product costs about 5 L multiplications of 32 bits, eight at a time, instead of L^2.

With p = 2^28 - d, a number x is congruent to (x >> 28) d + (x mod 2^28): `_folded` brings every word below 2^28 + 2^22.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from symflow.evaluate.native.code import FLOAT, FLOATS, LANES, POINTER, VECTOR, WORD, Code, Value
from symflow.evaluate.native.layout import BLOCK, DIGIT, INTEGRAL, NEXT, SUM, TERMS, WEIGHTED
from symflow.evaluate.native.layout import WORD as OPERATION
from symflow.evaluate.native.limbs import Environment, write_limb_functions

LOW32, LOW28 = (1 << 32) - 1, (1 << DIGIT) - 1
TWO52 = 0x43300000_00000000
"""The bits of 2.0^52: with a small integer in its last ones it is 2^52 plus that."""


def kernel() -> str:
    """The assembly of all functions; `begin`, `advance` and `horner` are called from outside."""
    code = Code()
    write_limb_functions(code)
    for part in range(2):
        _write_ahead(code, part)
    _write_sums(code)
    _write_reduction(code)
    _write_digits(code)
    _write_reconstruction(code)
    _write_finish(code)
    _write_operation(code)
    _write_integrals(code)
    _write_entries(code)
    return code.text


def _halves(words: Value) -> tuple[Value, Value]:
    """Two residues of each word, in words of their own."""
    return words & LOW32, words.lshr(32)


def _lanes(address: Value, vector: Value | int = 0) -> tuple[Value, Value]:
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


def _folded(x: Value, delta: Value, delta16: Value) -> Value:
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
        sums = _Sums(code, [0] * BLOCK, [_lanes(e.place("delta16").at(v, VECTOR))[part]] * BLOCK)
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


def _write_sums(code: Code) -> None:
    """Coefficient k of an operation's products. Terms with BLOCK <= i < k0, k0 = k - k mod BLOCK, are added for BLOCK
    coefficients at a time, at k0, when all of them are known: `prepare`."""
    with code.function("prepare", [POINTER, POINTER, WORD]) as (address, operation, k):
        with code.loop(0, Environment(address)["moduli"].lshr(4)) as v:
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
            sums = _Sums(code, [0, 0], _lanes(e.place("delta16").at(v, VECTOR)))
            with code.when(blocked):
                ahead = _prepared(e, operation, v).at((k - start) * 2, VECTOR)
                for i, place in enumerate(sums.held):
                    place.set(ahead.load(i, VECTOR))

            def run(a: Value, b: Value, n: Value) -> None:
                """sums += sum_{i<n} a_i b_{-i}."""
                with code.loop(0, n) as i:
                    sums.add(zip(_lanes(a, i), _lanes(b, code.number(0) - i), strict=True))

            with factors.each() as (a, b):
                sums.room(code.number(2 * BLOCK))
                run(a.at(first, VECTOR), b.at(k - first, VECTOR), stop - first)
                with code.when(blocked):
                    run(a.at(start, VECTOR), b.at(k - start, VECTOR), k + 1 - start)
            with factors.scaled() as (c, x):
                sums.room(code.number(1))
                sums.add(zip(_lanes(c), _lanes(x, k), strict=True))
            sums.store(e.place("sums").at(v * 2, VECTOR))


def _prepared(e: Environment, operation: Value, vector: Value) -> Value:
    """The place for BLOCK sums of an operation."""
    row = operation.load(OPERATION["row"]) * e["moduli"].lshr(4) + vector
    return e.place("prepared").at(row * (2 * BLOCK), VECTOR)


def _write_reduction(code: Code) -> None:
    """The residues of a two's complement number: of its digits times powers of 2, and of minus the bit of the sign."""
    with code.function("reduce", [POINTER, POINTER, POINTER]) as (address, number, residues):
        e = Environment(address)
        digits, last = e.place("digits"), e["chunks"] - 1
        with code.loop(0, last + 1) as c:
            position = c * DIGIT
            word = number.at(position.lshr(3), "i8").load()
            digits.store(word.lshr(position & 7) & LOW28, c)
        digits.store((digits.load(last) & e["last_mask"]) ^ e["last_flip"], last)
        powers, sign, delta, delta16 = (e.place(name) for name in ("powers", "sign", "delta", "delta16"))
        vectors = e["moduli"].lshr(4)
        with code.loop(0, vectors) as v:
            sums = [code.variable(part, VECTOR) for part in _lanes(sign, v)]
            with code.loop(0, last + 1) as c:
                digit = digits.load(c).splat() & LOW32
                for place, part in zip(sums, _lanes(powers, c * vectors + v), strict=True):
                    place.set(place.value + digit * part)
            parts = zip(sums, _lanes(delta, v), _lanes(delta16, v), strict=True)
            low, high = (_folded(place.value, d, d16) for place, d, d16 in parts)
            residues.store(low | (high << 32), v * e["columns"], VECTOR)


def _write_digits(code: Code) -> None:
    """y_p for the sums T, into `digits`; the result is q."""
    with code.function("shares", [POINTER], WORD) as (address,):
        e = Environment(address)
        sums, digits = e.place("sums"), e.place("digits")
        delta, delta16, inverses, reciprocals = (
            e.place(name) for name in ("delta", "delta16", "inverses", "reciprocals")
        )
        total = code.variable(0.0, FLOATS)
        with code.loop(0, e["moduli"].lshr(4)) as v:
            for part, (inverse, d, d16) in enumerate(
                zip(_lanes(inverses, v), _lanes(delta, v), _lanes(delta16, v), strict=True)
            ):
                at = v * 2 + part
                y = _folded((_folded(sums.load(at, VECTOR), d, d16) & LOW32) * inverse, d, d16)
                digits.store(y, at, VECTOR)
                exact = (y | TWO52).convert("bitcast", FLOATS) - 2.0**52
                total.set(total.value + exact * reciprocals.load(at, FLOATS))
        parts = [code.emit(FLOAT, f"extractelement {FLOATS} {total.value.name}, i32 {i}") for i in range(LANES)]
        quotient = sum(parts[1:], parts[0]) + 0.5
        code.write(f"ret i64 {quotient.convert('fptosi', WORD).name}")


def _write_reconstruction(code: Code) -> None:
    """The bits of T from some one on, from the sums, into `number`: what is skipped is given as digits and bits."""
    with code.function("reconstruct", [POINTER, WORD, WORD, WORD]) as (address, digits, bits, size):
        e = Environment(address)
        quotient = code.call("shares", address, result=WORD)
        shares, cofactors, product = e.place("digits"), e.place("cofactors"), e.place("product")
        moduli = e["moduli"]
        vectors = moduli.lshr(4)
        low, high = e.place("sums"), e.place("sums").at(moduli + 1)  # what is above 28 bits belongs one digit up
        high.store(0, code.number(-1))
        with code.loop(0, vectors) as v:
            totals = [code.variable(0, VECTOR) for _ in range(2)]
            with code.loop(0, moduli) as j:
                y = shares.load(j).splat() & LOW32
                for place, part in zip(totals, _lanes(cofactors, j * vectors + v), strict=True):
                    place.set(place.value + y * part)
            for half, place in enumerate(totals):
                low.store(place.value & LOW28, v * 2 + half, VECTOR)
                high.store(place.value.lshr(DIGIT), v * 2 + half, VECTOR)
        carry = code.variable(0)
        with code.loop(0, moduli) as d:
            value = low.load(d) + high.load(d - 1) - quotient * product.load(d) + carry.value
            carry.set(value >> DIGIT)
            shares.store(value & LOW28, d)
        negative = shares.load(moduli - 1).lshr(DIGIT - 1)
        with code.loop(moduli, moduli + 8) as d:
            shares.store((code.number(0) - negative) & LOW28, d)
        number = e.place("number")
        at, shift = code.variable(digits), code.variable(bits)
        with code.loop(0, size) as i:
            start, by = shares.at(at.value), shift.value
            word = start.load(0).lshr(by) | (start.load(1) << (code.number(DIGIT) - by))
            word |= (start.load(2) << (code.number(2 * DIGIT) - by)) | (
                (start.load(3) << DIGIT) << (code.number(2 * DIGIT) - by)
            )
            number.store(word, i)
            beyond = by + (64 - 2 * DIGIT)
            full = code.number(DIGIT - 1).less(beyond)
            at.set(at.value + full.choose(3, 2))
            shift.set(beyond - full.choose(DIGIT, 0))


def _write_finish(code: Code) -> None:
    """Coefficient k of a series from `number`, which is checked, with its residues where they are needed."""
    with code.function("finish", [POINTER, WORD, WORD, WORD, WORD, WORD]) as (address, size, out, k, place, slope):
        e = Environment(address)
        code.call("check", address, size)
        target = e.place("series").at((out * e["columns"] + k) * e["limbs"])
        code.call("copy", e.place("number"), target, e["limbs"])
        code.call("remember", address, target, k, place, slope)
    with code.function("remember", [POINTER, POINTER, WORD, WORD, WORD]) as (address, target, k, place, slope):
        e = Environment(address)
        residues, columns, vectors = e.place("residues"), e["columns"], e["moduli"].lshr(4)
        with code.when(code.number(-1).less(place)):
            here = residues.at(place * vectors * columns + k, VECTOR)
            code.call("reduce", address, target, here)
            with code.when(code.number(-1).less(slope)):
                there = residues.at(slope * vectors * columns + k, VECTOR)
                delta, delta16, times = e.place("delta"), e.place("delta16"), k.splat() & LOW32
                with code.loop(0, vectors) as v:
                    parts = zip(_lanes(here, v * columns), _lanes(delta, v), _lanes(delta16, v), strict=True)
                    low, high = (_folded(r * times, d, d16) for r, d, d16 in parts)
                    there.store(low | (high << 32), v * columns, VECTOR)


def _write_operation(code: Code) -> None:
    """Coefficient k of one operation."""
    with code.function("products", [POINTER, POINTER, WORD]) as (address, operation, k):
        e = Environment(address)
        with code.when((k & (BLOCK - 1)).equals(0) & code.number(BLOCK).less(k)):
            code.call("prepare", address, operation, k)
        code.call("sum", address, operation, k)
        weighted = operation.load().equals(WEIGHTED)
        digits, bits = (weighted.choose(0, e[name]) for name in ("skipped_digits", "skipped_bits"))
        code.call("reconstruct", address, digits, bits, weighted.choose(e["whole"], e["wide"]))
    with code.function("operate", [POINTER, POINTER, WORD]) as (address, operation, k):
        e = Environment(address)
        kind, divisor = operation.load(), operation.load(OPERATION["divisor"])
        number, limbs = e.place("number"), e["limbs"]
        size = kind.equals(SUM).choose(limbs + 2, kind.equals(WEIGHTED).choose(e["whole"], e["wide"]))
        out, place, slope = (operation.load(OPERATION[name]) for name in ("out", "residues", "slope"))
        first, integral = k.equals(0), kind.equals(INTEGRAL)
        given = first & integral
        target = e.place("series").at((out * e["columns"] + k) * limbs)
        with code.when(given):
            code.call("remember", address, target, k, place, slope)
        with code.when(given ^ 1):
            with code.when(kind.equals(SUM)):
                code.call("combine", address, operation, k)
            with code.when(kind.equals(SUM) ^ 1):
                code.call("products", address, operation, k)
            with code.when(integral):
                code.call("multiply", number, size, operation.load(OPERATION["factor"]))
            with code.when(code.number(-1).less(divisor)):
                row = divisor + integral.choose(k, 0)
                code.call("divide", number, size, e.place("divisors").at(row * 3))
            constant = operation.load(OPERATION["constant"])
            with code.when(first & code.number(-1).less(constant)):
                code.call("add", number, size, e.place("constants").at(constant * limbs), limbs)
            code.call("finish", address, size, out, k, place, slope)


def _write_integrals(code: Code) -> None:
    """The state's coefficients k + 1 from the field's coefficients k."""
    with code.function("integrate", [POINTER, POINTER, WORD]) as (address, entry, k):
        e = Environment(address)
        series, place, slope, field, constant = (entry.load(i) for i in range(len(NEXT)))
        limbs = e["limbs"]
        size = code.variable(limbs)
        code.call("clear", e.place("number"), limbs)
        read = code.variable(0)
        with code.when(code.number(-1).less(field)):
            at = e.place("series").at((field * e["columns"] + k) * limbs)
            read.set(at.convert("ptrtoint", WORD))
        with code.when(k.equals(0) & code.number(-1).less(constant)):
            read.set(e.place("constants").at(constant * limbs).convert("ptrtoint", WORD))
        with code.when(read.value.equals(0) ^ 1):
            size.set(code.call("shift", address, read.value.convert("inttoptr", POINTER), result=WORD))
            code.call("divide", e.place("number"), size.value, e.place("divisors").at((k + 1) * 3))
        code.call("finish", address, size.value, series, k + 1, place, slope)


def _write_entries(code: Code) -> None:
    """`begin` and `advance`; their result tells whether a coefficient was too large."""

    @contextmanager
    def each(e: Environment) -> Iterator[Value]:
        with code.loop(0, e["integrals_end"], len(NEXT)) as i:
            yield e.place("integrals").at(i)

    with code.function("begin", [POINTER], WORD) as (address,):
        e = Environment(address)
        e.place("bad").store(0)
        with each(e) as entry:
            series, place, slope = (entry.load(i) for i in range(3))
            target = e.place("series").at(series * e["columns"] * e["limbs"])
            code.call("remember", address, target, code.number(0), place, slope)
        code.write("ret i64 0")
    with code.function("advance", [POINTER, WORD, WORD, WORD, WORD, WORD], WORD) as given:
        address, first, last, start, stop, integrated = given
        e = Environment(address)
        operations = e.place("operations")
        with code.loop(first, last + 1) as k, code.when(e.place("bad").load().equals(0)):
            at = code.variable(start)
            with code.below(at, stop):
                operation = operations.at(at.value)
                code.call("operate", address, operation, k)
                at.set(at.value + operation.load(OPERATION["length"]))
            with code.when(integrated.equals(1) & k.less(e["order"])), each(e) as entry:
                code.call("integrate", address, entry, k)
        code.write(f"ret i64 {e.place('bad').load().name}")
