"""What is compiled for the lanes of one objective; every function works on a block of lanes.

Gates and pre-activations are flat here, shape (G,) a lane: unit by unit, in each the samples. Held gates come in slots:
the kinks of one slot are all on one surface, z = 0 for its representative.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial.chebyshev import chebpts2, chebvander

from symflow.caching import kept
from symflow.evaluate.jit_options import QUICK, THROWAWAY, jit
from symflow.networks.objective import Objective
from symflow.numbers.types import JaxArray
from symflow.paths.float64.gated.programs import GatedProgram
from symflow.paths.float64.lanes.dop853 import between, step

NODES, FINE = 9, 33
"""Points of a step at which pre-activations are evaluated, and to which they are interpolated."""
BISECTIONS = 44
"""Of an interval that holds a kink."""
LEVEL = 1e-13
"""A pre-activation is beyond its kink where it is by this part of its unit's largest one."""
FEW = 300
"""Gates up to which what runs at kinks alone is not worth optimizing."""
RANK = 1e-8
"""Relative distance of a normal from the span of others below which it counts as one of them."""


def _interpolation() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes in [0, 1], finer points, and the matrix from values at the former to those at the latter."""
    nodes = chebpts2(NODES)
    fine = np.linspace(-1.0, 1.0, FINE)
    matrix = chebvander(fine, NODES - 1) @ np.linalg.inv(chebvander(nodes, NODES - 1))
    return (nodes + 1) / 2, (fine + 1) / 2, matrix


Compiled = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Lanes:
    """Compiled functions; L lanes, P parameters, G gates, Q slots of which `live` (L, Q) are held.

    Attributes:
        objective: f.
        alpha: slope of each gate where z > 0, shape (G,).
        alpha_bar: slope where z < 0.
        unit: the number of each gate's unit.
        attempt: (theta, gates, watched, h, slots, live, scale) -> theta, error, dense output, and the interval of the
            step, in parts of it, that holds the first kink of a watched gate (at its end not before 2 where none does).
        locate: (theta, dense, gates, watched, left, right) -> where the first kink is, of which gate, theta there.
        probe: (theta, gates, slots, live) -> velocity (L, P), z and z' along it (L, G).
        held: (theta, low, high, part, member, slots, live) -> normals (L, Q, P), gradient of f, its derivatives by the
            parts (L, Q, P), z of the representatives. Held gates are low + part (high - low).
    """

    objective: Objective
    alpha: np.ndarray
    alpha_bar: np.ndarray
    unit: np.ndarray
    attempt: Compiled
    locate: Compiled
    probe: Compiled
    held: Compiled


class _Lane:
    """The functions of one lane, for JAX to trace."""

    def __init__(self, objective: Objective) -> None:
        import jax.numpy as jnp

        self.program = GatedProgram(objective)
        self.data = {x: jnp.asarray(np.asarray(a, dtype=np.float64)) for x, a in objective.data.items()}
        samples = self.program.shapes[0][-1]
        self.shape = int(self.program.ends[-1]), samples
        self.unit = np.repeat(np.arange(self.shape[0]), samples)
        counts = np.diff(self.program.ends, prepend=0) * samples
        self.alpha, self.alpha_bar = (
            np.repeat([float(v) for v in slopes], counts)
            for slopes in ([g.alpha for g in objective.gates], [g.alpha_bar for g in objective.gates])
        )

    def gradient(self, theta: JaxArray, gates: JaxArray) -> JaxArray:
        return self.program.gradient(self.program.values(theta, self.data, gates.reshape(self.shape)))[0]

    def z(self, theta: JaxArray, gates: JaxArray) -> JaxArray:
        values = self.program.values(theta, self.data, gates.reshape(self.shape))
        return self.program.pre_activations(values).reshape(-1)

    def normals(self, theta: JaxArray, gates: JaxArray, slots: JaxArray) -> tuple[JaxArray, JaxArray]:
        """z of the gates in `slots`, and its gradients (Q, P)."""
        import jax

        z, pull = jax.vjp(lambda x: self.z(x, gates)[slots], theta)
        return z, jax.vmap(lambda row: pull(row)[0])(np.eye(len(slots)))

    def field(self, theta: JaxArray, gates: JaxArray, slots: JaxArray, live: JaxArray) -> JaxArray:
        """-grad f, along the surfaces of held gates."""
        import jax.numpy as jnp

        velocity = -self.gradient(theta, gates)
        if not len(slots):
            return velocity
        _, normals = self.normals(theta, gates, slots)
        basis: list[JaxArray] = []
        for q in range(len(slots)):
            rest = normals[q] * live[q]
            for _ in range(2):
                for b in basis:
                    rest = rest - (b @ rest) * b
            size = jnp.linalg.norm(rest)
            good = size > RANK * jnp.linalg.norm(normals[q])
            basis.append(jnp.where(good, rest / jnp.where(good, size, 1.0), 0.0))
        for _ in range(2):
            for b in basis:
                velocity = velocity - (b @ velocity) * b
        return velocity

    def sizes(self, z: JaxArray) -> JaxArray:
        """The largest |z| of each gate's unit; z of shape (., G)."""
        import jax.numpy as jnp

        largest = jnp.abs(z).reshape(-1, *self.shape).max(axis=(0, 2))
        return jnp.maximum(largest[self.unit], 1e-300)

    def along(self, theta: JaxArray, dense: JaxArray, gates: JaxArray) -> tuple[JaxArray, JaxArray]:
        """z at the nodes of a step (NODES, G), and what turns z into its distance from the kink, 1 at most."""
        import jax
        import jax.numpy as jnp

        nodes = jnp.asarray(_interpolation()[0])
        z = jax.vmap(lambda x: self.z(between(theta, dense, x), gates))(nodes)
        return z, jnp.where(gates == jnp.asarray(self.alpha), 1.0, -1.0) / self.sizes(z)

    def attempt(
        self,
        theta: JaxArray,
        gates: JaxArray,
        watched: JaxArray,
        h: JaxArray,
        slots: JaxArray,
        live: JaxArray,
        scale: JaxArray,
    ) -> tuple[JaxArray, ...]:
        """See `Lanes.attempt`."""
        import jax.numpy as jnp

        end, error, dense = step(lambda y: self.field(y, gates, slots, live), theta, h, scale)
        z, sign = self.along(theta, dense, gates)
        left, right = _watch(jnp.asarray(_interpolation()[2]) @ (sign * z), watched)
        return end, error, dense, left, right

    def locate(
        self,
        theta: JaxArray,
        dense: JaxArray,
        gates: JaxArray,
        watched: JaxArray,
        left: JaxArray,
        right: JaxArray,
    ) -> tuple[JaxArray, ...]:
        """See `Lanes.locate`."""
        import jax
        import jax.numpy as jnp

        _, sign = self.along(theta, dense, gates)

        def beyond(x: JaxArray) -> JaxArray:
            return jnp.where(watched, sign * self.z(between(theta, dense, x), gates), 1.0)

        def halve(_: int, ends: tuple[JaxArray, JaxArray]) -> tuple[JaxArray, JaxArray]:
            middle = (ends[0] + ends[1]) / 2
            above = beyond(middle).min() > -LEVEL
            return jnp.where(above, middle, ends[0]), jnp.where(above, ends[1], middle)

        _, x = jax.lax.fori_loop(0, BISECTIONS, halve, (left, right))
        return x, jnp.argmin(beyond(x)), between(theta, dense, x)

    def probe(self, theta: JaxArray, gates: JaxArray, slots: JaxArray, live: JaxArray) -> tuple[JaxArray, ...]:
        """See `Lanes.probe`."""
        import jax

        velocity = self.field(theta, gates, slots, live)
        return velocity, *jax.jvp(lambda x: self.z(x, gates), (theta,), (velocity,))

    def held(
        self,
        theta: JaxArray,
        low: JaxArray,
        high: JaxArray,
        part: JaxArray,
        member: JaxArray,
        slots: JaxArray,
        live: JaxArray,
    ) -> tuple[JaxArray, ...]:
        """See `Lanes.held`."""
        import jax
        import jax.numpy as jnp

        def gradient(parts: JaxArray) -> JaxArray:
            return self.gradient(theta, low + jnp.where(member >= 0, parts[member], 0.0) * (high - low))

        def pull(row: JaxArray) -> JaxArray:
            return gradient(jnp.where(row > 0, 1.0, part)) - gradient(jnp.where(row > 0, 0.0, part))

        z, normals = self.normals(theta, low + jnp.where(member >= 0, part[member], 0.0) * (high - low), slots)
        pulls = jax.vmap(pull)(jnp.eye(len(slots)))
        return normals * live[:, None], gradient(part), pulls * live[:, None], z * live


def _watch(v: JaxArray, watched: JaxArray) -> tuple[JaxArray, JaxArray]:
    """Where on the finer grid the first watched entry of v (FINE, G) is negative: an interval of [0, 1].

    Between grid points the parabolas through three of them are looked at too.
    """
    import jax.numpy as jnp

    grid = jnp.asarray(_interpolation()[1])
    gap = 1.0 / (FINE - 1)
    below = ((v < -LEVEL) & watched).at[0].set(False)
    at = jnp.where(below, grid[:, None], 3.0).min()
    slope, bend = (v[2:] - v[:-2]) / 2, v[2:] - 2 * v[1:-1] + v[:-2]
    turn = jnp.where(bend > 0, -slope / jnp.where(bend > 0, bend, 1.0), 2.0)
    lowest = v[1:-1] + turn * slope / 2
    dips = (jnp.abs(turn) <= 1) & (lowest < -LEVEL) & watched
    there = jnp.where(dips, grid[1:-1, None] + gap * turn, 3.0).min()
    right = jnp.minimum(at, there)
    return jnp.maximum(jnp.floor((right - 1e-9) / gap) * gap - jnp.where(there < at, gap, 0.0), 0.0), right


@kept
def lanes(objective: Objective) -> Lanes:
    """Compiles the functions of an objective with gates."""
    import jax

    lane = _Lane(objective)
    rare = THROWAWAY if len(lane.alpha) <= FEW else QUICK
    return Lanes(
        objective,
        lane.alpha,
        lane.alpha_bar,
        lane.unit,
        attempt=jit(jax.vmap(lane.attempt)),
        locate=jit(jax.vmap(lane.locate), rare),
        probe=jit(jax.vmap(lane.probe), rare),
        held=jit(jax.vmap(lane.held), rare),
    )
