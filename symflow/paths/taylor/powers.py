"""The powers of a step, each to as many significant bits: a large coefficient outweighs a small power."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import repeat

from gmpy2 import mpz

from symflow.evaluate.products import Coefficients

GUARD = 16
"""Bits by which a power is longer than the fixed point."""


@dataclass(frozen=True)
class Powers:
    """s^k for k = 0, ..., `most`.

    Attributes:
        s: in fixed point, at most 1.
        bits: of the fixed point.
        most: the highest.
    """

    s: mpz
    bits: int
    most: int

    @cached_property
    def _shifted(self) -> list[tuple[mpz, int]]:
        """(m, e) with s^k = m 2^-e to a relative k 2^-(bits + GUARD); computed when a zero is looked for."""
        mantissa, shift = mpz(1), 0
        found = [(mantissa, shift)]
        for s in repeat(self.s, self.most):
            mantissa, shift = mantissa * s, shift + self.bits
            excess = max(0, mantissa.bit_length() - self.bits - GUARD)
            mantissa, shift = mantissa >> excess, shift - excess
            found.append((mantissa, shift))
        return found

    def scaled(self, coefficients: Coefficients) -> Coefficients:
        """A series in the step's variable as one in its part of the step."""
        return [(c * m) >> e for c, (m, e) in zip(coefficients, self._shifted, strict=False)]
