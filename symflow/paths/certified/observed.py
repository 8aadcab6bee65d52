"""What is kept of every Taylor step for the proof of its error, while its series are at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from gmpy2 import mpz

from symflow.caching import Keeper
from symflow.evaluate.products import Coefficients
from symflow.evaluate.series_remainders import remainders
from symflow.paths.taylor.kinks.gates import Position, live_entries
from symflow.paths.taylor.kinks.region import Region


@dataclass(frozen=True, eq=False)
class Watched(Keeper):
    """A series along theta~.

    Attributes:
        kept: those of its step: few of them are looked at.
        number: which of them it is.
        remainder: at most how far it is from what it stands for, in units of the last place.
    """

    kept: Sequence[Coefficients]
    number: int
    remainder: float

    @property
    def series(self) -> Coefficients:
        """Its coefficients."""
        return self.kept[self.number]


@dataclass(frozen=True, eq=False)
class Step:
    """What is proved of one Taylor step, in units of the last place and in the step's variable s.

    Attributes:
        defect: at least |theta~'_i - 2^tau F_i(theta~)|, shape (P,).
        speed: at least |theta~'_i|, shape (P,), plain numbers.
        region: the gates, and what slides.
        pre_activations: the series of those that are not zero by structure.
        monitors: those of sliding gates; constants where they do not move.
        reason: why nothing is proved; empty where it is.
    """

    defect: np.ndarray
    speed: np.ndarray
    region: Region
    pre_activations: dict[Position, Watched]
    monitors: tuple[Watched | Fraction | None, ...]
    reason: str = ""


def observe(region: Region, s: mpz, tau: int) -> Step:
    """The observer of a run (`symflow.paths.taylor.run.Observer`)."""
    recurrence = region.recurrence
    live = dict(live_entries(recurrence))
    series = [*live.values(), *(m for m in recurrence.monitors if isinstance(m, list))]
    count = len(recurrence.state)
    try:
        found = remainders(recurrence, s, tau, series)
    except TypeError as missing:
        return Step(np.full(count, np.inf), np.full(count, np.inf), region, {}, (), str(missing))
    kept = recurrence.kept(series) if series else ()
    watched = {id(z): Watched(kept, k, found.watched[id(z)]) for k, z in enumerate(series)}
    return Step(
        found.defect,
        found.speed,
        region,
        {a: watched[id(z)] for a, z in live.items()},
        tuple(watched[id(m)] if isinstance(m, list) else m for m in recurrence.monitors),
    )
