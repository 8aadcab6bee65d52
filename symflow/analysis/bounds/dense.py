"""A trajectory in float64 at many times at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symflow.trajectory.segments import taylor_steps
from symflow.trajectory.trajectory import Trajectory

CHUNK = 4096
"""Times that are evaluated together."""


@dataclass(frozen=True, eq=False)
class DenseFlow:
    """The Taylor steps of a trajectory, rounded to float64.

    Attributes:
        starts: of the steps, shape (K,).
        scales: 2^tau, shape (K,): state(t) = sum_i c_i ((t - start) / scale)^i.
        coefficients: c_i, shape (order + 1, K, P).
    """

    starts: np.ndarray
    scales: np.ndarray
    coefficients: np.ndarray

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


def dense_flow(trajectory: Trajectory) -> DenseFlow:
    """The trajectory's Taylor steps as float64 arrays.

    Raises:
        ProblemError: it was computed in float64, with kinks that are not located.
    """
    steps = taylor_steps(trajectory)
    count = max(len(c) for segment in steps.segments for c in segment.coefficients)
    values = np.zeros((count, len(steps.segments), len(steps.segments[0].coefficients)))
    unit, tick = 2.0**-steps.bits, 2.0**-steps.clock
    for k, segment in enumerate(steps.segments):
        for p, series in enumerate(segment.coefficients):
            values[: len(series), k, p] = [float(c) * unit for c in series]
    starts = np.array([float(s.start) * tick for s in steps.segments])
    return DenseFlow(starts, np.array([2.0**s.tau for s in steps.segments]), values)
