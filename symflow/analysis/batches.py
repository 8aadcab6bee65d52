"""Derived results at many points at once, in float64 through JAX."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from symflow.compile.quick import at_points
from symflow.symbolic.derived import Derived
from symflow.symbolic.objective import Objective

BATCH = 64
"""Points evaluated at once; a fixed number, so that one compilation serves every trajectory of an objective."""


def evaluate_batch(objective: Objective, derive: Callable[[Objective], Derived], points: np.ndarray) -> np.ndarray:
    """A derived result (`loss`, `gradient`, `hessian`) at S points, in float64 through JAX; the first axis is S."""
    import jax

    rows = []
    with jax.enable_x64(True):
        function = at_points(objective, derive)
        for start in range(0, len(points), BATCH):
            chunk = points[start : start + BATCH]
            padded = np.concatenate([chunk, np.repeat(chunk[-1:], BATCH - len(chunk), axis=0)])
            rows.append(np.asarray(function(padded))[: len(chunk)])
    return np.concatenate(rows)
