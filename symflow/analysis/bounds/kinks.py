r"""Kinks between descent and flow: where the bounds of R3 continue past them, and what the crossing steps cost.

At a kink of the gate of sample i, layer j, unit u the gradient jumps by (alpha - alpha_bar) (b/N) grad z, b being the
derivative of the sample's loss in the unit's activation. Where (alpha - alpha_bar) b > 0 the jump is convex: it only
brings trajectories together, so that m from the smooth pieces on both sides stays valid (docs/theory/kinks.md), also
where the flow slides along the kink. A step of descent that crosses such a kink has the jump in its defect. Where
b = 0 there is no jump; where (alpha - alpha_bar) b < 0 the bounds are not applicable from there on.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from symflow.analysis.observables import gradients
from symflow.caching import kept
from symflow.evaluate.numpy_batches import evaluate_points
from symflow.networks.network import FullyConnected
from symflow.networks.objective import Objective
from symflow.paths.sampling import DenseFlow
from symflow.paths.trajectory import Trajectory
from symflow.programs.program import Program
from symflow.theory.model import Model

INSIDE = (0.25, 0.5, 0.75, 1.0)
"""Where in a step the gates and the defect are looked at."""
MOST_STEPS = 400_000
"""Most steps of descent that are all looked at for crossings."""
CHUNK = 2048


@dataclass(frozen=True, eq=False)
class Crossings:
    """The steps of descent that cross a kink.

    Attributes:
        steps: k, increasing.
        costs: eta times the largest defect sampled inside each of these steps.
    """

    steps: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=int))
    costs: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def between(self, indices: np.ndarray) -> np.ndarray:
        """The costs added up over the steps from each index up to the next."""
        total = np.concatenate([[0.0], np.cumsum(self.costs)])
        return np.asarray(np.diff(total[np.searchsorted(self.steps, indices)]))


@dataclass(frozen=True)
class Place:
    """A gate: sample and unit counted from 0, layer from 1."""

    sample: int
    layer: int
    unit: int

    def __str__(self) -> str:
        return f"sample {self.sample}, layer {self.layer}, unit {self.unit}"


@dataclass(frozen=True, eq=False)
class Gates:
    """The gates of a fully connected network at S points.

    Attributes:
        on: whether z >= 0, layer by layer, shape (S, d_j, N).
        back: b, the derivative of the sample's loss in the activation, of the same shapes.
    """

    on: tuple[np.ndarray, ...]
    back: tuple[np.ndarray, ...]


@kept
def _errors(objective: Objective) -> Program:
    """The gradients of the sample losses at the predictions, one column a sample."""
    return Program(objective.program.inputs, {"errors": Model(objective).loss_gradient()})


def gates_at(objective: Objective, points: np.ndarray) -> Gates:
    """Gates and back-propagated coefficients at S points of a fully connected network over samples."""
    network = objective.network
    assert isinstance(network, FullyConnected)
    x = next(np.asarray(a, dtype=np.float64) for y, a in objective.data.items() if y.name == "X")
    slopes = float(network.alpha), float(network.alpha_bar)
    weights = [points[:, where].reshape(-1, *shape) for where, shape in objective.slices()]
    a, on = np.broadcast_to(x, (len(points), *x.shape)), []
    for w in weights[:-1]:
        z = w @ a
        on.append(z >= 0)
        a = np.where(z >= 0, *slopes) * z
    delta = evaluate_points(objective, _errors(objective), points)["errors"]
    back = []
    for w, gate in zip(weights[:0:-1], on[::-1], strict=True):
        b = np.swapaxes(w, 1, 2) @ delta
        back.append(b)
        delta = np.where(gate, *slopes) * b
    return Gates(tuple(on), tuple(back[::-1]))


def first_concave(objective: Objective, here: np.ndarray, there: np.ndarray) -> tuple[int, Place] | None:
    """The first pair of points between which a gate changes whose jump is not convex, and that gate.

    Args:
        objective: a fully connected network's training loss over samples.
        here: S points.
        there: S other points.
    """
    network = objective.network
    assert network is not None
    sign = 1.0 if network.alpha > network.alpha_bar else -1.0
    for start in range(0, len(here), CHUNK):
        a = gates_at(objective, here[start : start + CHUNK])
        b = gates_at(objective, there[start : start + CHUNK])
        bad = [
            (p != q) & ((sign * u < 0) | (sign * v < 0)) for p, q, u, v in zip(a.on, b.on, a.back, b.back, strict=True)
        ]
        rows = np.flatnonzero(np.any([layer.any(axis=(1, 2)) for layer in bad], axis=0))
        if len(rows):
            row = int(rows[0])
            layer = next(i for i, v in enumerate(bad) if v[row].any())
            unit, sample = np.argwhere(bad[layer][row])[0]
            return start + row, Place(int(sample), layer + 1, int(unit))
    return None


def crossing_steps(objective: Objective, compact: Objective, path: np.ndarray, eta: float) -> Crossings:
    """The steps of a float64 descent that cross a kink, with what they cost.

    Args:
        objective: over samples.
        compact: the form that is cheapest to evaluate.
        path: theta_0, theta_1, ..., every step.
        eta: the step size.
    """
    found: list[np.ndarray] = []
    for start in range(0, len(path) - 1, CHUNK):
        here, there = path[start : start + CHUNK + 1][:-1], path[start + 1 : start + CHUNK + 1]
        first = gates_at(objective, here).on
        changed = np.zeros(len(here), dtype=bool)
        for s in INSIDE:
            for p, q in zip(first, gates_at(objective, here + s * (there - here)).on, strict=True):
                changed |= (p != q).any(axis=(1, 2))
        found.append(start + np.flatnonzero(changed))
    steps = np.concatenate(found) if found else np.zeros(0, dtype=int)
    if not len(steps):
        return Crossings()
    here, there = path[steps], path[steps + 1]
    g = gradients(compact, here)
    worst = np.zeros(len(steps))
    for s in INSIDE:
        worst = np.maximum(worst, np.linalg.norm(gradients(compact, here + s * (there - here)) - g, axis=1))
    return Crossings(steps, eta * worst)


def first_concave_event(objective: Objective, flow: Trajectory, dense: DenseFlow) -> tuple[float, str] | None:
    """The time of the first event of a flow at which the bounds end, and why; None where they continue past all.

    Where a gate revives or turns inert, kinks of several layers meet, and no single b says which way the jump goes.

    Args:
        objective: a fully connected network's training loss over samples.
        flow: its flow.
        dense: the same in float64.
    """
    if not flow.events:
        return None
    network = objective.network
    assert network is not None
    sign = 1.0 if network.alpha > network.alpha_bar else -1.0
    times = np.minimum([float(e.time) for e in flow.events], float(flow.horizon))
    back = gates_at(objective, dense(times)).back
    for row, (time, e) in enumerate(zip(times.tolist(), flow.events, strict=True)):
        if e.kind in ("revival", "inert"):
            return time, several_reason(time)
        if sign * back[e.layer - 1][row, e.unit, e.sample] < 0:
            return time, concave_reason(time, Place(e.sample, e.layer, e.unit))
    return None


def several_reason(time: float) -> str:
    """Why the bounds end where kinks of several layers meet."""
    return f"at t = {time:.6g} kinks of several layers meet; whether their joint jump is convex is not known"


def concave_reason(time: float, place: Place) -> str:
    """Why the bounds end at a kink."""
    return (
        f"at t = {time:.6g} descent and flow are parted by a kink ({place}) whose jump is not convex (b < 0); there "
        "the curvature of the smooth pieces bounds nothing"
    )
