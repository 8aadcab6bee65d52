"""Gradient flow of small networks written out by hand in NumPy and mpmath: the oracle of the tests of `solve_flow`."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
from scipy.integrate import solve_ivp
from scipy.special import expit

from symflow.problem import Problem


def network_problem(
    widths: Sequence[int], x: Any, y: Any, theta: Any, horizon: Any = 1, slopes: tuple[Any, Any] = (1, 1)
) -> Problem:
    """A fully connected network with square loss; slopes (1, 1) are linear, (1, 0) ReLU."""
    alpha, alpha_bar = slopes
    network = {"widths": list(widths), "activation": "homogeneous", "alpha": alpha, "alpha_bar": alpha_bar}
    return Problem(
        network={"kind": "fully-connected", **network},
        data={"x": x, "y": y},
        init={"theta": theta},
        run={"horizon": horizon},
    )


def expected_error(value: Any, expected: Any) -> Any:
    """max |value - expected| / max(1, |expected|): at most 10^-n where all n digits are right."""
    return max(abs(a - b) / max(1, abs(b)) for a, b in zip(value, expected, strict=True))


@dataclass(frozen=True)
class Case:
    """A network, its data and its start, in exact rationals."""

    widths: tuple[int, ...]
    slopes: tuple[Fraction, Fraction]
    x: list[list[Fraction]]
    y: list[list[Fraction]]
    theta: list[Fraction]
    horizon: Fraction

    @property
    def problem(self) -> Problem:
        return network_problem(self.widths, self.x, self.y, self.theta, self.horizon, self.slopes)

    def field(self, xp: Any = np) -> Callable[[float, Any], Any]:
        """(t, theta) -> -grad f(theta) in float64, by forward and backward passes, in NumPy or JAX."""
        x, y = np.array(self.x, dtype=float).T, np.array(self.y, dtype=float).T
        alpha, alpha_bar = map(float, self.slopes)

        def velocity(_: float, theta: Any) -> Any:
            weights = self.matrices(theta)
            activations, gates = [x], []
            for w in weights[:-1]:
                z = w @ activations[-1]
                gates.append(xp.where(z >= 0, alpha, alpha_bar))
                activations.append(gates[-1] * z)
            return self.backward(weights, activations, gates, y, xp)

        return velocity

    def smoothed_endpoint(self, end: float, width: float) -> np.ndarray:
        """theta(end) of the network with a softplus for each kink; tends to the flow's as the width does to 0."""
        x, y = np.array(self.x, dtype=float).T, np.array(self.y, dtype=float).T
        alpha, alpha_bar = map(float, self.slopes)

        def velocity(_: float, theta: np.ndarray) -> np.ndarray:
            weights = self.matrices(theta)
            activations, gates = [x], []
            for w in weights[:-1]:
                z = w @ activations[-1]
                gates.append(alpha_bar + (alpha - alpha_bar) * expit(z / width))
                activations.append(alpha_bar * z + (alpha - alpha_bar) * width * np.logaddexp(0, z / width))
            return self.backward(weights, activations, gates, y)

        start = np.array(self.theta, dtype=float)
        solved = solve_ivp(velocity, (0, end), start, method="LSODA", rtol=1e-8, atol=1e-11)
        assert solved.success
        return np.asarray(solved.y[:, -1])

    def matrices(self, theta: Any) -> list[Any]:
        """W_1, ..., W_n."""
        matrices, start = [], 0
        for columns, rows in pairwise(self.widths):
            matrices.append(theta[start : start + rows * columns].reshape(rows, columns))
            start += rows * columns
        return matrices

    def backward(self, weights: list, activations: list, gates: list, y: np.ndarray, xp: Any = np) -> Any:
        """-grad f by back-propagation."""
        back = (y - weights[-1] @ activations[-1]) / len(self.x)
        parts = [back @ activations[-1].T]
        for w, gate, a in zip(reversed(weights[1:]), reversed(gates), reversed(activations[:-1]), strict=True):
            back = (w.T @ back) * gate
            parts.append(back @ a.T)
        return xp.concatenate([p.ravel() for p in reversed(parts)])

    def endpoint(self, end: float) -> np.ndarray:
        """theta(end) by an adaptive Runge-Kutta method of order 8; its short steps at a kink keep about 8 digits."""
        start = np.array(self.theta, dtype=float)
        solved = solve_ivp(
            self.field(), (0, end), start, method="DOP853", rtol=1e-11, atol=1e-12, max_step=min(0.02, end / 10)
        )
        assert solved.success
        return np.asarray(solved.y[:, -1])

    def descents(self, step_sizes: Sequence[float], end: float) -> list[np.ndarray]:
        """theta_k of gradient descent with k = end / step_size, for each step size; compiled, for there are many k."""
        velocity = self.field(jnp)

        @jax.jit
        def run(theta: jax.Array, step_size: float, steps: int) -> jax.Array:
            return jax.lax.fori_loop(0, steps, lambda _, v: v + step_size * velocity(0.0, v), theta)

        with jax.enable_x64(True):
            start = np.array(self.theta, dtype=float)
            return [np.asarray(run(start, step_size, round(end / step_size))) for step_size in step_sizes]


SLOPES = {
    "relu": (1, 0),
    "leaky": (1, Fraction(1, 5)),
    "steep": (2, Fraction(1, 2)),
    "absolute": (1, -1),
    "tilted": (Fraction(3, 2), Fraction(-1, 3)),
    "mirrored": (0, 1),
    "negative": (-1, Fraction(1, 4)),
}


def random_case(seed: int, kind: str = "") -> Case:
    """Depth 2 or 3, widths up to 4, up to 6 samples, horizon up to 5; `kind` makes some numbers special.

    "tied": two samples are parallel (equal, opposite, multiples, or one is zero); "kink": some first-layer units start
    on the kink of sample 0; "zeros": many weights are zero; "coarse": weights and data are halves, so that much
    coincides.
    """
    rng = random.Random(f"{kind} {seed}")

    def number() -> Fraction:
        return (
            Fraction(rng.choice([-2, -1, -1, 0, 0, 1, 1, 2]), 2)
            if kind == "coarse"
            else Fraction(rng.randint(-100, 100), 100)
        )

    widths = (*(rng.randint(1, 4) for _ in range(rng.choice([2, 2, 3]))), rng.choice([1, 1, 2]))
    slopes = SLOPES[rng.choice(["relu", "relu", "leaky", "leaky", *SLOPES])]
    samples = rng.randint(2, 6)
    x = [[number() for _ in range(widths[0])] for _ in range(samples)]
    y = [[number() for _ in range(widths[-1])] for _ in range(samples)]
    theta = [number() for _ in range(sum(a * b for a, b in pairwise(widths)))]
    if kind == "tied":
        factor = rng.choice([Fraction(1), Fraction(2), Fraction(-1), Fraction(-3, 2), Fraction(0)])
        x[-1] = [factor * v for v in x[0]]
    if kind == "kink" and x[0][-1]:
        for row in range(0, widths[0] * widths[1], widths[0]):
            others = sum((theta[row + i] * x[0][i] for i in range(widths[0] - 1)), Fraction(0))
            if rng.random() < 0.5:
                theta[row + widths[0] - 1] = -others / x[0][-1]
    if kind == "zeros":
        theta = [v if rng.random() < 0.6 else Fraction(0) for v in theta]
    return Case(widths, (Fraction(slopes[0]), Fraction(slopes[1])), x, y, theta, Fraction(rng.randint(1, 5)))


def plain_matrices(theta: Sequence[Any], widths: Sequence[int]) -> list[Any]:
    """W_1, ..., W_n as mpmath matrices."""
    matrices, start = [], 0
    for columns, rows in pairwise(widths):
        matrices.append(mpmath.matrix(rows, columns))
        for i in range(rows * columns):
            matrices[-1][i // columns, i % columns] = theta[start + i]
        start += rows * columns
    return matrices


def plain_loss_and_speed(theta: Sequence[Any], widths: Sequence[int], x: Any, y: Any, slopes: Any) -> tuple[Any, Any]:
    """f(theta) and ||grad f(theta)||^2 in mpmath's numbers, by forward and backward passes."""

    def numbers(rows: Any) -> np.ndarray:
        exact = [[Fraction(v) for v in row] for row in rows]
        return np.array([[mpmath.mpf(q.numerator) / q.denominator for q in row] for row in exact], dtype=object)

    ((alpha, alpha_bar),) = numbers([slopes])
    weights, start = [], 0
    for columns, rows in pairwise(widths):
        weights.append(np.array(theta[start : start + rows * columns], dtype=object).reshape(rows, columns))
        start += rows * columns
    activations, gates = [numbers(x).T], []
    for w in weights[:-1]:
        z = w @ activations[-1]
        gates.append(np.where(z >= 0, alpha, alpha_bar))
        activations.append(gates[-1] * z)
    error = weights[-1] @ activations[-1] - numbers(y).T
    back, squares = error / len(x), []
    for w, a, gate in zip(reversed(weights), reversed(activations), [*reversed(gates), None], strict=True):
        squares.append(((back @ a.T) ** 2).sum())
        if gate is not None:
            back = (w.T @ back) * gate
    return (error**2).sum() / (2 * len(x)), sum(squares)
