"""Pairs of runs of different precision, with more and more digits until what they say of the error is enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")
Digits = TypeVar("Digits")

ATTEMPTS = 6
"""Most pairs of runs, each with more guard digits than the one before."""


def until_enough(
    attempt: Callable[[Digits], tuple[Found | None, Digits]], digits: Digits
) -> tuple[Found | None, Digits]:
    """The first result that is accurate enough, and the digits beyond it; None where `ATTEMPTS` did not give one.

    Args:
        attempt: digits -> a result (None where it is not accurate enough), and the digits to try next.
        digits: of the first attempt.
    """
    found: Found | None = None
    for _ in range(ATTEMPTS):
        found, digits = attempt(digits)
        if found is not None:
            break
    return found, digits
