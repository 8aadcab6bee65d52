"""Times on a linear or logarithmic grid, as exact rationals."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

from symflow.errors import ProblemError, brief
from symflow.numbers.arguments import whole
from symflow.numbers.rational import mpf, rational
from symflow.numbers.types import Number

MAX_TIMES = 100_000
"""Most times of one grid."""
LOG_DIGITS = 20
"""Significant digits of the inner times of a logarithmic grid, which are irrational in general."""


def linear_times(start: Number, end: Number, count: int) -> tuple[Fraction, ...]:
    """t_k = start + k (end - start) / (count - 1) for k = 0, ..., count - 1, exactly.

    Args:
        start: t_0 >= 0 (text, a rational or mpmath number, or a float, which means its shortest decimal).
        end: the last time, after `start`; a number of the same kinds.
        count: how many times, 2 to 100 000.

    Returns:
        `count` exact `Fraction`s, increasing.

    Raises:
        ProblemError: not 0 <= start < end, or fewer than 2 or more than 100 000 times.

    Example:
        >>> sf.linear_times(0, "1/2", 3)
        (Fraction(0, 1), Fraction(1, 4), Fraction(1, 2))
    """
    a, b, count = _ends(start, end, count, positive=False)
    return tuple(a + k * (b - a) / (count - 1) for k in range(count))


def log_times(start: object, end: Number, count: int) -> tuple[Fraction, ...]:
    """t_k = start (end / start)^(k / (count - 1)) for k = 0, ..., count - 1.

    The ends are exact; the times between are rounded to 20 significant digits (exact where those are enough).

    Args:
        start: t_0 > 0 (text, a rational or mpmath number, or a float, which means its shortest decimal).
        end: the last time, after `start`; a number of the same kinds.
        count: how many times, 2 to 100 000.

    Returns:
        `count` `Fraction`s, increasing.

    Raises:
        ProblemError: not 0 < start < end, fewer than 2 or more than 100 000 times, or times that 20 digits do not tell
            apart.

    Example:
        >>> sf.log_times("1/10", 10, 3)
        (Fraction(1, 10), Fraction(1, 1), Fraction(10, 1))
    """
    import mpmath

    a, b, count = _ends(start, end, count, positive=True)
    with mpmath.workdps(LOG_DIGITS + 20):
        low = mpmath.log(mpf(a))
        step = (mpmath.log(mpf(b)) - low) / (count - 1)
        inner = [Fraction(Decimal(mpmath.nstr(mpmath.exp(low + k * step), LOG_DIGITS))) for k in range(1, count - 1)]
    times = (a, *inner, b)
    if any(s >= t for s, t in itertools.pairwise(times)):
        raise ProblemError(f"{count} times cannot be told apart to {LOG_DIGITS} digits; give fewer")
    return times


def grid_times(written: str, where: str) -> tuple[Fraction, ...]:
    """Reads `linear:START:END:COUNT` or `log:START:END:COUNT`.

    Raises:
        ProblemError: text of another form, or an invalid grid.
    """
    spacing, *numbers = written.split(":")
    if spacing not in ("linear", "log") or len(numbers) != 3 or not (numbers[2].isascii() and numbers[2].isdigit()):
        raise ProblemError(
            f"{where} must be linear:START:END:COUNT or log:START:END:COUNT, such as linear:0:10:11, "
            f"got {brief(written)}"
        )
    make = linear_times if spacing == "linear" else log_times
    count = int(numbers[2]) if len(numbers[2]) < 10 else MAX_TIMES + 1
    return make(rational(numbers[0], where), rational(numbers[1], where), count)


def _ends(start: object, end: Number, count: int, *, positive: bool) -> tuple[Fraction, Fraction, int]:
    count = whole(count, "the number of times of a grid", 2, MAX_TIMES)
    a, b = rational(start, "the start of a grid"), rational(end, "the end of a grid")
    if not (0 < a < b if positive else 0 <= a < b):
        kind, least = ("logarithmic", "> 0") if positive else ("linear", ">= 0")
        raise ProblemError(f"a {kind} grid must run from a start {least} to a later end, got {brief(a)}, {brief(b)}")
    return a, b, count


def read_times(times: Iterable[object]) -> list[Fraction]:
    """Several times in a list, an array or a column.

    Raises:
        ProblemError: none, or something that is not a number.
    """
    listed = [rational(t, f"times[{i}]") for i, t in enumerate(times)]
    if not listed:
        raise ProblemError(f"times must be at least one, got {brief(times)}; give some")
    return listed
