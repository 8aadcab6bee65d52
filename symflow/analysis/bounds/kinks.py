r"""Kinks between descent and flow: where the bounds of R3 continue past them, and what the crossing steps cost.

At a kink of the gate of sample i, layer j, unit u the gradient jumps by (alpha - alpha_bar) (b/N) grad z, b being the
derivative of the sample's loss in the unit's activation. Where (alpha - alpha_bar) b > 0 the jump is convex: it only
brings trajectories together, so that m from the smooth pieces on both sides stays valid (docs/theory/kinks.md), also
where the flow slides along the kink. A step of descent that crosses such a kink has the jump in its defect. Where
b = 0 there is no jump; where (alpha - alpha_bar) b < 0 the bounds are not applicable from there on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from symflow.analysis.observables import gradients
from symflow.caching import kept
from symflow.dynamics.sliding import gate_program
from symflow.evaluate.numpy_batches import evaluate_points
from symflow.networks.objective import Objective
from symflow.numbers.vectors import norms
from symflow.paths.sampling import DenseFlow, StepsFlow
from symflow.paths.trajectory import Trajectory
from symflow.programs.program import Program

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
    """The gates of an objective at S points.

    Attributes:
        on: whether z >= 0, gate node by gate node, shape (S, units, N); units are counted row-major.
        back: b, the derivative of the sample's loss in what follows the gate, of the same shapes.
    """

    on: tuple[np.ndarray, ...]
    back: tuple[np.ndarray, ...]


@kept
def _signs(objective: Objective) -> Program:
    """The pre-activations alone."""
    return Program(objective.program.inputs, {f"z_{i}": g.z for i, g in enumerate(objective.gates)})


def _flat(objective: Objective, found: Mapping[str, np.ndarray], kind: str, count: int) -> Iterator[np.ndarray]:
    """The outputs of one kind, shape (S, units, N)."""
    for i, gate in enumerate(objective.gates):
        samples = int(gate.axes[-1].size)
        values = found[f"{kind}_{i}"].reshape(len(found[f"{kind}_{i}"]), -1, samples)
        yield np.broadcast_to(values, (count, *values.shape[1:]))


def gates_on(objective: Objective, points: np.ndarray) -> tuple[np.ndarray, ...]:
    """Whether z >= 0 at S points, gate node by gate node, shape (S, units, N)."""
    found = evaluate_points(objective, _signs(objective), points)
    return tuple(z >= 0 for z in _flat(objective, found, "z", len(points)))


def gates_at(objective: Objective, points: np.ndarray) -> Gates:
    """Gates and back-propagated coefficients at S points, of any network, with biases, skips and pools too."""
    found = evaluate_points(objective, gate_program(objective), points)
    on = tuple(z >= 0 for z in _flat(objective, found, "z", len(points)))
    return Gates(on, tuple(b * b.shape[-1] for b in _flat(objective, found, "b", len(points))))


def _convex(objective: Objective) -> list[float]:
    """The sign of alpha - alpha_bar, gate node by gate node: the jump is convex where b has it."""
    return [1.0 if g.alpha > g.alpha_bar else -1.0 for g in objective.gates]


def first_concave(objective: Objective, here: np.ndarray, there: np.ndarray) -> tuple[int, Place] | None:
    """The first pair of points between which a gate changes whose jump is not convex, and that gate.

    Args:
        objective: with gates.
        here: S points.
        there: S other points.
    """
    signs = _convex(objective)
    for start in range(0, len(here), CHUNK):
        a = gates_at(objective, here[start : start + CHUNK])
        b = gates_at(objective, there[start : start + CHUNK])
        bad = [
            (p != q) & ((sign * u < 0) | (sign * v < 0))
            for sign, p, q, u, v in zip(signs, a.on, b.on, a.back, b.back, strict=True)
        ]
        rows = np.flatnonzero(np.any([layer.any(axis=(1, 2)) for layer in bad], axis=0))
        if len(rows):
            row = int(rows[0])
            node = next(i for i, v in enumerate(bad) if v[row].any())
            unit, sample = np.argwhere(bad[node][row])[0]
            return start + row, Place(int(sample), objective.gates[node].layer, int(unit))
    return None


def crossing_steps(objective: Objective, compact: Objective, path: np.ndarray, eta: float) -> Crossings:
    """The steps of a float64 descent that cross a kink, with what they cost.

    Args:
        objective: with gates.
        compact: the form that is cheapest to evaluate.
        path: theta_0, theta_1, ..., every step.
        eta: the step size.
    """
    found: list[np.ndarray] = []
    for start in range(0, len(path) - 1, CHUNK):
        here, there = path[start : start + CHUNK + 1][:-1], path[start + 1 : start + CHUNK + 1]
        first = gates_on(objective, here)
        changed = np.zeros(len(here), dtype=bool)
        for s in INSIDE:
            for p, q in zip(first, gates_on(objective, here + s * (there - here)), strict=True):
                changed |= (p != q).any(axis=(1, 2))
        found.append(start + np.flatnonzero(changed))
    steps = np.concatenate(found) if found else np.zeros(0, dtype=int)
    if not len(steps):
        return Crossings()
    here, there = path[steps], path[steps + 1]
    g = gradients(compact, here)
    worst = np.zeros(len(steps))
    for s in INSIDE:
        worst = np.maximum(worst, norms(gradients(compact, here + s * (there - here)) - g))
    return Crossings(steps, eta * worst)


def first_concave_event(
    objective: Objective, flow: Trajectory, dense: DenseFlow | StepsFlow, until: float = math.inf
) -> tuple[float, str] | None:
    """The time of the first event of a flow at which the bounds end, and why; None where they continue past all.

    Where a gate revives or turns inert, kinks of several layers meet, and no single b says which way the jump goes. A
    pool may have several gates of one layer and unit; all of them must be in order.

    Args:
        objective: with gates.
        flow: its flow.
        dense: the same in float64.
        until: no later event is looked at.
    """
    events = [e for e in flow.events if float(e.time) <= until]
    if not events:
        return None
    times = np.minimum([float(e.time) for e in events], float(flow.horizon))
    signs, back = _convex(objective), gates_at(objective, dense(times)).back
    for row, (time, e) in enumerate(zip(times.tolist(), events, strict=True)):
        if e.kind in ("revival", "inert"):
            return time, several_reason(time)
        for gate, sign, b in zip(objective.gates, signs, back, strict=True):
            meant = gate.layer == e.layer and e.unit < b.shape[1]
            if meant and sign * b[row, e.unit, e.sample] < 0:
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
