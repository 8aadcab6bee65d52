"""A program as one Python function over floats: for short loops, which end before JAX is loaded and has compiled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from symflow.evaluate.moved_arrays import along_axis
from symflow.evaluate.scalar_code import Entry, PlainWriter, Scalar, listed, written
from symflow.programs.nodes import Input
from symflow.programs.program import Program
from symflow.programs.rules.elementwise import elementwise


@dataclass(frozen=True)
class FloatWriter(PlainWriter):
    """The arithmetic that writes the function; an entry is 0, 1, -1 or a `Scalar`."""

    def number(self, q: Fraction) -> Entry:
        return int(q) if q in (-1, 0, 1) else Scalar(repr(float(q)))

    def gate(self, z: np.ndarray, alpha: Fraction, alpha_bar: Fraction) -> np.ndarray:
        on, off = float(alpha), float(alpha_bar)

        def slope(v: Entry) -> Entry:
            return self.assign(f"{on!r} if {self.constant_text(v)} >= 0 else {off!r}")

        return self.each(slope, z)

    def constant_text(self, v: Entry) -> str:
        """A float."""
        return v.text if isinstance(v, Scalar) else f"{v}.0"

    def function(self, name: str, x: np.ndarray, exponent: Fraction | None) -> np.ndarray:
        at = elementwise(name, exponent).known("numpy", "floats")
        called = name if exponent is None else f"power_{len(self.functions)}"

        def value(v: float) -> float:
            return float(at(np.float64(v)))  # Python's powers raise errors where NumPy's are not finite

        return self.each(lambda v: self.call(value, called, self.constant_text(v)), x)

    def log_sum_exp(self, x: np.ndarray, position: int) -> np.ndarray:
        def one(values: Sequence[Entry]) -> Scalar:
            return self.call(_log_sum_exp, "log_sum_exp", f"({listed(values, self.constant_text)})")

        return along_axis(one, x, position)

    def maximum(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        def largest(values: Sequence[Entry]) -> Scalar:
            return self.assign(f"max({listed(values, self.constant_text)})")

        return along_axis(largest, self.stack(arrays), -1)


def _log_sum_exp(values: Sequence[float]) -> float:
    return float(np.logaddexp.reduce(values))


def unrolled_floats(
    program: Program, known: Mapping[Input, np.ndarray], arguments: Sequence[Input]
) -> Callable[..., tuple[float, ...]] | None:
    """The outputs of a program as a function of the entries of some inputs, as `scalar_code.unrolled`.

    Functions are NumPy's, which warns where they are not finite, see `numpy.errstate`.

    Args:
        program: what to evaluate; NumPy has its functions.
        known: the other inputs, arrays of rationals within float64.
        arguments: the inputs whose entries, one after the other and row-major, are the function's arguments.

    Raises:
        OverflowError: a number beyond float64.
    """
    writer = FloatWriter()
    return written(program, {x: writer.each(writer.number, a) for x, a in known.items()}, arguments, writer)
