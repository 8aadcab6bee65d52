"""Steps of descent by the compiled kernel, many in one call: the integers of fixed point, with radii where wanted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from gmpy2 import mpz

from symflow.dynamics.method import THETA, recursion
from symflow.dynamics.vector_field import gradient_flow_field
from symflow.evaluate.interpret import interpret
from symflow.evaluate.native.compiled import compiled_loops
from symflow.evaluate.native.loops.loop import NativeLoop, States, exact, words_of
from symflow.evaluate.native.loops.writer import LoopWriter, Unwritten, Written
from symflow.numbers.fixed_point import from_fraction
from symflow.paths.loops import Steps
from symflow.programs.program import entries, operation_count, shape_of

WIDENINGS = 4
"""How often numbers get 64 bits more before the point."""
MOST_OPERATIONS = 1_000_000
"""Larger programs take long to write down."""
LEAST_OPERATIONS = 40_000
"""Of shorter runs Python's steps take less time (some milliseconds) than writing the program for the kernel."""
FIRST = 2
"""Steps of the first call; of each call twice as many as before, until one takes longer than `PATIENCE`, in seconds."""
PATIENCE = 0.05


def written_step(steps: Steps) -> Written | None:
    """One step of a method on its whole state as a program of the kernel; None where that, or the kernel, can't be."""
    if steps.method.batches is not None:
        return None
    count, field = steps.objective.parameter_count, gradient_flow_field(steps.objective)
    size = operation_count(field.program)
    if size > MOST_OPERATIONS or size * steps.count < LEAST_OPERATIONS or compiled_loops() is None:
        return None
    programs = recursion(steps.method, count, steps.eta)
    writer = LoopWriter(count + steps.carried)
    places = np.arange(count + steps.carried)
    ends = np.cumsum([entries(x.axes) for x in programs.state])[:-1]
    parts = zip(programs.state, np.split(places, ends), strict=True)
    state = {x: part.reshape(shape_of(x.axes)) for x, part in parts}
    try:
        point = interpret(programs.point, state, writer)[THETA]
        data = {x: writer.lift(a) for x, a in steps.objective.data.items()}
        slopes = interpret(field.program, data | field.cut(point), writer)
        direction = np.concatenate([a.reshape(-1) for a in slopes.values()])
        found = interpret(programs.step, state | {programs.direction: direction}, writer)
        return writer.finish(np.concatenate([a.reshape(-1) for a in found.values()]))
    except Unwritten:
        return None


class NativeSteps:
    """Steps by the kernel, of numbers that become wider where that is needed.

    Args:
        written: one step.
        start: the state, exactly.
        bits: after the point.
        balls: whether each number has a radius within which the true one is.
    """

    def __init__(self, written: Written, start: Sequence[Fraction], bits: int, *, balls: bool) -> None:
        self._written, self._bits, self._balls = written, bits, balls
        self._more, self._chunk = 0, FIRST
        self._loop: NativeLoop | None = None
        self.state = [from_fraction(q, bits) for q in start]
        self.radii = [float(not exact(q, bits)) for q in start]

    def advance(self, count: int) -> States | None:
        """The next states, at most `count`; less, or None, where the kernel can't go on."""
        while True:
            found = self._tried(count)
            if found is not None and (len(found) or found.failure == "undecided"):
                return found
            self._more, self._loop = self._more + 1, None
            if self._more > WIDENINGS:
                return None

    def _tried(self, count: int) -> States | None:
        kernel = compiled_loops()
        assert kernel is not None
        try:
            if self._loop is None:
                limbs = words_of(self._bits, self._more)
                self._loop = NativeLoop(kernel, self._written, self._bits, limbs, balls=self._balls)
            self._loop.start(self.state, self.radii)
        except OverflowError:
            return None
        clock = time.perf_counter()
        found = self._loop.advance(min(count, self._chunk))
        if time.perf_counter() - clock < PATIENCE:
            self._chunk *= 2
        if len(found):
            (self.state,), self.radii = found.integers([len(found) - 1]), found.radii[-1].tolist()
        return found

    def move(self, state: list[mpz]) -> None:
        """Continues from another state."""
        self.state = state
