"""LLVM's assembly, written by Python expressions: what the kernel is made of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

WORD, WIDE, POINTER, FLOAT, BIT = "i64", "i128", "ptr", "double", "i1"
LANES = 8
"""Words of a vector; LLVM splits it on machines with shorter registers."""
VECTOR, FLOATS = f"<{LANES} x {WORD}>", f"<{LANES} x {FLOAT}>"


@dataclass(frozen=True, eq=False)
class Value:
    """A value of the program that is written; operators write instructions. `>>` keeps the sign, `lshr` does not."""

    code: Code
    type: str
    name: str

    def _with(self, operation: str, other: Operand) -> Value:
        return self.code.emit(self.type, f"{operation} {self.type} {self.name}, {self.code.name(other, self.type)}")

    def __add__(self, other: Operand) -> Value:
        return self._with("fadd" if FLOAT in self.type else "add", other)

    def __sub__(self, other: Operand) -> Value:
        return self._with("fsub" if FLOAT in self.type else "sub", other)

    def __mul__(self, other: Operand) -> Value:
        return self._with("fmul" if FLOAT in self.type else "mul", other)

    def __and__(self, other: Operand) -> Value:
        return self._with("and", other)

    def __or__(self, other: Operand) -> Value:
        return self._with("or", other)

    def __xor__(self, other: Operand) -> Value:
        return self._with("xor", other)

    def __lshift__(self, other: Operand) -> Value:
        return self._with("shl", other)

    def __rshift__(self, other: Operand) -> Value:
        return self._with("ashr", other)

    def lshr(self, other: Operand) -> Value:
        """The bits moved right, with zeros from the left."""
        return self._with("lshr", other)

    def _compare(self, relation: str, other: Operand) -> Value:
        return self.code.emit(BIT, f"icmp {relation} {self.type} {self.name}, {self.code.name(other, self.type)}")

    def less(self, other: Operand) -> Value:
        """self < other, signed."""
        return self._compare("slt", other)

    def below(self, other: Operand) -> Value:
        """self < other, unsigned."""
        return self._compare("ult", other)

    def equals(self, other: Operand) -> Value:
        """self == other."""
        return self._compare("eq", other)

    def smaller(self, other: Value) -> Value:
        """self < other, of floating-point numbers; false where one is not a number."""
        return self.code.emit(BIT, f"fcmp olt {self.type} {self.name}, {other.name}")

    def choose(self, yes: Operand, no: Operand, kind: str = WORD) -> Value:
        """One of two values, as this bit says."""
        name = self.code.name
        return self.code.emit(kind, f"select {BIT} {self.name}, {kind} {name(yes, kind)}, {kind} {name(no, kind)}")

    def convert(self, operation: str, kind: str) -> Value:
        """LLVM's conversion of that name."""
        return self.code.emit(kind, f"{operation} {self.type} {self.name} to {kind}")

    def at(self, index: Operand, kind: str = WORD) -> Value:
        """The address of an entry of an array of some type that begins here."""
        return self.code.emit(POINTER, f"getelementptr {kind}, ptr {self.name}, i64 {self.code.name(index, WORD)}")

    def load(self, index: Operand = 0, kind: str = WORD) -> Value:
        """The number in an array of words (or of `kind`) that begins here; no alignment is assumed."""
        return self.code.emit(kind, f"load {kind}, ptr {self.at(index, kind).name}, align 1")

    def store(self, value: Operand, index: Operand = 0, kind: str = WORD) -> None:
        """Writes the entry of an array that begins here."""
        self.code.write(f"store {kind} {self.code.name(value, kind)}, ptr {self.at(index, kind).name}, align 1")

    def splat(self) -> Value:
        """A vector of this word."""
        code = self.code
        first = code.emit(VECTOR, f"insertelement {VECTOR} poison, i64 {self.name}, i32 0")
        return code.emit(
            VECTOR, f"shufflevector {VECTOR} {first.name}, {VECTOR} poison, <{LANES} x i32> zeroinitializer"
        )

    def swapped(self) -> Value:
        """The halves of each word of a vector, exchanged."""
        code, halves = self.code, f"<{2 * LANES} x i32>"
        parts = self.convert("bitcast", halves).name
        order = ", ".join(f"i32 {i ^ 1}" for i in range(2 * LANES))
        swap = f"shufflevector {halves} {parts}, {halves} poison, <{2 * LANES} x i32> <{order}>"
        return code.emit(halves, swap).convert("bitcast", self.type)


Operand: TypeAlias = Value | int | float


@dataclass(frozen=True)
class Variable:
    """A place for a value; LLVM turns it into a register."""

    place: Value
    type: str

    @property
    def value(self) -> Value:
        """What it holds."""
        return self.place.load(0, self.type)

    def set(self, value: Operand) -> None:
        """Gives it another value."""
        self.place.store(value, 0, self.type)


class Code:
    """A module that grows function by function."""

    def __init__(self) -> None:
        self.functions: list[str] = []
        self._lines: list[str] = []
        self._variables: list[str] = []
        self._count = 0

    @property
    def text(self) -> str:
        """The assembly."""
        return "\n".join(self.functions)

    def write(self, line: str) -> None:
        """Adds an instruction without a result."""
        self._lines.append(f"  {line}")

    def emit(self, kind: str, expression: str) -> Value:
        """Adds an instruction."""
        self._count += 1
        self.write(f"%v{self._count} = {expression}")
        return Value(self, kind, f"%v{self._count}")

    def name(self, value: Operand, kind: str) -> str:
        """How an operand is written; numbers become vectors where they meet one."""
        if isinstance(value, Value):
            return value.name
        found = re.fullmatch(r"<\d+ x (.*)>", kind)
        if found is None:
            return repr(value)
        return "<" + ", ".join([f"{found[1]} {value!r}"] * LANES) + ">"

    def number(self, value: int) -> Value:
        """A word that is known."""
        return Value(self, WORD, str(value))

    def variable(self, value: Operand, kind: str = WORD) -> Variable:
        """A new variable."""
        self._count += 1
        self._variables.append(f"  %p{self._count} = alloca {kind}, align 64")
        made = Variable(Value(self, POINTER, f"%p{self._count}"), kind)
        made.set(value)
        return made

    @contextmanager
    def function(self, name: str, arguments: Sequence[str], result: str = "void") -> Iterator[list[Value]]:
        """Writes a function around what is written meanwhile; `ret` ends it where it returns something."""
        self._lines, self._variables, self._count = [], [], 0
        given = [Value(self, kind, f"%a{i}") for i, kind in enumerate(arguments)]
        yield given
        if result == "void":
            self.write("ret void")
        head = ", ".join(f"{v.type} {v.name}" for v in given)
        self.functions.append(
            "\n".join(
                [f"define {result} @{name}({head}) nounwind {{", "start:", *self._variables, *self._lines, "}", ""]
            )
        )

    def call(self, name: str, *arguments: Value, result: str = "void") -> Value:
        """Calls a function of the module; the result of a void one is not to be used."""
        text = f"call {result} @{name}({', '.join(f'{v.type} {v.name}' for v in arguments)})"
        if result != "void":
            return self.emit(result, text)
        self.write(text)
        return self.number(0)

    def _label(self) -> str:
        self._count += 1
        return f"b{self._count}"

    def _begin(self, label: str) -> None:
        self._lines.append(f"{label}:")

    @contextmanager
    def loop(self, start: Operand, stop: Operand, step: Operand = 1) -> Iterator[Value]:
        """Repeats what is written meanwhile for start, start + step, ... below `stop`."""
        place = self.variable(start)
        with self.below(place, stop) as i:
            yield i
            place.set(i + step)

    @contextmanager
    def below(self, place: Variable, stop: Operand) -> Iterator[Value]:
        """Repeats what is written meanwhile, which changes a variable, as long as that is below `stop`."""
        head, body, end = self._label(), self._label(), self._label()
        self.write(f"br label %{head}")
        self._begin(head)
        i = place.value
        self.write(f"br i1 {i.less(stop).name}, label %{body}, label %{end}")
        self._begin(body)
        yield i
        self.write(f"br label %{head}")
        self._begin(end)

    @contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """Runs what is written meanwhile only where a bit is set."""
        body, end = self._label(), self._label()
        self.write(f"br i1 {condition.name}, label %{body}, label %{end}")
        self._begin(body)
        yield
        self.write(f"br label %{end}")
        self._begin(end)
