r"""How much one step of a linear method can pull two runs apart, in coordinates in which that is least.

A method whose step and point are linear in its state x = (theta, carried) and in the gradient has, with the symmetric
mean Hessian H on the segment between two points where gradients are taken,

    x_{k+1} - x'_{k+1} = (A (x) I + B (x) H) (x_k - x'_k),    A + lambda B = J(lambda) c x c, one row for each array.

In the coordinates T x its norm is the largest of ||T J(lambda) T^-1|| over the eigenvalues lambda of H, a convex
function of lambda, so at most the larger of the values at the ends of the spectrum. Gradient descent has c = 1 and
J = 1 - eta lambda. Heavy ball has J(0) = [[1, beta], [0, beta]], of norm above 1; in coordinates of its eigenvectors
growth is e^{eta m / (1 - beta)}, as for its flow. Any T is right; a good one is found in float64 by trying, and its
inverse in balls.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from flint import arb, arb_mat

from symflow.dynamics.method import THETA, Method, Recursion, recursion
from symflow.evaluate.balls import spectral_norm
from symflow.evaluate.interpret import interpret
from symflow.evaluate.object_arrays import EXACT
from symflow.numbers.balls import Ball, ball
from symflow.programs.nodes import Add, Einsum, Input, Node
from symflow.programs.program import Program

TRIALS = 400
"""Most coordinates that are tried."""


@dataclass(frozen=True)
class Coordinates:
    """T and T^-1, in balls."""

    to: arb_mat
    back: arb_mat

    @property
    def widening(self) -> Ball:
        """At least ||T||."""
        return _length(self.to)

    @property
    def narrowing(self) -> Ball:
        """At least ||T^-1||."""
        return _length(self.back)


@dataclass(frozen=True)
class StepMap:
    """J(lambda) = A + lambda B of a method.

    Attributes:
        a: A, exact rationals.
        b: B.
        point: sum |r_i| where gradients are taken at sum r_i x_i.
    """

    a: np.ndarray
    b: np.ndarray
    point: Fraction

    def growth(self, low: float, high: float, coordinates: Coordinates) -> Ball:
        """At least the Lipschitz constant of a step where the spectra of H lie in [low, high]."""
        return _norm(self._matrix(low, coordinates)).max(_norm(self._matrix(high, coordinates)))

    def _matrix(self, rate: float, coordinates: Coordinates) -> arb_mat:
        lifted = [[ball(x) + ball(y) * arb(rate) for x, y in zip(*rows, strict=True)]
                  for rows in zip(self.a.tolist(), self.b.tolist(), strict=True)]  # fmt: skip
        return coordinates.to * arb_mat(lifted) * coordinates.back

    def coordinates(self, low: np.ndarray, high: np.ndarray, counts: np.ndarray) -> Coordinates:
        """Good coordinates for cells of `counts` steps with spectra in [low, high]."""
        found = _least_growth(self.a.astype(float), self.b.astype(float), low, high, counts)
        to = arb_mat([[arb(float(v)) for v in row] for row in found])
        return Coordinates(to, to.inv())


def step_map(method: Method, step_size: Fraction) -> StepMap | None:
    """The map of a method; None for a nonlinear one."""
    programs = recursion(method, 1, step_size)
    if not (linear(programs.point) and linear(programs.step)):
        return None
    return StepMap(*_matrices(programs))


def linear(program: Program) -> bool:
    """Whether the outputs are linear in the inputs, as far as their form shows it."""
    degree: dict[Node, int] = {}
    for x in program.nodes:
        below = [degree[y] for y in x.arguments]
        if isinstance(x, Input):
            degree[x] = 1
        elif not any(below):
            degree[x] = 0
        elif isinstance(x, Add):
            if not all(below):
                return False  # a constant is added
            degree[x] = 1
        elif isinstance(x, Einsum) and sum(below) == 1:
            degree[x] = 1
        else:
            return False
    return all(degree[x] for x in program.outputs.values())


def _matrices(programs: Recursion) -> tuple[np.ndarray, np.ndarray, Fraction]:
    """A, B and what the point weighs for one parameter, from unit vectors: the direction is -H times the point."""
    names = programs.state
    size = len(names)
    a, b = np.empty((size, size), dtype=object), np.empty((size, size), dtype=object)
    weight, pulled = Fraction(0), _step(programs, [Fraction(0)] * size, Fraction(1))
    for j in range(size):
        unit = [Fraction(i == j) for i in range(size)]
        values = {x: np.array([v], dtype=object) for x, v in zip(names, unit, strict=True)}
        point = interpret(programs.point, values, EXACT)[THETA].item()
        a[:, j] = _step(programs, unit, Fraction(0))
        b[:, j] = [point * v for v in pulled]
        weight += abs(point)
    return a, -b, weight


def _step(programs: Recursion, state: list[Fraction], direction: Fraction) -> list[Fraction]:
    values = {x: np.array([v], dtype=object) for x, v in zip(programs.state, state, strict=True)}
    values[programs.direction] = np.array([direction], dtype=object)
    return [v.item() for v in interpret(programs.step, values, EXACT).values()]


def _least_growth(a: np.ndarray, b: np.ndarray, low: np.ndarray, high: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """T in float64, upper triangular (others differ by a rotation), from eigenvectors of A on."""
    size = len(a)
    if size == 1:
        return np.eye(1)
    from scipy.optimize import minimize

    rows, columns = np.triu_indices(size)
    ends = np.stack([a + rate[:, None, None] * b for rate in (low, high)])

    def triangle(numbers: np.ndarray) -> np.ndarray:
        t = np.eye(size)
        t[rows[1:], columns[1:]] = numbers
        diagonal = np.arange(1, size)
        t[diagonal, diagonal] = np.exp(np.clip(t[diagonal, diagonal], -30, 30))
        return t

    def grown(numbers: np.ndarray) -> float:
        t = triangle(numbers)
        norms = np.linalg.norm(t @ ends @ np.linalg.inv(t), 2, axis=(-2, -1)).max(axis=0)
        return float(np.maximum(np.log(norms), -1.0) @ counts)

    values, vectors = np.linalg.eig(a)
    starts = [np.eye(size)]
    if np.isrealobj(values) and abs(np.linalg.det(vectors)) > 1e-6:
        starts.append(np.linalg.inv(vectors[:, np.argsort(-np.abs(values))]))
    found = []
    for base in starts:
        t = np.linalg.qr(base)[1]
        t = t * np.sign(np.diag(t))[:, None] / abs(t[0, 0])
        t[np.arange(1, size), np.arange(1, size)] = np.log(np.diag(t)[1:])
        found.append(minimize(grown, t[rows[1:], columns[1:]], method="Nelder-Mead", options={"maxfev": TRIALS}))
    return triangle(min(found, key=lambda result: float(result.fun)).x)


def _norm(matrix: arb_mat) -> Ball:
    """At least the spectral norm of a small matrix of balls."""
    size = matrix.nrows()
    if size == 1:
        return abs(matrix[0, 0])
    gram = matrix.transpose() * matrix
    if size == 2:
        half, gap = (gram[0, 0] + gram[1, 1]) / 2, (gram[0, 0] - gram[1, 1]) / 2
        return (half + (gap * gap + gram[0, 1] * gram[0, 1]).sqrt()).nonnegative_part().sqrt()
    return spectral_norm(np.array(matrix.tolist(), dtype=object))


def _length(matrix: arb_mat) -> Ball:
    """The Frobenius norm."""
    return sum((v * v for v in matrix.entries()), arb(0)).nonnegative_part().sqrt()
