"""The state of many lanes, one row a lane, and calls of compiled functions for some of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symflow.evaluate.threads import each
from symflow.paths.float64.lanes.compiled import Lanes

BLOCK = 64
"""Most lanes of one call; of one size in a run, so that a function is compiled once for each number of slots."""


def block_size(count: int) -> int:
    """How many lanes a call has in a run of so many."""
    return min(BLOCK, 1 << (count - 1).bit_length())


def slot_class(most: int) -> int:
    """How many slots are compiled for where at most so many are held: 0, 2, 4, 8, ..."""
    return 0 if most == 0 else max(2, 1 << (most - 1).bit_length())


@dataclass(eq=False)
class State:
    """Where L lanes are; rows change as they advance.

    Attributes:
        lanes: what is compiled.
        pool: threads in which blocks of lanes run.
        theta: shape (L, P).
        t: times.
        h: the next step sizes.
        low: gates on the side of their surface where z < 0, shape (L, G); of gates that are not held, the gates.
        high: on the side where z > 0.
        member: the slot that holds a gate, -1 where none does.
        slots: the representative gate of each slot, shape (L, Q); held ones first.
        live: 1.0 where a slot is held.
        part: where between low and high its gates are.
        why: why a lane stopped; empty while it runs.
        steps: attempts.
        crossings: gates that crossed.
        slides: gates that began to be held.
        leavings: gates that let go.
        dead: whether a unit died on its kink, where it stays.
        stalled: events without progress in time.
    """

    lanes: Lanes
    pool: ThreadPoolExecutor
    theta: np.ndarray
    t: np.ndarray
    h: np.ndarray
    low: np.ndarray
    high: np.ndarray
    member: np.ndarray
    slots: np.ndarray
    live: np.ndarray
    part: np.ndarray
    why: np.ndarray
    steps: np.ndarray
    crossings: np.ndarray
    slides: np.ndarray
    leavings: np.ndarray
    dead: np.ndarray
    stalled: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=int))

    @classmethod
    def at(cls, lanes: Lanes, pool: ThreadPoolExecutor, theta: np.ndarray, h: np.ndarray) -> State:
        """Lanes at t = 0 with all gates on; to be settled."""
        count, gates = len(theta), len(lanes.alpha)
        on = np.repeat(lanes.alpha[None], count, axis=0)
        zeros = [np.zeros(count, dtype=kind) for kind in (int, int, int, int, bool, int)]
        return cls(
            lanes, pool, theta.copy(), np.zeros(count), h.copy(), on, on.copy(), np.full((count, gates), -1),
            np.zeros((count, 2), dtype=int), np.zeros((count, 2)), np.zeros((count, 2)),
            np.full(count, "", dtype=object), *zeros,
        )  # fmt: skip

    def call(self, function: Callable[..., Any], *arrays: np.ndarray) -> list[np.ndarray]:
        """The outputs of a compiled function for any number of lanes, in blocks of one size."""
        count, size = len(arrays[0]), block_size(len(self.t))

        def block(start: int) -> list[np.ndarray]:
            rows = [a[start : start + size] for a in arrays]
            short = size - len(rows[0])
            if short:
                rows = [np.concatenate([r, np.repeat(r[:1], short, axis=0)]) for r in rows]
            return [np.asarray(a) for a in function(*rows)]

        parts = each(self.pool, block, range(0, count, size))
        return [np.concatenate(column)[:count] for column in zip(*parts, strict=True)]

    def gates(self, rows: np.ndarray) -> np.ndarray:
        """sigma' of some lanes, shape (., G)."""
        part = np.take_along_axis(self.part[rows], np.maximum(self.member[rows], 0), axis=1)
        inside = self.low[rows] + part * (self.high[rows] - self.low[rows])
        return np.where(self.member[rows] >= 0, inside, self.low[rows])

    def held(self, rows: np.ndarray) -> np.ndarray:
        """How many slots some lanes hold."""
        return np.asarray(self.live[rows].sum(axis=1).astype(int))

    def by_class(self, rows: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
        """The lanes in groups that hold similarly many slots: positions in `rows`, and how many are compiled for."""
        classes = np.array([slot_class(int(n)) for n in self.held(rows)])
        for size in np.unique(classes).tolist():
            yield np.flatnonzero(classes == size), size

    def for_slots(self, rows: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
        """`slots` and `live` of some lanes, for functions compiled for so many."""
        self.reserve(size)
        return self.slots[rows, :size], self.live[rows, :size]

    def reserve(self, size: int) -> None:
        """Makes room for so many slots."""
        short = size - self.slots.shape[1]
        if short > 0:
            self.slots, self.live, self.part = (
                np.pad(a, ((0, 0), (0, short))) for a in (self.slots, self.live, self.part)
            )

    def hold(self, row: int, gate: int, low: np.ndarray, high: np.ndarray, part: float) -> None:
        """Holds the gates that differ between two sides, on the surface of one of them."""
        slot = int(self.live[row].sum())
        self.reserve(slot_class(slot + 1))
        self.slots[row, slot], self.live[row, slot], self.part[row, slot] = gate, 1.0, part
        mine = (low != high) & (self.member[row] < 0)
        self.member[row, mine] = slot
        self.low[row, mine], self.high[row, mine] = low[mine], high[mine]

    def release(self, row: int, slot: int, high: bool) -> None:
        """Lets the gates of a slot go to one side."""
        mine = self.member[row] == slot
        side = (self.high if high else self.low)[row, mine]
        self.low[row, mine] = self.high[row, mine] = side
        self.member[row, mine] = -1
        last = int(self.live[row].sum()) - 1
        for a in (self.slots, self.live, self.part):  # held ones stay first
            a[row, slot] = a[row, last]
        self.member[row, self.member[row] == last] = slot
        self.slots[row, last] = 0
        self.live[row, last] = self.part[row, last] = 0.0

    def set_gates(self, row: int, gates: np.ndarray) -> None:
        """Sets the gates that are not held."""
        free = self.member[row] < 0
        self.low[row, free] = self.high[row, free] = gates[free]
