"""Derived results at many points at once, whatever mode JAX is in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from symflow.derivatives.derived import Derived
from symflow.evaluate.jax_batches import at_points, in_batches
from symflow.evaluate.jax_runtime import own_modes
from symflow.networks.objective import Objective


def evaluate_batch(objective: Objective, derive: Callable[[Objective], Derived], points: np.ndarray) -> np.ndarray:
    """A derived result (`loss`, `gradient`, `hessian`) at S points, in float64 through JAX; the first axis is S."""
    with own_modes():
        return in_batches(at_points(objective, derive), points)
