"""Extreme eigenvalues of the Hessian: dense where P is small, matrix-free (Lanczos) above, with the residual."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from symflow.caching import kept
from symflow.derivatives.derived import hessian, hessian_vector_product
from symflow.displays import displayed
from symflow.errors import ComputationError, ProblemError, brief
from symflow.evaluate.derived_batches import evaluate_batch
from symflow.evaluate.jax_runtime import own_modes
from symflow.evaluate.threads import each, threads
from symflow.networks.objective import Objective, require_objective
from symflow.numbers.types import JaxArray

MAX_DENSE_PARAMETERS = 256
"""Up to this many parameters the spectrum comes from the dense Hessian."""
MIN_LANCZOS_PARAMETERS = 32
"""Below this many parameters Lanczos has no room to iterate."""

PART = 10_000_000
"""S P^3 of as many spectra as a thread takes at a time: about 0.1 s of LAPACK's work."""
SMALL = 64
"""Parameters up to which OpenBLAS finds a spectrum in one thread; above, its threads and ours would contend."""
RESIDUAL = 1e-10
"""Residual, relative to the Hessian's norm, to which Lanczos iterates."""


@displayed
@dataclass(frozen=True)
class ExtremeEigenvalues:
    """lambda_min(H) and lambda_max(H) at S points (float64).

    Attributes:
        min: lambda_min(H), shape (S,); a scalar for one point.
        max: lambda_max(H), of the same shape.
        residual: the larger of ||H v - lambda v|| over both unit vectors, of the same shape. Some eigenvalue of H lies
            within it of the value given; that this is the extreme one is what Lanczos converges to from a random start,
            but it is not certified. 0 for dense spectra, whose error is rounding; infinite where the Hessian is not
            finite in float64, so that its eigenvalues are not known (NaN).
        method: "dense" or "lanczos".

    Example:
        >>> objective = sf.network_objective(sf.FullyConnected((1, 1, 1)), [1], [1])
        >>> found = sf.extreme_eigenvalues(objective, [0.0, 0.0])
        >>> float(found.min), float(found.max), found.method
        (-1.0, 1.0, 'dense')
    """

    min: np.ndarray
    max: np.ndarray
    residual: np.ndarray
    method: Literal["dense", "lanczos"]

    def known(self) -> ExtremeEigenvalues:
        """These values, after a check that all of them are known.

        Raises:
            ComputationError: the Hessian is not finite at a point.
        """
        finite = np.isfinite(np.atleast_1d(self.residual))
        if not finite.all():
            raise ComputationError(
                f"the Hessian at point {int(np.argmin(finite))} is not finite in float64; take points with smaller "
                "weights, smaller data, or digits: sf.evaluate_mpmath(sf.hessian(objective), theta)"
            )
        return self


def extreme_eigenvalues(
    objective: Objective, points: np.ndarray, *, method: Literal["dense", "lanczos"] | None = None
) -> ExtremeEigenvalues:
    """lambda_min(H(theta)) and lambda_max(H(theta)), the ends of the Hessian's spectrum, at one or many points.

    Args:
        objective: f.
        points: theta, shape (P,), or S of them, shape (S, P).
        method: "dense" (all eigenvalues of the (P, P) matrix) or "lanczos" (Hessian-vector products); chosen by P if
            left out: dense up to `symflow.analysis.eigenvalues.MAX_DENSE_PARAMETERS`.

    Returns:
        An `ExtremeEigenvalues`: `min`, `max` and `residual` are float64 arrays of shape (S,), or scalars for one point.

    Raises:
        ProblemError: points that are not finite or have another shape, or Lanczos asked for with fewer than
            `MIN_LANCZOS_PARAMETERS` parameters.
        BudgetError: dense asked for with too many parameters.
        ComputationError: Lanczos does not converge.

    Source: Lanczos 1950, as implemented in ARPACK (Lehoucq, Sorensen & Yang 1998).

    Example:
        >>> objective = sf.network_objective(sf.FullyConnected((1, 1, 1)), [1], [1])
        >>> found = sf.extreme_eigenvalues(objective, [[0.0, 0.0], [1.0, 1.0]])
        >>> found.min.round(6).tolist(), found.max.round(6).tolist()
        ([-1.0, 0.0], [1.0, 2.0])
    """
    require_objective(objective)
    try:
        points = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as refused:
        hint = "; give its points: path.iterates, or path.numpy(times)" if hasattr(points, "at_end") else ""
        raise ProblemError(f"points must be an array of real numbers, got {brief(points)} ({refused}){hint}") from None
    single = points.ndim == 1
    batch = points[None] if single else points
    count = objective.parameter_count
    if batch.ndim != 2 or batch.shape[1] != count:
        raise ProblemError(f"points must have shape (P,) or (S, P) with P = {count}, got {points.shape}")
    if method not in (None, "dense", "lanczos"):
        raise ProblemError(f"method must be 'dense' or 'lanczos', got {method!r}")
    if not len(batch):
        raise ProblemError("points must be at least one, got none; give theta of shape (P,) or (S, P)")
    finite = np.isfinite(batch).all(axis=1)
    if not finite.all():
        first = int(np.argmin(finite))
        raise ProblemError(f"points must be finite, got {brief(batch[first].tolist())} as point {first}; leave it out")
    chosen = method or ("dense" if count <= MAX_DENSE_PARAMETERS else "lanczos")
    if chosen == "dense":
        spectrum = _spectra(evaluate_batch(objective, hessian, batch))
        low, high, residual = spectrum[:, 0], spectrum[:, -1], np.where(np.isnan(spectrum[:, 0]), np.inf, 0.0)
    elif count < MIN_LANCZOS_PARAMETERS:
        raise ProblemError(
            f"Lanczos needs at least {MIN_LANCZOS_PARAMETERS} parameters, got {count}; use method='dense'"
        )
    else:
        with own_modes():
            low, high, residual = _lanczos(objective, batch)
    if single:
        low, high, residual = low[0], high[0], residual[0]
    return ExtremeEigenvalues(low, high, residual, chosen)


def _spectra(matrices: np.ndarray) -> np.ndarray:
    """The eigenvalues of symmetric matrices (S, P, P), ascending, shape (S, P); NaN where an entry is not finite."""

    def some(part: np.ndarray) -> np.ndarray:
        finite = np.isfinite(part).all(axis=(1, 2))
        spectrum = np.full(part.shape[:2], np.nan)  # LAPACK's answer may be 0 where an entry is not a number
        spectrum[finite] = np.linalg.eigvalsh(part[finite])
        return spectrum

    points, size = matrices.shape[:2]
    parts = np.array_split(matrices, min(points, 1 + points * size**3 // PART) if size <= SMALL else 1)
    with threads() as pool:
        return np.concatenate(each(pool, some, parts, nullcontext))


class _NotFinite(Exception):
    """A product with the Hessian is not finite."""


@kept
def _product(objective: Objective) -> Callable[[np.ndarray, np.ndarray], JaxArray]:
    from symflow.evaluate.jax import to_jax

    return to_jax(hessian_vector_product(objective))


def _lanczos(objective: Objective, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both ends at every point by ARPACK's implicitly restarted Lanczos; each point starts from its neighbour's."""
    from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigsh

    count = points.shape[1]
    low, high, residual = (np.zeros(len(points)) for _ in range(3))
    product = _product(objective)

    def apply(theta: np.ndarray, size: float, v: Any) -> np.ndarray:
        found = np.asarray(product(theta, np.ascontiguousarray(v.reshape(-1), dtype=np.float64)))
        if not np.isfinite(found).all():
            raise _NotFinite
        return found / size

    start = np.random.default_rng(0).normal(size=count)
    for i, theta in enumerate(points):
        try:
            size = float(np.abs(apply(theta, 1.0, start)).max())
        except _NotFinite:
            low[i], high[i], residual[i] = np.nan, np.nan, np.inf
            continue
        if not size:  # H = 0, as at theta = 0 of deep networks: Lanczos has nothing to start with
            continue
        scaled = partial(apply, theta, size)  # ARPACK squares what it is given
        operator = LinearOperator((count, count), matvec=scaled, dtype=np.float64)
        try:
            values, vectors = eigsh(operator, k=2, which="BE", v0=start, tol=RESIDUAL, ncv=min(count, 24))
        except _NotFinite:
            low[i], high[i], residual[i] = np.nan, np.nan, np.inf
            continue
        except (ArpackNoConvergence, ArpackError) as error:
            raise ComputationError(
                f"Lanczos did not converge at point {i} to a relative residual of {RESIDUAL:g}: {error}; use "
                "method='dense'"
            ) from None
        low[i], high[i] = size * values
        pairs = zip(values, vectors.T, strict=True)
        residual[i] = size * max(float(np.linalg.norm(scaled(v) - value * v)) for value, v in pairs)
        # A little noise: a start that is exactly an old eigenvector could miss one that it is orthogonal to.
        start = vectors.sum(axis=1) + 1e-3 * np.random.default_rng(i + 1).normal(size=count)
    return low, high, residual
