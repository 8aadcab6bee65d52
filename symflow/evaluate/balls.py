"""Programs in balls: every value encloses the true one (`symflow.numbers.balls`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import Any, Literal, TypeAlias

import mpmath
import numpy as np
from flint import arb, arb_mat, ctx

from symflow.derivatives.derived import Derived
from symflow.displays import displayed
from symflow.errors import GateUndecided, ProblemError, brief
from symflow.evaluate.object_arrays import ObjectArithmetic, evaluate_objects
from symflow.numbers.arguments import whole
from symflow.numbers.balls import Ball, around, ball, ball_precision, from_mpf, midpoint
from symflow.numbers.balls import radius as radius_of
from symflow.numbers.rational import entry, rational
from symflow.numbers.types import Number

Undecided: TypeAlias = Literal["refuse", "union"]
"""What a gate is where the ball of its pre-activation contains numbers of both signs."""
MAX_DPS = 100_000
GUARD_BITS = 10
GATE_REFUSED = (
    "the sign of a pre-activation must be known, and its ball contains 0; take more digits, or a smaller radius"
)


def ball_arithmetic(undecided: Undecided = "refuse") -> ObjectArithmetic:
    """Balls at the precision of the enclosing `ball_precision` block.

    Args:
        undecided: where a ball contains 0 and negative numbers, a gate is refused ("refuse", by `GateUndecided`), or
            all numbers between its two slopes ("union": then the value encloses that of either side).
    """

    def select(z: Any, alpha: Fraction, alpha_bar: Fraction) -> Ball:
        return gate_of_ball(z, ball(alpha), ball(alpha_bar), undecided)

    return ObjectArithmetic(
        lift=ball,
        select=select,
        entry="ball",
        functions={
            "logsumexp": log_sum_exp,
            "maximum": lambda *values: reduce(lambda x, y: x.max(y), values),
            "spectral_norm": spectral_norm,
            "largest_eigenvalue": largest_eigenvalue,
        },
    )


def gate_of_ball(z: Ball, on: Ball, off: Ball, undecided: Undecided = "refuse") -> Ball:
    """`on` where all of z >= 0, `off` where all of z < 0.

    Raises:
        GateUndecided: neither, and that is not allowed.
    """
    if z >= 0:
        return on
    if z < 0:
        return off
    if undecided == "union":
        return on.union(off)
    raise GateUndecided(GATE_REFUSED)


def log_sum_exp(values: Sequence[Ball]) -> Ball:
    """log(sum(exp(v))), shifted by the largest midpoint, which is exact."""
    shift = max((v.mid() for v in values), default=arb(0))
    if not shift.is_finite():
        return arb.nan()
    return shift + sum(((v - shift).exp() for v in values), arb(0)).log()


# Matrices -----------------------------------------------------------------------------------------------------------


def extreme_eigenvalues(matrix: np.ndarray) -> tuple[Ball, Ball]:
    """Enclosures of the least and of the largest eigenvalue of every symmetric matrix in a matrix of balls.

    With any invertible Q, Q^-1 A Q = D + Q^-1 (A Q - Q D) has the eigenvalues of A, which lie in its Gershgorin discs;
    Rayleigh quotients bound the extreme ones from inside. Q and D are approximate eigenvectors and eigenvalues of the
    midpoints: nothing is assumed of how good they are. The entries below the diagonal are read.
    """
    size = len(matrix)
    symmetric = [[matrix[max(i, j), min(i, j)] for j in range(size)] for i in range(size)]
    a = arb_mat(symmetric)
    vectors = _approximate_eigenvectors(symmetric)
    try:
        similar = vectors.solve(a * vectors)
    except ZeroDivisionError:  # not invertible for sure: Gershgorin's discs of the matrix itself
        similar, vectors = a, _identity(size)
    radii = [sum((abs(similar[i, j]) for j in range(size) if j != i), arb(0)) for i in range(size)]
    least = reduce(lambda x, y: x.min(y), [similar[i, i] - radii[i] for i in range(size)])
    largest = reduce(lambda x, y: x.max(y), [similar[i, i] + radii[i] for i in range(size)])
    ends = sorted(range(size), key=lambda i: float(similar[i, i].mid()))
    return _between(least, _rayleigh(a, vectors, ends[0])), _between(_rayleigh(a, vectors, ends[-1]), largest)


def _approximate_eigenvectors(rows: Sequence[Sequence[Ball]]) -> arb_mat:
    """Eigenvectors of the midpoints as an exact matrix, without a guarantee; the identity where there are none."""
    if not all(v.is_finite() for row in rows for v in row):
        return _identity(len(rows))
    with mpmath.workprec(ctx.prec):
        _, vectors = mpmath.eigsy(mpmath.matrix([[midpoint(v) for v in row] for row in rows]))
    return arb_mat([[from_mpf(v) for v in row] for row in vectors.tolist()])


def _identity(size: int) -> arb_mat:
    return arb_mat([[int(i == j) for j in range(size)] for i in range(size)])


def _rayleigh(a: arb_mat, vectors: arb_mat, column: int) -> Ball:
    """v'Av / v'v for one column."""
    v = arb_mat([[vectors[i, column]] for i in range(vectors.nrows())])
    return (v.transpose() * (a * v))[0, 0] / (v.transpose() * v)[0, 0]


def _between(low: Ball, high: Ball) -> Ball:
    """The ball of all numbers between the least of one ball and the largest of another."""
    return low.lower().union(high.upper())


def largest_eigenvalue(matrix: np.ndarray) -> Ball:
    """The largest eigenvalue of a symmetric matrix of balls."""
    return extreme_eigenvalues(matrix)[1]


def spectral_norm(matrix: np.ndarray) -> Ball:
    """The largest singular value of a matrix of balls."""
    if not matrix.size:
        return arb(0)
    gram = matrix.dot(matrix.T) if matrix.shape[0] <= matrix.shape[1] else matrix.T.dot(matrix)
    return largest_eigenvalue(gram).nonnegative_part().sqrt()


# The interface ------------------------------------------------------------------------------------------------------


@displayed
@dataclass(frozen=True, eq=False)
class Enclosure:
    """A value that is known to lie in a ball, or an array of such.

    Attributes:
        midpoint: an mpf, or an object array of mpf.
        radius: at most how far the true value is from it: an mpf or an array of the same shape; infinite where nothing
            is known.

    Example:
        >>> objective = sf.network_objective(sf.FullyConnected((1, 1)), [1], [1])
        >>> slope = sf.evaluate_balls(sf.gradient(objective), ["1/3"], radius="1/1000")
        >>> bool(slope.lower[0] < -2 / 3 < slope.upper[0]), round(slope.radius[0], 6)
        (True, 0.001)
    """

    midpoint: Any
    radius: Any

    @property
    def lower(self) -> Any:
        """midpoint - radius, rounded downwards."""
        return _entrywise(lambda m, r: mpmath.fsub(m, r, rounding="d" if m > r else "u"), self.midpoint, self.radius)

    @property
    def upper(self) -> Any:
        """midpoint + radius, rounded upwards."""
        return _entrywise(lambda m, r: mpmath.fadd(m, r, rounding="u" if m > -r else "d"), self.midpoint, self.radius)


def _entrywise(f: Any, *arrays: Any) -> Any:
    """f of corresponding entries of object arrays, or of numbers."""
    return np.frompyfunc(f, len(arrays), 1)(*arrays)


def evaluate_balls(
    derived: Derived,
    theta: Sequence[Number],
    direction: Sequence[Number] = (),
    *,
    radius: Number = 0,
    dps: int = 50,
    gates: Undecided = "refuse",
) -> Enclosure:
    """Encloses the values of a derived formula at every point of a box: |theta_i' - theta_i| <= radius for all i.

    Every operation is rounded outwards (ball arithmetic, Johansson 2017), so that the result is proved: for every such
    point each entry of the formula lies in [midpoint - radius, midpoint + radius] of the result.

    Args:
        derived: a result of `loss`, `gradient`, `hessian`, `curvature_bounds`, ...
        theta: P numbers, shape (P,), layer 1 first, each matrix row-major (mpf, or rational: text such as "1/3",
            `Fraction`, `Decimal`, int; a float means its binary value), all taken exactly.
        direction: P numbers, shape (P,), where the result is a form in a direction D; left out otherwise.
        radius: of the box around theta, a number >= 0.
        dps: decimal digits of the arithmetic.
        gates: what to do where a pre-activation may have both signs in the box: "refuse", or "union", which takes all
            slopes between the two.

    Returns:
        An `Enclosure`: `midpoint` and `radius` (mpf, or object arrays of shape (P,) or (P, P)), `lower` and `upper`.

    Raises:
        ProblemError: not a derived result, or a negative radius.
        GateUndecided: a pre-activation of both signs, and gates="refuse"; a `ComputationError`.
        TypeError: the program has an operation that balls lack (a matrix power).
        BudgetError: a dense matrix with too many entries.
        ValueError: an entry that is not a number, a vector whose length is not P, or a direction where none is taken.

    Example:
        >>> objective = sf.network_objective(sf.FullyConnected((1, 1, 1)), [1], [1])
        >>> found = sf.evaluate_balls(sf.loss(objective), ["1/2", "1/3"], radius="1/100")
        >>> bool(found.lower <= sf.evaluate_mpmath(sf.loss(objective), ["0.501", "0.331"]) <= found.upper)
        True
        >>> round(found.midpoint, 4), round(found.radius, 4)
        (0.3472, 0.0071)
    """
    dps = whole(dps, "dps", 1, MAX_DPS)
    wide = rational(radius, "radius")
    if wide < 0:
        raise ProblemError(f"radius must be at least 0, got {brief(radius)}")
    with ball_precision(round(dps * 3.3219281) + GUARD_BITS):
        r = ball(wide)
        box: list[Any] = [around(ball(entry(v, f"theta[{i}]")), r) for i, v in enumerate(theta)]
        found = evaluate_objects(derived, box, direction, ball_arithmetic(gates), arb)
        return Enclosure(_entrywise(midpoint, found), _entrywise(radius_of, found))
