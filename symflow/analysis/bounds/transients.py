"""The part of a run of descent that dies out: the distance of its iterates from the method's slow manifold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symflow.dynamics.modified.transient import transient
from symflow.evaluate.object_arrays import evaluate_mpmath
from symflow.networks.objective import Objective
from symflow.paths.trajectory import Trajectory

GUARD = 15
"""Digits beyond those of the run."""


def transients(run: Trajectory, objective: Objective, indices: Sequence[int], order: int) -> np.ndarray | None:
    """theta_k - pi(theta_k, v_k) up to eta^order at some steps.

    Args:
        run: of descent, with digits, these steps kept.
        objective: f in its cheapest form.
        indices: the steps k.
        order: the highest power of eta.

    Returns:
        Shape (S, P), of mpf; None for a method that carries nothing.

    Raises:
        ProblemError: a method that has no modified equation by trees.
    """
    formula = transient(objective, run.method, order, run.step_size)
    if formula is None:
        return None
    rows = {k: i for i, k in enumerate(run.indices)}
    digits = (run.dps or 17) + GUARD
    found = [evaluate_mpmath(formula, run.iterates[rows[k]], run.velocity[rows[k]], dps=digits) for k in indices]
    return np.array(found, dtype=object)
