"""The dimension of the Lie algebra of polynomial vector fields at a point, from below and without error probability.

Let X_t = sum_i c_i(t) X_i with polynomials c_i in t, and let theta(t) solve theta' = X_t(theta). The pull-back of a
field Y to the start, V(t) = M(t)^{-1} Y(theta(t)), M' = DX_t(theta(t)) M, M(0) = I, has

    d/dt V(t) = M(t)^{-1} [X_t, Y](theta(t)):

its Taylor coefficients at t = 0 are sums of iterated brackets at the start. Their rank modulo a prime is at most their
rank over the rationals, hence at most the dimension of the Lie algebra there. With random c_i and enough coefficients
it reaches it (Sontag 1992: almost every control is nonsingular), which is never relied upon: a rank that does not meet
the laws known is reported as a bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from symflow.analysis.laws.residues import PRIME, matmul, product, rank

LENGTHS = (1, 2, 3, 4, 6, 8, 11, 15)
"""How many Taylor coefficients are tried, one after the other."""
PATIENCE = 2
"""After how many lengths without a larger rank no longer one is tried."""


@dataclass(frozen=True, eq=False)
class Fields:
    """m vector fields: each component a sum over terms of coefficient times product of variables.

    The variables are P parameters, then functions y of them that are no polynomials but have polynomial derivatives.

    Attributes:
        parameters: P, the number of components.
        variables: N, of all variables.
        factors: (T, d) indices of the variables that are multiplied; N where there are fewer than d.
        component: (T,) which component a term belongs to.
        term: (Z,) the term of each coefficient that is not 0.
        field: (Z,) its field.
        coefficient: (Z,) its residue.
        count: m.
        slopes: dy/dtheta, one field for each y; None where there is no y.
    """

    parameters: int
    variables: int
    factors: np.ndarray
    component: np.ndarray
    term: np.ndarray
    field: np.ndarray
    coefficient: np.ndarray
    count: int
    slopes: Fields | None = None

    @cached_property
    def matrix(self) -> np.ndarray:
        """(T, m) coefficients."""
        dense = np.zeros((len(self.factors), self.count), dtype=np.int64)
        dense[self.term, self.field] = self.coefficient
        return dense

    def values(self, curve: np.ndarray, leave_out: int | None = None) -> np.ndarray:
        """(T, K) the products of the variables along a curve, (N + 1, K) series of which the last is 1."""
        places = [p for p in range(self.factors.shape[1]) if p != leave_out]
        if not places:
            return np.broadcast_to(curve[-1], (len(self.factors), curve.shape[1]))
        total = curve[self.factors[:, places[0]]]
        for p in places[1:]:
            total = product(total, curve[self.factors[:, p]])
        return total


def _collected(places: np.ndarray, values: np.ndarray, size: int) -> np.ndarray:
    """(size, K) the sums of the rows of values that go to the same place."""
    total = np.zeros((size, values.shape[1]), dtype=np.int64)
    if len(places):
        order = np.argsort(places, kind="stable")
        found, starts = np.unique(places[order], return_index=True)
        total[found] = np.add.reduceat(values[order], starts, axis=0) % PRIME
    return total


def _along(fields: Fields, curve: np.ndarray) -> np.ndarray:
    """(P, m, K) every field along a curve."""
    weighted = fields.values(curve)[fields.term] * fields.coefficient[:, None] % PRIME
    place = fields.component[fields.term] * fields.count + fields.field
    found = _collected(place, weighted, fields.parameters * fields.count)
    return found.reshape(fields.parameters, fields.count, curve.shape[1])


def _curve(fields: Fields, control: np.ndarray, point: np.ndarray) -> np.ndarray:
    """(N + 1, K) the solution of theta' = X_t(theta), the y along it, and the constant 1."""
    length, p = control.shape[1], fields.parameters
    curve = np.zeros((fields.variables + 1, length), dtype=np.int64)
    curve[:-1, 0], curve[-1, 0] = point, 1
    speeds = np.zeros((p, length), dtype=np.int64)
    for k in range(1, length):
        inverse = pow(k, -1, PRIME)
        moving = product(fields.values(curve[:, :k]), control[:, :k])[:, -1:]
        speeds[:, k - 1] = _collected(fields.component, moving, p)[:, 0]
        curve[:p, k] = speeds[:, k - 1] * inverse % PRIME
        if fields.slopes is not None:
            turned = product(_along(fields.slopes, curve[:, :k]), speeds[:, None, :k])[:, :, -1]
            curve[p:-1, k] = turned.sum(axis=0) % PRIME * inverse % PRIME
    return curve


def _jacobian(fields: Fields, control: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """(P, P, K) DX_t along the curve, through the y too."""
    p, n, length = fields.parameters, fields.variables, control.shape[1]
    total = np.zeros((p * n, length), dtype=np.int64)
    for place in range(fields.factors.shape[1]):
        by = fields.factors[:, place]
        inside = by < n
        values = product(fields.values(curve, place), control)[inside]
        total += _collected((fields.component * n + by)[inside], values, p * n)
    partial = (total % PRIME).reshape(p, n, length)
    if fields.slopes is None:
        return partial
    slopes = _along(fields.slopes, curve)  # (P, A, K): dy_a/dtheta_q at [q, a]
    through = _series_matmul(partial[:, p:], slopes.transpose(1, 0, 2))
    return (partial[:, :p] + through) % PRIME


def _sum(products: Iterable[np.ndarray]) -> np.ndarray:
    """The sum of arrays of residues."""
    return np.asarray(sum(products)) % PRIME


def _series_matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The product of matrices of series."""
    found = [_sum(matmul(a[:, :, j], b[:, :, k - j]) for j in range(k + 1)) for k in range(a.shape[2])]
    return np.stack(found, axis=2)


def _pulled_back(jacobian: np.ndarray, along: np.ndarray) -> np.ndarray:
    """(P, m, K) M(t)^{-1} Y_i(theta(t)), from (M^{-1})' = -M^{-1} DX_t."""
    p, _, length = along.shape
    inverse = [np.eye(p, dtype=np.int64)]
    for k in range(1, length):
        total = _sum(matmul(inverse[j], jacobian[:, :, k - 1 - j]) for j in range(k))
        inverse.append(-total * pow(k, -1, PRIME) % PRIME)
    return _series_matmul(np.stack(inverse, axis=2), along)


def brackets(fields: Fields, point: Sequence[int], length: int, seed: int = 0) -> np.ndarray:
    """(P, m K) iterated brackets at a point, as the columns of a matrix of residues."""
    source = np.random.default_rng(seed)
    combination = source.integers(0, PRIME, (fields.count, length))
    control = matmul(fields.matrix, combination)
    curve = _curve(fields, control, np.asarray(point, dtype=np.int64))
    along = _along(fields, curve)
    if length == 1:
        return along[:, :, 0]
    return _pulled_back(_jacobian(fields, control, curve), along).reshape(fields.parameters, -1)


def lie_rank(fields: Fields, point: Sequence[int], enough: int) -> int:
    """A lower bound on the dimension of the Lie algebra at a point.

    Args:
        fields: the vector fields.
        point: N residues.
        enough: no larger rank is possible.
    """
    best, waited = -1, 0
    for seed, length in enumerate(LENGTHS):
        found = rank(brackets(fields, point, length, seed)) if fields.count else 0
        waited = 0 if found > best else waited + 1
        best = max(best, found)
        if best >= enough or waited >= PATIENCE or not fields.count:
            break
    return best
