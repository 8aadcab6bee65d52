"""Gates that are held on their kinks: the flow along the surface z = 0, and when they let go.

With n_a the gradient of a held pre-activation, the flow is theta' = -Q grad f, Q the projection off all n_a, whatever
value the held gates have in grad f (docs/theory/kinks.md). The value g_a at which grad f itself is tangential is
sigma' in the Clarke sense; a gate lets go where it would leave [alpha_bar, alpha].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symflow.paths.float64.gated.frozen import Frozen
from symflow.paths.float64.gated.rows import HeldRows, MemberRows
from symflow.paths.float64.gated.surface import RANK, Forces

SINGULAR = 1e-10
"""Relative singular value that counts as zero."""


@dataclass(frozen=True)
class Place:
    """One gate: a row and a column of the array of gates."""

    unit: int
    sample: int


NEAR_ZERO = 1e-9
"""A pre-activation below this part of the largest one vanishes together with those of held gates, ..."""
PARALLEL = 1e-7
"""... where this part of its gradient, or less, lies outside the span of theirs."""
AT_ONCE = 64
"""How many of their gradients are computed together."""

BEYOND = 1e-8
"""A held gate lets go where its value is farther than this outside [alpha_bar, alpha]."""

Held = tuple[Place, ...]
"""Of gates that share their kink (`ties.py`) only the first stands here."""


@dataclass(frozen=True, eq=False)
class Gone:
    """A gate that lets go.

    Attributes:
        place: which.
        bound: the slope that it takes.
        beyond: by how much its value at the end of the step lies beyond that.
        pull: the derivative of grad f by it (P,).
    """

    place: Place
    bound: float
    beyond: float
    pull: np.ndarray

    def since(self, before: float, h: float) -> float:
        """How long before the end of a step of size h it was at its bound, its value moving linearly from `before`."""
        moved = self.bound + self.beyond - before
        return h * min(max(self.beyond / moved, 0.0), 1.0) if moved else 0.0


def members(frozen: Frozen, place: Place) -> tuple[tuple[Place, int], ...]:
    """The gates that share the kink of a held one, and -1 for those that are on where it is off."""
    group = frozen.groups.members.get((place.unit, place.sample))
    return ((place, 1),) if group is None else tuple((Place(*gate), side) for gate, side in group)


def mask(frozen: Frozen, held: Held, shape: tuple[int, ...]) -> np.ndarray:
    """Where gates are held, shape (U, N)."""
    found = np.zeros(shape, dtype=bool)
    for at in held:
        for other, _ in members(frozen, at):
            found[other.unit, other.sample] = True
    return found


def with_value(frozen: Frozen, gates: np.ndarray, at: Place, value: float) -> None:
    """Sets the gates of a group, that of its first as given."""
    for other, side in members(frozen, at):
        mirrored = frozen.alpha[other.unit] + frozen.alpha_bar[other.unit] - value
        gates[other.unit, other.sample] = value if side > 0 else mirrored


def held_rows(frozen: Frozen, held: Held) -> HeldRows:
    """Held gates for compiled functions, filled up to one of few sizes; none for none."""
    if not held:
        none = np.zeros(0, dtype=int)
        return HeldRows(none, none, np.zeros(0, dtype=bool))
    samples, units = (
        frozen.sizes.padded(np.array([at.sample for at in held])),
        frozen.sizes.padded(np.array([at.unit for at in held])),
    )
    return HeldRows(samples, units, np.arange(len(samples)) < len(held))


def forces(frozen: Frozen, theta: np.ndarray, gates: np.ndarray, held: Held) -> Forces:
    """The nearest point of the surface of held gates, and what acts there; rows as many as gates."""
    every = [(k, other, side) for k, at in enumerate(held) for other, side in members(frozen, at)]
    mine = held_rows(frozen, tuple(other for _, other, _ in every))
    owner, side = (frozen.sizes.padded(np.array([e[k] for e in every])) for k in (0, 2))
    held_gates, rows = held_rows(frozen, held), MemberRows(mine, owner, side * mine.real)
    found = Forces(*map(np.asarray, frozen.forces(theta, gates, held_gates, rows)))
    return _rows(found, np.arange(len(held)))


def _rows(at: Forces, kept: np.ndarray) -> Forces:
    """What acts on some of the held gates."""
    across = at.across[np.ix_(kept, kept)]
    return at._replace(normals=at.normals[kept], apart=at.apart[kept], pulls=at.pulls[kept], across=across)


def rows(frozen: Frozen, held: Held, gates: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples, units and gates of their samples, of gates that need not be held."""
    found = held_rows(frozen, held)
    return found.samples, found.units, gates[:, found.samples].T


def companion(frozen: Frozen, at: Forces, gates: np.ndarray, held: Held) -> Place | None:
    """A gate that is not held and lies on its kink wherever the held ones do, or a held one that others determine.

    Such are equal inputs, and multiples of one input without biases. Held one by one, such gates are not a slide.
    """
    for k in range(1, len(held)):
        if at.apart[k] <= RANK:
            return held[k]
    near = (np.abs(at.z) <= NEAR_ZERO * np.abs(at.z).max()) & ~mask(frozen, held, at.z.shape)
    if near.any():  # what vanishes for any weights, gates as they are, has no kink: pools of pixels that are off
        elsewhere = np.asarray(frozen.gradient(np.random.default_rng(0).normal(size=at.theta.shape), gates)[1])
        near &= np.abs(elsewhere) > NEAR_ZERO * np.abs(elsewhere).max()
    every = tuple(Place(int(u), int(i)) for u, i in np.argwhere(near))
    for start in range(0, len(every), AT_ONCE):
        places = every[start : start + AT_ONCE]
        normals = np.asarray(frozen.normals(at.theta, *rows(frozen, places, gates))[1])[: len(places)]
        for place, normal in zip(places, normals, strict=True):
            size = float(np.linalg.norm(normal))
            if size > 0 and _outside(normal, at.normals) <= PARALLEL * size:
                return place
    return None


def _outside(normal: np.ndarray, others: np.ndarray) -> float:
    """The distance of a vector from the span of others."""
    return float(np.linalg.norm(normal - np.linalg.lstsq(others.T, normal, rcond=SINGULAR)[0] @ others))


def _without(frozen: Frozen, at: Forces, gates: np.ndarray, held: Held, worst: int) -> tuple[Forces, Held]:
    """What acts where one gate is no longer held: only other gates of its samples are moved by it."""
    mine = {place.sample for place, _ in members(frozen, held[worst])}
    rest = held[:worst] + held[worst + 1 :]
    if any(place.sample in mine for first in rest for place, _ in members(frozen, first)):
        return forces(frozen, at.theta, gates, rest), rest
    return _rows(at, np.delete(np.arange(len(held)), worst)), rest


def let_go(
    frozen: Frozen, at: Forces, gates: np.ndarray, held: Held
) -> tuple[Held, np.ndarray, np.ndarray, tuple[Gone, ...]]:
    """Sets held gates to their values; those outside [alpha_bar, alpha] let go, the one farthest outside first.

    Args:
        frozen: what is compiled.
        at: what acts, with these gates.
        gates: of all units and samples.
        held: the held ones.

    Returns:
        The gates still held, grad f, the gates, and those that let go.
    """
    gone: list[Gone] = []
    gates, slope = gates.copy(), at.slope
    while held:
        where = [place.unit for place in held], [place.sample for place in held]
        old, low, high = gates[where], frozen.alpha_bar[where[0]], frozen.alpha[where[0]]
        low, high = np.minimum(low, high), np.maximum(low, high)
        # By einsum, not @: a second run in another thread would wait for the threads that BLAS starts for each.
        new = old - np.linalg.lstsq(at.across, np.einsum("qp,p->q", at.normals, slope), rcond=SINGULAR)[0]
        within = np.clip(new, low, high)
        for place, value in zip(held, within.tolist(), strict=True):
            with_value(frozen, gates, place, value)
        slope = slope + np.einsum("q,qp->p", within - old, at.pulls)
        outside = np.maximum(low - new, new - high)
        worst = int(np.argmax(outside))
        if outside[worst] <= BEYOND:
            break
        bound = float(within[worst])
        gone.append(Gone(held[worst], bound, float(new[worst]) - bound, at.pulls[worst]))
        at, held = _without(frozen, at, gates, held, worst)
    return held, slope, gates, tuple(gone)
