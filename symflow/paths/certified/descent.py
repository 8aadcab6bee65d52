r"""Descent in balls: every iterate with a proved error.

The recursion is computed from the exact start with the exact step size: in FLINT's balls or, many steps in one call,
by the compiled kernel, with a radius for each fixed-point number (`evaluate.native.loops.kernel` argues it). Gates are
decided only where all numbers of a pre-activation are on one side of 0, and the radius at the end of a step is its
proved error. Radii grow as ||I + eta |H||| allows, entry by entry; bits are cheap, so that a run whose radii are too
large, or are going to be, is made again with more. Where that would take too many, errors are folded by R3
(`folded_descent`), which knows that they contract where descent does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, partial
from math import ceil, frexp, log2

import mpmath
import numpy as np
from flint import arb
from gmpy2 import mpz

from symflow.errors import GateUndecided
from symflow.evaluate.ball_code import unrolled_balls
from symflow.evaluate.balls import GATE_REFUSED, ball_arithmetic
from symflow.evaluate.native.loops.writer import Written
from symflow.networks.objective import Objective
from symflow.numbers.balls import Ball, around, ball, ball_precision, exact_mpf, midpoint
from symflow.numbers.fixed_point import to_mpf
from symflow.numbers.types import Mpf
from symflow.paths.certified.folded_descent import TUBE, errors, march, one_row
from symflow.paths.certified.linear_methods import step_map
from symflow.paths.fixed_descent import Seen
from symflow.paths.loops import DIVERGED_BITS, MethodStep, Steps, interpreted
from symflow.paths.native_steps import NativeSteps, written_step
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
LOOK = 64
"""Steps before the growth of radii is extrapolated."""
FOLDED_ATTEMPTS = 3
FAST_BITS = 1000
"""Up to so many bits the kernel is faster than what folds errors, balls with few bits."""
MOST_PARAMETERS = 300
"""Largest Hessians whose spectra are bounded."""
LEAST = -(1 << 60)
"""The binary logarithm of 0, for comparisons."""
UNDECIDED = "whether a pre-activation at step {} is >= 0 could not be decided"


@dataclass(frozen=True)
class BallRun:
    """A run in balls.

    Attributes:
        states: the kept states, theta_k and what the method carries: the midpoints.
        error: the largest radius.
        bits: of the numbers.
    """

    states: list[list[Mpf]]
    error: Mpf
    bits: int


@dataclass(frozen=True)
class Refused:
    """Why a run has no proved error."""

    reason: str


class _TooWide(Exception):
    """A run that needs more bits: `bits`, as far as can be told; `grows` where that is because the radii do."""

    def __init__(self, bits: int, reason: str, *, grows: bool) -> None:
        super().__init__(reason)
        self.bits, self.reason, self.grows = bits, reason, grows


@dataclass(frozen=True)
class Asked:
    """What is run.

    Attributes:
        steps: what is repeated.
        theta0: the start.
        indices: which iterates to keep, from 0 to the last.
        dps: digits.
        seen: told of every step.
    """

    steps: Steps
    theta0: Sequence[Fraction]
    indices: Sequence[int]
    dps: int
    seen: Seen | None = None

    @cached_property
    def written(self) -> Written | None:
        """One step for the kernel; None where there is none, and where Python computes functions: balls are faster."""
        found = written_step(self.steps)
        return None if found is None or found.calls else found

    def start(self, bits: int) -> tuple[MethodStep, list[Ball]]:
        """The step and the state at the start, with `bits` bits."""
        with ball_precision(bits):
            state = [ball(q) for q in self.theta0] + [arb(0)] * self.steps.carried
            return self.steps.compiled(compiled, ball), state


def certified_states(asked: Asked, bits: int) -> BallRun | Refused:
    """The kept states with radii of at most 10^-dps max(1, |value|); the first run has `bits` bits."""
    largest, reason = FOLD * bits + 512, ""
    folded = False
    for attempt in range(ATTEMPTS):
        try:
            return _run(asked, bits)
        except _TooWide as failed:
            reason = failed.reason
            fast = asked.written is not None and failed.bits <= FAST_BITS
            if failed.grows and not folded and not fast and (attempt or failed.bits > 1.5 * bits):
                folded, found = True, _folded(asked, bits)
                if found is not None:
                    return found
            bits = failed.bits
            if bits > largest:
                break
    return Refused(reason)


def _folded(asked: Asked, bits: int) -> BallRun | None:
    """The same with errors by R3; None where that gives none."""
    objective, method = asked.steps.objective, asked.steps.method
    steps = None if method.batches else step_map(method, asked.steps.eta)
    if steps is None or objective.parameter_count > MOST_PARAMETERS:
        return None
    goal = arb(10) ** -asked.dps
    tube = (TUBE * goal).mid()
    largest = FOLD * bits + 512
    for _ in range(FOLDED_ATTEMPTS):
        step, start = asked.start(bits)
        try:
            with ball_precision(bits):
                decided = gates_decided(objective)
            run = march(step, decided, start, asked.indices, bits, tube, asked.seen)
        except GateUndecided:  # a narrower tube, and the errors that it allows
            tube, bits = (tube * arb(2) ** -64).mid(), bits + 64
            continue
        found = errors(objective, steps, run, tube)
        if found is None:
            return None
        with ball_precision(bits):
            states = [[around(x, e) for x in kept.state] for kept, e in zip(run.kept, found.kept, strict=True)]
            width = max((x.rad() for state in states for x in state), default=arb(0))
            beyond = max(found.used, (width / min(goal.lower(), tube)).abs_upper())
            if beyond <= 1:
                return _of_balls(states, bits)
            bits += _exponent(beyond) + MARGIN
        if bits > largest:
            return None
    return None


def _of_balls(states: list[list[Ball]], bits: int) -> BallRun:
    largest = max((x.rad() for state in states for x in state), default=arb(0))
    return BallRun([[midpoint(x) for x in state] for state in states], exact_mpf(largest), bits)


def _run(asked: Asked, bits: int) -> BallRun:
    """One run: by the kernel, or in balls where it can't.

    Raises:
        _TooWide: the radii become, or are going to be, too large.
    """
    return _native(asked, bits) or _of_balls(_in_balls(asked, bits), bits)


def _in_balls(asked: Asked, bits: int) -> list[list[Ball]]:
    """The kept states, step by step.

    Raises:
        _TooWide: see `_run`.
    """
    step, state = asked.start(bits)
    found, wanted, last, k = [state], set(asked.indices), asked.indices[-1], 0
    watch = _Watch(bits, asked.dps, last)
    while k < last:
        with ball_precision(bits):  # other threads take their turn between the blocks
            first = k
            for k in range(first + 1, min(first + BLOCK, last) + 1):
                try:
                    state = step(state, k - 1)
                except GateUndecided:
                    raise watch.undecided(k) from None
                if k in wanted:
                    found.append(state)
                if asked.seen is not None:
                    asked.seen(k, 1, partial(one_row, state))
            watch.balls(k, state)
    return found


def _native(asked: Asked, bits: int) -> BallRun | None:
    """The same by the kernel, in fixed point with a radius for each number; None where it can't.

    Raises:
        _TooWide: see `_run`.
    """
    if asked.written is None:
        return None
    start = [*asked.theta0, *[Fraction(0)] * asked.steps.carried]
    native = NativeSteps(asked.written, start, bits, balls=True)
    found, wanted, last, k = [native.state], set(asked.indices), asked.indices[-1], 0
    watch, largest = _Watch(bits, asked.dps, last), max(native.radii, default=0.0)
    while k < last:
        block = native.advance(last - k)
        if block is None:
            return None
        chosen = [i for i in range(len(block)) if k + 1 + i in wanted]
        kept, radii = block.integers(chosen), block.radii[chosen]
        found += kept
        largest = max(largest, float(radii.max(initial=0.0)))
        if asked.seen is not None and len(block):
            asked.seen(k + 1, len(block), block.floats)
        k += len(block)
        if block.failure == "undecided":
            raise watch.undecided(k + 1)
        watch.radii(k, [*radii.tolist(), native.radii], [*kept, native.state])
    states = [[to_mpf(v, bits) for v in state] for state in found]
    return BallRun(states, mpmath.ldexp(mpmath.mpf(largest), -bits), bits)


@dataclass(frozen=True)
class _Watch:
    """Looks at the radii after k of `last` steps."""

    bits: int
    dps: int
    last: int

    def balls(self, k: int, state: Sequence[Ball]) -> None:
        """Looks at those of balls.

        Raises:
            _TooWide: they are too large, or will be at the end if they grow on as they did.
        """
        limit = arb(2) ** max(DIVERGED_BITS, self.bits)
        width = arb(0)
        for x in state:
            if not x.is_finite() or not abs(x) < limit:
                raise _TooWide(2 * self.bits, f"the iterates leave all bounds at step {k}", grows=False)
            width = max(width, x.rad() if abs(x.mid()) <= 1 else (x.rad() / x.mid()).abs_upper())
        self._judge(k, _exponent(width))

    def radii(self, k: int, radii: Sequence[Sequence[float]], states: Sequence[Sequence[mpz]]) -> None:
        """The same of some states with radii in units of the last place.

        Raises:
            _TooWide: see `balls`.
        """
        try:
            self._judge(k, self._exponent(max(map(max, radii))))
        except _TooWide:  # by the absolute error, which may be small next to the numbers
            pairs = [pair for r, v in zip(radii, states, strict=True) for pair in zip(r, v, strict=True)]
            self._judge(k, max(self._exponent(r) - max(0, v.bit_length() - 1 - self.bits) for r, v in pairs))

    def _exponent(self, radius: float) -> int:
        return frexp(radius)[1] - self.bits if radius else LEAST

    def undecided(self, k: int) -> _TooWide:
        """What is raised where the side of a gate can't be told in step k."""
        return _TooWide(self.bits + max(64, self.bits // 2), UNDECIDED.format(k), grows=False)

    def _judge(self, k: int, exponent: int) -> None:
        goal = -ceil(self.dps * log2(10)) - 1
        grown, foreseen = exponent + self.bits, exponent
        if exponent > goal or (LOOK <= k < self.last / 2 and 16 * k >= self.last):
            summed = log2(k) + 8  # what the roundings of k steps come to where nothing grows
            foreseen = max(exponent, int((grown - summed) * self.last / k + summed + 8) - self.bits)
        if exponent > goal or foreseen > goal + MARGIN:
            reason = f"the proved error grows by 2^{grown} in {k} of {self.last} steps"
            raise _TooWide(self.bits + foreseen - goal + 2 * MARGIN, reason, grows=True)


def _exponent(x: Ball) -> int:
    """The least e with x <= 2^e for an exact x >= 0."""
    mantissa, exponent = (int(v) for v in x.man_exp())
    return mantissa.bit_length() + exponent if mantissa else LEAST


def compiled(
    program: Program, data: Mapping[Input, np.ndarray], inputs: Sequence[Input]
) -> Callable[..., Sequence[Ball]]:
    """A program as a function of balls, at the working precision."""
    written = unrolled_balls(program, data, inputs)
    if written is not None:
        return written
    known = {x: np.asarray(np.frompyfunc(ball, 1, 1)(a), dtype=object) for x, a in data.items()}
    return partial(interpreted, program, known, inputs, ball_arithmetic())


def gates_decided(objective: Objective) -> Callable[[Sequence[Ball]], None] | None:
    """What refuses parameters whose pre-activations may be on either side of 0; None without gates."""
    if not objective.gates:
        return None
    program = Program(objective.program.inputs, {str(i): g.z for i, g in enumerate(objective.gates)})
    pre_activations = compiled(program, objective.data, objective.parameters)

    def decided(theta: Sequence[Ball]) -> None:
        if not all(z >= 0 or z < 0 for z in pre_activations(*theta)):
            raise GateUndecided(GATE_REFUSED)

    return decided
