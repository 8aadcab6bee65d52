"""Formulas on boxes of weights, in balls: all that a ball around a point needs to be known of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from flint import arb, arb_mat

from symflow.caching import kept
from symflow.derivatives.derived import Derived, gradient, hessian
from symflow.evaluate.balls import Undecided, ball_arithmetic, extreme_eigenvalues
from symflow.evaluate.eigenvalue_bounds import eigenvalue_bounds
from symflow.evaluate.interpret import interpret
from symflow.evaluate.object_arrays import evaluate_objects
from symflow.evaluate.rounded import Rounded
from symflow.networks.objective import Objective
from symflow.numbers.balls import Ball, around, ball, float_above
from symflow.programs.nodes import Gate, Input, Node
from symflow.programs.program import Program

NEWTON_STEPS = 100
LARGE = 24
"""Size of a matrix from which on float64 balls are tried first: eigenvalues to many digits take seconds there."""


def box(center: Sequence[Ball], radius: Ball) -> np.ndarray:
    """All points whose coordinates are within `radius` of those of the center, shape (P,): they contain the ball."""
    return np.array([around(x, radius) for x in center], dtype=object)


def values(
    objective: Objective, outputs: Mapping[str, Node], theta: np.ndarray, gates: Undecided = "refuse"
) -> dict[str, np.ndarray]:
    """Enclosures of nodes on a box.

    Raises:
        GateUndecided: a gate changes in the box, or may; unless `gates` is "union", for all slopes between its two.
    """
    return interpret(Program(objective.program.inputs, outputs), bound(objective, theta), ball_arithmetic(gates))


def bound(objective: Objective, theta: np.ndarray) -> dict[Input, np.ndarray]:
    """The inputs of the objective's program: data as balls, and the weights of a box."""
    return {**_data(objective), **objective.cut(theta)}


def _data(objective: Objective) -> dict[Input, np.ndarray]:
    lift = np.frompyfunc(ball, 1, 1)
    return {x: np.asarray(lift(a), dtype=object) for x, a in objective.data.items()}


def open_gate(objective: Objective, theta: np.ndarray) -> str | None:
    """Sample, layer and unit of a gate that may change in a box; None where there is none, and f is smooth there.

    A pre-activation that is 0 on the whole box has no influence.
    """
    outputs: dict[str, Node] = {str(p): g.z for p, g in enumerate(objective.gates)}
    found = values(objective, outputs, theta, "union") if outputs else {}
    for p, g in enumerate(objective.gates):
        for index, z in np.ndenumerate(found[str(p)]):
            if not (z >= 0 or z < 0):
                return _place(g, index)
    return None


def _place(g: Gate, index: tuple[int, ...]) -> str:
    *units, sample = index
    return f"sample {sample}, layer {g.layer}, unit {units[0] if len(units) == 1 else tuple(units)}"


@kept
def _gradient(objective: Objective) -> Derived:
    return gradient(objective)


@kept
def _hessian(objective: Objective) -> Derived:
    return hessian(objective)


def gradient_norm(objective: Objective, theta: np.ndarray) -> Ball:
    """At least ||g|| on a box."""
    return norm(slope(objective, theta))


def slope(objective: Objective, theta: np.ndarray) -> np.ndarray:
    """g on a box, shape (P,)."""
    return np.asarray(evaluate_objects(_gradient(objective), list(theta), (), ball_arithmetic(), arb))


def curvature(objective: Objective, theta: np.ndarray) -> np.ndarray:
    """H on a box, shape (P, P)."""
    return np.asarray(evaluate_objects(_hessian(objective), list(theta), (), ball_arithmetic(), arb))


def loss_value(objective: Objective, theta: np.ndarray) -> Ball:
    """f on a box."""
    found: Ball = values(objective, {"f": objective.loss}, theta)["f"].item()
    return found


def norm(v: np.ndarray) -> Ball:
    """At least the Euclidean norm of every vector in an array of balls."""
    return square_sum(v).sqrt().upper()


def least_singular_square(matrix: np.ndarray) -> Ball:
    """At most sigma^2, sigma the least singular value of every wide matrix in a matrix of balls.

    sigma(A + D) >= sigma(A) - ||D||_F, A the midpoints: what the radii do to sigma is not multiplied by ||A||.
    """
    middle, reach = (np.empty(matrix.shape, dtype=object) for _ in range(2))
    for index, x in np.ndenumerate(matrix):
        middle[index], reach[index] = x.mid(), x.rad()
    if matrix.shape[0] > matrix.shape[1]:
        return arb(0)
    sigma = least_eigenvalue(middle.dot(middle.T)).nonnegative_part().sqrt().lower() - norm(reach)
    return (sigma.nonnegative_part().lower() ** 2).lower() if sigma.is_finite() else arb(0)


def square_sum(v: np.ndarray) -> Ball:
    """At least the sum of the squares of the entries of every array in an array of balls."""
    return sum((x.abs_upper() ** 2 for x in v.flat), arb(0)).upper()


def newton(
    center: Sequence[Ball], slope: Callable[[np.ndarray], np.ndarray], bend: Callable[[np.ndarray], np.ndarray]
) -> list[Ball]:
    """A point where a slope is small, exact balls: Newton's method at the working precision, with nothing proved.

    Args:
        center: where it starts.
        slope: on a box, shape (P,).
        bend: its derivative, or nearly so, shape (P, P).
    """
    point = found = [x.mid() for x in center]
    best = None
    for _ in range(NEWTON_STEPS):
        at = box(point, arb(0))
        here = slope(at)
        size = norm(np.array([x.mid() for x in here], dtype=object))
        if best is not None and not size < best:
            break
        best, found = size, point
        try:
            step = arb_mat(bend(at).tolist()).solve(arb_mat([[v] for v in here]))
        except ZeroDivisionError:
            break
        point = [(x - step[i, 0]).mid() for i, x in enumerate(point)]
    return found


def least_eigenvalue(matrix: np.ndarray) -> Ball:
    """The least eigenvalue of every symmetric matrix in a matrix of balls, enclosed.

    A large matrix is rounded to float64 balls, unless the sign is lost there and more digits are affordable.
    """
    if len(matrix) >= LARGE:
        found = eigenvalue_bounds(_rounded(matrix))
        if found.smallest_low[0] > 0 or len(matrix) >= 2 * LARGE:
            return arb(float(found.smallest_low[0])).union(arb(float(found.smallest_high[0])))
    return extreme_eigenvalues(matrix)[0]


def largest_eigenvalue(matrix: np.ndarray) -> Ball:
    """The largest eigenvalue of every symmetric matrix in a matrix of balls, enclosed; large ones in float64 balls."""
    if len(matrix) >= LARGE:
        found = eigenvalue_bounds(_rounded(matrix))
        if np.isfinite(found.largest_low[0]) and np.isfinite(found.largest_high[0]):
            return arb(float(found.largest_low[0])).union(arb(float(found.largest_high[0])))
    return extreme_eigenvalues(matrix)[1]


def _rounded(matrix: np.ndarray) -> Rounded:
    """A matrix of balls as one of float64 balls."""
    middle, reach = np.empty((1, *matrix.shape)), np.empty((1, *matrix.shape))
    for index, x in np.ndenumerate(matrix):
        m = float(x.mid()) if x.is_finite() else 0.0
        middle[0][index], reach[0][index] = m, float_above((x - arb(m)).abs_upper())
    return Rounded(middle, reach)
