"""The state at the end of a step, its gates in agreement with its pre-activations; where a flow may start."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symflow.paths.float64.gated.frozen import Frozen
from symflow.paths.float64.gated.held import Held, mask

SETTLINGS = 50
"""Evaluations until the gates of all layers agree with their pre-activations."""
MOST_JUDGED, SLOW = 64, 1e-12
"""Kinks of a start that are looked at, and speeds away from them, relative to the gradient, that are rounding."""


@dataclass(frozen=True, eq=False)
class Point:
    """The state at the end of a step.

    Attributes:
        theta: shape (P,).
        slope: grad f with the gates, shape (P,); not projected.
        z: pre-activations (U, N).
        gates: sigma' (U, N), between the slopes for held gates.
        held: gates on their kinks.
    """

    theta: np.ndarray
    slope: np.ndarray
    z: np.ndarray
    gates: np.ndarray
    held: Held = ()


def agreeing(
    frozen: Frozen,
    theta: np.ndarray,
    gates: np.ndarray,
    held: Held,
    known: tuple[np.ndarray, np.ndarray] | None = None,
    gone: Held = (),
) -> tuple[Point, int]:
    """Gates of all layers that agree with their pre-activations, held ones as given; and gradients evaluated.

    Args:
        frozen: what is compiled.
        theta: where.
        gates: to begin with.
        held: those that stay as they are.
        known: grad f and pre-activations with the gates given, where they are known.
        gone: those that let go just now, which are as given too: the sign of their pre-activations is rounding.
    """
    fixed = mask(frozen, held + gone, gates.shape)
    count = 0
    while True:
        slope, z = known if known is not None else (np.asarray(v) for v in frozen.gradient(theta, gates))
        count, known = count + 1, None
        found = np.where(fixed, gates, frozen.gates_of(z, gates))
        if (found == gates).all() or count >= SETTLINGS:
            return Point(theta, slope, z, gates, held), count
        gates = found


def start_point(frozen: Frozen, theta: np.ndarray) -> tuple[Point, int]:
    """A start, all gates as sigma' has them."""
    gates = np.repeat(frozen.alpha[:, None], frozen.samples, axis=1)
    for group in frozen.groups.members.values():
        for (unit, sample), side in group:
            gates[unit, sample] = frozen.alpha[unit] if side > 0 else frozen.alpha_bar[unit]
    return agreeing(frozen, theta, gates, ())


def repels(frozen: Frozen, point: Point) -> bool:
    """Whether the flow may leave a start on kinks to both sides of one of them, all other gates as they are."""
    zero = [gate for gate in zip(*np.nonzero(point.z == 0), strict=True) if frozen.groups.first.get(gate, gate) == gate]
    for unit, sample in zero[:MOST_JUDGED]:
        speeds = []
        for side in (1, -1):
            gates = point.gates.copy()
            for (u, i), way in frozen.groups.of((unit, sample)):
                gates[u, i] = (frozen.alpha if side * way > 0 else frozen.alpha_bar)[u]
            slope = np.asarray(frozen.gradient(point.theta, gates)[0])
            _, dot = frozen.moving(point.theta, -slope, np.array([sample]), gates[:, sample][None])
            speeds.append(side * float(dot[0, unit]) - SLOW * float(np.linalg.norm(slope)))
        if min(speeds) > 0:
            return True
    return False
