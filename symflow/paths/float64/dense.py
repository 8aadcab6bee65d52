"""The state between two step ends: one step of the same method from the earlier one."""

from __future__ import annotations

import numpy as np

from symflow.evaluate.jax_batches import in_batches
from symflow.evaluate.jax_runtime import own_modes
from symflow.networks.objective import Objective
from symflow.paths.float64.methods import stepper


def dense_output(
    objective: Objective, solver: str, knots: np.ndarray, states: np.ndarray, times: np.ndarray
) -> np.ndarray:
    """The states at times within the knots: one step of the method from the last knot before."""
    before = np.searchsorted(knots, times, side="right") - 1
    values: np.ndarray = states[before]
    between = knots[before] < times
    if between.any():
        with own_modes():
            sizes = times[between] - knots[before[between]]
            values[between] = in_batches(stepper(objective, solver), values[between], sizes)
    return values
