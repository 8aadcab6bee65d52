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

from collections.abc import Sequence
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
    """m polynomial vector fields in N variables: the sum over terms of coefficient times product of variables.

    Attributes:
        variables: N.
        factors: (T, d) indices of the variables that are multiplied; N where there are fewer than d.
        component: (T,) which component a term belongs to.
        term: (Z,) the term of each coefficient that is not 0.
        field: (Z,) its field.
        coefficient: (Z,) its residue.
        count: m.
    """

    variables: int
    factors: np.ndarray
    component: np.ndarray
    term: np.ndarray
    field: np.ndarray
    coefficient: np.ndarray
    count: int

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


def _curve(fields: Fields, control: np.ndarray, point: np.ndarray) -> np.ndarray:
    """(N + 1, K) the solution of theta' = X_t(theta), and the constant 1."""
    length = control.shape[1]
    curve = np.zeros((fields.variables + 1, length), dtype=np.int64)
    curve[:-1, 0], curve[-1, 0] = point, 1
    for k in range(1, length):
        moving = product(fields.values(curve[:, :k]), control[:, :k])[:, -1:]
        speed = _collected(fields.component, moving, fields.variables)[:, 0]
        curve[:-1, k] = speed * pow(k, -1, PRIME) % PRIME
    return curve


def _jacobian(fields: Fields, control: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """(N, N, K) DX_t along the curve."""
    n, length = fields.variables, control.shape[1]
    total = np.zeros((n * n, length), dtype=np.int64)
    for p in range(fields.factors.shape[1]):
        by = fields.factors[:, p]
        inside = by < n
        values = product(fields.values(curve, p), control)[inside]
        total += _collected((fields.component * n + by)[inside], values, n * n)
    return (total % PRIME).reshape(n, n, length)


def _pulled_back(fields: Fields, jacobian: np.ndarray, along: np.ndarray) -> np.ndarray:
    """(N, m, K) M(t)^{-1} Y_i(theta(t)), from (M^{-1})' = -M^{-1} DX_t."""
    n, length = fields.variables, along.shape[2]
    inverse = [np.eye(n, dtype=np.int64)]
    for k in range(1, length):
        total = sum(matmul(inverse[j], jacobian[:, :, k - 1 - j]) for j in range(k)) % PRIME
        inverse.append(-total * pow(k, -1, PRIME) % PRIME)
    found = [sum(matmul(inverse[j], along[:, :, k - j]) for j in range(k + 1)) % PRIME for k in range(length)]
    return np.stack(found, axis=2)


def brackets(fields: Fields, point: Sequence[int], length: int, seed: int = 0) -> np.ndarray:
    """(N, m K) iterated brackets at a point, as the columns of a matrix of residues."""
    source = np.random.default_rng(seed)
    combination = source.integers(0, PRIME, (fields.count, length))
    control = matmul(fields.matrix, combination)
    curve = _curve(fields, control, np.asarray(point, dtype=np.int64))
    values = fields.values(curve)
    weighted = values[fields.term] * fields.coefficient[:, None] % PRIME
    place = fields.component[fields.term] * fields.count + fields.field
    along = _collected(place, weighted, fields.variables * fields.count)
    along = along.reshape(fields.variables, fields.count, length)
    if length == 1:
        return along[:, :, 0]
    pulled = _pulled_back(fields, _jacobian(fields, control, curve), along)
    return pulled.reshape(fields.variables, -1)


def lie_rank(fields: Fields, point: Sequence[int], parameters: int, enough: int) -> int:
    """A lower bound on the dimension of the Lie algebra at a point, in the first variables.

    Args:
        fields: the vector fields.
        point: N residues.
        parameters: how many of the variables are parameters; the others are functions of them.
        enough: no larger rank is possible.
    """
    best, waited = -1, 0
    for seed, length in enumerate(LENGTHS):
        found = rank(brackets(fields, point, length, seed)[:parameters]) if fields.count else 0
        waited = 0 if found > best else waited + 1
        best = max(best, found)
        if best >= enough or waited >= PATIENCE or not fields.count:
            break
    return best
