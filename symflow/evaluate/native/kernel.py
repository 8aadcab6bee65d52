"""The kernel: power-series recurrences over fixed-point integers, products of series by residues.

A coefficient is a two's complement number of `limbs` words. A convolution sum is an integer T, known by its residues
modulo many primes p just below 2^28: residues of the factors are multiplied and added lane by lane, and each
coefficient is reduced once, not in every product. T comes back by the explicit Chinese remainder theorem (Bernstein,
"Multidigit modular multiplication with the explicit Chinese remainder theorem", 1995): with P = prod p,
y_p = (T (P/p)^-1 mod p) and q = round(sum y_p / p),

    T = sum_p y_p P/p - q P,    exactly, for |T| < 0.49 P,

where q needs floating point of a few bits only. So the integers are those of schoolbook arithmetic; of a number of L
limbs a product costs about 5 L multiplications of 32 bits, eight at a time, instead of L^2.

With p = 2^28 - d, a number x is congruent to (x >> 28) d + (x mod 2^28): `folded` brings every word below 2^28 + 2^22.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from symflow.evaluate.native.code import FLOAT, FLOATS, LANES, POINTER, VECTOR, WORD, Code, Value
from symflow.evaluate.native.layout import BLOCK, DIGIT, INTEGRAL, NEXT, SUM, WEIGHTED
from symflow.evaluate.native.layout import WORD as OPERATION
from symflow.evaluate.native.limbs import Environment, write_limb_functions
from symflow.evaluate.native.sums import LOW28, LOW32, folded, lanes, write_sums

TWO52 = 0x43300000_00000000
"""The bits of 2.0^52: with a small integer in its last ones it is 2^52 plus that."""


def kernel() -> str:
    """The assembly of all functions; `begin`, `advance`, `complete` and `horner` are called from outside."""
    code = Code()
    write_limb_functions(code)
    write_sums(code)
    _write_reduction(code)
    _write_digits(code)
    _write_reconstruction(code)
    _write_finish(code)
    _write_operation(code)
    _write_integrals(code)
    _write_entries(code)
    return code.text


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
            sums = [code.variable(part, VECTOR) for part in lanes(sign, v)]
            with code.loop(0, last + 1) as c:
                digit = digits.load(c).splat() & LOW32
                for place, part in zip(sums, lanes(powers, c * vectors + v), strict=True):
                    place.set(place.value + digit * part)
            parts = zip(sums, lanes(delta, v), lanes(delta16, v), strict=True)
            low, high = (folded(place.value, d, d16) for place, d, d16 in parts)
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
                zip(lanes(inverses, v), lanes(delta, v), lanes(delta16, v), strict=True)
            ):
                at = v * 2 + part
                y = folded((folded(sums.load(at, VECTOR), d, d16) & LOW32) * inverse, d, d16)
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
                for place, part in zip(totals, lanes(cofactors, j * vectors + v), strict=True):
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
        target = e.place("series").at((k * e["rows"] + out) * e["limbs"])
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
                    parts = zip(lanes(here, v * columns), lanes(delta, v), lanes(delta16, v), strict=True)
                    low, high = (folded(r * times, d, d16) for r, d, d16 in parts)
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
        target = e.place("series").at((k * e["rows"] + out) * limbs)
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
                code.call("divide", number, size, e.place("divisors").at(row * 3), result=WORD)
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
            at = e.place("series").at((k * e["rows"] + field) * limbs)
            read.set(at.convert("ptrtoint", WORD))
        with code.when(k.equals(0) & code.number(-1).less(constant)):
            read.set(e.place("constants").at(constant * limbs).convert("ptrtoint", WORD))
        with code.when(read.value.equals(0) ^ 1):
            size.set(code.call("shift", address, read.value.convert("inttoptr", POINTER), result=WORD))
            code.call("divide", e.place("number"), size.value, e.place("divisors").at((k + 1) * 3), result=WORD)
        code.call("finish", address, size.value, series, k + 1, place, slope)


def _write_entries(code: Code) -> None:
    """`begin`, `advance` and, for chosen operations, `complete`; the result tells whether one was too large."""

    @contextmanager
    def each(e: Environment) -> Iterator[Value]:
        with code.loop(0, e["integrals_end"], len(NEXT)) as i:
            yield e.place("integrals").at(i)

    with code.function("begin", [POINTER], WORD) as (address,):
        e = Environment(address)
        e.place("bad").store(0)
        with each(e) as entry:
            series, place, slope = (entry.load(i) for i in range(3))
            target = e.place("series").at(series * e["limbs"])
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
                with code.when(operation.load(OPERATION["deferred"]).equals(0)):
                    code.call("operate", address, operation, k)
                at.set(at.value + operation.load(OPERATION["length"]))
            with code.when(integrated.equals(1) & k.less(e["order"])), each(e) as entry:
                code.call("integrate", address, entry, k)
        code.write(f"ret i64 {e.place('bad').load().name}")
    with code.function("complete", [POINTER, POINTER, WORD, WORD], WORD) as (address, starts, count, last):
        e = Environment(address)
        operations = e.place("operations")
        with code.loop(0, count) as i, code.loop(0, last + 1) as k:
            code.call("operate", address, operations.at(starts.load(i)), k)
        code.write(f"ret i64 {e.place('bad').load().name}")
