"""The iterates of descent as the dense output of a path: piecewise linear between steps, as R3 uses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

import mpmath
import numpy as np

from symflow.dynamics.method import Method
from symflow.errors import ProblemError
from symflow.numbers.decimal import counted
from symflow.numbers.rational import mpf
from symflow.numbers.types import JsonObject, Mpf

GUARD = 12
"""Digits beyond those of the iterates with which they are interpolated."""


@dataclass(frozen=True, eq=False)
class Iterates:
    """Kept steps of descent.

    Attributes:
        method: the recursion.
        step_size: eta.
        indices: the steps k that are kept, increasing, starting with 0.
        iterates: theta_k for these k, one row each: float64, or an object array of mpf or `Fraction`.
        carried: what the method carries (the velocity), by name, each of the shape of `iterates`; of single numbers one
            for each k.
        dps: digits of a multiprecision run, None for float64 and for exact rationals.
        path: theta_k for every step k = 0, 1, ... in float64, where the run was asked for them.
    """

    method: Method
    step_size: Fraction
    indices: tuple[int, ...]
    iterates: np.ndarray
    carried: Mapping[str, np.ndarray] = field(default_factory=dict)
    dps: int | None = None
    path: np.ndarray | None = None

    @cached_property
    def _rows(self) -> dict[int, int]:
        return {index: row for row, index in enumerate(self.indices)}

    def at_steps(self, indices: Sequence[int]) -> np.ndarray:
        """The iterates at some of the kept steps."""
        return self.iterates[[self._rows[k] for k in indices]]

    @property
    def times(self) -> tuple[Fraction, ...]:
        """k eta for the kept steps, exactly."""
        return tuple(k * self.step_size for k in self.indices)

    @property
    def end(self) -> Fraction:
        """K eta."""
        return self.indices[-1] * self.step_size

    @property
    def horizon(self) -> Mpf:
        """The same as an mpmath number."""
        return mpmath.mpf(self.end.numerator) / self.end.denominator

    @property
    def exact(self) -> bool:
        """Whether the iterates are exact rationals."""
        return self.dps is None and self.iterates.dtype == object

    @property
    def stored_digits(self) -> int:
        """Decimal digits that iterates are stored with."""
        return 17 if self.dps is None else self.dps + GUARD

    def __call__(self, time: Fraction) -> np.ndarray:
        """The iterate at k eta; between two steps the point on the line from one to the next.

        Raises:
            ProblemError: a step next to the time was not kept.
        """
        k, rest = divmod(time / self.step_size, 1)
        here, there = self._rows.get(int(k)), self._rows.get(int(k) + 1)
        if here is None or (rest and there is None):
            raise ProblemError(f"the iterates around step {float(k + rest):.6g} were not kept; descend with every=1")
        state: np.ndarray = self.iterates[here]
        if not rest:
            return state
        step = self.iterates[there] - state
        if self.dps is None:
            return np.asarray(state + (rest if self.exact else float(rest)) * step)
        with mpmath.workdps(self.dps + GUARD):
            return np.asarray(state + (self.iterates[there] - state) * mpf(rest))

    def at_end(self) -> np.ndarray:
        """The last iterate."""
        return np.array(self.iterates[-1])

    def rounded(self, times: Sequence[Fraction]) -> np.ndarray:
        """The states at some times in float64, one row a time."""
        return np.array([self(t).astype(np.float64) for t in times])


@dataclass(frozen=True)
class DescentStats:
    """How descent was run.

    Attributes:
        steps: number of steps of the method.
        description: the method in words.
        bits: fixed-point bits after the point; None for float64.
        seconds: wall time of the run, compilation included.
        check_seconds: wall time of the second run; 0 without one.
    """

    steps: int
    description: str
    bits: int | None
    seconds: float
    check_seconds: float = 0.0

    @property
    def method(self) -> str:
        """The method and its steps in words."""
        return f"{counted(self.steps, 'step')} of {self.description}"

    @property
    def remark(self) -> str:
        """Nothing: descent takes kinks as it meets them."""
        return ""

    def facts(self) -> JsonObject:
        """The numbers a report shows besides times."""
        return {"steps": self.steps, "method": self.description, "bits": self.bits}
