"""Where work tells how far it is; the one place that makes records of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from symflow.errors import ProblemError, brief
from symflow.progress.record import Pace, Progress

Told: TypeAlias = Callable[[Progress], object]
Wanted: TypeAlias = Told | bool | None
"""What `progress=` takes: a function of a `Progress`, True for a bar, False or None for nothing."""


class _Work:
    """All of the work: since when, at which pace, and who is told."""

    def __init__(self, told: Told) -> None:
        self.told, self.began = told, time.perf_counter()
        self.stage, self.reports, self.pace = "", 0, Pace()
        self.most = 0.0  # what is done does not become less where a run is made again

    def report(self, done: float, stage: str, unit: str, steps: int | None, reached: str, partial: Any) -> None:
        if stage != self.stage:
            self.stage, self.reports, self.pace = stage, 0, Pace()
        self.reports += 1
        steps, seconds = self.reports if steps is None else steps, time.perf_counter() - self.began
        self.pace.add(seconds, done, steps)
        step_seconds, remaining = self.pace.estimate()
        self.most = max(self.most, done)
        self.told(
            Progress(
                self.most,
                stage=stage,
                steps=steps,
                unit=unit,
                reached=reached,
                seconds=seconds,
                step_seconds=step_seconds,
                remaining=remaining,
                partial=partial,
            )
        )


@dataclass(frozen=True)
class Reporter:
    """Takes the fraction of some work that is done, which is a part of all that was asked for.

    Attributes:
        work: all of it; None where nobody wants to know.
        low: where the part begins, as a fraction of all.
        high: where it ends.
        stage: what is done in this part.
        unit: what a step of it is.
    """

    work: _Work | None = field(default=None, repr=False)
    low: float = 0.0
    high: float = 1.0
    stage: str = ""
    unit: str = "step"

    @classmethod
    def to(cls, told: Told, stage: str = "") -> Reporter:
        """The reporter of all work that begins now."""
        return cls(_Work(told), stage=stage)

    @property
    def silent(self) -> bool:
        """Whether nobody is told."""
        return self.work is None

    def __call__(
        self,
        done: float,
        steps: int | None = None,
        reached: str = "",
        partial: Callable[[], Any] | None = None,
    ) -> None:
        """Tells how much of this part is done.

        Args:
            done: the fraction of this part.
            steps: how many steps were made in it; the number of reports if left out.
            reached: how far it is in its own terms.
            partial: makes what is known so far.
        """
        if self.work is not None:
            done = self.low + (self.high - self.low) * done
            self.work.report(done, self.stage, self.unit, steps, reached, partial)

    def at(self, time: float, end: float, steps: int, partial: Callable[[], Any] | None = None) -> None:
        """Tells which time of a path is reached in so many steps."""
        self(time / end, steps, f"t = {time:.4g} of {end:.6g}", partial)

    def part(self, low: float, high: float, stage: str = "", unit: str = "") -> Reporter:
        """The reporter of a part of this part, between two fractions of it."""
        span = self.high - self.low
        return Reporter(
            self.work, self.low + span * low, self.low + span * high, stage or self.stage, unit or self.unit
        )


SILENT = Reporter()
"""Tells nobody."""


@contextmanager
def reporting(wanted: Wanted, stage: str, cheaper: str | None = "") -> Iterator[Reporter]:
    """The reporter for what a caller gave as `progress`; a bar of its own ends with the block.

    Args:
        wanted: the argument; the reporter of a function that calls this one is taken over, with its stage.
        stage: what is done.
        cheaper: what would take less time, for work that is expected to be long; see `bars.bar`.

    Raises:
        ProblemError: the argument is none of these.
    """
    if isinstance(wanted, Reporter):
        yield wanted if wanted.stage else wanted.part(0, 1, stage)
    elif wanted is None or wanted is False:
        yield SILENT
    elif wanted is True:
        from symflow.progress.bars import bar

        with bar(stage, cheaper) as told:
            yield Reporter.to(told, stage)
    elif callable(wanted):
        yield Reporter.to(wanted, stage)
    else:
        raise ProblemError(f"progress must be True, False or a function of a sf.Progress, got {brief(wanted)}")
