"""A program as one Python function over balls (`symflow.evaluate.balls`), for loops that evaluate it many times."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NoReturn

import numpy as np

from symflow.errors import GateUndecided
from symflow.evaluate.balls import GATE_REFUSED, log_sum_exp
from symflow.evaluate.moved_arrays import along_axis
from symflow.evaluate.scalar_code import Entry, PlainWriter, Scalar, listed, written
from symflow.numbers.balls import Ball, ball
from symflow.programs.nodes import Input
from symflow.programs.program import Program
from symflow.programs.rules.elementwise import elementwise


@dataclass(frozen=True)
class BallWriter(PlainWriter):
    """The arithmetic that writes the function; an entry is 0, 1, -1 or a `Scalar`."""

    def number(self, q: Fraction) -> Entry:
        if q in (-1, 0, 1):
            return int(q)
        name = f"c{len(self.functions)}"
        self.functions[name] = ball(q)
        return Scalar(name)

    def gate(self, z: np.ndarray, alpha: Fraction, alpha_bar: Fraction) -> np.ndarray:
        on, off = self.number(alpha), self.number(alpha_bar)
        self.functions["refused"] = _refused

        def slope(v: Entry) -> Entry:
            if not isinstance(v, Scalar):
                return on if v >= 0 else off
            return self.assign(f"{self.constant_text(on)} if {v.text} >= 0 else "
                               f"{self.constant_text(off)} if {v.text} < 0 else refused()")  # fmt: skip

        return self.each(slope, z)

    def constant_text(self, v: Entry) -> str:
        """The name of a constant, which is a ball."""
        if isinstance(v, Scalar):
            return v.text
        name = f"whole_{v}".replace("-", "minus_")
        self.functions[name] = ball(v)
        return name

    def function(self, name: str, x: np.ndarray, exponent: Fraction | None) -> np.ndarray:
        value = elementwise(name, exponent).known("ball", "ball arithmetic")
        called = name if exponent is None else f"power_{len(self.functions)}"

        def one(v: Entry) -> Entry:
            return self.call(value, called, v.text if isinstance(v, Scalar) else self.constant_text(v))

        return self.each(one, x)

    def log_sum_exp(self, x: np.ndarray, position: int) -> np.ndarray:
        def one(values: Sequence[Entry]) -> Scalar:
            return self.call(log_sum_exp, "log_sum_exp", f"({listed(values, self.constant_text)})")

        return along_axis(one, x, position)


def _refused() -> NoReturn:
    raise GateUndecided(GATE_REFUSED)


def unrolled_balls(
    program: Program, known: Mapping[Input, np.ndarray], arguments: Sequence[Input]
) -> Callable[..., tuple[Ball, ...]] | None:
    """The outputs of a program as a function of the entries of some inputs, as `scalar_code.unrolled`.

    Args:
        program: what to evaluate.
        known: the other inputs, arrays of rationals; they are rounded at the working precision.
        arguments: the inputs whose entries, one after the other and row-major, are the function's arguments.
    """
    writer = BallWriter()
    return written(program, {x: writer.each(writer.number, a) for x, a in known.items()}, arguments, writer)
