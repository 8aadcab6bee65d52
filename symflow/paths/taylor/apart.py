"""How far a second run goes from the first, while it is made: its own steps need not be kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gmpy2 import mpz

from symflow.numbers.fixed_point import to_mpf
from symflow.numbers.types import Mpf
from symflow.paths.taylor.dense import TaylorSteps
from symflow.paths.taylor.run import Integrator


class Apart:
    """The largest difference at the ends and middles of the first run's steps; called after each step of the second.

    Keeping all steps of both runs would take twice the memory.
    """

    def __init__(self, first: TaylorSteps, bits: int) -> None:
        self.first, self.bits = first, bits
        self.largest = mpz(0)
        self.times = self._times()
        self.next = next(self.times, None)

    def _times(self) -> Iterator[mpz]:
        for segment in self.first.segments:
            yield (segment.start + segment.end) >> 1
            yield segment.end

    def __call__(self, run: Integrator) -> None:
        """Compares as far as the run has come, and lets go of what it has left behind."""
        last = TaylorSteps(tuple(run.segments[-1:]), self.bits, run.clock)
        while self.next is not None and (at := self._of_second(self.next, run.clock)) < last.segments[0].end:
            self._see(self.next, last.fixed(at))
            self.next = next(self.times, None)
        if len(run.segments) > 1:
            run.segments[-2] = replace(run.segments[-2], coefficients=())

    def error(self, second: TaylorSteps, *, stopped: bool) -> Mpf:
        """Twice the largest difference, plus one unit in the last place; the second run is done.

        Args:
            second: its steps, of which the last is whole.
            stopped: by a condition, each at its own crossing.
        """
        end = second.segments[-1].end
        while self.next is not None:
            self._see(self.next, second.fixed(min(self._of_second(self.next, second.clock), end)))
            self.next = next(self.times, None)
        if stopped:
            self._see(self.first.segments[-1].end, second.fixed(end))
        return to_mpf(2 * self.largest + (1 << (self.bits - self.first.bits)), self.bits)

    def _of_second(self, at: mpz, clock: int) -> mpz:
        """A time of the first run's clock by the second's."""
        return (at << max(0, clock - self.first.clock)) >> max(0, self.first.clock - clock)

    def _see(self, at: mpz, there: list[mpz]) -> None:
        shift = self.bits - self.first.bits
        here = self.first.fixed(at)
        self.largest = max(self.largest, *(abs((x << shift) - y) for x, y in zip(here, there, strict=True)))
