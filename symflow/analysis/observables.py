"""The series that theorists look at along a trajectory, in float64: loss, gradient, spectra, balancedness."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from symflow.analysis.eigenvalues import extreme_eigenvalues
from symflow.derivatives.derived import gradient, loss
from symflow.displays import displayed
from symflow.evaluate.derived_batches import evaluate_batch
from symflow.networks.objective import Objective
from symflow.numbers.decimal import counted
from symflow.numbers.vectors import norms
from symflow.paths.identities import balancedness as imbalance


@displayed
@dataclass(frozen=True)
class Observables:
    """f, ||grad f||, lambda(H), W_{n:1} and D_j at S points theta of a trajectory (float64).

    Where a flow slides along a kink f has neither gradient nor Hessian: their series are NaN there.

    Attributes:
        loss: f, shape (S,).
        gradient_norm: Euclidean norm of grad f, shape (S,).
        min_eigenvalue: smallest eigenvalue of the Hessian, shape (S,); None where P is too large.
        max_eigenvalue: largest eigenvalue of the Hessian (the sharpness), shape (S,); None where P is too large.
        eigenvalue_residual: the residual of both (`ExtremeEigenvalues`), shape (S,); 0 where they come from the dense
            Hessian; None where P is too large.
        end_to_end: W_n ... W_1, shape (S, d_n, d_0), for linear networks; else None.
        singular_values: of the end-to-end matrix, shape (S, min(d_0, d_n)); else None.
        balancedness: Frobenius norm of D_j = W_{j+1}^T W_{j+1} - W_j W_j^T for linear networks, Euclidean norm of
            its diagonal (per unit, per channel) otherwise (R10), shape (S, n-1); None without a network.
        reason: why eigenvalues are missing, at all points or at those where the flow slides; None where all are there.

    Example:
        >>> problem = sf.Problem(network=sf.FullyConnected((1, 1, 1)), data={"x": [1], "y": [1]},
        ...                      init={"theta": ["1/2", 1]})
        >>> series = sf.deviation(problem, step_size="1/2", horizon=1, dps=15).flow_series
        >>> series.loss.round(4).tolist(), series.max_eigenvalue.round(4).tolist()
        ([0.125, 0.0283, 0.0045], [1.0, 1.4942, 1.8736])
        >>> series.balancedness[:, 0].round(4).tolist()  # W_2^2 - W_1^2 is conserved
        [0.75, 0.75, 0.75]
    """

    loss: np.ndarray
    gradient_norm: np.ndarray
    min_eigenvalue: np.ndarray | None
    max_eigenvalue: np.ndarray | None
    eigenvalue_residual: np.ndarray | None
    end_to_end: np.ndarray | None
    singular_values: np.ndarray | None
    balancedness: np.ndarray | None
    reason: str | None

    def __repr__(self) -> str:
        missing = "without eigenvalues" if self.min_eigenvalue is None else "with eigenvalues"
        return (
            f"<observables at {counted(len(self.loss), 'point')}: loss {self.loss[0]:.4g} to {self.loss[-1]:.4g}, "
            f"{missing}>"
        )


ON_A_KINK = "gradient and Hessian do not exist where the flow slides along a kink"
MAX_PARAMETERS = 4096
"""Above this many parameters the Hessian's spectrum is not followed along a trajectory."""


def too_large(objective: Objective) -> str | None:
    """Why the Hessian's spectrum is not followed; None where it is."""
    if objective.parameter_count <= MAX_PARAMETERS:
        return None
    return (
        f"P = {objective.parameter_count} parameters are too many for the Hessian's spectrum along the trajectory "
        f"(at most {MAX_PARAMETERS})"
    )


def gradients(objective: Objective, points: np.ndarray) -> np.ndarray:
    """grad f at many points, shape (S, P)."""
    return evaluate_batch(objective, gradient, points)


def observe(objective: Objective, points: np.ndarray, sliding: np.ndarray | None = None) -> Observables:
    """Evaluates the observables at S points.

    Args:
        objective: f.
        points: shape (S, P).
        sliding: where they rest on a kink, so that the sides of gates cannot be read from them, shape (S,).
    """
    on = np.zeros(len(points), dtype=bool) if sliding is None else sliding
    reason = too_large(objective)
    low = high = residual = None
    if reason is None:
        low, high, residual = np.full((3, len(points)), np.nan)
        if not on.all():
            spectrum = extreme_eigenvalues(objective, points[~on]).known()
            low[~on], high[~on], residual[~on] = spectrum.min, spectrum.max, spectrum.residual
        if on.any():
            reason = f"{ON_A_KINK} (at {on.sum()} of {counted(len(on), 'point')})"
    end_to_end = singular = balancedness = None
    network = objective.network
    if network is not None:
        weights = [points[:, where].reshape(-1, *shape) for where, shape in objective.slices()]
        imbalances = []
        for a, b in itertools.pairwise(weights):
            pairs = zip(a, b, strict=True)
            imbalances.append(np.array([np.linalg.norm(imbalance(v, w, matrix=network.linear)) for v, w in pairs]))
        if network.linear:
            end_to_end = weights[0]
            for w in weights[1:]:
                end_to_end = w @ end_to_end
            singular = np.linalg.svd(end_to_end, compute_uv=False)
        balancedness = np.stack(imbalances, axis=1) if imbalances else np.zeros((len(points), 0))
    return Observables(
        loss=evaluate_batch(objective, loss, points),
        gradient_norm=np.where(on, np.nan, norms(gradients(objective, points))),
        min_eigenvalue=low,
        max_eigenvalue=high,
        eigenvalue_residual=residual,
        end_to_end=end_to_end,
        singular_values=singular,
        balancedness=balancedness,
        reason=reason,
    )
