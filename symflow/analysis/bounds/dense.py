"""A trajectory in float64 at many times at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
    """The trajectory's steps as float64 arrays."""
    count = max(len(c) for segment in trajectory.segments for c in segment.coefficients)
    values = np.zeros((count, len(trajectory.segments), len(trajectory.segments[0].coefficients)))
    unit, tick = 2.0**-trajectory.bits, 2.0**-trajectory.clock
    for k, segment in enumerate(trajectory.segments):
        for p, series in enumerate(segment.coefficients):
            values[: len(series), k, p] = [float(c) * unit for c in series]
    starts = np.array([float(s.start) * tick for s in trajectory.segments])
    return DenseFlow(starts, np.array([2.0**s.tau for s in trajectory.segments]), values)
