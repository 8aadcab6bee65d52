"""What happens at a kink: gates cross it, or are held on it, as the fields on both sides say (Filippov)."""

from __future__ import annotations

import numpy as np

from symflow.paths.float64.lanes.held import settle
from symflow.paths.float64.lanes.state import State, slot_class

NEAR = 1e-9
"""A pre-activation below this part of its unit's largest one may be on its kink together with another."""
PARALLEL = 1e-7
"""Normals whose directions differ by less are those of one surface."""
UNDECIDED = 1e-11
"""A speed below this part of that on the other side cannot be told from 0."""
REVIVALS = 12
"""Most rounds in which gates of further layers follow those that revive."""


def _probe(state: State, rows: np.ndarray, gates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """z and z' with given gates, on the surfaces that are held."""
    size = slot_class(int(state.held(rows).max(initial=0)))
    _, z, dot = state.call(state.lanes.probe, state.theta[rows], gates, *state.for_slots(rows, size))
    return z, dot


def _sizes(state: State, z: np.ndarray) -> np.ndarray:
    """The largest |z| of each gate's unit, shape (L, G)."""
    units = int(state.lanes.unit[-1]) + 1
    return np.maximum(np.repeat(np.abs(z).reshape(len(z), units, -1).max(axis=2), z.shape[1] // units, axis=1), 1e-300)


def _normals(state: State, row: int, gates: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The gradients of some pre-activations of a lane."""
    count, whole = len(chosen), (len(chosen), 1)  # each as a lane of its own
    points, sides = np.tile(state.theta[row], whole), np.tile(gates, whole)
    slots, free = np.tile(chosen[:, None], 2), np.full(sides.shape, -1)
    found = state.call(state.lanes.held, points, sides, sides, np.zeros((count, 2)), free, slots, np.ones((count, 2)))
    return found[0][:, 0]


class _Kinks:
    """Kinks that some lanes are on, gate `gate` of each, with the gates before and after."""

    def __init__(self, state: State, rows: np.ndarray, gate: np.ndarray) -> None:
        self.state, self.rows, self.gate = state, rows, gate
        self.each = np.arange(len(rows))
        lanes = state.lanes
        self.before = state.gates(rows)
        self.sign = np.where(self.before[self.each, gate] == lanes.alpha[gate], 1.0, -1.0)
        self.after = self.before.copy()
        self.after[self.each, gate] = np.where(self.sign > 0, lanes.alpha_bar[gate], lanes.alpha[gate])
        z, self.dot = _probe(state, rows, self.before)
        near = (np.abs(z) <= NEAR * _sizes(state, z)) & (state.member[rows] < 0)
        near[self.each, gate] = False
        self.near, self.unclear = near, np.zeros(len(rows), dtype=bool)
        for k in np.flatnonzero(near.any(axis=1)).tolist():
            self.together(k)
        _, self.dot_after = _probe(state, rows, self.after)
        self.revived(np.flatnonzero(near.any(axis=1)))

    def together(self, k: int) -> None:
        """Gates whose kinks are on the same surface change with the one."""
        lanes, others = self.state.lanes, np.flatnonzero(self.near[k])
        normals = _normals(self.state, int(self.rows[k]), self.before[k], np.append(self.gate[k], others))
        own, size = normals[0], float(np.linalg.norm(normals[0]))
        for b, normal in zip(others.tolist(), normals[1:], strict=True):
            length = float(np.linalg.norm(normal))
            if not length or not size:
                continue
            along = float(normal @ own) / (length * size)
            if np.linalg.norm(normal / length - along * own / size) <= PARALLEL:
                on, off = lanes.alpha[b], lanes.alpha_bar[b]
                positive = along * self.sign[k] > 0
                self.before[k, b], self.after[k, b] = (on, off) if positive else (off, on)
                self.near[k, b] = False

    def revived(self, rows: np.ndarray) -> None:
        """Gates that were inert, and move now, have the sign that they move to, if that is the only way."""
        lanes = self.state.lanes
        for _ in range(REVIVALS):
            moves = self.moving(rows)
            wanted = np.where(self.dot_after[rows] > 0, lanes.alpha, lanes.alpha_bar)
            changed = moves & (self.after[rows] != wanted)
            self.unclear[rows] = changed.any(axis=1)  # unless a further round settles it
            self.other_ways(rows[~changed.any(axis=1)])
            rows, changed, wanted = (a[changed.any(axis=1)] for a in (rows, changed, wanted))
            if not len(rows):
                return
            self.after[rows] = np.where(changed, wanted, self.after[rows])
            self.dot_after[rows] = _probe(self.state, self.rows[rows], self.after[rows])[1]

    def moving(self, rows: np.ndarray) -> np.ndarray:
        """The gates near their kinks that were inert, and move now."""
        before, after = self.dot[rows], self.dot_after[rows]
        least = UNDECIDED * np.abs(after).max(axis=1, keepdims=True)
        return np.asarray(self.near[rows] & (np.abs(before) <= least) & (np.abs(after) > least))

    def other_ways(self, rows: np.ndarray) -> None:
        """Marks the kinks behind which a revived gate with the other slope would move to the other side as well."""
        lanes, moves = self.state.lanes, self.moving(rows)
        for k, gate in np.argwhere(moves).tolist():
            row = rows[k : k + 1]
            other = self.after[row].copy()
            on = other[0, gate] == lanes.alpha[gate]
            other[0, gate] = (lanes.alpha_bar if on else lanes.alpha)[gate]
            speed = _probe(self.state, self.rows[row], other)[1][0, gate]
            self.unclear[row] |= bool(speed < 0) == bool(on)


def decide(state: State, rows: np.ndarray, gate: np.ndarray) -> None:
    """Takes lanes through the kinks that they have arrived at; what cannot be decided stops a lane.

    Args:
        state: of all lanes; those of `rows` are changed.
        rows: lanes on a kink.
        gate: of which gate.
    """
    if not len(rows):
        return
    at = _Kinks(state, rows, gate)
    then = at.sign * at.dot[at.each, gate]
    now = at.sign * at.dot_after[at.each, gate]
    turned = then >= 0
    unclear = at.unclear | ~turned & (now != 0) & ~(
        np.abs(now) > UNDECIDED * np.abs(then)
    )  # 0: the unit is dead beyond
    for k in at.each.tolist():
        row = int(rows[k])
        if turned[k]:
            continue
        if unclear[k]:
            state.why[row] = "undecided"
        elif now[k] <= 0:
            state.crossings[row] += int((at.after[k] != at.before[k]).sum()) if now[k] else 0
            state.slides[row] += int(now[k] == 0)  # as flows with digits count a unit that dies on its kink
            state.dead[row] |= now[k] == 0
            state.set_gates(row, at.after[k])
        else:
            state.slides[row] += 1
            state.set_gates(row, at.before[k])
            sides = (at.after[k], at.before[k]) if at.sign[k] > 0 else (at.before[k], at.after[k])
            dots = (now[k], then[k]) if at.sign[k] > 0 else (then[k], now[k])
            state.hold(row, int(gate[k]), *sides, float(dots[0] / (dots[0] - dots[1])))
    settle(state, rows)
