r"""Weighted norms for the proof of an error: a diagonal matrix that makes the one-sided rate small.

R3 in the norm ||W x||, W invertible and constant: u = W x solves u' = W F(W^-1 u), a field whose Jacobian at u is
W J W^-1 with J that of F at W^-1 u, and u~ = W x~ has the defect W (x~' - F(x~)). R3 for u and u~ in the Euclidean norm
is therefore

    ||W (x - x~)(t)|| <= e^{M(t)} (||W (x - x~)(0)|| + int_0^t e^{-M(s)} ||W delta(s)|| ds),
    M' >= lambda_max(sym(W J W^-1)),

the logarithmic norm of J that belongs to ||W .||. With weights w_i >= 1, ||x - x~|| <= ||W (x - x~)||. Weights are
powers of 2, so that scaling by them rounds nothing. A field with fast components (stiff chemistry) may have a large
rate in the Euclidean norm and a small one in another: its solutions contract, but not orthogonally.

The weights are chosen from float64 eigenvalues along the path; what is proved with them is proved for any.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ldexp

import numpy as np

from symflow.dynamics.jacobian import short_jacobian
from symflow.dynamics.vector_field import VectorField
from symflow.evaluate.rounded import Rounded
from symflow.evaluate.running_error import rounded_boxes
from symflow.numbers.fixed_point import to_mpf
from symflow.paths.certified.rates import MOST_TERMS
from symflow.paths.taylor.dense import TaylorSteps

MOST = 32
"""Most components of a field whose weights are sought."""
POINTS = 400
"""Most points of the path that are looked at."""
LARGE = 4.0
"""An exponent int m below this costs two digits, which are cheaper than weights."""
FURTHEST = 40
"""log2 of the largest weight."""


def chosen_weights(field: VectorField, steps: TaylorSteps) -> np.ndarray | None:
    """Weights that make int m small along the path; None where the Euclidean norm will do.

    That is, for gradient flow, whose Jacobian is symmetric, for few digits lost, and for fields with kinks, which are
    monotone in the Euclidean norm alone.
    """
    if field.slides or field.gates or not 1 < field.dimension <= MOST:
        return None
    exponent = _exponent(field, steps)
    best, places = exponent(np.zeros(field.dimension)), np.zeros(field.dimension)
    first = best
    if not LARGE < first < np.inf:
        return None
    for step in (4, 2, 1):
        better = True
        while better:
            better = False
            for i in range(field.dimension):
                for move in (step, -step):
                    tried = places.copy()
                    tried[i] += move
                    value = exponent(tried)
                    if value < best * (1 - 1e-3) and np.ptp(tried) <= FURTHEST:
                        best, places, better = value, tried, True
    if best > 0.8 * first:
        return None
    return np.asarray(2.0 ** (places - places.min()))


def _exponent(field: VectorField, steps: TaylorSteps) -> Callable[[np.ndarray], float]:
    """log2 weights -> int max(m, 0) dt along the path, in float64."""
    stride = -(-len(steps.segments) // POINTS)
    segments = steps.segments[::stride]
    points = np.array([[float(to_mpf(v, steps.bits)) for v in steps.fixed(s.start)] for s in segments])
    ends = np.array([*(float(to_mpf(s.start, steps.clock)) for s in segments), float(steps.horizon)])
    derived = short_jacobian(field, MOST_TERMS)
    blocks = rounded_boxes(field, derived.program, Rounded(points, np.zeros_like(points)), {})
    matrices = derived.joined([b.value for b in blocks], np, 1)
    if not np.isfinite(matrices).all():
        return lambda places: ldexp(1.0, 1000)

    def exponent(places: np.ndarray) -> float:
        scaled = matrices * 2.0 ** (places[:, None] - places)
        rate = np.linalg.eigvalsh((scaled + np.swapaxes(scaled, -1, -2)) / 2)[:, -1]
        return float(np.maximum(rate, 0.0) @ np.diff(ends))

    return exponent
