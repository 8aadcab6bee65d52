"""Full-batch gradient descent of an experiment, in chunks that a kill can interrupt.

One compiled function makes any number of steps; how the steps are divided into calls does not change a bit of the
result.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from symflow.analysis.experiments.checkpoints import Checkpoint
from symflow.caching import kept
from symflow.derivatives.derived import gradient
from symflow.dynamics.methods.gradient_descent import GradientDescent
from symflow.evaluate.jax import to_jax
from symflow.evaluate.jax_runtime import own_modes
from symflow.networks.objective import Objective
from symflow.paths.jax_steps import JaxSteps
from symflow.paths.loops import diverged

CALL_SECONDS = 0.5
"""About how long one call computes: an interruption is noticed between two calls."""
CHUNK_SECONDS = 5.0
"""Seconds between two checkpoints: what a kill loses at most."""

Advance = Callable[[np.ndarray, Fraction, int], np.ndarray]
Report = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class Iterates:
    """Iterates of descent on the grid.

    Attributes:
        states: (S, P) in the run's own precision.
        seconds: wall time, compilation and interruptions left out.
    """

    states: np.ndarray
    seconds: float


@kept
def stepper(objective: Objective, dtype: np.dtype) -> Advance:
    """(theta, eta, steps) -> theta after `steps` steps of descent, in float32 or float64; compiled once."""
    import jax

    steps, slope = (
        JaxSteps(GradientDescent(), objective.parameter_count, dtype),
        to_jax(gradient(objective), dtype=dtype),
    )
    compiled = jax.jit(
        lambda theta, eta, gap: steps.march(lambda at, _: slope(at), steps.start(theta), eta, gap)[0][-1]
    )

    def advance(theta: np.ndarray, eta: Fraction, steps: int) -> np.ndarray:
        with own_modes(x64=bool(dtype == np.float64)):
            return np.asarray(compiled(theta, dtype.type(float(eta)), np.array([steps], dtype=np.int32)))

    return advance


def descend_in_chunks(
    advance: Advance,
    start: np.ndarray,
    step_size: Fraction,
    indices: np.ndarray,
    checkpoint: Checkpoint,
    report: Report,
    chunk_seconds: float = CHUNK_SECONDS,
) -> Iterates:
    """theta_{k+1} = theta_k - eta grad f(theta_k), kept at the steps `indices`; continues from a checkpoint.

    Args:
        advance: from `stepper`.
        start: theta_0, shape (P,), of the dtype to compute in.
        step_size: eta.
        indices: increasing steps, beginning with 0.
        checkpoint: where the state is kept.
        report: told the fraction that is done after each call.
        chunk_seconds: wall time between two checkpoints.

    Raises:
        DescentDiverged: values that are no longer finite.
    """
    theta, step, kept, seconds = start, 0, [start], 0.0
    found = checkpoint.read()
    if found is not None:
        theta, step, kept = found["theta"], int(found["step"]), list(found["states"])
        seconds = float(found["seconds"])
    last, written = int(indices[-1]), time.perf_counter()
    size = 1

    def save() -> None:
        checkpoint.write({"theta": theta, "step": step, "states": np.stack(kept), "seconds": seconds})

    try:
        while step < last:
            steps = min(size, int(indices[len(kept)]) - step)
            began = time.perf_counter()
            moved = advance(theta, step_size, steps)
            ended = time.perf_counter()
            # one assignment, so that an interruption finds a whole state
            theta, step, kept, seconds = (
                moved,
                step + steps,
                [*kept, moved] if step + steps == indices[len(kept)] else kept,
                seconds + (ended - began if size > 1 else 0.0),
            )
            if not np.isfinite(theta).all():
                raise diverged(step, step_size, GradientDescent())
            size = max(2, min(4 * size, int(steps * CALL_SECONDS / max(ended - began, 1e-9))))
            report(step / last)
            if ended - written >= chunk_seconds:
                save()
                written = time.perf_counter()
    except KeyboardInterrupt:
        save()
        raise
    if found is None or int(found["step"]) < last:
        save()
    return Iterates(np.stack(kept), seconds)
