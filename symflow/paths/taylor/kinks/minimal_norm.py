"""Many kinks at once: which gates are on, off or slide then, from the box problem of the minimal-norm subgradient.

Where several surfaces z_a = 0 meet, no two in different layers of one sample, and all are attracting from at least one
side (p_off < p_on), gradient flow continues with the minimal-norm element of the subdifferential,
theta' = -(c + sum_a p_a n_a) with p from

    minimize ||c + sum_a p_a n_a||  over  p_off,a <= p_a <= p_on,a          (docs/theory/kinks.md).

More gates may be held on their surface than have independent normals: the normals of a unit with zero weights span d
dimensions only, whatever the number of samples. A vertex of the solutions then has as many gates
strictly between their slopes as there are independent normals; those slide, the others are *implied*: they rest on
their kinks because the first ones do. The solution is found in floating point; the caller verifies it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
from gmpy2 import mpz

from symflow.dynamics.sliding import TiedGate, surface_field
from symflow.paths.taylor.kinks.gates import separate
from symflow.paths.taylor.kinks.region import Corner

TOLERANCE = 1e-9
"""Relative size below which a rate or a distance from a bound counts as zero."""

CLEAR, WELL_CONDITIONED = 1e-6, 1e-3
"""A relative size that rounding in float64 does not reach where the unit normals have no singular value below the
second number."""

Side = Literal["on", "off", "slide"]


@dataclass(frozen=True)
class Proposal:
    """Sides for all ties; `implied` are those on or off whose pre-activation stays zero."""

    sides: tuple[Side, ...]
    implied: tuple[TiedGate, ...]


@dataclass(frozen=True)
class Surfaces:
    """What the box problem needs, in floating point: c (P), normals (P x m), and the ends of p (m)."""

    c: np.ndarray
    normals: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def implied_by(self, slides: Sequence[int]) -> tuple[int, ...]:
        """The ties whose normals depend on those of the sliding ones."""
        if not slides:
            return ()
        units = self.normals / np.linalg.norm(self.normals, axis=0)
        axes, sizes, _ = np.linalg.svd(units[:, list(slides)], full_matrices=False)
        axes = axes[:, sizes > TOLERANCE]
        rest = units - axes @ (axes.T @ units)
        outside = np.linalg.norm(rest, axis=0) > TOLERANCE
        return tuple(i for i in range(units.shape[1]) if i not in slides and not outside[i])

    def contradict(self, sides: Sequence[Side]) -> bool:
        """Whether an assumption about every tie is wrong to first order, by far more than float64 rounds."""
        slides = np.array([side == "slide" for side in sides])
        p = np.where([side == "on" for side in sides], self.high, self.low)
        lengths = np.linalg.norm(self.normals, axis=0)
        if not (np.isfinite(lengths) & (lengths > 0)).all():
            return False
        units = self.normals / lengths
        rest = self.c + self.normals[:, ~slides] @ p[~slides]
        if slides.any():
            axes, sizes, turned = np.linalg.svd(units[:, slides], full_matrices=False)
            if sizes[-1] < WELL_CONDITIONED:
                return False
            p[slides] = -(turned.T @ ((axes.T @ rest) / sizes)) / lengths[slides]
        clear = CLEAR * (np.linalg.norm(self.c) + (np.maximum(np.abs(self.low), np.abs(self.high)) * lengths).sum())
        rates = -units.T @ (rest + self.normals[:, slides] @ p[slides])
        beyond = np.maximum(self.low - p, p - self.high) * lengths
        signed = np.where([side == "on" for side in sides], -rates, rates)
        return bool((np.where(slides, beyond, signed) > clear).any())


def read_surfaces(corner: Corner) -> Surfaces | None:
    """The surfaces of the ties that meet; None where they depend on one another's gates, or are beyond float64."""
    ties, point = corner.ties, corner.point
    if not separate(corner.objective, (a for tie in ties for a in tie.members)):
        return None
    recurrence = point.compiled(surface_field(corner.objective, ties), corner.cut)
    recurrence.expand(point.values, 0, 0)
    one = 1 << point.arithmetic.bits

    def numbers(values: Sequence[mpz]) -> np.ndarray:
        return np.array([float(Fraction(int(v), one)) for v in values])

    try:
        count = len(recurrence.field)
        c = -numbers(recurrence.rates())
        rows = numbers([point.series(m)[0] for m in recurrence.monitors]).reshape(len(ties), count + 2)
    except OverflowError:
        return None
    return Surfaces(c, rows[:, :count].T, rows[:, count], rows[:, count + 1])


def propose(surfaces: Surfaces, ties: Sequence[TiedGate]) -> Proposal | None:
    """The sides that the box problem gives; None where a surface repels, so that it does not apply."""
    from scipy.optimize import lsq_linear

    c, normals, low, high = surfaces.c, surfaces.normals, surfaces.low, surfaces.high
    span = max(np.abs(low).max(), np.abs(high).max())
    if (high - low <= TOLERANCE * span).any():
        return None
    p = lsq_linear(normals, -c, bounds=(low, high), method="bvls", tol=1e-15).x
    velocity = -(c + normals @ p)
    lengths = np.linalg.norm(normals, axis=0)
    rates = normals.T @ velocity / lengths
    held = np.abs(rates) <= TOLERANCE * max(np.linalg.norm(c), np.abs(p * lengths).max())
    p = _vertex(normals, p, low, high, held)
    sides: list[Side] = []
    implied = []
    for i, tie in enumerate(ties):
        if held[i] and min(p[i] - low[i], high[i] - p[i]) > TOLERANCE * (high[i] - low[i]):
            sides.append("slide")
            continue
        sides.append("on" if (2 * p[i] > low[i] + high[i] if held[i] else rates[i] > 0) else "off")
        if held[i]:
            implied.append(tie)
    return Proposal(tuple(sides), tuple(implied))


def _vertex(normals: np.ndarray, p: np.ndarray, low: np.ndarray, high: np.ndarray, held: np.ndarray) -> np.ndarray:
    """A solution with the same sum over the held gates and as few of them strictly inside their bounds as possible."""
    from scipy.optimize import linprog

    where = np.flatnonzero(held)
    if not len(where):
        return p
    _, sizes, axes = np.linalg.svd(normals[:, where], full_matrices=False)
    rank = int((sizes > TOLERANCE * sizes[0]).sum())
    if rank == len(where):
        return p
    basis = axes[:rank]
    weights = np.random.default_rng(0).uniform(size=len(where))
    bounds = list(zip(low[where], high[where], strict=True))
    found = linprog(weights, A_eq=basis, b_eq=basis @ p[where], bounds=bounds, method="highs-ds")
    result = p.copy()
    if found.x is not None:
        result[where] = found.x
    return result
