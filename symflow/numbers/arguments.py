"""Checks of the numbers that functions take: whole ones and positive ones; NumPy's numbers count as Python's."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from symflow.errors import ProblemError, brief, brief_float
from symflow.numbers.rational import rational, without_axes


def whole(value: object, where: str, low: int, high: int | None = None, *, otherwise: str = "") -> int:
    """A whole number within a range, as a Python ``int``; NumPy's integers are whole numbers too, bools are not.

    Args:
        value: the number.
        where: what it is, for the error message ("max_steps").
        low: the smallest that is admitted.
        high: the largest; None where there is no limit.
        otherwise: what else the caller admits, for the error message ("None (float64)").

    Raises:
        ProblemError: it is not a whole number, or out of range.
    """
    number = without_axes(value)
    if isinstance(number, int | np.integer) and not isinstance(number, bool):
        found = int(number)
        if low <= found and (high is None or found <= high):
            return found
    rule = "a positive whole number" if low == 1 else f"a whole number of at least {low}"
    if high is not None:
        rule = f"a whole number from {low} to {high}"
    raise ProblemError(f"{where} must be {f'{otherwise} or ' if otherwise else ''}{rule}, got {brief(value)}")


def positive(value: object, where: str) -> Fraction:
    """A positive rational number; a float means its shortest decimal, as in ``rational``.

    Args:
        value: the number.
        where: what it is, for the error message ("horizon").

    Raises:
        ProblemError: it is not a number, or not positive.
    """
    number = rational(value, where)
    if number <= 0:
        raise ProblemError(f"{where} must be positive, got {brief_float(number)}; give a number above 0")
    return number
