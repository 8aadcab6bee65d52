"""The kernel's functions on programs over single numbers: products limb by limb, with a bound on the error of each.

A number is a fixed-point integer v of `limbs` words. Where `balls` is set it has a radius r, in units of the last
place: the true number is within r of v. Radii and sizes are float64, computed with operations that are rounded to the
nearest:

    MULTIPLY  r = sum(M_a r_b + r_a M_b) + s,   COMBINE  r = sum |n| r_x / d + s,   the others: r of what is chosen,

with s = 1 where rounding down has lost something and 0 where not, and M_x >= |v_x| + r_x, the size, in units of 1: for
|v_a| <= M_a and |true b| <= M_b the product moves by at most M_a r_b + r_a M_b. All terms are >= 0, so that N of them
are off by a relative 2 N 2^-53 at most; a factor 1 + 2^-30 for up to 2^20 terms covers that (`SLACK_BITS`). Nothing
underflows: radii are 0 or at least 1 (smaller ones are made 1), and a word counts for at least 2^-900 in a size. Radii
of 2^900 and more, infinite ones and what is not a number are refused as numbers are that are too large.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from symflow.evaluate.native.code import FLOAT, POINTER, WORD, Code, Value
from symflow.evaluate.native.limbs import (
    Environment,
    extended,
    high_word,
    low_word,
    sign_of,
    widened,
    write_limb_functions,
)
from symflow.evaluate.native.loops.layout import (
    COMBINE,
    COPY,
    GATE,
    MAXIMUM,
    MOST_UNROLLED,
    MULTIPLY,
    SLACK_BITS,
)
from symflow.evaluate.native.loops.layout import HEAD as OPERATION_HEAD
from symflow.evaluate.native.loops.layout import WORD as OPERATION

ONE = 1023 << 52
"""The bits of 1.0."""
UP = ONE | 1 << (52 - SLACK_BITS)
DOWN = ONE - (1 << (53 - SLACK_BITS))
"""Those of 1 + 2^-30 and 1 - 2^-30."""
ROWS = 4
"""Words of a factor that are multiplied together in a long product."""
HUGE = (1023 + 900) << 52
"""Those of 2^900: radii beyond are refused."""


def loop_kernel() -> str:
    """The assembly of all functions; `repeat` is called from outside."""
    code = Code()
    write_limb_functions(code)
    for size in range(2, MOST_UNROLLED + 1):
        _write_unrolled(code, size)
    _write_long(code)
    _write_settle(code)
    _write_multiply(code)
    _write_combine(code)
    _write_choices(code)
    _write_repeat(code)
    return code.text


def _float(code: Code, bits: int) -> Value:
    """A float64 number that is known."""
    return code.number(bits).convert("bitcast", FLOAT)


def _added(total: Sequence[Value], other: Sequence[Value]) -> list[Value]:
    """The sum of two numbers of as many words."""
    found, carry = [], None
    for x, y in zip(total, other, strict=True):
        both = widened(x) + widened(y)
        both = both if carry is None else both + widened(carry)
        found.append(low_word(both))
        carry = high_word(both)
    return found


def _less(words: Sequence[Value], other: Sequence[Value], mask: Value) -> list[Value]:
    """A number minus another one where all bits of `mask` are set; modulo 2^64 to as many words."""
    found, borrow = [], None
    for x, y in zip(words, other, strict=True):
        left = widened(x) - widened(y & mask)
        left = left if borrow is None else left - widened(borrow)
        found.append(low_word(left))
        borrow = high_word(left) & 1
    return found


def _product(a: Sequence[Value], b: Sequence[Value]) -> list[Value]:
    """The words of a b, signed: those of an unsigned product, less b 2^(64 size) where a < 0 and the reverse."""
    size = len(a)
    wide = [widened(y) for y in b]
    words: list[Value] = []
    for i, x in enumerate(a):
        factor, carry = widened(x), None
        for j, y in enumerate(wide):
            total = factor * y
            if i:
                total = total + widened(words[i + j])
            if carry is not None:
                total = total + widened(carry)
            words[i + j : i + j + 1] = [low_word(total)]
            carry = high_word(total)
        assert carry is not None
        words.append(carry)
    high = _less(words[size:], b, a[-1] >> 63)
    return [*words[:size], *_less(high, a, b[-1] >> 63)]


def _write_unrolled(code: Code, size: int) -> None:
    """`multiply2`, ...: sum a b of an operation, into `sums`, with the word of its sign after it."""
    with code.function(f"multiply{size}", [POINTER, POINTER]) as (address, operation):
        e = Environment(address)
        values, sums, terms = e.place("values"), e.place("sums"), operation.at(len(OPERATION_HEAD))
        total = [code.variable(0) for _ in range(2 * size + 1)]
        with code.loop(0, operation.load(OPERATION["count"])) as i:
            a, b = (values.at(terms.load(i * 2 + which) * size) for which in range(2))
            words = _product([a.load(j) for j in range(size)], [b.load(j) for j in range(size)])
            found = _added([place.value for place in total], [*words, words[-1] >> 63])
            for place, word in zip(total, found, strict=True):
                place.set(word)
        for at, place in enumerate(total):
            sums.store(place.value, at)
        sums.store(total[-1].value >> 63, len(total))


def _write_long(code: Code) -> None:
    """`multiply_long`: the same for numbers of any length."""
    for rows in range(1, ROWS + 1):
        _write_rows(code, rows)
    _write_accumulate(code)
    with code.function("multiply_long", [POINTER, POINTER]) as (address, operation):
        e = Environment(address)
        size, values, sums, product = e["limbs"], e.place("values"), e.place("sums"), e.place("shifted")
        terms = operation.at(len(OPERATION_HEAD))
        code.call("clear", sums, size * 2 + 2)
        whole = size & -ROWS
        with code.loop(0, operation.load(OPERATION["count"])) as i:
            a, b = (values.at(terms.load(i * 2 + which) * size) for which in range(2))
            code.call("clear", product, size)
            with code.loop(0, whole, ROWS) as j:
                code.call(f"rows{ROWS}", a.at(j), b, product.at(j), size)
            for rest in range(1, ROWS):
                with code.when((size - whole).equals(rest)):
                    code.call(f"rows{rest}", a.at(whole), b, product.at(whole), size)
            code.call("accumulate", a, b, product, sums, size)


def _write_rows(code: Code, rows: int) -> None:
    """product += a b for some words of a, unsigned; what is above the words of b is new."""
    with code.function(f"rows{rows}", [POINTER, POINTER, POINTER, WORD]) as (a, b, product, size):
        factors = [widened(a.load(i)) for i in range(rows)]
        above = [code.variable(0) for _ in range(rows)]
        with code.loop(0, size) as j:
            y, carry, words = widened(b.load(j)), product.load(j), []
            for x, place in zip(factors, above, strict=True):
                total = x * y + widened(place.value) + widened(carry)
                words.append(low_word(total))
                carry = high_word(total)
            product.store(words[0], j)
            for place, word in zip(above, [*words[1:], carry], strict=True):
                place.set(word)
        for i, place in enumerate(above):
            product.store(place.value, size + i)


def _write_accumulate(code: Code) -> None:
    """sums += the signed product of a and b, from that of their words: less b 2^(64 size) where a < 0 and the reverse,
    and 2^(128 size) more where both are."""
    with code.function("accumulate", [POINTER, POINTER, POINTER, POINTER, WORD]) as (a, b, product, sums, size):
        carry, left, right = code.variable(0), sign_of(a, size), sign_of(b, size)
        with code.loop(0, size) as i:
            total = widened(sums.load(i)) + widened(product.load(i)) + widened(carry.value)
            sums.store(low_word(total), i)
            carry.set(high_word(total))
        with code.loop(0, size) as i:
            total = widened(sums.load(size + i)) + widened(product.load(size + i)) + extended(carry.value)
            total = total - widened(b.load(i) & left) - widened(a.load(i) & right)
            sums.store(low_word(total), size + i)
            carry.set(high_word(total))
        total = widened(sums.load(size * 2)) + extended(carry.value + (left & right & 1))
        sums.store(low_word(total), size * 2)
        sums.store(sums.load(size * 2 + 1) + high_word(total), size * 2 + 1)


def _write_settle(code: Code) -> None:
    """The number of `size` words in `number`, checked, becomes a value; with balls its radius and size."""
    with code.function("settle", [POINTER, WORD, WORD, FLOAT]) as (address, size, out, radius):
        e = Environment(address)
        limbs = e["limbs"]
        code.call("check", address, size)
        target = e.place("values").at(out * limbs)
        code.call("copy", e.place("number"), target, limbs)
        with code.when(e["balls"].equals(1)):
            code.call("measure", address, out, radius)
    with code.function("measure", [POINTER, WORD, FLOAT]) as (address, out, radius):
        e = Environment(address)
        limbs, scales = e["limbs"], e.place("scales")
        target, one = e.place("values").at(out * limbs), _float(code, ONE)
        with code.when(radius.smaller(_float(code, HUGE)) ^ 1):
            e.place("bad").store(1)
        small = _float(code, 0).smaller(radius) & radius.smaller(one)
        r = small.choose(one, radius, FLOAT)
        sign = sign_of(target, limbs)
        total = code.variable(((sign & 1).convert("uitofp", FLOAT) + r) * scales.load(0, FLOAT), FLOAT)
        with code.loop(0, limbs) as i:
            total.set(total.value + (target.load(i) ^ sign).convert("uitofp", FLOAT) * scales.load(i, FLOAT))
        e.place("radii").store(r, out, FLOAT)
        e.place("sizes").store(total.value * _float(code, UP), out, FLOAT)


def _write_multiply(code: Code) -> None:
    """A sum of products, shifted."""
    with code.function("multiplied", [POINTER, POINTER]) as (address, operation):
        e = Environment(address)
        limbs, sums, bits = e["limbs"], e.place("sums"), e["bits"]
        for count in range(2, MOST_UNROLLED + 1):
            with code.when(limbs.equals(count)):
                code.call(f"multiply{count}", address, operation)
        with code.when(code.number(MOST_UNROLLED).less(limbs)):
            code.call("multiply_long", address, operation)
        words = bits.lshr(6)
        size = limbs * 2 + 1 - words
        code.call("lower", sums, e.place("number"), bits, size)
        radius = code.variable(_float(code, 0), FLOAT)
        with code.when(e["balls"].equals(1)):
            lost = code.variable(sums.load(words) & ((code.number(1) << (bits & 63)) - 1))
            with code.loop(0, words) as i:
                lost.set(lost.value | sums.load(i))
            radii, sizes, terms = e.place("radii"), e.place("sizes"), operation.at(len(OPERATION_HEAD))
            with code.loop(0, operation.load(OPERATION["count"])) as i:
                a, b = terms.load(i * 2), terms.load(i * 2 + 1)
                moved = sizes.load(a, FLOAT) * radii.load(b, FLOAT) + radii.load(a, FLOAT) * sizes.load(b, FLOAT)
                radius.set(radius.value + moved)
            _round(code, radius.value, lost.value, radius.set)
        code.call("settle", address, size, operation.load(OPERATION["out"]), radius.value)


def _round(code: Code, radius: Value, lost: Value, give: Callable[[Value], None]) -> None:
    """One unit more where something was lost, and what covers the roundings of the radius itself."""
    unit = lost.equals(0).choose(_float(code, 0), _float(code, ONE), FLOAT)
    give((radius + unit) * _float(code, UP))


def _write_combine(code: Code) -> None:
    """sum n x // d."""
    with code.function("combined", [POINTER, POINTER]) as (address, operation):
        e = Environment(address)
        limbs, number, values = e["limbs"], e.place("number"), e.place("values")
        size, terms = limbs + 2, operation.at(len(OPERATION_HEAD))
        count, row = operation.load(OPERATION["count"]), operation.load(OPERATION["first"])
        code.call("clear", number, size)
        with code.loop(0, count) as i:
            x = values.at(terms.load(i * 2 + 1) * limbs)
            code.call("add_multiple", number, size, x, limbs, terms.load(i * 2))
        radius, lost = code.variable(_float(code, 0), FLOAT), code.variable(0)
        with code.when(e["balls"].equals(1)):
            radii = e.place("radii")
            with code.loop(0, count) as i:
                n = terms.load(i * 2)
                n = n.less(0).choose(code.number(0) - n, n)
                radius.set(radius.value + n.convert("uitofp", FLOAT) * radii.load(terms.load(i * 2 + 1), FLOAT))
        with code.when(code.number(-1).less(row)):
            divisor = e.place("divisors").at(row * 3)
            lost.set(code.call("divide", number, size, divisor, result=WORD))
            d = divisor.load(0).lshr(divisor.load(2)).convert("uitofp", FLOAT)
            radius.set(code.emit(FLOAT, f"fdiv double {radius.value.name}, {d.name}"))
        _round(code, radius.value, lost.value, radius.set)
        code.call("settle", address, size, operation.load(OPERATION["out"]), radius.value)


def _write_choices(code: Code) -> None:
    """Numbers that are copied: slopes of gates, largest ones, states."""
    with code.function("moved", [POINTER, WORD, WORD]) as (address, target, source):
        e = Environment(address)
        limbs, values = e["limbs"], e.place("values")
        code.call("copy", values.at(source * limbs), values.at(target * limbs), limbs)
        with code.when(e["balls"].equals(1)):
            for name in ("radii", "sizes"):
                e.place(name).store(e.place(name).load(source, FLOAT), target, FLOAT)
    with code.function("gated", [POINTER, POINTER]) as (address, operation):
        e = Environment(address)
        limbs, x = e["limbs"], operation.at(len(OPERATION_HEAD)).load(1)
        number = e.place("values").at(x * limbs)
        sign = sign_of(number, limbs)
        with code.when(e["balls"].equals(1)):
            radius, units = e.place("radii").load(x, FLOAT), e.place("units")
            least = code.variable(_float(code, 0), FLOAT)
            with code.loop(0, limbs) as i:
                least.set(least.value + (number.load(i) ^ sign).convert("uitofp", FLOAT) * units.load(i, FLOAT))
            exact = _float(code, 0).smaller(radius) ^ 1
            known = radius.smaller(least.value * _float(code, DOWN)) | exact
            with code.when(known ^ 1):
                e.place("bad").store(1, 1)
        chosen = sign.equals(0).choose(operation.load(OPERATION["first"]), operation.load(OPERATION["second"]))
        code.call("moved", address, operation.load(OPERATION["out"]), chosen)
    _write_maximum(code)


def _write_maximum(code: Code) -> None:
    """The largest of some numbers; the radius is the largest one, since no entry moves by more."""
    with code.function("exceeds", [POINTER, POINTER, WORD], WORD) as (a, b, size):
        flip = code.number(-(1 << 63))
        more = code.variable(0)
        with code.loop(0, size) as i:
            top = i.equals(size - 1).choose(flip, 0)
            x, y = a.load(i) ^ top, b.load(i) ^ top
            more.set(x.equals(y).choose(more.value, y.below(x).choose(1, 0)))
        code.write(f"ret i64 {more.value.name}")
    with code.function("largest", [POINTER, POINTER]) as (address, operation):
        e = Environment(address)
        limbs, values, terms = e["limbs"], e.place("values"), operation.at(len(OPERATION_HEAD))
        best, radius = code.variable(terms.load(1)), code.variable(_float(code, 0), FLOAT)
        with code.loop(0, operation.load(OPERATION["count"])) as i:
            x = terms.load(i * 2 + 1)
            place = values.at(x * limbs)
            beyond = code.call("exceeds", place, values.at(best.value * limbs), limbs, result=WORD)
            best.set(beyond.equals(1).choose(x, best.value))
            with code.when(e["balls"].equals(1)):
                r = e.place("radii").load(x, FLOAT)
                radius.set(r.smaller(radius.value).choose(radius.value, r, FLOAT))
        out = operation.load(OPERATION["out"])
        code.call("copy", values.at(best.value * limbs), values.at(out * limbs), limbs)
        with code.when(e["balls"].equals(1)):
            code.call("measure", address, out, radius.value)


def _write_repeat(code: Code) -> None:
    """Runs operations again and again; the result tells how often all went well.

    Arguments: environment, the first operation and the end, how often, the first row of the history (-1: no record).
    """
    with code.function("operated", [POINTER, POINTER]) as (address, operation):
        kind = operation.load()
        for which, name in ((MULTIPLY, "multiplied"), (COMBINE, "combined"), (GATE, "gated"), (MAXIMUM, "largest")):
            with code.when(kind.equals(which)):
                code.call(name, address, operation)
        with code.when(kind.equals(COPY)):
            terms = operation.at(len(OPERATION_HEAD))
            with code.loop(0, operation.load(OPERATION["count"])) as i:
                code.call("moved", address, terms.load(i * 2), terms.load(i * 2 + 1))
    with code.function("repeat", [POINTER, WORD, WORD, WORD, WORD], WORD) as (address, start, stop, count, row):
        e = Environment(address)
        bad, operations, words = e.place("bad"), e.place("operations"), e["state"] * e["limbs"]
        bad.store(0)
        bad.store(0, 1)
        done = code.variable(0)
        with code.loop(0, count) as k, code.when((bad.load() | bad.load(1)).equals(0)):
            at = code.variable(start)
            with code.below(at, stop):
                operation = operations.at(at.value)
                code.call("operated", address, operation)
                at.set(at.value + operation.load(OPERATION["length"]))
            good = (bad.load() | bad.load(1)).equals(0)
            done.set(done.value + good.choose(1, 0))
            with code.when(good & code.number(-1).less(row)):
                code.call("copy", e.place("values"), e.place("history").at((row + k) * words), words)
                with code.when(e["balls"].equals(1)):
                    there = e.place("history_radii").at((row + k) * e["state"])
                    code.call("copy", e.place("radii"), there, e["state"])
        code.write(f"ret i64 {done.value.name}")
