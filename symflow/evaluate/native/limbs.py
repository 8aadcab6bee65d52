"""The kernel's functions on numbers of several words: sums, small factors, shifts, floor division, Horner's rule."""

from __future__ import annotations

from collections.abc import Callable

from symflow.evaluate.native.code import POINTER, WIDE, WORD, Code, Value
from symflow.evaluate.native.layout import FIELD, MOST_SHIFT
from symflow.evaluate.native.layout import WORD as OPERATION

ACCUMULATOR = "i192"
"""Sums of products of two words."""


class Environment:
    """The words that a function has been given."""

    def __init__(self, address: Value) -> None:
        self.address = address

    def __getitem__(self, name: str) -> Value:
        return self.address.load(FIELD[name])

    def place(self, name: str) -> Value:
        """An address among them."""
        return self[name].convert("inttoptr", POINTER)


def write_limb_functions(code: Code) -> None:
    """Writes all of them."""
    _write_copies(code)
    _write_add(code)
    _write_multiply(code)
    _write_divide(code)
    _write_check(code)
    _write_combine(code)
    _write_shift(code)
    _write_horner(code)


def widened(word: Value) -> Value:
    return word.convert("zext", WIDE)


def extended(word: Value) -> Value:
    return word.convert("sext", WIDE)


def low_word(wide: Value) -> Value:
    return wide.convert("trunc", WORD)


def high_word(wide: Value) -> Value:
    return low_word(wide.lshr(64))


def sign_of(number: Value, size: Value) -> Value:
    """All bits of a word as the number's sign."""
    return number.load(size - 1) >> 63


def _write_copies(code: Code) -> None:
    with code.function("copy", [POINTER, POINTER, WORD]) as (source, target, size), code.loop(0, size) as i:
        target.store(source.load(i), i)
    with code.function("clear", [POINTER, WORD]) as (target, size), code.loop(0, size) as i:
        target.store(0, i)


def _write_add(code: Code) -> None:
    """number += other, which may have fewer limbs."""
    with code.function("add", [POINTER, WORD, POINTER, WORD]) as (number, size, other, given):
        sign, carry = sign_of(other, given), code.variable(0)
        with code.loop(0, size) as i:
            word = code.variable(sign)
            with code.when(i.less(given)):
                word.set(other.load(i))
            total = widened(number.load(i)) + widened(word.value) + widened(carry.value)
            number.store(low_word(total), i)
            carry.set(high_word(total))


def _write_multiply(code: Code) -> None:
    """number *= factor, a signed word; and number += factor other."""
    with code.function("negate", [POINTER, WORD]) as (number, size):
        carry = code.variable(1)
        with code.loop(0, size) as i:
            total = widened(number.load(i) ^ -1) + widened(carry.value)
            number.store(low_word(total), i)
            carry.set(high_word(total))
    with code.function("multiply", [POINTER, WORD, WORD]) as (number, size, factor), code.when(factor.equals(1) ^ 1):
        negative = factor.less(0)
        magnitude = negative.choose(code.number(0) - factor, factor)
        carry = code.variable(0)
        with code.loop(0, size) as i:
            total = widened(number.load(i)) * widened(magnitude) + widened(carry.value)
            number.store(low_word(total), i)
            carry.set(high_word(total))
        with code.when(negative):
            code.call("negate", number, size)
    with code.function("add_multiple", [POINTER, WORD, POINTER, WORD, WORD]) as (number, size, other, given, factor):
        sign, carry = sign_of(other, given), code.variable(0)
        negative = factor.less(0)
        magnitude = negative.choose(code.number(0) - factor, factor)
        flip = factor >> 63  # number + m ~x + m = number - m x
        carry.set(negative.choose(magnitude, 0))
        with code.loop(0, size) as i:
            word = code.variable(sign)
            with code.when(i.less(given)):
                word.set(other.load(i))
            total = widened(word.value ^ flip) * widened(magnitude) + widened(number.load(i)) + widened(carry.value)
            number.store(low_word(total), i)
            carry.set(high_word(total))


def _write_divide(code: Code) -> None:
    """number = floor(number / d) for d = divisor[0] >> divisor[2], normalized, with divisor[1] = floor((2^128 - 1) /
    divisor[0]) - 2^64: division by multiplication (Möller and Granlund, "Improved division by invariant integers",
    IEEE Trans. Comput. 60, 2011). A negative x is ~(~x // d). The result is the remainder."""
    with code.function("divide", [POINTER, WORD, POINTER], WORD) as (number, size, divisor):
        d, inverse, shift = divisor.load(0), divisor.load(1), divisor.load(2)
        flip = sign_of(number, size)
        above = code.variable(number.load(size - 1) ^ flip)
        rest = code.variable(above.value.lshr(1).lshr(code.number(63) - shift))
        with code.loop(0, size) as i:
            place = size - 1 - i
            below = code.variable(0)
            with code.when(code.number(0).less(place)):
                below.set(number.load(place - 1) ^ flip)
            word = (above.value << shift) | below.value.lshr(1).lshr(code.number(63) - shift)
            above.set(below.value)
            r = rest.value
            estimate = widened(inverse) * widened(r) + ((widened(r) << 64) | widened(word))
            q = high_word(estimate) + 1
            r = word - q * d
            over = low_word(estimate).below(r)
            q, r = q - over.choose(1, 0), r + over.choose(d, 0)
            under = r.below(d)
            q, r = q + under.choose(0, 1), r - under.choose(0, d)
            rest.set(r)
            number.store(q ^ flip, place)
        left = rest.value.lshr(shift)
        code.write(f"ret i64 {flip.less(0).choose(d.lshr(shift) - 1 - left, left).name}")


def _write_check(code: Code) -> None:
    """Notes whether a number of `size` limbs does not fit into those of a coefficient, the bits in reserve included."""
    with code.function("check", [POINTER, WORD]) as (address, size):
        e = Environment(address)
        number, limbs, bad = e.place("number"), e["limbs"], e.place("bad")
        high = number.load(limbs - 1) >> e["top"]
        sign = high >> 63
        wrong = code.variable(high ^ sign)
        with code.loop(limbs, size) as i:
            wrong.set(wrong.value | (number.load(i) ^ sign))
        bad.store(bad.load() | wrong.value)


def _write_combine(code: Code) -> None:
    """sum n x_k into `number`, of two limbs more than a coefficient: limb by limb, so that the sum is in registers."""
    with code.function("combine", [POINTER, POINTER, WORD]) as (address, operation, k):
        e = Environment(address)
        number, limbs = e.place("number"), e["limbs"]
        here = e.place("series").at(k * e["rows"] * limbs)
        listed, count = operation.at(len(OPERATION)), operation.load(OPERATION["scaled"])
        total = code.variable(0, ACCUMULATOR)

        def add(limb: Value, extend: Callable[[Value], Value]) -> None:
            with code.loop(0, count) as i:
                word = here.load(listed.load(i * 2 + 1) * limbs + limb)
                total.set(total.value + (extended(listed.load(i * 2)) * extend(word)).convert("sext", ACCUMULATOR))
            number.store(total.value.convert("trunc", WORD), limb)
            total.set(total.value >> 64)

        with code.loop(0, limbs - 1) as limb:
            add(limb, widened)
        add(limbs - 1, extended)
        for i in range(2):
            number.store(total.value.convert("trunc", WORD), limbs + i)
            total.set(total.value >> 64)


def _write_shift(code: Code) -> None:
    """A coefficient times 2^tau, rounded down, into `number`; the result is the number of limbs."""
    with code.function("shift", [POINTER, POINTER], WORD) as (address, source):
        e = Environment(address)
        limbs, words, by = e["limbs"], e["tau"] >> 6, e["tau"] & 63
        room = e.place("shifted").at(MOST_SHIFT + 2)  # zeros before
        code.call("copy", source, room, limbs)
        sign = sign_of(source, limbs)
        with code.loop(limbs, limbs + (MOST_SHIFT + 2)) as i:
            room.store(sign, i)
        size = limbs + words.less(0).choose(0, words) + 1
        number = e.place("number")
        with code.loop(0, size) as i:
            low, high = room.load(i - words - 1), room.load(i - words)
            number.store((high << by) | low.lshr(1).lshr(code.number(63) - by), i)
        code.write(f"ret i64 {size.name}")


def _write_horner(code: Code) -> None:
    """Values of several series at s >= 0, or of their derivatives, by Horner's rule; each product is rounded down.

    Arguments: environment, the first series (rows of `count` coefficients), its number of coefficients, how many rows,
    s (as many limbs), where the values go, whether derivatives are wanted.
    """
    with code.function("horner", [POINTER, POINTER, WORD, WORD, POINTER, POINTER, WORD], WORD) as given:
        address, series, count, rows, s, values, derivative = given
        e = Environment(address)
        limbs, number, double = e["limbs"], e.place("number"), e.place("sums")
        e.place("bad").store(0)
        with code.loop(0, rows) as row:
            code.call("clear", number, limbs + 1)
            with code.loop(0, count - derivative) as i:
                code.call("times", number, s, double, limbs)
                code.call("lower", double, number, e["bits"], limbs + 1)
                k = count - 1 - i
                at = series.at((row * count + k) * limbs)
                code.call("add_multiple", number, limbs + 1, at, limbs, derivative.equals(1).choose(k, 1))
                code.call("check", address, limbs + 1)
            code.call("copy", number, values.at(row * limbs), limbs)
        code.write(f"ret i64 {e.place('bad').load().name}")
    _write_product(code)


def _write_product(code: Code) -> None:
    """The exact product of a signed and an unsigned number, and the words of a number from some bit on."""
    with code.function("times", [POINTER, POINTER, POINTER, WORD]) as (a, b, product, size):
        code.call("clear", product, size * 2 + 1)
        sign = sign_of(a, size)
        with code.loop(0, size) as i:
            word, carry = widened(b.load(i)), code.variable(0)
            row = product.at(i)
            with code.loop(0, size) as j:
                total = word * widened(a.load(j)) + widened(row.load(j)) + widened(carry.value)
                row.store(low_word(total), j)
                carry.set(high_word(total))
            row.store(carry.value, size)
        with code.when(sign.equals(0) ^ 1):  # the words of a are those of a + 2^(64 size)
            borrow, row = code.variable(1), product.at(size)
            with code.loop(0, size + 1) as i:
                taken = code.variable(0)
                with code.when(i.less(size)):
                    taken.set(b.load(i))
                total = widened(row.load(i)) + widened(taken.value ^ -1) + widened(borrow.value)
                row.store(low_word(total), i)
                borrow.set(high_word(total))
    with code.function("lower", [POINTER, POINTER, WORD, WORD]) as (source, target, bits, size):
        words, by = bits.lshr(6), bits & 63
        with code.loop(0, size) as i:
            at = source.at(words + i)
            target.store(at.load(0).lshr(by) | ((at.load(1) << 1) << (code.number(63) - by)), i)
