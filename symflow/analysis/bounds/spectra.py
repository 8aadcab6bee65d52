"""The ends of the Hessian's spectrum at many points, with what rounding may have moved them by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symflow.analysis.eigenvalues import MAX_DENSE_PARAMETERS, extreme_eigenvalues
from symflow.derivatives.derived import hessian, hessian_vector_product
from symflow.evaluate.derived_batches import derived_once
from symflow.evaluate.eigenvalue_bounds import eigenvalue_bounds
from symflow.evaluate.rounded import Rounded, norm_bound
from symflow.evaluate.running_error import RoundedArithmetic, rounded_program, rounded_result
from symflow.networks.objective import Objective

ENTRIES = 1_000_000
"""Most entries of the Hessians that are held at once."""


@dataclass(frozen=True, eq=False)
class Spectra:
    """Bounds on the spectrum of H at S points; NaN where H is beyond float64.

    Attributes:
        low: at most lambda_min(H).
        high: at least lambda_max(H).
        products: where a vector was given for each point, at least ||H v||.
    """

    low: np.ndarray
    high: np.ndarray
    products: np.ndarray | None = None

    @property
    def norm(self) -> np.ndarray:
        """At least ||H||."""
        return np.asarray(np.maximum(np.abs(self.low), np.abs(self.high)))


def spectra(objective: Objective, points: np.ndarray, vectors: np.ndarray | None = None) -> Spectra:
    """The ends of the spectra of H at S points, rounding included; from Lanczos, not certified, where P is large.

    Args:
        objective: f.
        points: shape (S, P).
        vectors: v at each point for ||H v||, shape (S, P) (P up to `MAX_DENSE_PARAMETERS`).
    """
    size = objective.parameter_count
    if size > MAX_DENSE_PARAMETERS:
        found = extreme_eigenvalues(objective, points)
        ones = np.full((len(points), size), size**-0.5)
        rows = np.concatenate([_product_error(objective, points[i : i + 16], ones[i : i + 16])
                               for i in range(0, len(points), 16)])  # fmt: skip
        error = found.residual + size**0.5 * rows
        return Spectra(found.min - error, found.max + error)
    parts: list[tuple[np.ndarray, ...]] = []
    step = max(1, ENTRIES // size**2)
    for first in range(0, len(points), step):
        some = points[first : first + step]
        matrices = rounded_result(objective, derived_once(objective, hessian), some)
        ends = eigenvalue_bounds(matrices)
        product = np.zeros(len(some))
        if vectors is not None:
            along = Rounded(vectors[first : first + step], np.zeros((1, 1)))
            moved = RoundedArithmetic().einsum("ij,j->i", [matrices, along])
            product = norm_bound(moved)
        parts.append((ends.smallest_low, ends.largest_high, product))
    low, high, products = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Spectra(low, high, None if vectors is None else products)


def _product_error(objective: Objective, points: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """The largest error of an entry of H v at each point.

    With v = (1, ..., 1)/sqrt(P) it is at least 1/sqrt(P) of the largest row sum of the errors of H, which bounds what
    they move its eigenvalues by.
    """
    derived = hessian_vector_product(objective)
    extra = {
        v: vectors[:, where].reshape(len(vectors), *shape)
        for v, (where, shape) in zip(derived.directions, objective.slices(), strict=True)
    }
    found = rounded_program(objective, derived.program, points, extra)
    return np.asarray(np.max([x.error.reshape(len(x.error), -1).max(axis=1) for x in found.values()], axis=0))
