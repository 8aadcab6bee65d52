"""A program as one Python function over scalars: for loops that evaluate a small program many times.

`interpret` walks the program once with arrays of scalar expressions instead of numbers; what it would compute becomes a
line of Python, equal lines once. In fixed point the function does the integer operations of `FixedArrays`, and nothing
else: on a 10-parameter network one evaluation takes 10 microseconds instead of 200. `ball_code` writes one over balls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from symflow.evaluate.fixed_point import FixedArrays, common_denominator
from symflow.evaluate.interpret import interpret
from symflow.evaluate.moved_arrays import ObjectArrays, along_axis
from symflow.numbers.fixed_point import from_fraction
from symflow.programs.nodes import Input, Table
from symflow.programs.program import Program, operation_count, shape_of

if TYPE_CHECKING:
    from gmpy2 import mpz


MOST_OPERATIONS = 20_000
"""Larger programs are evaluated as arrays: writing and compiling them would take longer than it saves."""
LONGEST_SUM = 100


class Scalar:
    """A sum of products of integers and of the function's local names."""

    __slots__ = ("terms",)

    def __init__(self, *terms: str) -> None:
        self.terms = terms

    @property
    def text(self) -> str:
        """The sum as a Python expression; long ones in parts, since Python's compiler descends once for every sign."""
        if len(self.terms) <= LONGEST_SUM:
            return " + ".join(self.terms).replace("+ -", "- ")
        parts = [self.terms[i : i + LONGEST_SUM] for i in range(0, len(self.terms), LONGEST_SUM)]
        return Scalar(*(f"({' + '.join(part)})" for part in parts)).text

    def __add__(self, other: Entry | np.ndarray) -> Entry:
        terms = _terms(other)
        return NotImplemented if terms is None else Scalar(*self.terms, *terms)

    def __radd__(self, other: Entry | np.ndarray) -> Entry:
        terms = _terms(other)
        return NotImplemented if terms is None else Scalar(*terms, *self.terms)

    def __mul__(self, other: Entry | np.ndarray) -> Entry:
        terms = _terms(other)
        if terms is None:
            return NotImplemented
        return _product(self.terms, terms)

    def __rmul__(self, other: Entry | np.ndarray) -> Entry:
        terms = _terms(other)
        if terms is None:
            return NotImplemented
        return _product(terms, self.terms)


Entry: TypeAlias = int | Scalar
"""An integer that is known, or the function's name for one."""


def _terms(value: Entry | np.ndarray) -> tuple[str, ...] | None:
    """The terms of a sum, none for 0; None for an array, whose entries NumPy then takes one by one."""
    if isinstance(value, Scalar):
        return value.terms
    if isinstance(value, np.ndarray):  # without axes, too: NumPy hands out their entry in sums, but not in others
        return None
    return (str(value),) if value else ()


def _product(left: tuple[str, ...], right: tuple[str, ...]) -> Entry:
    """The product of two sums; 1 and -1 do not multiply."""
    if not left or not right:
        return 0
    for one, other in ((left, right), (right, left)):
        if one == ("1",):
            return Scalar(*other)
        if one == ("-1",):
            return Scalar(f"-{_factor(other)}")
    return Scalar(f"{_factor(left)}*{_factor(right)}")


def _factor(terms: tuple[str, ...]) -> str:
    """A sum as a factor of a product."""
    return terms[0] if len(terms) == 1 else f"({Scalar(*terms).text})"


@dataclass(frozen=True)
class ScalarWriter(ObjectArrays):
    """An arithmetic that writes a function; an entry is an integer or a `Scalar` that is one name."""

    lines: list[str] = field(default_factory=list)
    names: dict[str, Scalar] = field(default_factory=dict)
    functions: dict[str, Any] = field(default_factory=dict)

    def assign(self, text: str) -> Scalar:
        """The name of an expression's value; the same for equal expressions."""
        if text.isidentifier():
            return Scalar(text)
        if text not in self.names:
            self.names[text] = Scalar(f"v{len(self.names)}")
            self.lines.append(f"    {self.names[text].text} = {text}")
        return self.names[text]

    def constant_text(self, v: Entry) -> str:
        """What is known, as Python has it."""
        return str(v)

    def each(self, write: Callable[[Any], Entry], array: np.ndarray) -> np.ndarray:
        """`write` of every entry."""
        return np.asarray(np.frompyfunc(write, 1, 1)(array), dtype=object)

    def call(self, function: Callable[[Any], Any], name: str, argument: str) -> Scalar:
        """A call of a function that becomes a global of the one that is written."""
        self.functions[name] = function
        return self.assign(f"{name}({argument})")

    def scatter_add(self, x: np.ndarray, table: Table, position: int) -> np.ndarray:
        return self.each(
            lambda v: self.assign(v.text) if isinstance(v, Scalar) else v, super().scatter_add(x, table, position)
        )


@dataclass(frozen=True)
class PlainWriter(ScalarWriter):
    """Sums of products as they stand; an entry is 0, 1, -1 or a `Scalar` that is one name or number."""

    def combine(self, coefficients: Sequence[Fraction], arrays: Sequence[np.ndarray]) -> np.ndarray:
        total: Any = 0
        for c, x in zip(coefficients, arrays, strict=True):
            total = total + (x if c == 1 else x * self.number(c))
        return self.each(self.named, np.asarray(total, dtype=object))

    def einsum(self, subscripts: str, arrays: Sequence[np.ndarray]) -> np.ndarray:
        return self.each(self.named, np.asarray(np.einsum(subscripts, *arrays), dtype=object))

    def named(self, v: Entry) -> Entry:
        """A name for a sum of products; what is known stays."""
        return self.assign(v.text) if isinstance(v, Scalar) else v


@dataclass(frozen=True)
class Unroller(ScalarWriter, FixedArrays):
    """Fixed point as `FixedArrays` has it."""

    bits: int = 0

    def combine(self, coefficients: Sequence[Fraction], arrays: Sequence[np.ndarray]) -> np.ndarray:
        denominator, numerators = common_denominator(coefficients)
        total: Any = 0
        for n, x in zip(numerators, arrays, strict=True):
            total = total + (x if n == 1 else x * n)

        def divided(v: Entry) -> Entry:
            if not isinstance(v, Scalar):
                return v // denominator
            return self.assign(v.text if denominator == 1 else f"({v.text}) // {denominator}")

        return self.each(divided, total)

    def einsum(self, subscripts: str, arrays: Sequence[np.ndarray]) -> np.ndarray:
        shift = self.bits * (len(arrays) - 1)

        def shifted(v: Entry) -> Entry:
            if not isinstance(v, Scalar):
                return v >> shift
            return self.assign(f"({v.text}) >> {shift}" if shift else v.text)

        return self.each(shifted, np.asarray(np.einsum(subscripts, *arrays), dtype=object))

    def gate(self, z: np.ndarray, alpha: Fraction, alpha_bar: Fraction) -> np.ndarray:
        on, off = (from_fraction(slope, self.bits) for slope in (alpha, alpha_bar))

        def slope(v: Entry) -> Entry:
            if not isinstance(v, Scalar):
                return on if v >= 0 else off
            return self.assign(f"{on} if {v.text} >= 0 else {off}")

        return self.each(slope, z)

    def function(self, name: str, x: np.ndarray, exponent: Fraction | None) -> np.ndarray:
        def value(v: Entry) -> Entry:
            return FixedArrays.function(self, name, np.array(v, dtype=object), exponent).item()

        called = name if exponent is None else f"power_{len(self.functions)}"
        return self.each(lambda v: self.call(value, called, v.text) if isinstance(v, Scalar) else value(v), x)

    def log_sum_exp(self, x: np.ndarray, position: int) -> np.ndarray:
        def value(values: Any) -> Entry:
            return FixedArrays.log_sum_exp(self, np.array(values, dtype=object), 0).item()

        return along_axis(lambda vs: self.call(value, "log_sum_exp", f"({listed(vs)})"), x, position)

    def maximum(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        return along_axis(lambda vs: self.assign(f"max({listed(vs)})"), self.stack(arrays), -1)


def listed(values: Iterable[Entry], constant: Callable[[Any], str] = str) -> str:
    """Python's list of some entries, with the comma that makes a tuple of one; `constant` writes what is known."""
    return "".join(f"{v.text if isinstance(v, Scalar) else constant(v)}, " for v in values)


def unrolled(
    program: Program, values: Mapping[Input, np.ndarray], arguments: Sequence[Input], bits: int
) -> Callable[..., tuple[mpz, ...]] | None:
    """The outputs of a program as a function of the entries of some inputs.

    Args:
        program: what to evaluate.
        values: the other inputs, arrays of fixed-point integers.
        arguments: the inputs whose entries, one after the other and row-major, are the function's arguments.
        bits: of the numbers.

    Returns:
        The function, whose result is the tuple of all entries of the outputs in order; None where the program has more
        than `MOST_OPERATIONS` scalar operations.
    """
    return written(program, values, arguments, Unroller(bits=bits))


def written(
    program: Program, values: Mapping[Input, np.ndarray], arguments: Sequence[Input], writer: ScalarWriter
) -> Callable[..., tuple[Any, ...]] | None:
    """What `unrolled` gives, written by any `ScalarWriter`; `values` are its entries."""
    if operation_count(program) > MOST_OPERATIONS:
        return None
    heads: list[str] = []
    symbols: dict[Input, np.ndarray] = {}
    for x in arguments:
        array = np.empty(shape_of(x.axes), dtype=object)
        for index in np.ndindex(array.shape):
            heads.append(f"x{len(heads)}")
            array[index] = Scalar(heads[-1])
        symbols[x] = array
    found = interpret(program, {**values, **symbols}, writer)
    results = [v for array in found.values() for v in array.reshape(-1)]
    source = [
        f"def evaluate({', '.join(heads)}):",
        *writer.lines,
        f"    return ({listed(results, writer.constant_text)})",
    ]
    scope: dict[str, Any] = dict(writer.functions)
    exec("\n".join(source), scope)  # written above from the program's nodes; no text of a user's gets here
    function: Callable[..., tuple[mpz, ...]] = scope["evaluate"]
    return function
