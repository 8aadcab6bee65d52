r"""The square loss of a linear network against the least squares value: mu from the chains of the layers. (R24)

    f = (c/2N) ||a W X + s Y||^2,   mu = c a^2 lambda^+_min(Sigma_xx) min lambda_min(sum_j W_{n:j+1} W_{n:j+1}^T kron
    W_{j-1:1}^T W_{j-1:1}),   W = W_{n:1}, s = 1 or -1.

Rank, attainability, the least squares solution and f* are exact. Let S be rows of X that are a basis of all of them:
X = B X_S. The least squares solution may be taken on S alone, and the eigenvalues of Sigma_xx = B Sigma_SS B^T that are
not 0 are those of C^T B^T B C, Sigma_SS = C C^T.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, reduce

import flint
import numpy as np
from flint import arb

from symflow.analysis.limit import boxes
from symflow.analysis.limit.route import Kind, Refined
from symflow.caching import kept
from symflow.errors import LimitUnknown
from symflow.networks.moments import Quadratic, exact_product, read_quadratic
from symflow.networks.objective import Objective
from symflow.numbers.balls import Ball, ball
from symflow.programs.program import shape_of
from symflow.theory.functions import BALLS
from symflow.theory.r24_for_all_time import descent_length, flow_length, linear_rate


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """min over V of (c/2N) ||V X + s Y||^2, exactly.

    Attributes:
        solution: a V where it is attained, (d_n, d_0).
        value: f*.
        rank: of a V X that attains it.
        basis: B, (d_0, rank of X).
        moment: Sigma_SS.
    """

    solution: np.ndarray
    value: Fraction
    rank: int
    basis: np.ndarray
    moment: np.ndarray


@kept
def least_squares(objective: Objective) -> tuple[Quadratic, LeastSquares] | None:
    """The least squares problem of a linear network; None where f is not its square loss or has no data."""
    q = read_quadratic(objective)
    if q is None or q.x not in objective.data or q.targets not in objective.data:
        return None
    x, y = objective.data[q.x], objective.data[q.targets]
    count = Fraction(x.shape[1])
    sigma, target = exact_product(x, x.T) / count, -q.sign * exact_product(y, x.T) / count
    pivots = _pivots(sigma)
    solution = np.full((len(y), len(x)), Fraction(0), dtype=object)
    basis = np.full((len(x), 0), Fraction(0), dtype=object)
    moment = sigma[np.ix_(pivots, pivots)]
    if pivots:
        inverse = _inverse(moment)
        solution[:, pivots] = exact_product(target[:, pivots], inverse)
        basis = exact_product(sigma[:, pivots], inverse)
    residual = exact_product(solution, x) + q.sign * y
    value = q.total * sum((v * v for v in residual.flat), Fraction(0)) / (2 * count)
    return q, LeastSquares(solution, value, _rational(target).rank(), basis, moment)


def _rational(matrix: np.ndarray) -> flint.fmpq_mat:
    rows, columns = matrix.shape
    return flint.fmpq_mat(rows, columns, [flint.fmpq(v.numerator, v.denominator) for v in matrix.flat])


def _pivots(matrix: np.ndarray) -> list[int]:
    """Columns that are a basis of all columns."""
    reduced, rank = _rational(matrix).rref()
    return [next(k for k in range(reduced.ncols()) if reduced[row, k] != 0) for row in range(rank)]


def _inverse(matrix: np.ndarray) -> np.ndarray:
    found = _rational(matrix).inv()
    entries = [Fraction(int(v.p), int(v.q)) for row in found.tolist() for v in row]
    return np.array(entries, dtype=object).reshape(matrix.shape)


@dataclass(frozen=True, eq=False)
class Linear:
    """R24 with the least squares value as f*."""

    objective: Objective
    quadratic: Quadratic
    best: LeastSquares
    kind: Kind = "linear"
    crosses_kinks: bool = False
    degenerate: str = (
        "the sum of the layers' chains is singular: two layers or more are rank-deficient, as at a saddle point"
    )

    @property
    def minimum(self) -> Fraction | None:
        """f*."""
        return self.best.value

    def rate(self, theta: np.ndarray) -> Ball:
        """c a^2 lambda^+_min(Sigma_xx) lambda_min of the chains."""
        weights = self._weights(theta)
        blocks = []
        for j in range(len(weights)):
            above = _product(weights[j + 1 :][::-1], len(weights[-1]))
            below = _product(weights[:j][::-1], weights[0].shape[1])
            blocks.append(np.kron(above, below.T))  # times its transpose: W_{n:j+1} W_{n:j+1}^T kron ...
        chains = boxes.least_singular_square(np.concatenate(blocks, axis=1))
        return linear_rate(ball(self.quadratic.total * self.quadratic.factor**2) * chains, self._moment)

    def excess(self, theta: np.ndarray, mu: Ball) -> Ball:
        """f - f* = (c/2N) ||(a W - V) X||^2, V a least squares solution."""
        lift = np.frompyfunc(ball, 1, 1)
        q = self.quadratic
        weights = self._weights(theta)
        x = lift(self.objective.data[q.x])
        # Where V is multiplied out exactly, nothing cancels but a W X - V X itself.
        best = lift(exact_product(self.best.solution, self.objective.data[q.x]))
        moved = reduce(lambda product, w: w.dot(product), weights, x) * ball(q.factor) - best
        return (ball(q.total / (2 * shape_of(q.x.axes)[1])) * boxes.square_sum(moved)).upper()

    def length(self, theta: np.ndarray, mu: Ball) -> Ball:
        """sqrt(2 (f - f*)/mu)."""
        return flow_length(self.excess(theta, mu), mu, BALLS).upper()

    def stretch(self, step_size: Ball, beta: Ball) -> Ball:
        """2/(2 - eta beta)."""
        return descent_length(ball(1), step_size, beta)

    def refined(self, center: Sequence[Ball], near: np.ndarray, theta: np.ndarray) -> Refined | None:
        """None: minima are not isolated."""
        return None

    def _weights(self, theta: np.ndarray) -> list[np.ndarray]:
        """W_1, ..., W_n on a box."""
        cut = self.objective.cut(theta)
        return [cut[w] for w in reversed(self.quadratic.weights)]

    @cached_property
    def _moment(self) -> Ball:
        """lambda^+_min(Sigma_xx); 1 where X = 0 and every W is least."""
        if not len(self.best.moment):
            return arb(1)
        lift = np.frompyfunc(ball, 1, 1)
        root, gram = _cholesky(lift(self.best.moment)), lift(exact_product(self.best.basis.T, self.best.basis))
        return boxes.least_eigenvalue(root.T.dot(gram.dot(root)))


def _product(factors: list[np.ndarray], size: int) -> np.ndarray:
    """A product of matrices in balls; the identity where there are none."""
    identity = np.full((size, size), arb(0), dtype=object)
    np.fill_diagonal(identity, arb(1))
    return reduce(lambda a, b: a.dot(b), factors) if factors else identity


def _cholesky(matrix: np.ndarray) -> np.ndarray:
    """C with C C^T = A, lower triangular, A positive definite, in balls."""
    size = len(matrix)
    root = np.full((size, size), arb(0), dtype=object)
    for i in range(size):
        for k in range(i + 1):
            rest = matrix[i, k] - sum((root[i, p] * root[k, p] for p in range(k)), arb(0))
            root[i, k] = rest.sqrt() if i == k else rest / root[k, k]
    return root


def linear(objective: Objective) -> Linear:
    """R24 for the square loss of a linear network.

    Raises:
        LimitUnknown: another objective, or hidden layers too narrow for the least squares value.
    """
    found = least_squares(objective)
    if found is None:
        raise LimitUnknown(
            "the least loss is not known: not the square loss of a linear network", cause="minimum-unknown"
        )
    q, best = found
    narrow = min((shape_of(w.axes)[0] for w in q.weights[1:]), default=best.rank)
    if narrow < best.rank:
        raise LimitUnknown(
            f"the least loss is not known: the least squares value needs hidden widths of at least {best.rank}, the "
            f"rank of its solution, got {narrow}",
            cause="unattainable",
        )
    return Linear(objective, q, best)
