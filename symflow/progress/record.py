"""The record of how far work has come, and the pace from which the rest is estimated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import Any

from symflow.numbers.decimal import counted

MOST_SAMPLES = 64
"""Reports that are kept for the pace; every second one is dropped where there are more."""
FEW, PAUSE, BEGINNING = 8, 10.0, 30.0
"""From so many reports on, one that took so many times as long as the median is a pause, in the first seconds of a
stage."""
UNITS = (("s", 60.0), ("min", 60.0), ("h", 24.0), ("days", 365.25), ("years", float("inf")))
"""Units of time, and how many of each make one of the next."""


class Progress(float):
    """The fraction of the work that is done, a float from 0 to 1, and what is known of the rest.

    What `progress=` of the long functions is called with. Estimates are made from the pace of the last steps, whose
    lengths vary: take them as "about".

    Attributes:
        stage: what is being done, such as "gradient flow".
        steps: steps of this stage so far.
        unit: what a step is.
        reached: how far the stage has come in its own terms, such as "t = 0.02 of 20"; empty where there are none.
        seconds: wall time since the work began.
        step_seconds: wall time of a step at the present pace; None before the second step.
        remaining: expected seconds to the end of all work at the present pace; None before the second step.
        partial: makes what is known so far, such as a `Trajectory` that can be saved; None where there is nothing.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]},
        ...                      init={"theta": ["1/2", 1]})
        >>> seen = []
        >>> flow = sf.solve_flow(problem, horizon=4, dps=15, progress=seen.append)
        >>> 0 < seen[0] < 1, float(seen[-1]), seen[1].steps, seen[1].reached.endswith("of 4"), seen[1].remaining > 0
        (True, 1.0, 2, True, True)
    """

    stage: str
    steps: int
    unit: str
    reached: str
    seconds: float
    step_seconds: float | None
    remaining: float | None
    partial: Callable[[], Any] | None

    def __new__(
        cls,
        done: float,
        *,
        stage: str = "",
        steps: int = 0,
        unit: str = "step",
        reached: str = "",
        seconds: float = 0.0,
        step_seconds: float | None = None,
        remaining: float | None = None,
        partial: Callable[[], Any] | None = None,
    ) -> Progress:
        self = super().__new__(cls, min(1.0, max(0.0, done)))
        self.stage, self.steps, self.unit, self.reached = stage, steps, unit, reached
        self.seconds, self.step_seconds, self.remaining, self.partial = seconds, step_seconds, remaining, partial
        return self

    def __str__(self) -> str:
        parts = [f"{100 * self:.0f} %"]
        if self.reached:
            parts.append(self.reached)
        if self.steps:
            parts.append(counted(self.steps, self.unit))
        parts.append(duration(self.seconds))
        if self.remaining is not None and self < 1:
            parts.append(f"about {duration(self.remaining)} left")
        return ", ".join(parts)


def duration(seconds: float) -> str:
    """A time in words, to two digits, such as `14 s`, `2.5 min` or `70 h`."""
    if seconds < 0.1:
        return f"{1000 * seconds:.0f} ms" if seconds > 0.00995 else f"{1000 * seconds:.2g} ms"
    value = seconds
    for name, size in UNITS:
        # 100 s and 100 h are as readable as minutes and days, and what is rounded is the same.
        if value < 1.5 * size or size == float("inf"):
            return f"{value:.1f} {name}" if value < 9.95 else f"{value:.0f} {name}"
        value /= size
    raise AssertionError


class Pace:
    """Fractions and steps against time within one stage.

    The pace is that of the last half of the time since the stage's first report: steps grow and shrink, and the first
    report contains what is compiled. What is compiled later (the first kinks of a flow in float64) shows as pauses,
    which are no pace.
    """

    def __init__(self) -> None:
        self.samples: list[tuple[float, float, int]] = []

    def add(self, seconds: float, done: float, steps: int) -> None:
        """A report; one that goes back begins a new stage."""
        if self.samples and done < self.samples[-1][1]:
            self.samples.clear()
        self.samples.append((seconds, done, steps))
        if len(self.samples) > MOST_SAMPLES:
            del self.samples[1:-1:2]

    def estimate(self) -> tuple[float | None, float | None]:
        """Seconds a step, and to the fraction 1."""
        if len(self.samples) < 2:
            return None, None
        samples = _without_pauses(self.samples)
        now, done, steps = samples[-1]
        middle = (samples[0][0] + now) / 2
        began, before, count = next(s for s in reversed(samples[:-1]) if s[0] <= middle)
        spent, gained, made = now - began, done - before, steps - count
        return spent / made if made > 0 else None, spent * (1 - done) / gained if gained > 0 else None


def _without_pauses(samples: Sequence[tuple[float, float, int]]) -> Sequence[tuple[float, float, int]]:
    """The reports, with pauses in the first seconds of a stage cut short."""
    gaps = [b[0] - a[0] for a, b in pairwise(samples)]
    if len(gaps) < FEW or samples[-1][0] - samples[0][0] > BEGINNING:
        return samples
    longest = PAUSE * sorted(gaps)[len(gaps) // 2]
    times = accumulate((min(gap, longest) for gap in gaps), initial=samples[0][0])
    return [(time, done, steps) for time, (_, done, steps) in zip(times, samples, strict=True)]
