"""Descent of an experiment, in chunks that a kill can interrupt.

One compiled function makes any number of steps; how the steps are divided into calls does not change a bit of the
result.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from symflow.analysis.experiments.checkpoints import Checkpoint
from symflow.caching import kept
from symflow.dynamics.method import Method
from symflow.evaluate.jax_runtime import own_modes
from symflow.networks.objective import Objective
from symflow.numbers.types import JaxArray
from symflow.paths.jax_steps import State, jax_slopes, jax_steps
from symflow.paths.loops import diverged
from symflow.progress import Reporter

CALL_SECONDS = 0.5
"""About how long one call computes: an interruption is noticed between two calls."""
CHUNK_SECONDS = 5.0
"""Seconds between two checkpoints: what a kill loses at most."""

Advance = Callable[[tuple[np.ndarray, ...], Fraction, int, int], tuple[np.ndarray, ...]]
"""(theta and what is carried, eta, the first step, how many) -> the same after these steps."""


@dataclass(frozen=True, eq=False)
class Iterates:
    """Iterates of descent on the grid.

    Attributes:
        states: (S, P) in the run's own precision.
        seconds: wall time, compilation and interruptions left out.
    """

    states: np.ndarray
    seconds: float


@dataclass(frozen=True, eq=False)
class Stepper:
    """A method's steps in float32 or float64, compiled once.

    Attributes:
        method: of descent.
        start: theta -> the state at the start.
        advance: of a run of so many steps.
    """

    method: Method
    start: Callable[[np.ndarray], tuple[np.ndarray, ...]]
    advance: Callable[[int], Advance]


@kept
def stepper(objective: Objective, method: Method, dtype: np.dtype) -> Stepper:
    """The steps of a method."""
    import jax

    steps, slopes = jax_steps(objective, method, dtype), jax_slopes(objective, method, dtype)

    def run(state: State, eta: JaxArray, gap: JaxArray, first: JaxArray, table: Any) -> State:
        return tuple(x[-1] for x in steps.march(slopes(steps, table), state, eta, gap, first=first))

    compiled = jax.jit(run)

    def start(theta: np.ndarray) -> tuple[np.ndarray, ...]:
        arrays, numbers = len(method.carries), len(method.counts)
        return (theta, *[np.zeros_like(theta)] * arrays, *[np.zeros((), dtype)] * numbers)

    def advance(count: int) -> Advance:
        table = slopes.table(count)

        def made(state: tuple[np.ndarray, ...], eta: Fraction, first: int, count: int) -> tuple[np.ndarray, ...]:
            with own_modes(x64=bool(dtype == np.float64)):
                gap, begin = np.array([count], dtype=np.int32), np.int32(first)
                found = compiled(state, dtype.type(float(eta)), gap, begin, table)
                return tuple(np.asarray(x) for x in found)

        return made

    return Stepper(method, start, advance)


def descend_in_chunks(
    stepper: Stepper,
    start: np.ndarray,
    step_size: Fraction,
    indices: np.ndarray,
    checkpoint: Checkpoint,
    report: Reporter,
    chunk_seconds: float = CHUNK_SECONDS,
) -> Iterates:
    """Descent, kept at the steps `indices`; continues from a checkpoint.

    Args:
        stepper: of the method, see `stepper`.
        start: theta_0, shape (P,), of the dtype to compute in.
        step_size: eta.
        indices: increasing steps, beginning with 0.
        checkpoint: where the state is kept.
        report: told the fraction that is done after each call.
        chunk_seconds: wall time between two checkpoints.

    Raises:
        DescentDiverged: values that are no longer finite.
    """
    state, step, kept, seconds = stepper.start(start), 0, [start], 0.0
    found = checkpoint.read()
    if found is not None:
        carried = [found[f"carried{i}"] for i in range(1, len(state))]
        state, step, kept = (found["theta"], *carried), int(found["step"]), list(found["states"])
        seconds = float(found["seconds"])
    last, written = int(indices[-1]), time.perf_counter()
    advance, size = stepper.advance(last), 1

    def save() -> None:
        carried = {f"carried{i}": x for i, x in enumerate(state) if i}
        checkpoint.write({"theta": state[0], **carried, "step": step, "states": np.stack(kept), "seconds": seconds})

    try:
        while step < last:
            steps = min(size, int(indices[len(kept)]) - step)
            began = time.perf_counter()
            moved = advance(state, step_size, step, steps)
            ended = time.perf_counter()
            # one assignment, so that an interruption finds a whole state
            state, step, kept, seconds = (
                moved,
                step + steps,
                [*kept, moved[0]] if step + steps == indices[len(kept)] else kept,
                seconds + (ended - began if size > 1 else 0.0),
            )
            if not np.isfinite(state[0]).all():
                raise diverged(step, step_size, stepper.method)
            size = max(2, min(4 * size, int(steps * CALL_SECONDS / max(ended - began, 1e-9))))
            report(step / last, step)
            if ended - written >= chunk_seconds:
                save()
                written = time.perf_counter()
    except KeyboardInterrupt:
        save()
        raise
    if found is None or int(found["step"]) < last:
        save()
    return Iterates(np.stack(kept), seconds)
