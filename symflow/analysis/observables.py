"""The series that theorists look at along a trajectory, in float64: loss, gradient, spectra, balancedness."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from symflow.analysis.balancedness import balancedness as imbalance
from symflow.symbolic.derived import Derived, gradient, hessian, loss
from symflow.symbolic.objective import Objective

MAX_DENSE_PARAMETERS = 256
"""Above this many parameters dense Hessians along a trajectory are not formed."""


@dataclass(frozen=True)
class Observables:
    """Values along S points theta of a trajectory (float64).

    Attributes:
        loss: f, shape (S,).
        gradient_norm: Euclidean norm of grad f, shape (S,).
        min_eigenvalue: smallest eigenvalue of the Hessian, shape (S,); None where P is too large.
        max_eigenvalue: its largest, likewise (the sharpness).
        end_to_end: W_n ... W_1, shape (S, d_n, d_0), for linear networks; else None.
        singular_values: of the end-to-end matrix, shape (S, min(d_0, d_n)); else None.
        balancedness: Frobenius norm of D_j = W_{j+1}^T W_{j+1} - W_j W_j^T for linear networks, Euclidean norm of
            its diagonal (per unit, per channel) otherwise (R10), shape (S, n-1); None without a network.
        reason: why the eigenvalues are missing, if they are.
    """

    loss: np.ndarray
    gradient_norm: np.ndarray
    min_eigenvalue: np.ndarray | None
    max_eigenvalue: np.ndarray | None
    end_to_end: np.ndarray | None
    singular_values: np.ndarray | None
    balancedness: np.ndarray | None
    reason: str | None


BATCH = 64
"""Points evaluated at once; a fixed number, so that one compilation serves every trajectory of an objective."""


@lru_cache(maxsize=48)
def _compiled(objective: Objective, derive: Callable[[Objective], Derived]) -> Callable[[np.ndarray], Any]:
    import jax

    from symflow.compile.jax import to_jax

    return jax.jit(jax.vmap(to_jax(derive(objective))))


def evaluate_batch(objective: Objective, derive: Callable[[Objective], Derived], points: np.ndarray) -> np.ndarray:
    """A derived result (`loss`, `gradient`, `hessian`) at S points, in float64 through JAX; the first axis is S."""
    import jax

    rows = []
    with jax.enable_x64(True):
        function = _compiled(objective, derive)
        for start in range(0, len(points), BATCH):
            chunk = points[start : start + BATCH]
            padded = np.concatenate([chunk, np.repeat(chunk[-1:], BATCH - len(chunk), axis=0)])
            rows.append(np.asarray(function(padded))[: len(chunk)])
    return np.concatenate(rows)


def hessian_spectrum(objective: Objective, points: np.ndarray) -> np.ndarray:
    """The eigenvalues of the Hessian at many points, ascending; shape (S, P).

    Raises:
        ValueError: P is over `MAX_DENSE_PARAMETERS`.
    """
    if objective.parameter_count > MAX_DENSE_PARAMETERS:
        raise ValueError(too_large(objective))
    return np.asarray(np.linalg.eigvalsh(evaluate_batch(objective, hessian, points)))


def too_large(objective: Objective) -> str:
    """Why dense Hessians are refused."""
    return (
        f"P = {objective.parameter_count} parameters are too many for dense Hessians along the trajectory "
        f"(at most {MAX_DENSE_PARAMETERS})"
    )


def gradients(objective: Objective, points: np.ndarray) -> np.ndarray:
    """grad f at many points, shape (S, P)."""
    return evaluate_batch(objective, gradient, points)


def observe(objective: Objective, points: np.ndarray) -> Observables:
    """Evaluates the observables at S points, an array of shape (S, P)."""
    spectrum, reason = None, None
    if objective.parameter_count <= MAX_DENSE_PARAMETERS:
        spectrum = hessian_spectrum(objective, points)
    else:
        reason = too_large(objective)
    end_to_end = singular = balancedness = None
    network = objective.network
    if network is not None:
        weights = [points[:, where].reshape(-1, *shape) for where, shape in objective.slices()]
        norms = []
        for a, b in itertools.pairwise(weights):
            pairs = zip(a, b, strict=True)
            norms.append(np.array([np.linalg.norm(imbalance(v, w, matrix=network.linear)) for v, w in pairs]))
        if network.linear:
            end_to_end = weights[0]
            for w in weights[1:]:
                end_to_end = w @ end_to_end
            singular = np.linalg.svd(end_to_end, compute_uv=False)
        balancedness = np.stack(norms, axis=1) if norms else np.zeros((len(points), 0))
    return Observables(
        loss=evaluate_batch(objective, loss, points),
        gradient_norm=np.linalg.norm(gradients(objective, points), axis=1),
        min_eigenvalue=None if spectrum is None else spectrum[:, 0],
        max_eigenvalue=None if spectrum is None else spectrum[:, -1],
        end_to_end=end_to_end,
        singular_values=singular,
        balancedness=balancedness,
        reason=reason,
    )
