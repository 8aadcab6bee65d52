"""The surface z = 0 of held gates, for JAX to trace: the span of their normals, what is tangential, the way onto it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from symflow.numbers.types import JaxArray
from symflow.paths.float64.gated.programs import Sample
from symflow.paths.float64.gated.rows import SPANNED, Array, HeldRows, MemberRows

Gradient: TypeAlias = Callable[[JaxArray, JaxArray], tuple[JaxArray, JaxArray]]
"""(theta, gates (U, N)) -> grad f (P,), pre-activations (U, N)."""

Nearer: TypeAlias = tuple[JaxArray, JaxArray, JaxArray]
"""A point, the normals there, and their distances from the spans of those before."""

RANK = 1e-6
"""Relative distance of a normal from the span of those before below which it counts as one of them: products of normals
tell no less in float64."""


class Span(NamedTuple):
    """The span of normals n_a.

    Attributes:
        normals: shape (Q, P).
        whitening: W with W^T W inverse to their products n_a . n_b where they are independent, else zero (Q, Q).
        apart: the distance of each from the span of those before, relative to its length (Q,).
    """

    normals: JaxArray
    whitening: JaxArray
    apart: JaxArray

    def along(self, vector: JaxArray) -> JaxArray:
        """A vector (P,) without its part in the span: twice, since products of normals lose half of the digits."""
        for _ in range(2):
            vector = vector - self.shortest(self.normals @ vector)
        return vector

    def shortest(self, values: JaxArray) -> JaxArray:
        """The shortest x with n_a . x = value_a for all independent ones (P,)."""
        return self.normals.T @ (self.whitening.T @ (self.whitening @ values))


class Forces(NamedTuple):
    """What decides whether held gates let go, at a point of their surface.

    Attributes:
        theta: the point (P,).
        slope: grad f there (P,).
        z: pre-activations (U, N).
        normals: n_a (Q, P).
        apart: see `Span`.
        pulls: derivatives of grad f by the values of the held gates, with those that share their kinks (Q, P).
        across: n_a . pull_b (Q, Q).
    """

    theta: Array
    slope: Array
    z: Array
    normals: Array
    apart: Array
    pulls: Array
    across: Array


def span(normals: JaxArray, count: JaxArray) -> Span:
    """The span of the first `count` normals, of which the others are zero."""
    import jax.numpy as jnp

    w, apart = _whitening(normals @ normals.T, count)
    return Span(normals, w, jnp.sqrt(apart))


def orthonormal(normals: JaxArray, count: JaxArray) -> JaxArray:
    """An orthonormal basis of the span of the first `count` normals, filled up with zeros (Q, P)."""
    for _ in range(2):
        normals = _whitening(normals @ normals.T, count)[0] @ normals
    return normals


def _whitening(products: JaxArray, count: JaxArray) -> tuple[JaxArray, JaxArray]:
    """W, lower triangular, with W G W^T = 1 for products G of vectors but for those that depend on earlier ones, whose
    rows are zero; and the squared distances of vectors from the span of earlier ones, relative to their squares."""
    import jax
    import jax.numpy as jnp

    def add(k: JaxArray | int, found: tuple[JaxArray, JaxArray]) -> tuple[JaxArray, JaxArray]:
        w, apart = found
        parts = w @ products[k]
        whole = products[k, k]
        rest = jnp.maximum(whole - parts @ parts, 0.0)
        new = rest > RANK**2 * whole
        row = jnp.where(new, (jnp.zeros(len(w)).at[k].set(1.0) - parts @ w) / jnp.sqrt(jnp.where(new, rest, 1.0)), 0.0)
        return w.at[k].set(row), apart.at[k].set(jnp.where(new, rest / jnp.where(new, whole, 1.0), 0.0))

    start = jnp.zeros_like(products), jnp.zeros(len(products))
    w, apart = jax.lax.fori_loop(0, count, add, start)
    return w, apart


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
        """An orthonormal basis of the span of the n_a, filled up with zeros to a number of rows in `SPANNED`."""
        import jax.numpy as jnp

        found = jnp.zeros((SPANNED.holding(len(held.samples)), len(theta)))
        if not len(held.samples):
            return found
        return found.at[: len(held.samples)].set(orthonormal(self.at(theta, gates, held)[1], held.real.sum()))

    def field(self, theta: JaxArray, gates: JaxArray, held: HeldRows) -> tuple[JaxArray, JaxArray, JaxArray]:
        """grad f along the surface, grad f, and pre-activations."""
        slope, z = self.gradient(theta, gates)
        if not len(held.samples):
            return slope, slope, z
        return span(self.at(theta, gates, held)[1], held.real.sum()).along(slope), slope, z

    def pull(self, theta: JaxArray, i: JaxArray, u: JaxArray, gates: JaxArray) -> JaxArray:
        """The derivative of grad f by the value of one gate of sample i; gates of shape (U,)."""
        high, low = self.slopes
        on, off = (self.sample.share(theta, i, gates.at[u].set(side[u])) for side in (high, low))
        return (on - off) / (high[u] - low[u])

    def forces(self, theta: JaxArray, gates: JaxArray, held: HeldRows, members: MemberRows) -> Forces:
        """The nearest point with z = 0 at all held gates, by two Gauss-Newton steps, and what acts there."""
        import jax
        import jax.numpy as jnp

        def nearer(found: Nearer, part: JaxArray) -> tuple[Nearer, None]:
            z, normals = self.at(found[0], gates, held)
            spanned = span(normals, held.real.sum())
            return (found[0] - part * spanned.shortest(z), normals, spanned.apart), None

        count = len(held.samples)
        start = theta, jnp.zeros((count, len(theta))), jnp.zeros(count)
        (theta, normals, apart), _ = jax.lax.scan(nearer, start, jnp.array([1.0, 1.0, 0.0]))
        slope, every = self.gradient(theta, gates)
        samples, units, _ = members.rows
        single = jax.vmap(self.pull, in_axes=(None, 0, 0, 0))(theta, samples, units, gates[:, samples].T)
        pulls = jnp.zeros_like(normals).at[members.owner].add(members.side[:, None] * single)
        return Forces(theta, slope, every, normals, apart, pulls, normals @ pulls.T)


def along(basis: JaxArray, vector: JaxArray) -> JaxArray:
    """Vectors (..., P) without their part in the span of an orthonormal basis (Q, P), some of it zero."""
    return vector - (vector @ basis.T) @ basis
