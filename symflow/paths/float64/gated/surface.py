"""The surface z = 0 of held gates, for JAX to trace: the span of their normals, what is tangential, the way onto it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from symflow.numbers.types import JaxArray
from symflow.paths.float64.gated.programs import Sample
from symflow.paths.float64.gated.rows import LEAST, Array, HeldRows, MemberRows

Gradient: TypeAlias = Callable[[JaxArray, JaxArray], tuple[JaxArray, JaxArray]]
"""(theta, gates (U, N)) -> grad f (P,), pre-activations (U, N)."""

RANK = 1e-10
"""Relative distance of a normal from the span of others below which it counts as one of them (duplicate samples)."""


class Span(NamedTuple):
    """The span of normals.

    Attributes:
        basis: orthonormal, zero for normals that depend on those before (Q, P).
        apart: the distance of each from the span of those before, relative to its length (Q,).
        shift: the shortest x with n_a . x = value_a for all independent ones (P,).
    """

    basis: JaxArray
    apart: JaxArray
    shift: JaxArray


class Forces(NamedTuple):
    """What decides whether held gates let go, at a point of their surface.

    Attributes:
        theta: the point (P,).
        slope: grad f there (P,).
        z: pre-activations (U, N).
        normals: n_a (Q, P).
        apart: see `Span`.
        pulls: derivatives of grad f by the values of the held gates, with those that share their kinks (Q, P).
    """

    theta: Array
    slope: Array
    z: Array
    normals: Array
    apart: Array
    pulls: Array


def span(normals: JaxArray, values: JaxArray) -> Span:
    """Gram-Schmidt in which every vector is made orthogonal twice, which is enough for float64."""
    import jax
    import jax.numpy as jnp

    def add(k: JaxArray | int, found: tuple[JaxArray, ...]) -> tuple[JaxArray, ...]:
        basis, apart, sides, shift = found
        once = normals[k] - basis.T @ (first := basis @ normals[k])
        rest = once - basis.T @ (second := basis @ once)
        size, whole = jnp.linalg.norm(rest), jnp.linalg.norm(normals[k])
        new = size > RANK * whole
        rest = jnp.where(new, rest / jnp.where(new, size, 1.0), 0.0)
        side = jnp.where(new, (values[k] - (first + second) @ sides) / jnp.where(new, size, 1.0), 0.0)
        relative = jnp.where(whole > 0, size / jnp.where(whole > 0, whole, 1.0), 0.0)
        return basis.at[k].set(rest), apart.at[k].set(relative), sides.at[k].set(side), shift + side * rest

    count, parameters = normals.shape
    start = jnp.zeros_like(normals), jnp.zeros(count), jnp.zeros(count), jnp.zeros(parameters)
    basis, apart, _, shift = jax.lax.fori_loop(0, count, add, start)
    return Span(basis, apart, shift)


class Surface:
    """What is computed on the surface of held gates, for JAX to trace; gates of shape (U, N)."""

    def __init__(self, gradient: Gradient, sample: Sample, slopes: tuple[JaxArray, JaxArray]) -> None:
        self.gradient, self.sample, self.slopes = gradient, sample, slopes

    def at(self, theta: JaxArray, gates: JaxArray, held: HeldRows) -> tuple[JaxArray, JaxArray]:
        """z of held gates (Q,), and the n_a (Q, P); zero where a row only fills up."""
        import jax

        one = jax.vmap(self.sample.normal, in_axes=(None, 0, 0, 0))
        z, normals = one(theta, held.samples, held.units, gates[:, held.samples].T)
        return z * held.real, normals * held.real[:, None]

    def basis(self, theta: JaxArray, gates: JaxArray, held: HeldRows) -> JaxArray:
        """An orthonormal basis of the span of the n_a, filled up with zeros (Q, P)."""
        import jax.numpy as jnp

        if not len(held.samples):
            return jnp.zeros((LEAST, len(theta)))
        z, normals = self.at(theta, gates, held)
        return span(normals, z).basis

    def field(self, theta: JaxArray, gates: JaxArray, held: HeldRows) -> tuple[JaxArray, JaxArray, JaxArray]:
        """grad f along the surface, grad f, and pre-activations."""
        slope, z = self.gradient(theta, gates)
        if not len(held.samples):
            return slope, slope, z
        return along(self.basis(theta, gates, held), slope), slope, z

    def pull(self, theta: JaxArray, i: JaxArray, u: JaxArray, gates: JaxArray) -> JaxArray:
        """The derivative of grad f by the value of one gate of sample i; gates of shape (U,)."""
        high, low = self.slopes
        on, off = (self.sample.share(theta, i, gates.at[u].set(side[u])) for side in (high, low))
        return (on - off) / (high[u] - low[u])

    def forces(self, theta: JaxArray, gates: JaxArray, held: HeldRows, members: MemberRows) -> Forces:
        """The nearest point with z = 0 at all held gates, by two Gauss-Newton steps, and what acts there."""
        import jax
        import jax.numpy as jnp

        def nearer(found: tuple[JaxArray, ...], part: JaxArray) -> tuple[tuple[JaxArray, ...], None]:
            z, normals = self.at(found[0], gates, held)
            spanned = span(normals, z)
            return (found[0] - part * spanned.shift, normals, spanned.apart), None

        count = len(held.samples)
        start = theta, jnp.zeros((count, len(theta))), jnp.zeros(count)
        (theta, normals, apart), _ = jax.lax.scan(nearer, start, jnp.array([1.0, 1.0, 0.0]))
        slope, every = self.gradient(theta, gates)
        samples, units, _ = members.rows
        single = jax.vmap(self.pull, in_axes=(None, 0, 0, 0))(theta, samples, units, gates[:, samples].T)
        pulls = jnp.zeros_like(normals).at[members.owner].add(members.side[:, None] * single)
        return Forces(theta, slope, every, normals, apart, pulls)


def along(basis: JaxArray, vector: JaxArray) -> JaxArray:
    """Vectors (..., P) without their part in the span of an orthonormal basis (Q, P), some of it zero."""
    return vector - (vector @ basis.T) @ basis
