"""Evaluation of both sides: to 50 digits, or in float64 where the package's own code computes one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import mpmath

from symflow.proofs.outcome import Kind, Outcome

DIGITS = 50
GUARD = 15
ROUNDING = 1e-9
"""Relative; the allowances of the package for its own rounding are smaller."""


@dataclass(frozen=True)
class FiftyDigits:
    """Pairs of numbers that agree to 50 digits: |a - b| <= 10^-50 max(1, |a|, |b|).

    Attributes:
        scope: at which points, LaTeX text.
        sides: makes the pairs; called with 65 working digits.
    """

    scope: str
    sides: Callable[[], Iterable[tuple[Any, Any]]]
    kind: ClassVar[Kind] = "evaluated to 50 digits"

    def run(self) -> Outcome:
        """Evaluates; fails at the first pair that differs."""
        count = 0
        with mpmath.workdps(DIGITS + GUARD):
            for a, b in self.sides():
                count += 1
                if not abs(a - b) <= mpmath.mpf(10) ** -DIGITS * max(1, abs(a), abs(b)):
                    return Outcome(False, f"pair {count} differs: {mpmath.nstr(a, 12)} and {mpmath.nstr(b, 12)}")
        return Outcome(count > 0, f"pairs that agree to {DIGITS} digits: {count}")


@dataclass(frozen=True)
class SameInFloat64:
    """Pairs of floats that agree up to rounding: |a - b| <= 1e-9 max(|a|, |b|).

    It ties the package's code, which computes in float64 with an allowance for rounding, to the formula of a step.

    Attributes:
        scope: what is computed at which points, LaTeX text.
        sides: makes the pairs.
    """

    scope: str
    sides: Callable[[], Iterable[tuple[float, float]]]
    kind: ClassVar[Kind] = "evaluated in float64"

    def run(self) -> Outcome:
        """Evaluates; fails at the first pair that differs."""
        count = 0
        for a, b in self.sides():
            count += 1
            if not abs(a - b) <= ROUNDING * max(abs(a), abs(b)):
                return Outcome(False, f"pair {count} differs: {a:.12g} and {b:.12g}")
        return Outcome(count > 0, f"pairs that agree up to rounding: {count}")
