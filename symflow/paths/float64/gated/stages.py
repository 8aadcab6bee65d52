"""The Runge-Kutta step with frozen gates, for JAX to trace, and what surrounds a walk through the kinks of a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from symflow.numbers.types import JaxArray
from symflow.paths.float64.gated.cubic import cubic
from symflow.paths.float64.gated.rows import Array, HeldRows
from symflow.paths.float64.gated.surface import Surface, along
from symflow.paths.float64.gated.walk_state import Ends, Log, Walked

GRAZING = 0.2
"""A pre-activation whose parabola through three points comes within this part of its bend of zero is walked."""
DIFFERENCE = 1e-4
"""Relative step of the difference quotient that applies the Hessian."""


class Begin(NamedTuple):
    """Where a step begins.

    Attributes:
        theta: shape (P,).
        slope: grad f, not projected (P,).
        z: pre-activations (U, N).
        gates: sigma', frozen (U, N).
        fixed: which of them are held (U, N).
        h: the step size.
    """

    theta: Array
    slope: Array
    z: Array
    gates: Array
    fixed: Array
    h: Array


class Stages(NamedTuple):
    """A step with frozen gates.

    Attributes:
        basis: an orthonormal basis of the normals at its beginning, filled up with zeros (Q, P).
        slopes: grad f along the surface, at both ends (2, P).
        end: theta at its end (P,).
        end_slope: grad f there, not projected.
        z: pre-activations there (U, N).
        error: an estimate of its error (P,).
        suspects: samples with a pre-activation that disagrees with its gate, or may do so in between (N,).
    """

    basis: Array
    slopes: Array
    end: Array
    end_slope: Array
    z: Array
    error: Array
    suspects: Array


class Asked(NamedTuple):
    """Which samples a walk goes through, and what is known from the walk before.

    Attributes:
        samples: shape (M,), repeated to fill.
        filled: which of them only fill up, (M,).
        rows: for every sample its row in `samples`, (N,).
        walked: which samples these are (N,).
        correction: d(h) and the sum of excesses at the end by the walk before, 0 in the first (2, P).
        known: whether there was one.
    """

    samples: Array
    filled: Array
    rows: Array
    walked: Array
    correction: Array
    known: Array


class Kinks(NamedTuple):
    """The kinks of a step.

    Attributes:
        integral: of d over the step (P,).
        shift: d(h) without the term of the Hessian (P,).
        excess: the sum of all excesses at the end (P,).
        gates: sigma' there (U, N).
        log: the events.
        found: how many.
        done: whether all were handled.
        work: gradients of single samples.
    """

    integral: Array
    shift: Array
    excess: Array
    gates: Array
    log: Log
    found: Array
    done: Array
    work: Array


class Ended(NamedTuple):
    """The end of a step with its kinks.

    Attributes:
        shift: d(h) (P,).
        bent: H int d, a part of it (P,).
        slope: grad f there, not projected (P,).
        z: pre-activations (U, N).
    """

    shift: Array
    bent: Array
    slope: Array
    z: Array


COEFFICIENTS = ((1 / 2, 0.0, 0.0, 0.0), (0.0, 1 / 2, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (1 / 6, 1 / 3, 1 / 3, 1 / 6))
"""Of the classical method; the last row gives its end."""


def stages(surface: Surface, high: JaxArray, begin: Begin, held: HeldRows) -> Stages:
    """The classical step of order 4, with gates as they are at its beginning; `high` is sigma' of gates that are on."""
    import jax
    import jax.numpy as jnp

    theta, h = begin.theta, begin.h
    basis = surface.basis(theta, begin.gates, held)

    first = along(basis, begin.slope)

    def stage(found: JaxArray, k: JaxArray) -> tuple[JaxArray, tuple[JaxArray, ...]]:
        x = theta - h * (jnp.asarray(COEFFICIENTS)[k] @ found)
        new, slope, z = surface.field(x, begin.gates, held)
        return found.at[(k + 1) % 4].set(new), (x, new, slope, z)  # the last one replaces what is no longer read

    start = jnp.zeros((4, len(theta))).at[0].set(first)
    _, (x, slopes, full, z) = jax.lax.scan(stage, start, jnp.arange(4))
    sign = jnp.where(begin.gates == high[:, None], 1.0, -1.0)
    suspects = (_suspect(sign * begin.z, sign * z[1], sign * z[3]) & ~begin.fixed).any(axis=0)
    error = h / 6 * (slopes[2] - slopes[3])
    return Stages(basis, jnp.stack([first, slopes[3]]), x[3], full[3], z[3], error, suspects)


def _suspect(start: JaxArray, middle: JaxArray, end: JaxArray) -> JaxArray:
    """Where a value is negative, or its parabola through three points may be."""
    import jax.numpy as jnp

    bend, slope = 2 * (start - 2 * middle + end), 4 * middle - 3 * start - end
    turns = (bend > 0) & (slope < 0) & (-slope < 2 * bend)
    lowest = start - slope * slope / (4 * jnp.where(turns, bend, 1.0))
    return (end < 0) | (middle < 0) | (turns & (lowest < GRAZING * bend))


def kinks(walk: Callable[[Ends], Walked], most: int, begin: Begin, made: Stages, asked: Asked) -> Kinks:
    """The walk through the kinks of some samples, at most so many."""
    import jax.numpy as jnp

    ends = Ends(
        path=cubic(begin.h, begin.theta, -made.slopes[0], made.end, -made.slopes[1]),
        slopes=made.slopes,
        correction=asked.correction,
        known=asked.known,
        basis=made.basis,
        spanned=begin.fixed.sum(),
        samples=asked.samples,
        filled=asked.filled,
        z=begin.z[:, asked.samples].T,
        gates=begin.gates[:, asked.samples].T,
        watched=~begin.fixed[:, asked.samples].T,
        rows=asked.rows,
    )
    found = walk(ends)
    gates = jnp.where(asked.walked[None, :], found.rows.gates[asked.rows].T, begin.gates)
    done = ~(found.queue.time.min() <= begin.h) & (found.found <= most)
    return Kinks(found.integral, found.d, found.total, gates, found.log, found.found, done, found.work)


def ended(surface: Surface, begin: Begin, held: HeldRows, made: Stages, found: Kinks) -> Ended:
    """The end of a step to which its kinks lead."""
    import jax.numpy as jnp

    size = jnp.linalg.norm(found.integral)
    c = DIFFERENCE * jnp.maximum(jnp.linalg.norm(made.end), 1.0) / jnp.where(size > 0, size, 1.0)
    moved, _, _ = surface.field(made.end + c * found.integral, begin.gates, held)
    bent = jnp.where(size > 0, along(made.basis, (moved - made.slopes[1]) / c), 0.0)
    shift = found.shift - bent
    return Ended(shift, bent, *surface.gradient(made.end + shift, found.gates))
