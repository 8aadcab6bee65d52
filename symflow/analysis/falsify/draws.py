"""Points of a family: initial weights, data, step sizes and numbers of steps, drawn in batches."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor, prod

import numpy as np

from symflow.analysis.falsify.family import Family, Setup
from symflow.analysis.falsify.vocabulary import Needs
from symflow.errors import ProblemError, brief
from symflow.networks.network import FullyConnected
from symflow.problem.initialize import balanced, parameter_shapes
from symflow.programs.program import shape_of

BATCH = 64
"""Points that are evaluated together: few enough for batched eigenvalues on two cores."""
SMALL_STEPS = 256
"""How many times more steps there may be where the tube of R4 enters, so that it is thin."""


@dataclass(frozen=True, eq=False)
class Points:
    """B points of one setup.

    Attributes:
        theta: initial weights, shape (B, P).
        x: inputs, shape (B, N, d_0).
        y: targets, shape (B, N, d_n).
        log_eta: log of the step size, shape (B,).
        steps: k, shape (B,).
        exact: theta as rationals, where it is to stay as it is.
    """

    theta: np.ndarray
    x: np.ndarray
    y: np.ndarray
    log_eta: np.ndarray
    steps: np.ndarray
    exact: tuple[tuple[Fraction, ...], ...] | None = None

    @property
    def count(self) -> int:
        """B."""
        return len(self.steps)

    @property
    def moving(self) -> tuple[np.ndarray, ...]:
        """The arrays that ascent changes."""
        return self.theta, self.x, self.y, self.log_eta

    def moved(self, arrays: Sequence[np.ndarray]) -> Points:
        """The points with other arrays."""
        theta, x, y, log_eta = arrays
        return replace(self, theta=theta, x=x, y=y, log_eta=log_eta)

    def take(self, rows: Sequence[int] | np.ndarray) -> Points:
        """Some of the points, in this order."""
        exact = None if self.exact is None else tuple(self.exact[int(i)] for i in rows)
        theta, x, y, log_eta, steps = (a[rows] for a in (*self.moving, self.steps))
        return Points(theta, x, y, log_eta, steps, exact)


def joined(parts: Sequence[Points]) -> Points:
    """Several batches as one."""
    theta, x, y, log_eta, steps = (
        np.concatenate(arrays) for arrays in zip(*((*p.moving, p.steps) for p in parts), strict=True)
    )
    exact = None if parts[0].exact is None else tuple(e for p in parts for e in p.exact or ())
    return Points(theta, x, y, log_eta, steps, exact)


def padded(points: Points) -> Points:
    """A full batch, the last point repeated."""
    return points.take(np.minimum(np.arange(BATCH), points.count - 1))


def draw(family: Family, setup: Setup, rng: np.random.Generator, needs: Needs) -> Points:
    """A batch at random.

    Args:
        family: the ranges.
        setup: the shape.
        rng: the source.
        needs: of the claim; where no time passes, there is one step, and many where the tube enters.
    """
    shapes = parameter_shapes(setup.network)
    inputs, outputs = (prod(shape_of(a)) for a in (setup.network.input_axes, setup.network.output_axes))
    exact = None
    if setup.balanced:
        exact = _balanced(family, setup, rng)
        theta = np.array([[float(v) for v in row] for row in exact])
    else:
        theta = _weights(family, [prod(s) for s in shapes], rng)
    x = _data(family, (BATCH, setup.samples, inputs), rng)
    y = _targets(family, setup, outputs, rng)
    steps = np.ones(BATCH, dtype=np.int64)
    if needs.moving:
        least, most = step_range(family, needs)
        steps = np.floor(np.exp(rng.uniform(np.log(least), np.log(most + 1), BATCH))).astype(np.int64)
    low, high = log_eta_range(family, steps, needs.moving)
    return Points(theta, x, y, low + (high - low) * rng.random(BATCH), steps, exact)


def step_range(family: Family, needs: Needs) -> tuple[int, int]:
    """The smallest and the largest k with which some step size of the family gives a time of it.

    Raises:
        ProblemError: there is none.
    """
    least, most = (family.steps, SMALL_STEPS * family.steps) if needs.tube else (1, family.steps)
    low = max(least, ceil(Fraction(family.times[0]) / Fraction(family.step_sizes[1])))
    high = min(most, floor(Fraction(family.times[1]) / Fraction(family.step_sizes[0])))
    if low > high:
        raise ProblemError(
            f"Family: with {least} to {most} steps no step size of {brief(list(family.step_sizes))} gives a time of "
            f"{brief(list(family.times))}; change step_sizes, times or steps"
        )
    return low, high


def log_eta_range(family: Family, steps: np.ndarray, moving: bool) -> tuple[np.ndarray, np.ndarray]:
    """The ends of log eta for given numbers of steps: those of the step size and of the time."""
    low, high = (np.full(len(steps), np.log(float(e))) for e in family.step_sizes)
    if moving:
        first, last = (np.log(float(t)) - np.log(steps) for t in family.times)
        low, high = np.maximum(low, first), np.minimum(high, last)
    return low, np.maximum(low, high)


def _weights(family: Family, sizes: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    kinds = [x for x in family.initializations if x != "balanced"]
    most = float(family.weights)
    layers = np.exp(rng.uniform(np.log(0.1), np.log(most) if most > 0.1 else np.log(0.1), (BATCH, len(sizes))))
    scale = np.repeat(layers, sizes, axis=1)
    theta = rng.normal(size=scale.shape) * scale
    kind = rng.integers(0, len(kinds), BATCH)
    for p, name in enumerate(kinds):
        rows = kind == p
        if name == "sparse":
            kept = rng.random(scale.shape) < 0.6
            whole = np.repeat(rng.random((BATCH, len(sizes))) < 0.7, sizes, axis=1)
            theta[rows] *= (kept & whole)[rows]
        elif name == "grid":
            theta[rows] = rng.integers(-2, 3, scale.shape)[rows] / 2 * min(1.0, most)
    return np.clip(theta, -most, most)


def _data(family: Family, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Gaussian of different sizes, and a third of the batch on a grid with zeros."""
    most = float(family.data)
    size = np.exp(rng.uniform(np.log(0.2), np.log(max(most, 0.2)), (shape[0], 1, 1)))
    values = rng.normal(size=shape) * size
    grid = rng.integers(-2, 3, shape) / 2 * min(2.0, most)
    return np.clip(np.where(rng.random((shape[0], 1, 1)) < 1 / 3, grid, values), -most, most)


def _targets(family: Family, setup: Setup, outputs: int, rng: np.random.Generator) -> np.ndarray:
    shape = (BATCH, setup.samples, outputs)
    if setup.loss.known.labels == "one-hot":
        return np.asarray(np.eye(outputs)[rng.integers(0, outputs, shape[:2])])
    if setup.loss.known.labels == "signs":
        return rng.integers(0, 2, shape) * 2.0 - 1
    return _data(family, shape, rng)


def _balanced(family: Family, setup: Setup, rng: np.random.Generator) -> tuple[tuple[Fraction, ...], ...]:
    assert isinstance(setup.network, FullyConnected)
    widths = [int(width) for width in setup.network.widths]
    source = random.Random(int(rng.integers(2**62)))
    rows = []
    for _ in range(BATCH):
        scale = Fraction(round(float(rng.uniform(0.1, 1)) * float(family.weights) / 1.5, 2)).limit_denominator(100)
        rows.append(tuple(v for w in balanced(source, widths, max(scale, Fraction(1, 100))) for v in w.flat))
    return tuple(rows)
