"""Networks in plain `Fraction` matrices: the oracle of the exact tests, written without symflow's formulas."""

from __future__ import annotations

import random
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise

import numpy as np
from cases import rationals
from hypothesis import strategies as st

import symflow as sf

ACTIVATIONS = {
    "linear": (Fraction(1), Fraction(1)),
    "scaled": (Fraction(-2, 3), Fraction(-2, 3)),
    "relu": (Fraction(1), Fraction(0)),
    "leaky": (Fraction(1), Fraction(1, 5)),
    "homogeneous": (Fraction(3, 2), Fraction(-4, 7)),
}


@dataclass(frozen=True)
class Case:
    """A network with its data, weights and two directions."""

    widths: tuple[int, ...]
    slopes: tuple[Fraction, Fraction]
    samples: int
    seed: int

    @cached_property
    def arrays(self) -> tuple[np.ndarray, ...]:
        rng = random.Random(self.seed)
        count = sum(a * b for a, b in pairwise(self.widths))
        x = rationals(rng, self.samples, self.widths[0])
        y = rationals(rng, self.samples, self.widths[-1])
        return x, y, rationals(rng, count), rationals(rng, count), rationals(rng, count)

    @property
    def depth(self) -> int:
        return len(self.widths) - 1

    @property
    def theta(self) -> np.ndarray:
        return self.arrays[2]

    @property
    def directions(self) -> tuple[np.ndarray, np.ndarray]:
        return self.arrays[3], self.arrays[4]

    @cached_property
    def objective(self) -> sf.Objective:
        return sf.network_objective(sf.FullyConnected(self.widths, *self.slopes), self.arrays[0], self.arrays[1])

    def weights(self, theta: np.ndarray) -> list[np.ndarray]:
        """The matrices W_1, ..., W_n: layer 1 first, each row-major."""
        matrices, start = [], 0
        for columns, rows in pairwise(self.widths):
            matrices.append(np.array(theta[start : start + rows * columns], dtype=object).reshape(rows, columns))
            start += rows * columns
        return matrices

    def forward(self, theta: np.ndarray) -> tuple[list[list[Fraction]], tuple[bool, ...]]:
        """h(x_i) for every sample, and the sign z >= 0 of every hidden pre-activation."""
        alpha, alpha_bar = self.slopes
        outputs, signs = [], []
        for row in self.arrays[0]:
            a = list(row)
            for j, w in enumerate(self.weights(theta), start=1):
                z = [sum((w[r, c] * a[c] for c in range(len(a))), Fraction(0)) for r in range(len(w))]
                if j < self.depth:
                    signs += [v >= 0 for v in z]
                    a = [v * (alpha if v >= 0 else alpha_bar) for v in z]
                else:
                    a = z
            outputs.append(a)
        return outputs, tuple(signs)

    def loss(self, theta: np.ndarray) -> Fraction:
        """f = 1/(2N) sum_i ||h(x_i) - y_i||^2."""
        outputs, _ = self.forward(theta)
        return ((np.array(outputs, dtype=object) - self.arrays[1]) ** 2).sum() / (2 * self.samples)

    def derivatives(self, direction: np.ndarray) -> list[Fraction] | None:
        """All derivatives of t -> f(theta + t D) at 0, by exact interpolation; None where no step keeps the gates.

        Where no gate changes, f(theta + t D) is a polynomial of degree 2n, which 2n + 1 values determine.
        """
        signs = self.forward(self.theta)[1]
        for halvings in range(0, 40, 4):
            points = [Fraction(i, 2**halvings) for i in range(2 * self.depth + 1)]
            if all(self.forward(self.theta + t * direction)[1] == signs for t in points):
                return taylor(points, [self.loss(self.theta + t * direction) for t in points])
        return None


def taylor(points: list[Fraction], values: list[Fraction]) -> list[Fraction]:
    """The derivatives at 0 of the polynomial through the points (Newton's divided differences)."""
    differences = list(values)
    for level in range(1, len(points)):
        for i in range(len(points) - 1, level - 1, -1):
            differences[i] = (differences[i] - differences[i - 1]) / (points[i] - points[i - level])
    coefficients = [Fraction(0)] * len(points)
    for t, c in zip(reversed(points), reversed(differences), strict=True):
        shifted = [Fraction(0), *coefficients[:-1]]
        coefficients = [s - t * old for s, old in zip(shifted, coefficients, strict=True)]
        coefficients[0] += c
    factorial = Fraction(1)
    for k in range(1, len(coefficients)):
        factorial *= k
        coefficients[k] *= factorial
    return coefficients


@st.composite
def cases(draw: st.DrawFn, activations: tuple[str, ...] = tuple(ACTIVATIONS), depth: int = 4) -> Case:
    """Small random networks; numbers come from a seed, so that an example is cheap to draw."""
    widths = draw(st.lists(st.integers(1, 3), min_size=2, max_size=depth + 1))
    slopes = ACTIVATIONS[draw(st.sampled_from(activations))]
    return Case(tuple(widths), slopes, draw(st.integers(1, 3)), draw(st.integers(0, 10**6)))
