r"""Whether a ball of weights lies in one smooth region of a network: no pre-activation can change its sign there.

For one sample let a_j be the activations at the centre, rho_j >= ||a'_j - a_j|| on the ball of radius R. Unit u of the
next layer has weights w_u, and ||w'_u - w_u|| <= R, so that
    |z'_u - z_u| <= Delta_u = ||w_u|| rho_j + R (||a_j|| + rho_j).
Its gate is decided where |z_u| > Delta_u, and without influence where a'_j = 0 on the whole ball. The activation then
moves by at most the larger slope times Delta_u, and not at all for a unit that is off with slope 0.

Other networks (convolutional, with biases or pools) are decided by the program of their pre-activations on the box
around the ball, where each gate is known or takes all values between its slopes.

In float64 z_u and a_j have bounds on their errors, which count, and all that follows is rounded up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symflow.evaluate.boxes import box_program
from symflow.evaluate.rounded import Rounded, norm_bound, rounded_input
from symflow.evaluate.running_error import RoundedArithmetic
from symflow.networks.network import FullyConnected
from symflow.networks.objective import Objective
from symflow.numbers.outward import UNIT, up
from symflow.programs.program import Program


@dataclass(frozen=True, eq=False)
class Decided:
    """Which gates are decided on balls around S centres.

    Attributes:
        open: the gates that may change, each array of shape (S, units, N).
        layers: of these arrays, from 1.
    """

    open: tuple[np.ndarray, ...]
    layers: tuple[int, ...]

    @property
    def smooth(self) -> np.ndarray:
        """Whether each ball lies in one smooth region, shape (S,)."""
        return ~np.any([layer.any(axis=(1, 2)) for layer in self.open], axis=0)

    def first(self, ball: int) -> tuple[int, int, int]:
        """Sample, layer (from 1) and unit of a gate that may change on one ball."""
        for layer, gates in zip(self.layers, self.open, strict=True):
            found = np.argwhere(gates[ball])
            if len(found):
                unit, sample = found[0]
                return int(sample), layer, int(unit)
        raise ValueError("all gates are decided on this ball")


def decide(objective: Objective, centres: np.ndarray, radii: np.ndarray) -> Decided:
    """Which gates may change on the balls around S centres.

    Args:
        objective: a training loss over samples.
        centres: shape (S, P).
        radii: shape (S,).
    """
    network = objective.network
    if not isinstance(network, FullyConnected):
        return _by_program(objective, centres, radii)
    x = next(np.asarray(a, dtype=np.float64) for y, a in objective.data.items() if y.name == "X")
    slopes = float(network.alpha), float(network.alpha_bar)
    steepest = float(up(max(abs(s) for s in slopes)))
    given = rounded_input(x)
    error = np.where(x == 0, 0.0, given.error)  # a zero of the data is one
    activations = Rounded(*(np.broadcast_to(v, (len(centres), *x.shape)) for v in (x, error)))
    moved = np.zeros((len(centres), x.shape[1]))
    radius = radii[:, None, None]
    opened = []
    for where, shape in list(objective.slices())[:-1]:
        w = Rounded(centres[:, where].reshape(-1, *shape), np.zeros((1, *shape)))
        size = _lengths(Rounded(*(np.swapaxes(v, 1, 2) for v in (activations.value, activations.error))))
        z = RoundedArithmetic().einsum("ij,jk->ik", [w, activations])
        lost = np.where(size[:, None, :] > 0, z.error, 0.0)  # without a signal z is 0 at the centre
        signal = (size + moved > 0)[:, None, :]  # without one z stays 0
        far = up(up(_lengths(w)[:, :, None] * moved[:, None, :]) + up(radius * up(size + moved)[:, None, :]))
        far = np.where(signal, far, 0.0)
        open_here = (np.abs(z.value) <= up(far + lost)) & signal
        opened.append(open_here)
        slope = np.where(z.value >= 0, slopes[0], slopes[1])
        # sigma is Lipschitz: the activation at the centre is as well known as z, times a slope.
        steep = np.where(np.abs(z.value) > lost, np.abs(slope), steepest)
        known = up(up(up(steep) * lost) + 4 * UNIT * np.abs(slope * z.value))
        none = ((steep == 0) | (lost == 0)) & ((slope == 0) | (z.value == 0))
        activations = Rounded(slope * z.value, np.where(none, 0.0, known))
        flat = ~open_here & (slope == 0)
        reach = np.swapaxes(np.where(flat | (far == 0), 0.0, up(steepest * far)), 1, 2)
        moved = _lengths(Rounded(np.zeros_like(reach), reach))
    return Decided(tuple(opened), tuple(range(1, len(opened) + 1)))


def _by_program(objective: Objective, centres: np.ndarray, radii: np.ndarray) -> Decided:
    """The same for any network, from its pre-activations on boxes."""
    program = Program(objective.program.inputs, {str(i): g.z for i, g in enumerate(objective.gates)})
    found = box_program(objective, program, Rounded(centres, np.broadcast_to(radii[:, None], centres.shape)))
    opened = []
    for z in found.values():
        doubtful = (np.abs(z.value) <= z.error) & (z.error > 0)  # 0 on the whole box is decided
        shape = (len(centres), *doubtful.shape[1:])
        opened.append(np.broadcast_to(doubtful, shape).reshape(len(centres), -1, shape[-1]))
    return Decided(tuple(opened), tuple(g.layer for g in objective.gates))


def _lengths(x: Rounded) -> np.ndarray:
    """At least the norms along the last axis; 0 where all is 0."""
    return np.where((x.size > 0).any(axis=-1), norm_bound(x), 0.0)
