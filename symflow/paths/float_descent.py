"""Short runs of descent in float64, number by number in Python: they end before JAX is loaded and has compiled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from symflow.derivatives.derived import gradient
from symflow.dynamics.method import recursion
from symflow.evaluate.float_code import unrolled_floats
from symflow.evaluate.numpy_batches import known_to_numpy
from symflow.paths.loops import MethodStep, Steps, step_loss
from symflow.programs.nodes import Input, LogSumExp, Map
from symflow.programs.program import Program, entries, operation_count

MOST_OPERATIONS = 5_000
"""Larger gradients take longer to write down number by number than JAX takes to compile them."""
MOST_IN_ALL = 4_000_000
"""Operations of a run that takes half as long as JAX's compilation (0.06 s)."""
A_CALL = 200
"""How many operations an elementary function takes as long as."""


def float_step(steps: Steps) -> MethodStep | None:
    """The step over floats; None for longer runs, which JAX makes faster, and where NumPy lacks a function.

    Raises:
        ProblemError: batches that the data do not have.
        OverflowError: a number beyond float64.
    """
    slope = gradient(step_loss(steps.objective, steps.method)).program
    programs = slope, recursion(steps.method, steps.objective.parameter_count, steps.eta).step
    operations, calls = sum(map(operation_count, programs)), sum(map(_calls, programs))
    if operations > MOST_OPERATIONS or (operations + A_CALL * calls) * steps.count > MOST_IN_ALL:
        return None
    if not all(map(known_to_numpy, programs)):
        return None
    return steps.compiled(_written, float)


def _calls(program: Program) -> int:
    """How many elementary functions are evaluated."""
    return sum(entries(x.arguments[0].axes) for x in program.nodes if isinstance(x, Map | LogSumExp))


def _written(
    program: Program, data: Mapping[Input, np.ndarray], inputs: Sequence[Input]
) -> Callable[..., Sequence[float]]:
    found = unrolled_floats(program, data, inputs)
    assert found is not None
    return found


def float_states(
    steps: Steps, step: MethodStep, start: np.ndarray, indices: Sequence[int], nudge: np.ndarray | None = None
) -> np.ndarray:
    """The kept states, a row each: theta_k and what the method carries.

    Args:
        steps: what is repeated.
        step: one of them, from `float_step`.
        start: theta_0.
        indices: which iterates to keep.
        nudge: moves theta after every step by these relative amounts: a run that rounds differently.
    """
    state = [*start.tolist(), *[0.0] * steps.carried]
    factors = None if nudge is None else (1 + nudge).tolist()
    found, wanted = [state], set(indices)
    with np.errstate(all="ignore"):
        for k in range(steps.count):
            state = step(state, k)
            if factors is not None:
                state[: len(factors)] = [v * factor for v, factor in zip(state, factors, strict=False)]
            if k + 1 in wanted:
                found.append(state)
    return np.array(found)
