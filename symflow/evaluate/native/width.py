"""How wide the numbers of the kernel are: limbs of a coefficient, moduli of a sum."""

from __future__ import annotations

from dataclasses import dataclass

from symflow.evaluate.native.layout import DIGIT, PACK
from symflow.evaluate.native.residues import MOST_MODULI, tables

RESERVE = 6
"""Least bits before the point; where a coefficient needs more, more moduli are taken."""
COMFORTABLE = 40
"""Bits before the point for which there is an own limb, if the moduli allow for it."""


@dataclass(frozen=True)
class Width:
    """How wide the numbers are: coefficients are below 2^`bits` in size."""

    moduli: int
    bits: int

    @property
    def limbs(self) -> int:
        """Words of a coefficient, its sign included."""
        return self.bits // 64 + 1


def width_of(bits: int, terms: int, more: int) -> Width | None:
    """The least width with some bits before the point, or one that has `more` times 16 moduli more; None: too wide.

    Args:
        bits: after the point.
        terms: sums have at most this many products of two coefficients.
        more: how often it was not enough.
    """
    least = -(-(2 * (bits + RESERVE) + terms.bit_length()) // DIGIT)
    count = -(-least // PACK) * PACK
    if count <= MOST_MODULI and tables(count).bits(terms) < bits + RESERVE:
        count += PACK
    count += more * PACK
    if count > MOST_MODULI:
        return None
    most = tables(count).bits(terms)
    return Width(count, most if more else min(most, 64 * (-(-(bits + COMFORTABLE + 1) // 64)) - 1))
