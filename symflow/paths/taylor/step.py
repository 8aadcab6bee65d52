"""One Taylor step through a smooth region: how long it may be, and what the field says at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf

from gmpy2 import mpz

from symflow.errors import ComputationError
from symflow.evaluate.native.words import terms_of
from symflow.evaluate.products import Coefficients
from symflow.evaluate.series import Entry, Recurrence
from symflow.paths.taylor.defect import ALLOWED, log2_local_error, log2_strayed
from symflow.paths.taylor.limits import Precision
from symflow.paths.taylor.resolved import log2_resolved
from symflow.paths.taylor.step_size import log2_abs, log2_step

MOST_GROWTH = 3
"""log2 of the most by which a step grows where the series sets no limit."""
SHORTEST_UNIT = -30
"""log2 of a step below which the series are expanded again in a smaller unit of time."""


@dataclass(frozen=True)
class Proposal:
    """The step that the series allow, in the variable s = t / 2^tau.

    Attributes:
        log2_series: log2 of what the last two coefficients allow.
        log2_step: log2 of the step, at most 0: no exponential hides more than it may in it.
    """

    log2_series: float
    log2_step: float

    @property
    def free(self) -> bool:
        """Whether the series sets no limit below the unit of time."""
        return self.log2_series > 0

    def length(self, precision: Precision) -> mpz:
        """The step, fixed point."""
        longest = 2.0**self.log2_step
        return mpz(int((min(longest, precision.stride) if self.free else longest) * 2.0**60) << precision.bits) >> 60


def propose(recurrence: Recurrence, watched: Sequence[Entry], precision: Precision, p: int, tau: int) -> Proposal:
    """The step that the series of the state and of what is watched, expanded to order p, allow."""
    beside = [q for q in watched if isinstance(q, list)]
    last, before = ([*recurrence.coefficient(j), *(q[j] for q in beside)] for j in (p, p - 1))
    allowed = log2_step(last, before, p, precision.log2_unit_tolerance)
    functions, start = recurrence.saturating, min(allowed, 0.0)
    if not functions:
        return Proposal(allowed, start)
    arguments = recurrence.floats([f.x for f in functions])
    resolved = log2_resolved(functions, arguments, precision.bits, start, precision.log2_tolerance, p, tau)
    return Proposal(allowed, resolved)


def accepted(
    recurrence: Recurrence,
    coefficients: Sequence[Coefficients],
    s: mpz,
    tau: int,
    precision: Precision,
    *,
    doubtful: bool,
) -> tuple[mpz, list[mpz]] | None:
    """The longest step up to s whose defect agrees with the tolerance, and the state at its end; None if there is none.

    What is watched for zeros is known to the noise there: its series may have gaps where those of the state do not.

    Args:
        recurrence: the field's, expanded; its series are those of another point afterwards.
        coefficients: of the state.
        s: the step, fixed point.
        tau: of the variable s = t / 2^tau.
        precision: of the run.
        doubtful: look inside the step too: its series does not limit it.
    """
    largest, log2_noise = precision.log2_unit_tolerance + ALLOWED, log2_abs(precision.noise)
    followed = recurrence.followed()
    before = recurrence.kept(followed)

    def excess(s: mpz) -> tuple[list[mpz], float]:
        values, error = log2_local_error(recurrence, coefficients, s, tau)
        return values, max(error - largest, log2_strayed(recurrence, followed, before, s) - log2_noise)

    while True:
        values: list[mpz] = []
        try:
            values, beyond = excess(s)
            if doubtful and beyond <= 0:
                beyond = excess((s * 98) >> 8)[1]
        except ComputationError:  # the polynomial, not the flow, has left the domain of the field
            beyond = inf
        if beyond <= 0:
            return s, values
        s = s * int(2.0 ** (60 - max(0.5, min(8.0, beyond / terms_of(coefficients))))) >> 60
        if s == 0:
            return None


def next_unit(tau: int, proposal: Proposal, log2_taken: float) -> int:
    """The tau for the next step, after one of this log2 length."""
    if log2_taken < 0:
        return tau + max(-8, ceil(log2_taken))
    return tau + (MOST_GROWTH if proposal.log2_series == inf else min(8, ceil(proposal.log2_series)))


def jittered(values: Sequence[mpz], origin: Sequence[mpz], shift: int, count: int) -> list[mpz]:
    """The values, moved by -2 to 2 units 2^shift: equal ones alike, and those not that started at zero and are.

    Args:
        values: the state.
        origin: the state at the start.
        shift: of the unit.
        count: of steps made, so that every step moves it another way.
    """
    moved = []
    for v, first in zip(values, origin, strict=True):
        if v or first:
            mixed = (int(v & 0xFFFFFFFFFFFF) + count) * 0x9E3779B97F4A7C15
            v += ((mixed >> 40) % 5 - 2) << shift
        moved.append(v)
    return moved
