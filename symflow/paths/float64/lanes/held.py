"""Where between their sides held gates are, when they let go, and the surfaces that they stay on."""

from __future__ import annotations

import numpy as np

from symflow.paths.float64.lanes.state import State

SLACK = 1e-9
"""A part this far outside [0, 1] is rounding."""
NEWTON = 3
"""Steps for parts that depend on each other (kinks of one sample in several layers)."""


def parts(state: State, rows: np.ndarray, theta: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The parts (., Q) at which gradients are tangential at some points, the normals (., Q, P), z of the slots (., Q).

    Args:
        state: of all lanes.
        rows: lanes that hold gates.
        theta: points, one a lane.
        size: how many slots are compiled for.
    """
    slots, live = state.for_slots(rows, size)
    part = state.part[rows, :size]
    for _ in range(NEWTON if live.sum(axis=1).max(initial=0) > 1 else 1):
        normals, gradient, pulls, z = state.call(
            state.lanes.held, theta, state.low[rows], state.high[rows], part, state.member[rows], slots, live
        )
        system = normals @ pulls.transpose(0, 2, 1) + np.eye(size) * (1 - live)[:, None, :]
        right = np.einsum("lqp,lp->lq", normals, gradient)
        part = part - np.einsum("lqr,lr->lq", np.linalg.pinv(np.nan_to_num(system), rcond=1e-13), right)
    return part, normals, z


def margin(part: np.ndarray, live: np.ndarray) -> np.ndarray:
    """How far inside [0, 1] all parts are, shape (L,)."""
    return np.asarray(np.where(live > 0, np.minimum(part, 1 - part), np.inf).min(axis=1))


def onto_surface(normals: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The shortest moves to where z vanishes, to first order, shape (L, P)."""
    gram = normals @ normals.transpose(0, 2, 1)
    inverse = np.linalg.pinv(np.nan_to_num(gram), rcond=1e-13, hermitian=True)
    return -np.einsum("lqp,lqr,lr->lp", normals, inverse, np.nan_to_num(z))


def settle(state: State, rows: np.ndarray) -> None:
    """Sets the parts of held gates; those outside [0, 1] let go, one of a lane at a time, the farthest first."""
    for _ in range(2 * state.slots.shape[1] + 2):
        rows = rows[state.held(rows) > 0]
        again = []
        for where, size in state.by_class(rows):
            mine = rows[where]
            found, _, _ = parts(state, mine, state.theta[mine], size)
            live = state.live[mine, :size] > 0
            state.part[mine, :size] = np.where(live, np.clip(found, 0.0, 1.0), 0.0)
            outside = np.where(live, np.maximum(-found, found - 1), -np.inf)
            for k in np.flatnonzero(~(outside.max(axis=1) <= SLACK / 2)).tolist():
                slot = int(np.argmax(outside[k]))
                state.release(int(mine[k]), slot, bool(found[k, slot] > 0.5))
                state.leavings[mine[k]] += 1
                again.append(int(mine[k]))
        rows = np.array(again, dtype=int)
        if not len(rows):
            return
