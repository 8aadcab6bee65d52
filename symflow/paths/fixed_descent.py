"""Descent in fixed point: by the compiled kernel, many steps in one call, or number by number in Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import partial
from math import ceil
from typing import Protocol, TypeAlias

import numpy as np
from gmpy2 import mpz

from symflow.errors import ComputationError
from symflow.evaluate.fixed_point import FixedArrays
from symflow.evaluate.scalar_code import unrolled
from symflow.numbers.fixed_point import from_fraction, to_float
from symflow.paths.loops import DIVERGED_BITS, MethodStep, Steps, diverged, interpreted
from symflow.paths.native_steps import NativeSteps, written_step
from symflow.programs.nodes import Input
from symflow.programs.program import Program

SHAKES = 16
"""How often the second run is moved by what the first one may have lost since the last time."""
MOVES = (1, -2, 3, -1, 2, -3)
"""By how many times what is lost the components are moved in turn."""
GROWN_BITS = 30
"""A parameter above 2^30 where the gradient cannot be computed any more has diverged."""
LONGEST_LITERAL = 10_000
"""Most bits of a number that is written into Python source, which has no longer ones."""
Seen: TypeAlias = Callable[[int, int, Callable[[], np.ndarray]], None]
"""Told the first of some steps, how many they are, and what gives their states in float64, a row each."""


class Block(Protocol):
    """States after steps that follow each other."""

    def __len__(self) -> int: ...

    def integers(self, steps: Sequence[int]) -> list[list[mpz]]:
        """The numbers of some of the steps, from 0."""

    def floats(self) -> np.ndarray:
        """All of them in float64."""


class _One:
    """A state from Python."""

    def __init__(self, state: list[mpz], bits: int) -> None:
        self._state, self._bits = state, bits

    def __len__(self) -> int:
        return 1

    def integers(self, steps: Sequence[int]) -> list[list[mpz]]:
        return [self._state for _ in steps]

    def floats(self) -> np.ndarray:
        return np.array([[to_float(v, self._bits) for v in self._state]])


class _Walker:
    """Steps from the start: the kernel's as long as it can, then Python's."""

    def __init__(self, steps: Steps, theta0: Sequence[Fraction], bits: int) -> None:
        start = [*theta0, *[Fraction(0)] * steps.carried]
        self.steps, self.bits = steps, bits
        self.state = [from_fraction(q, bits) for q in start]
        written = written_step(steps)
        self._native = None if written is None else NativeSteps(written, start, bits, balls=False)
        self._step: MethodStep | None = None
        self._limit = mpz(1) << (bits + max(DIVERGED_BITS, bits))

    def __call__(self, k: int, count: int) -> Block:
        """The states after the steps k + 1, ...: at most `count`, at least one."""
        if self._native is not None:
            found = self._native.advance(count)
            if found is not None and len(found):
                (self.state,) = found.integers([len(found) - 1])
                return found
            self._native = None
        self._python(k + 1)
        return _One(self.state, self.bits)

    def _python(self, k: int) -> None:
        """Step k in Python.

        Raises:
            DescentDiverged: an iterate leaves all bounds.
            ComputationError: the gradient is not finite.
        """
        self._step = self._step or _fixed_step(self.steps, self.bits)
        try:
            state = self._step(self.state, k - 1)
        except ComputationError as beyond:
            if max(map(abs, self.state)) < mpz(1) << (self.bits + GROWN_BITS):  # not grown: the objective ends there
                raise
            raise diverged(k, self.steps.eta, self.steps.method) from beyond
        if max(state) > self._limit or min(state) < -self._limit:
            raise diverged(k, self.steps.eta, self.steps.method)
        self.state = state

    def move(self, lost: mpz | int, turn: int) -> None:
        """Moves nonzero components by a few times what is lost."""
        self.state = [v + MOVES[(i + turn) % len(MOVES)] * lost if v else v for i, v in enumerate(self.state)]
        if self._native is not None:
            self._native.move(self.state)


def fixed_states(
    steps: Steps,
    theta0: Sequence[Fraction],
    indices: Sequence[int],
    bits: int,
    *,
    shaken: int | None = None,
    seen: Seen | None = None,
) -> list[list[mpz]]:
    """The kept states in fixed point: theta_k and what the method carries, one after the other.

    Args:
        steps: what is repeated.
        theta0: the start.
        indices: which iterates to keep.
        bits: after the point.
        shaken: move the states now and then by a few times what velocities with so many bits less lose between two
            such times, nonzero components alone, so that exact zeros and the kinks of the start stay.
        seen: told of every step.

    Raises:
        DescentDiverged: an iterate leaves all bounds.
        ComputationError: the gradient is not finite.
    """
    walker = _Walker(steps, theta0, bits)
    found, wanted, k = [walker.state], set(indices), 0
    between = -(-steps.count // SHAKES)
    lost = 0 if shaken is None else max(1, ceil(steps.eta * (steps.method.speed or 1) * between)) << shaken
    while k < steps.count:
        to_shake = -k % between + 1 if lost else steps.count
        block = walker(k, min(to_shake, steps.count - k))
        chosen = [i for i in range(len(block)) if k + 1 + i in wanted]
        states = block.integers(chosen)
        if lost and len(block) == to_shake:
            walker.move(lost, (k + to_shake) // between)
            if chosen[-1:] == [to_shake - 1]:
                states[-1] = walker.state
        found += states
        if seen is not None:
            seen(k + 1, len(block), block.floats)
        k += len(block)
    return found


def _fixed_step(steps: Steps, bits: int) -> MethodStep:
    """The step in fixed point."""
    arithmetic, eta = FixedArrays(bits), steps.eta
    short = max(eta.numerator.bit_length(), eta.denominator.bit_length()) < LONGEST_LITERAL

    def compiled(
        program: Program, data: Mapping[Input, np.ndarray], inputs: Sequence[Input]
    ) -> Callable[..., Sequence[mpz]]:
        known = {x: arithmetic.lift(a) for x, a in data.items()}
        written = unrolled(program, known, inputs, bits) if short or known else None
        return written or partial(interpreted, program, known, inputs, arithmetic)

    return steps.compiled(compiled, partial(from_fraction, bits=bits))
