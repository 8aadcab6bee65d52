"""Counterexamples in the fewest digits: every number rounded to the fewest digits that still violate the claim."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction

from symflow.analysis.falsify.confirm import Check
from symflow.analysis.falsify.exact import ExactPoint, Ranges, decimals, rounded, significant, significant_digits

SECONDS = 10.0
"""Longest time that is spent on one counterexample; a confirmation that has begun is finished."""


@dataclass(frozen=True)
class Judge:
    """Decides whether the claim fails at exact points.

    Attributes:
        seen: those at which float64 sees it fail, or cannot tell.
        confirmed: the claim at one point with all digits; None where it is not refuted.
    """

    seen: Callable[[Sequence[ExactPoint]], list[ExactPoint]]
    confirmed: Callable[[ExactPoint], Check | None]


def shortened(point: ExactPoint, found: Check, others: Sequence[ExactPoint], ranges: Ranges, judge: Judge) -> Check:
    """A counterexample near another one in as few digits as are found within `SECONDS`.

    Args:
        point: at which the claim is refuted.
        found: the claim there.
        others: the same point in fewer digits, the fewest first.
        ranges: where the numbers may lie.
        judge: of the claim.
    """
    search = _Search(point, found, ranges, judge, time.perf_counter() + SECONDS)
    # A KeyboardInterrupt ends it early: the counterexample is there, if not in the fewest digits.
    with suppress(KeyboardInterrupt):
        any(search.accepts(p) for p in search.seen(p for p in others if _length(p) < _length(point)))
        search.shorten(range(_count(point, ranges)))
    return search.found


@dataclass
class _Search:
    """The shortest counterexample so far."""

    point: ExactPoint
    found: Check
    ranges: Ranges
    judge: Judge
    end: float
    refused: set[ExactPoint] = field(default_factory=set)
    visible: dict[ExactPoint, bool] = field(default_factory=dict)

    def seen(self, points: Iterable[ExactPoint]) -> list[ExactPoint]:
        """Those of the points that the judge sees, each looked at once."""
        points = list(points)
        fresh = [p for p in points if p not in self.visible]
        seen = set(self.judge.seen(fresh))
        self.visible |= {p: p in seen for p in fresh}
        return [p for p in points if self.visible[p]]

    def accepts(self, shorter: ExactPoint) -> bool:
        """Whether the claim fails at a point with all digits, which then is the shortest one."""
        if shorter in self.refused or time.perf_counter() > self.end:
            return False
        check = self.judge.confirmed(shorter)
        if check is None:
            self.refused.add(shorter)
            return False
        self.point, self.found = shorter, check
        return True

    def shorten(self, places: Sequence[int]) -> None:
        """Shortens some of the numbers one after the other as float64 sees it; halves of them where that is refused."""
        proposed = self.point
        for at in places:
            proposed = next(iter(self.seen(_shorter(proposed, at, self.ranges))), proposed)
        if proposed == self.point or self.accepts(proposed) or time.perf_counter() > self.end:
            return
        if len(places) == 1:
            any(self.accepts(p) for p in self.seen(_shorter(self.point, places[0], self.ranges))[1:])
            return
        middle = len(places) // 2
        self.shorten(places[:middle])
        self.shorten(places[middle:])


def _numbers(point: ExactPoint) -> tuple[Fraction, ...]:
    """All numbers, the step size first."""
    return (point.eta, *(v for rows in (point.x, point.y) for row in rows for v in row), *point.theta)


def _count(point: ExactPoint, ranges: Ranges) -> int:
    """How many of the numbers may change: theta is kept where it is balanced."""
    return len(_numbers(point)) - (len(point.theta) if ranges.theta is None else 0)


def _length(point: ExactPoint) -> int:
    """Digits of all numbers together."""
    return significant_digits(point.eta) + sum(decimals(v) for v in _numbers(point)[1:])


def _shorter(point: ExactPoint, at: int, ranges: Ranges) -> Iterator[ExactPoint]:
    """The point with one of its numbers in fewer digits, the fewest first."""
    numbers = list(_numbers(point))
    value, inputs, targets = numbers[at], sum(map(len, point.x)), sum(map(len, point.y))
    if not at:
        for digits in range(1, significant_digits(value)):
            eta = significant(value, digits, *ranges.eta)
            if eta is not None:
                yield replace(point, eta=eta)
        return
    most = ranges.x if at <= inputs else ranges.y if at <= inputs + targets else ranges.theta
    for places in range(decimals(value)):
        numbers[at] = rounded(value, places, most)
        rows = iter(numbers[1:])
        x, y = (tuple(tuple(next(rows) for _ in row) for row in old) for old in (point.x, point.y))
        yield replace(point, x=x, y=y, theta=tuple(rows))
