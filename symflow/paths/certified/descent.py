r"""Descent in balls: every iterate with a proved error.

The recursion is computed in balls from the exact start with the exact step size, gates are decided only where the ball
of a pre-activation is on one side of 0, and the radius at the end of a step is its proved error. Radii grow at most as
||I - eta |H||| allows, entry by entry, not as errors themselves do; bits are cheap, so that a run whose radii come out
too large, or are going to, is made again with as many bits more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from math import ceil, log2

import numpy as np
from flint import arb

from symflow.dynamics.method import Method
from symflow.errors import GateUndecided
from symflow.evaluate.ball_code import unrolled_balls
from symflow.evaluate.balls import ball_arithmetic
from symflow.networks.objective import Objective
from symflow.numbers.balls import Ball, ball, ball_precision
from symflow.numbers.types import Mpf
from symflow.paths.loops import DIVERGED_BITS, interpreted, method_step
from symflow.programs.nodes import Input
from symflow.programs.program import Program

ATTEMPTS = 6
"""Most runs, each with more bits than the one before."""
BLOCK = 16
"""Steps between looks at the radii."""
FOLD = 8
"""At most this many times the bits that the digits need are taken, and a few hundred."""
MARGIN = 8
"""Bits that a run may lack before it is given up early; more are then taken than it lacked."""
LEAST = -(1 << 60)
"""The binary logarithm of 0, for comparisons."""
UNDECIDED = "whether a pre-activation at step {} is >= 0 could not be decided"


@dataclass(frozen=True)
class BallRun:
    """A run in balls.

    Attributes:
        states: the kept states, theta_k and what the method carries, as balls.
        bits: of the numbers.
    """

    states: list[list[Ball]]
    bits: int


@dataclass(frozen=True)
class Refused:
    """Why a run has no proved error."""

    reason: str


class _TooWide(Exception):
    """A run that needs more bits; `bits` is how many, as far as can be told."""

    def __init__(self, bits: int, reason: str) -> None:
        super().__init__(reason)
        self.bits, self.reason = bits, reason


Seen = Callable[[int, list[Ball]], None]


def certified_states(
    objective: Objective,
    method: Method,
    theta0: Sequence[Fraction],
    eta: Fraction,
    indices: Sequence[int],
    bits: int,
    dps: int,
    seen: Seen | None = None,
) -> BallRun | Refused:
    """The kept states with radii of at most 10^-dps max(1, |value|).

    Args:
        objective: what is minimized.
        method: the recursion.
        theta0: the start.
        eta: the step size.
        indices: which iterates to keep, from 0 to the last.
        bits: of the first run.
        dps: digits.
        seen: told every step and its state.
    """
    largest, reason = FOLD * bits + 512, ""
    for _ in range(ATTEMPTS):
        try:
            return BallRun(_run(objective, method, theta0, eta, indices, bits, dps, seen), bits)
        except _TooWide as failed:
            reason, bits = failed.reason, failed.bits
            if bits > largest:
                break
    return Refused(reason)


def _run(
    objective: Objective,
    method: Method,
    theta0: Sequence[Fraction],
    eta: Fraction,
    indices: Sequence[int],
    bits: int,
    dps: int,
    seen: Seen | None,
) -> list[list[Ball]]:
    """One run.

    Raises:
        _TooWide: the radii become, or are going to be, too large.
    """
    with ball_precision(bits):
        state = [ball(q) for q in theta0] + [arb(0)] * (len(theta0) * len(method.carries))
        step = _ball_step(objective, method, eta)
    found, wanted, last, k = [state], set(indices), indices[-1], 0
    watch = _Watch(bits, dps, last)
    while k < last:
        with ball_precision(bits):  # other threads take their turn between the blocks
            for k in range(k + 1, min(k + BLOCK, last) + 1):
                try:
                    state = step(state)
                except GateUndecided:
                    raise _TooWide(bits + max(64, bits // 2), UNDECIDED.format(k)) from None
                if k in wanted:
                    found.append(state)
                if seen is not None:
                    seen(k, state)
            watch(k, state)
    return found



@dataclass(frozen=True)
class _Watch:
    """Looks at the radii after k of `last` steps."""

    bits: int
    dps: int
    last: int

    def __call__(self, k: int, state: Sequence[Ball]) -> None:
        """Raises:
        _TooWide: they are too large, or will be at the end if they grow on as they did.
        """
        limit = arb(2) ** max(DIVERGED_BITS, self.bits)
        width = arb(0)
        for x in state:
            if not x.is_finite() or not abs(x) < limit:
                raise _TooWide(2 * self.bits, f"the iterates leave all bounds at step {k}")
            width = max(width, x.rad() if abs(x.mid()) <= 1 else (x.rad() / x.mid()).abs_upper())
        exponent, goal = _exponent(width), -ceil(self.dps * log2(10)) - 1
        grown, foreseen = exponent + self.bits, exponent
        if 256 <= k < self.last / 2 and 16 * k >= self.last:
            summed = log2(k) + 8  # what the roundings of k steps come to where nothing grows
            foreseen = max(exponent, int((grown - summed) * self.last / k + summed + 8) - self.bits)
        if exponent > goal or foreseen > goal + MARGIN:
            reason = f"the proved error grows by 2^{grown} in {k} of {self.last} steps"
            raise _TooWide(self.bits + foreseen - goal + 2 * MARGIN, reason)


def _exponent(x: Ball) -> int:
    """The least e with x <= 2^e for an exact x >= 0."""
    mantissa, exponent = (int(v) for v in x.man_exp())
    return mantissa.bit_length() + exponent if mantissa else LEAST


def largest_radius(states: Sequence[Sequence[Ball]]) -> Mpf:
    """The largest radius of any entry."""
    from symflow.numbers.balls import exact_mpf

    return exact_mpf(max((x.rad() for state in states for x in state), default=arb(0)))


def _ball_step(objective: Objective, method: Method, eta: Fraction) -> Callable[[list[Ball]], list[Ball]]:
    """The step in balls, at the working precision."""
    arithmetic = ball_arithmetic()

    def compiled(
        program: Program, data: Mapping[Input, np.ndarray], inputs: Sequence[Input]
    ) -> Callable[..., Sequence[Ball]]:
        written = unrolled_balls(program, data, inputs)
        if written is not None:
            return written
        known = {x: np.asarray(np.frompyfunc(ball, 1, 1)(a), dtype=object) for x, a in data.items()}
        return partial(interpreted, program, known, inputs, arithmetic)

    return method_step(objective, method, eta, compiled)
