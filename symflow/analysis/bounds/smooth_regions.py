r"""Whether a ball of weights lies in one smooth region of a network: no pre-activation can change its sign there.

For one sample let a_j be the activations at the centre, rho_j >= ||a'_j - a_j|| on the ball of radius R. Unit u of the
next layer has weights w_u, and ||w'_u - w_u|| <= R, so that
    |z'_u - z_u| <= Delta_u = ||w_u|| rho_j + R (||a_j|| + rho_j).
Its gate is decided where |z_u| > Delta_u, and without influence where a'_j = 0 on the whole ball. The activation then
moves by at most the larger slope times Delta_u, and not at all for a unit that is off with slope 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symflow.networks.network import FullyConnected
from symflow.networks.objective import Objective


@dataclass(frozen=True, eq=False)
class Decided:
    """Which gates are decided on balls around S centres.

    Attributes:
        open: the gates that may change, layer by layer, each of shape (S, d_j, N).
    """

    open: tuple[np.ndarray, ...]

    @property
    def smooth(self) -> np.ndarray:
        """Whether each ball lies in one smooth region, shape (S,)."""
        return ~np.any([layer.any(axis=(1, 2)) for layer in self.open], axis=0)

    def first(self, ball: int) -> tuple[int, int, int]:
        """Sample, layer (from 1) and unit of a gate that may change on one ball."""
        for layer, gates in enumerate(self.open, start=1):
            found = np.argwhere(gates[ball])
            if len(found):
                unit, sample = found[0]
                return int(sample), layer, int(unit)
        raise ValueError("all gates are decided on this ball")


def decide(objective: Objective, centres: np.ndarray, radii: np.ndarray) -> Decided:
    """Which gates may change on the balls around S centres.

    Args:
        objective: a fully connected network's training loss over samples.
        centres: shape (S, P).
        radii: shape (S,).
    """
    network = objective.network
    assert isinstance(network, FullyConnected)
    x = next(np.asarray(a, dtype=np.float64) for y, a in objective.data.items() if y.name == "X")
    slopes = float(network.alpha), float(network.alpha_bar)
    steepest = max(abs(s) for s in slopes)
    activations = np.broadcast_to(x, (len(centres), *x.shape))
    moved = np.zeros((len(centres), x.shape[1]))
    radius = radii[:, None, None]
    opened = []
    for where, shape in list(objective.slices())[:-1]:
        w = centres[:, where].reshape(-1, *shape)
        size = np.linalg.norm(activations, axis=1)
        z = w @ activations
        delta = np.linalg.norm(w, axis=2)[:, :, None] * moved[:, None, :] + radius * (size + moved)[:, None, :]
        open_here = (np.abs(z) <= delta) & (size + moved > 0)[:, None, :]
        opened.append(open_here)
        activations = np.where(z >= 0, slopes[0], slopes[1]) * z
        flat = ~open_here & (np.where(z >= 0, slopes[0], slopes[1]) == 0)
        moved = np.linalg.norm(np.where(flat, 0.0, steepest * delta), axis=1)
    return Decided(tuple(opened))
