"""What a compiled walk through the kinks of one step knows, as records of JAX arrays."""

from __future__ import annotations

from typing import NamedTuple

from symflow.numbers.types import JaxArray
from symflow.paths.float64.gated.cubic import Cubic
from symflow.paths.float64.gated.rows import Array


class Ends(NamedTuple):
    """What a walk starts from: the step with frozen gates.

    Attributes:
        path: y(s) (P,).
        slopes: grad f at both ends, projected (2, P).
        correction: d(h) and the sum of excesses at the end by the walk before, 0 in the first (2, P).
        known: whether there was one.
        basis: orthonormal or zero rows, what excesses are projected off (Q, P).
        spanned: how many of them may be nonzero.
        samples: those that may change a gate, (M,); repeated to fill.
        filled: which of them only fill up, (M,).
        z: their pre-activations at the beginning (M, U).
        gates: their frozen gates (M, U).
        watched: gates that are not held (M, U).
        rows: for every sample its row here, (N,).
    """

    path: Cubic
    slopes: Array
    correction: Array
    known: Array
    basis: Array
    spanned: Array
    samples: Array
    filled: Array
    z: Array
    gates: Array
    watched: Array
    rows: Array


class Log(NamedTuple):
    """The events of a walk, in the order in which they were found (K,): after the step's beginning, and where."""

    time: JaxArray
    row: JaxArray
    unit: JaxArray
    before: JaxArray
    after: JaxArray
    holds: JaxArray


class Queue(NamedTuple):
    """The next kink of every row (M,): when (infinity: none), which unit, Newton steps made."""

    time: JaxArray
    unit: JaxArray
    tries: JaxArray


class Rows(NamedTuple):
    """What is known of each row: its gates, those that are not held (M, U), when it had its last kink, whether it had
    one (M,), and its excess after that (M, P)."""

    gates: JaxArray
    watched: JaxArray
    since: JaxArray
    own: JaxArray
    left: JaxArray


class Walked(NamedTuple):
    """The state of a walk at the time s, at last the end of the step.

    Attributes:
        s: the time.
        d: the shift (P,), without the term of the Hessian.
        integral: of d from 0 to s.
        total: the sum of all excesses.
        rows: what is known of each.
        next: the same of those whose kink comes next; what is read in the loop where it is also written is copied.
        queue: the kinks to come.
        log: the events.
        found: how many.
        passes: entries of the queue that were handled.
        work: gradients of single samples.
    """

    s: JaxArray
    d: JaxArray
    integral: JaxArray
    total: JaxArray
    rows: Rows
    next: Rows
    queue: Queue
    log: Log
    found: JaxArray
    passes: JaxArray
    work: JaxArray


class Group(NamedTuple):
    """Gates that change together, in the order of layers (G,).

    Attributes:
        rows: of the samples.
        units: their units.
        real: which of them are meant; the rest fills up.
        once: the first of each row.
        just: which gates of the rows these are (G, U).
    """

    rows: JaxArray
    units: JaxArray
    real: JaxArray
    once: JaxArray
    just: JaxArray


class Sides(NamedTuple):
    """Excesses before and after (G, P), gates after (G, U), pre-activations and their velocities on both sides
    (G, 2, U)."""

    before: JaxArray
    after: JaxArray
    gates: JaxArray
    z: JaxArray
    dot: JaxArray


class Change(NamedTuple):
    """When gates change, how late that was found, how far they go, and whether they are held there."""

    at: JaxArray
    late: JaxArray
    part: JaxArray
    holds: JaxArray


def advanced(state: Walked, s: JaxArray) -> Walked:
    """d and its integral at s, with all excesses as they are."""
    step = s - state.s
    integral = state.integral + step * state.d - step * step / 2 * state.total
    return state._replace(s=s, d=state.d - step * state.total, integral=integral)


def chosen_rows(array: JaxArray, rows: JaxArray) -> JaxArray:
    """Some rows of an array (G, ...)."""
    import jax

    if len(rows) > 1:
        return array[rows]
    found: JaxArray = jax.lax.dynamic_slice_in_dim(array, rows[0], 1)
    return found


def put_rows(array: JaxArray, rows: JaxArray, values: JaxArray, where: JaxArray, old: JaxArray) -> JaxArray:
    """An array with some rows replaced, one by one: XLA does that in place, where nothing else reads the array."""
    import jax
    import jax.numpy as jnp

    def put(k: JaxArray | int, found: JaxArray) -> JaxArray:
        new = jnp.where(where[k], values[k], found[rows[k]])
        return jax.lax.dynamic_update_index_in_dim(found, new.astype(found.dtype), rows[k], 0)

    if len(rows) > 1:
        return jax.lax.fori_loop(0, len(rows), put, array)
    new = jnp.where(where[0], values[0], old[0]).astype(array.dtype)
    found: JaxArray = jax.lax.dynamic_update_index_in_dim(array, new, rows[0], 0)
    return found
