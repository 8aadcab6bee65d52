"""Cubics from values and slopes at both ends (Hermite): the path between two ends of a step, and its first zeros."""

from __future__ import annotations

from typing import NamedTuple

from symflow.numbers.types import JaxArray, Scalar

PARTS, LEVELS = 16, 2
"""Parts of an interval that is searched for a zero, and how often."""


class Cubic(NamedTuple):
    """y(s) = a + b x + c x^2 + d x^3 with x = s / length, on [0, length]; NumPy's or JAX's arrays."""

    length: Scalar
    a: Scalar
    b: Scalar
    c: Scalar
    d: Scalar

    def __call__(self, s: JaxArray) -> JaxArray:
        """y(s)."""
        x = s / self.length
        return self.a + x * (self.b + x * (self.c + x * self.d))

    def slope(self, s: JaxArray) -> JaxArray:
        """y'(s)."""
        x = s / self.length
        return (self.b + x * (2 * self.c + x * 3 * self.d)) / self.length


def cubic(length: Scalar, y0: Scalar, slope0: Scalar, y1: Scalar, slope1: Scalar) -> Cubic:
    """The cubic with these values and slopes at 0 and at `length`."""
    b = length * slope0
    return Cubic(length, y0, b, 3 * (y1 - y0) - 2 * b - length * slope1, 2 * (y0 - y1) + b + length * slope1)


def first_negative(y: Cubic, watched: JaxArray) -> tuple[JaxArray, JaxArray]:
    """The first zero after which an entry with a nonnegative start is negative: when, and which entry; else infinity.

    The time is good to about 1e-5 of the length: a chord within 1/256 of it.

    Args:
        y: entries of shape (..., U).
        watched: which of them to look at.
    """
    import jax
    import jax.numpy as jnp

    root = jnp.sqrt(jnp.maximum(y.c * y.c - 3 * y.b * y.d, 0.0))
    low = jnp.where(jnp.abs(y.d) > 1e-12 * jnp.abs(y.c), (root - y.c) / (3 * y.d), -y.b / (2 * y.c))
    low = jnp.where((low > 0) & (low < 1), low, 1.0)

    def at(x: JaxArray) -> JaxArray:
        return y.a + x * (y.b + x * (y.c + x * y.d))

    dips = at(low) < 0
    left, width = jnp.zeros_like(low), jnp.where(dips, low, 1.0) / PARTS
    grid = jnp.arange(1, PARTS + 1)
    for _ in range(LEVELS):
        below = jax.vmap(lambda k, left=left, width=width: at(left + k * width))(grid) <= 0  # (PARTS, ..., U)
        left = left + below.argmax(axis=0) * width
        width = width / PARTS
    width = width * PARTS
    first, last = at(left), at(left + width)
    zero = left + width * jnp.where(first > last, first / jnp.where(first > last, first - last, 1.0), 0.0)
    times = jnp.where(
        (dips | (at(jnp.ones_like(low)) < 0)) & watched, jnp.clip(zero, left, left + width) * y.length, jnp.inf
    )
    return times.min(axis=-1), times.argmin(axis=-1)
