"""A trajectory in float64 at many times at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from symflow.evaluate.rounded import Rounded
from symflow.numbers.outward import TINY, UNIT
from symflow.paths.float64.record import StepEnds
from symflow.paths.taylor.dense import taylor_steps
from symflow.paths.trajectory import Trajectory

if TYPE_CHECKING:
    from gmpy2 import mpz


NEAR = 16 * UNIT
"""Relative distance of times that are the same to rounding."""
CHUNK = 4096
"""Times that are evaluated together."""


@dataclass(frozen=True, eq=False)
class DenseFlow:
    """The Taylor steps of a trajectory, rounded to float64.

    Attributes:
        starts: of the steps, rounded, shape (K,).
        scales: their lengths, shape (K,): state(t) = sum_i c_i ((t - start) / scale)^i.
        coefficients: c_i, shape (order + 1, K, P).
    """

    starts: np.ndarray
    scales: np.ndarray
    coefficients: np.ndarray

    def around(self, times: np.ndarray) -> Rounded:
        """theta at S times, and at most how far it is from the Taylor steps' own at any time within `NEAR` of these.

        With s and its error ds: the coefficients are rounded to (order + 5) u, and the sum by Horner to (2 order + 1) u
        of sum |c_i| |s|^i; ds costs ds sum i |c_i| (|s| + ds)^(i-1), twice: for these steps and for the flow.
        """
        order = len(self.coefficients)
        values, errors = [], []
        for first in range(0, len(times), CHUNK):
            t = times[first : first + CHUNK]
            k = np.maximum(np.searchsorted(self.starts, t, side="right") - 1, 0)
            s = (t - self.starts[k]) / self.scales[k]
            moved = (4 * UNIT + NEAR) * (np.abs(t) + np.abs(self.starts[k])) / self.scales[k] + 4 * UNIT * np.abs(s)
            wide = (np.abs(s) + moved)[:, None] * (1 + 4 * UNIT)
            sizes, slopes = np.abs(self.coefficients[-1][k]), np.zeros_like(self.coefficients[-1][k])
            for c in self.coefficients[-2::-1]:
                slopes = slopes * wide + sizes
                sizes = sizes * wide + np.abs(c[k])
            errors.append(
                (8 * (order + 8) * UNIT * sizes + 2 * moved[:, None] * slopes) * (1 + 8 * order * UNIT) + TINY
            )
            values.append(self(t))
        return Rounded(np.concatenate(values), np.concatenate(errors))

    def __call__(self, times: np.ndarray) -> np.ndarray:
        """theta at S times, shape (S, P), to float64 rounding."""
        rows = []
        for first in range(0, len(times), CHUNK):
            t = times[first : first + CHUNK]
            k = np.maximum(np.searchsorted(self.starts, t, side="right") - 1, 0)
            s = ((t - self.starts[k]) / self.scales[k])[:, None]
            value = self.coefficients[-1][k]
            for c in self.coefficients[-2::-1]:
                value = value * s + c[k]
            rows.append(value)
        return np.concatenate(rows)


@dataclass(frozen=True, eq=False)
class HermiteFlow:
    """A flow between times at which it is known: the cubic with its values and slopes at both.

    Attributes:
        times: increasing, shape (S,).
        states: theta there, shape (S, P).
        slopes: theta' = -g there, of the same shape.
    """

    times: np.ndarray
    states: np.ndarray
    slopes: np.ndarray

    def __call__(self, times: np.ndarray) -> np.ndarray:
        """theta at many times, shape (., P)."""
        k = np.clip(np.searchsorted(self.times, times, side="right") - 1, 0, max(0, len(self.times) - 2))
        following = np.minimum(k + 1, len(self.times) - 1)
        h = np.maximum(self.times[following] - self.times[k], 1e-300)[:, None]
        s = (times - self.times[k])[:, None] / h
        a, b = self.states[k], self.states[following]
        left, right = h * self.slopes[k] - (b - a), h * self.slopes[following] - (b - a)
        return np.asarray(a + s * (b - a) + s * (1 - s) * ((1 - s) * left - s * right))


@dataclass(frozen=True, eq=False)
class StepsFlow:
    """A flow that was computed in float64.

    Attributes:
        steps: its step ends, and its method.
    """

    steps: StepEnds

    def __call__(self, times: np.ndarray) -> np.ndarray:
        """theta at many times, shape (., P); at those that are step ends but for rounding the states there."""
        knots = self.steps.knots
        right = np.clip(np.searchsorted(knots, times), 1, len(knots) - 1)
        nearest = np.where(knots[right] - times < times - knots[right - 1], knots[right], knots[right - 1])
        near = np.abs(times - nearest) <= NEAR * knots[-1]
        return self.steps.at(np.where(near, nearest, times))


def sampled_flow(trajectory: Trajectory) -> DenseFlow | StepsFlow:
    """The trajectory at many float64 times at once.

    Raises:
        ProblemError: it is no flow.
    """
    return StepsFlow(trajectory.dense) if isinstance(trajectory.dense, StepEnds) else dense_flow(trajectory)


def dense_flow(trajectory: Trajectory) -> DenseFlow:
    """The trajectory's Taylor steps as float64 arrays.

    Raises:
        ProblemError: it was computed in float64, with kinks that are not located.
    """
    steps = taylor_steps(trajectory)
    count = max(len(c) for segment in steps.segments for c in segment.coefficients)
    values = np.zeros((count, len(steps.segments), len(steps.segments[0].coefficients)))
    starts = np.array([to_float(s.start, steps.clock) for s in steps.segments])
    lengths = np.array([to_float(s.end - s.start, steps.clock) for s in steps.segments])
    for k, segment in enumerate(steps.segments):
        # In units of the step's own length: in those of 2^tau, which may be much longer, coefficients may overflow.
        mantissa, exponent = math.frexp(lengths[k])
        exponent -= segment.tau
        powers = np.cumprod(np.concatenate([[1.0], np.full(count - 1, mantissa)]))
        for p, series in enumerate(segment.coefficients):
            row = [to_float(c, steps.bits - exponent * i) for i, c in enumerate(series)]
            values[: len(series), k, p] = row * powers[: len(series)]
    return DenseFlow(starts, np.where(lengths > 0, lengths, 1.0), values)


def to_float(value: mpz, bits: int) -> float:
    """A number in fixed point, value 2^-bits, as float64; infinite beyond it, whatever the number of digits is."""
    spare = max(0, value.bit_length() - 64)
    try:
        return math.ldexp(float(int(value >> spare)), spare - bits)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
