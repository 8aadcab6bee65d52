"""Gates that are on their kinks together: equal or proportional pre-activations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from symflow.numbers.types import Scalar

Gate: TypeAlias = tuple[int, int]
"""A row and a column of the array of gates: unit and sample."""


class Ties(NamedTuple):
    """Groups of gates whose pre-activations are multiples of each other.

    Attributes:
        number: which group a gate belongs to, -1 for none, shape (U, N).
        units: the units of each group in the order of layers, repeated to fill, shape (T, G).
        samples: their samples.
        real: which of them are meant.
    """

    number: Scalar
    units: Scalar
    samples: Scalar
    real: Scalar

    def group(self, unit: Scalar, sample: Scalar) -> tuple[Scalar, Scalar, Scalar]:
        """Units, samples, and which of them are meant, of the group of a gate, for JAX to trace (G,) each."""
        import jax.numpy as jnp

        number = jnp.asarray(self.number)[unit, sample]
        alone = number < 0
        first = jnp.arange(self.real.shape[1]) == 0
        units = jnp.where(alone, unit, jnp.asarray(self.units)[number])
        samples = jnp.where(alone, sample, jnp.asarray(self.samples)[number])
        return units, samples, jnp.where(alone, first, jnp.asarray(self.real)[number])


TRIALS, SEEN = 6, 3
"""Random points at which pre-activations are compared, and at how many of them they must not vanish."""
EQUAL, ZERO = 1e-11, 1e-13
"""Relative differences that are rounding, and sizes that are."""
MOST_TIED, LARGEST = 256, 20_000
"""Groups of more gates, or of more gates times parameters (blank parts of images), change one gate after the other:
all events of a walk pay for the largest group."""


@dataclass(frozen=True, eq=False)
class Groups:
    """Which gates are tied, for NumPy; a gate that is alone is its own group.

    Attributes:
        members: the first gate of a group -> all its gates in the order of layers, and whether they are on where the
            first is off (-1) or on too (1).
        first: every gate in a group -> its first.
        linked: for each sample the first of those that have gates in common groups, (N,).
        ties: the same for a compiled walk; None where there is no group.
    """

    members: Mapping[Gate, tuple[tuple[Gate, int], ...]]
    first: Mapping[Gate, Gate]
    linked: np.ndarray
    ties: Ties | None

    def of(self, gate: Gate) -> tuple[tuple[Gate, int], ...]:
        """All gates on the kink of a first one, and their sides."""
        return self.members.get(gate, ((gate, 1),))

    def closed(self, samples: np.ndarray) -> np.ndarray:
        """Samples and those that are linked to them."""
        if self.ties is None or not len(samples):
            return samples
        return np.flatnonzero(np.isin(self.linked, self.linked[samples]))


def groups(z: np.ndarray, parameters: int) -> Groups:
    """The groups of gates whose pre-activations at some random points are multiples of each other.

    Args:
        z: pre-activations, shape (TRIALS, U, N).
        parameters: P.
    """
    trials, units, samples = z.shape
    most = min(MOST_TIED, LARGEST // parameters)
    flat = z.reshape(trials, -1).T  # (U N, TRIALS)
    seen = np.abs(flat) > ZERO * np.abs(flat).max(initial=0.0)
    wanted = np.flatnonzero(seen.sum(axis=1) >= SEEN)
    flat = np.where(seen, flat, 0.0)[wanted]
    pivot = flat[np.arange(len(flat)), np.abs(flat).argmax(axis=1)]
    same = np.round(flat / pivot[:, None], 9) + 0.0
    order = np.lexsort(same.T)
    starts = np.flatnonzero(np.r_[True, (same[order][1:] != same[order][:-1]).any(axis=1)]) if len(order) else order
    found = []
    for run in np.split(order, starts[1:]):
        if 1 < len(run) <= most and np.ptp(flat[run] / pivot[run, None], axis=0).max() <= EQUAL:
            run = np.sort(run)
            gates = [(int(g) // samples, int(g) % samples) for g in wanted[run]]
            sides = np.sign(pivot[run] * pivot[run[0]]).astype(int).tolist()
            found.append(tuple(zip(gates, sides, strict=True)))
    return _grouped(found, units, samples)


def _grouped(found: Sequence[tuple[tuple[Gate, int], ...]], units: int, samples: int) -> Groups:
    """The record of some groups."""
    linked = np.arange(samples)
    for members in found:
        mine = sorted({int(linked[sample]) for (_, sample), _ in members})
        linked[np.isin(linked, mine)] = mine[0]
    first = {gate: members[0][0] for members in found for gate, _ in members}
    if not found:
        return Groups({}, first, linked, None)
    number = np.full((units, samples), -1)
    most = max(map(len, found))
    filled = [[gate for gate, _ in members] + [members[0][0]] * (most - len(members)) for members in found]
    for k, members in enumerate(found):
        for (unit, sample), _ in members:
            number[unit, sample] = k
    places = np.array(filled)
    real = np.arange(most) < np.array([[len(members)] for members in found])
    ties = Ties(number, places[..., 0], places[..., 1], real)
    return Groups({members[0][0]: members for members in found}, first, linked, ties)
