"""Gates that are held on their kinks: the flow along the surface z = 0, and when they let go.

With n_a the gradient of a held pre-activation, the flow is theta' = -Q grad f, Q the projection off all n_a, whatever
value the held gates have in grad f (docs/theory/kinks.md). The value g_a at which grad f itself is tangential is
sigma' in the Clarke sense; a gate lets go where it would leave [alpha_bar, alpha].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symflow.paths.float64.gated.frozen import Frozen, padded

RANK = 1e-10
"""Relative singular value below which normals count as dependent (duplicate samples)."""
SMALLEST = 4
"""Least number of held gates that is compiled for."""


@dataclass(frozen=True)
class Place:
    """One gate: a row and a column of the array of gates."""

    unit: int
    sample: int


NEAR_ZERO = 1e-9
"""A pre-activation below this part of the largest one vanishes together with those of held gates, ..."""
PARALLEL = 1e-7
"""... where this part of its gradient, or less, lies outside the span of theirs."""

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
    return tuple((Place(*gate), side) for gate, side in frozen.groups.of((place.unit, place.sample)))


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


def _pulls(frozen: Frozen, theta: np.ndarray, gates: np.ndarray, held: Held) -> np.ndarray:
    """The derivative of grad f by the value of each held gate, those that share its kink with it, shape (Q, P)."""
    every = [(k, other, side) for k, at in enumerate(held) for other, side in members(frozen, at)]
    single = np.asarray(frozen.pulls(theta, *rows(tuple(other for _, other, _ in every), gates)))[: len(every)]
    found = np.zeros((len(held), len(theta)))
    for (k, _, side), pull in zip(every, single, strict=True):
        found[k] += side * pull
    return found


def rows(held: Held, gates: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples, units and gates of their samples, padded to few different sizes."""
    samples = padded(np.array([at.sample for at in held]), SMALLEST)
    return samples, padded(np.array([at.unit for at in held]), SMALLEST), gates[:, samples].T


def normals(frozen: Frozen, theta: np.ndarray, gates: np.ndarray, held: Held) -> np.ndarray:
    """n_a, shape (Q, P)."""
    return np.asarray(frozen.normals(theta, *rows(held, gates)))[: len(held)]


def tangent_basis(frozen: Frozen, theta: np.ndarray, gates: np.ndarray, held: Held) -> np.ndarray:
    """An orthonormal basis of the span of the n_a, padded with zeros, shape (Q', P)."""
    if not held:
        return np.zeros((0, len(theta)))
    _, sizes, basis = np.linalg.svd(normals(frozen, theta, gates, held), full_matrices=False)
    found = padded(np.zeros((len(held), len(theta))), SMALLEST)
    kept = sizes > RANK * sizes[0] if sizes[0] > 0 else np.zeros(len(sizes), dtype=bool)
    found[: int(kept.sum())] = basis[kept]
    return found


def onto_surface(frozen: Frozen, theta: np.ndarray, gates: np.ndarray, held: Held) -> np.ndarray:
    """The nearest point with z = 0 at all held gates, by two Gauss-Newton steps."""
    if held:
        samples, units, theirs = rows(held, gates)
        for _ in range(2):
            n = normals(frozen, theta, gates, held)
            z = np.asarray(frozen.moving(theta, np.zeros_like(theta), samples, theirs)[0])
            theta = theta - np.linalg.lstsq(n, z[np.arange(len(held)), units[: len(held)]], rcond=RANK)[0]
    return theta


def companion(frozen: Frozen, theta: np.ndarray, z: np.ndarray, gates: np.ndarray, held: Held) -> Place | None:
    """A gate that is not held and lies on its kink wherever the held ones do, or a held one that others determine.

    Such are equal inputs, and multiples of one input without biases. Held one by one, such gates are not a slide.

    Args:
        frozen: what is compiled.
        theta: on the surface of the held gates.
        z: pre-activations there (U, N).
        gates: of all units and samples.
        held: the held ones.
    """
    if not held:
        return None
    own = normals(frozen, theta, gates, held)
    sizes = np.linalg.norm(own, axis=1)
    for k in range(1, len(held)):
        if _outside(own[k], own[:k]) <= PARALLEL * sizes[k]:
            return held[k]
    near = (np.abs(z) <= NEAR_ZERO * np.abs(z).max()) & ~mask(frozen, held, z.shape)
    places = tuple(Place(int(u), int(i)) for u, i in np.argwhere(near))
    if not places:
        return None
    for place, normal in zip(places, normals(frozen, theta, gates, places), strict=True):
        size = float(np.linalg.norm(normal))
        if size > 0 and _outside(normal, own) <= PARALLEL * size:
            return place
    return None


def _outside(normal: np.ndarray, others: np.ndarray) -> float:
    """The distance of a vector from the span of others."""
    return float(np.linalg.norm(normal - np.linalg.lstsq(others.T, normal, rcond=RANK)[0] @ others))


def let_go(
    frozen: Frozen, theta: np.ndarray, slope: np.ndarray, gates: np.ndarray, held: Held
) -> tuple[Held, np.ndarray, np.ndarray, tuple[Gone, ...]]:
    """Sets held gates to their values; those outside [alpha_bar, alpha] let go, the one farthest outside first.

    Args:
        frozen: what is compiled.
        theta: on the surface.
        slope: grad f with these gates.
        gates: of all units and samples.
        held: the held ones.

    Returns:
        The gates still held, grad f, the gates, and those that let go.
    """
    gone: list[Gone] = []
    gates = gates.copy()
    while held:
        n = normals(frozen, theta, gates, held)
        pulls = _pulls(frozen, theta, gates, held)
        where = [at.unit for at in held], [at.sample for at in held]
        old, low, high = gates[where], frozen.alpha_bar[where[0]], frozen.alpha[where[0]]
        low, high = np.minimum(low, high), np.maximum(low, high)
        new = old - np.linalg.lstsq(n @ pulls.T, n @ slope, rcond=RANK)[0]
        within = np.clip(new, low, high)
        for at, value in zip(held, within.tolist(), strict=True):
            with_value(frozen, gates, at, value)
        slope = slope + (within - old) @ pulls
        outside = np.maximum(low - new, new - high)
        worst = int(np.argmax(outside))
        if outside[worst] <= BEYOND:
            break
        bound = float(within[worst])
        gone.append(Gone(held[worst], bound, float(new[worst]) - bound, pulls[worst]))
        held = held[:worst] + held[worst + 1 :]
    return held, slope, gates, tuple(gone)
