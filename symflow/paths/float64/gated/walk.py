"""The kinks of one step in order of time, along the corrected path; one compiled loop.

Next to the path y(s) with frozen gates runs the true one, y + d with d' = -sum_i excess_i - H d; the excess of sample i
is its gradient minus that with frozen gates, zero until its first kink. The walk integrates the first term; the step
adds the second. Kinks wait in a queue, one for each sample; an event's time is improved by Newton steps along y + d,
and an event found late is made good by what it would have done in between. Gates that are on their kinks together
(`ties.py`) change together.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from symflow.numbers.types import JaxArray
from symflow.paths.float64.gated.cubic import cubic, first_negative
from symflow.paths.float64.gated.programs import Sample
from symflow.paths.float64.gated.surface import along
from symflow.paths.float64.gated.ties import Ties
from symflow.paths.float64.gated.walk_state import (
    Change,
    Ends,
    Group,
    Log,
    Queue,
    Rows,
    Sides,
    Walked,
    advanced,
    chosen_rows,
    put_rows,
)

NEAR = 1e-3
"""A Newton step shorter than this part of the step ends the search: the next would change its square."""
TRIES, TURNS = 4, 8
"""Newton steps for one kink, at most; and how often one is foreseen of a pre-activation that turns back before it."""
EVENTS = 16
"""Entries of the queue for each gate, at most: more is chatter, about gates that are on their kinks together."""
REST = 1e-3
"""A pre-activation that would move slower than this part of its speed before is taken to stay on its kink; where it
does not, its gate lets go at the end of the step."""
FEW_ROWS = 16
"""Rows of a basis that are used alone where that is enough."""
MOST_KINKS = 2000
"""Of one step."""


def tangential(ends: Ends, vectors: JaxArray) -> JaxArray:
    """Vectors (..., P) without their part in the span of the normals of held gates."""
    import jax

    ways = (lambda: vectors, lambda: along(ends.basis[:FEW_ROWS], vectors), lambda: along(ends.basis, vectors))
    found: JaxArray = jax.lax.switch((ends.spanned > 0) * 1 + (ends.spanned > FEW_ROWS) * 1, ways)
    return found


def walker(sample: Sample, slopes: tuple[np.ndarray, np.ndarray], ties: Ties | None) -> Callable[[Ends], Walked]:
    """The walk, for JAX to trace.

    Args:
        sample: gradient and pre-activations of one.
        slopes: sigma' of each unit where its gate is on, and off.
        ties: gates that share their kinks; None where none do.
    """
    return _Walk(sample, slopes, ties)


class _Walk:
    def __init__(self, sample: Sample, slopes: tuple[np.ndarray, np.ndarray], ties: Ties | None) -> None:
        import jax.numpy as jnp

        self.sample, self.ties = sample, ties
        self.high, self.low = (jnp.asarray(a) for a in slopes)

    def __call__(self, ends: Ends) -> Walked:
        import jax

        state = self.begun(ends)
        most = EVENTS * ends.gates.size

        def more(state: Walked) -> JaxArray:
            waiting = state.queue.time.min() <= ends.path.length
            return waiting & (state.found <= MOST_KINKS) & (state.passes < most)

        return self.finished(ends, jax.lax.while_loop(more, lambda s: self.event(ends, s), state))

    def on(self, gates: JaxArray) -> JaxArray:
        """The sign that pre-activations must have to agree with gates (..., U)."""
        import jax.numpy as jnp

        return jnp.where(gates == self.high, 1.0, -1.0)

    def begun(self, ends: Ends) -> Walked:
        """The state at s = 0, the first kink of every row foreseen on its cubic."""
        import jax
        import jax.numpy as jnp

        moving = jax.vmap(self.sample.moving, in_axes=(None, None, 0, 0))
        path, sign = ends.path, self.on(ends.gates)
        _, dot = moving(path.a, -ends.slopes[0], ends.samples, ends.gates)
        theta = path(path.length) + ends.correction[0]
        z_end, dot_end = moving(theta, -ends.slopes[1] - ends.correction[1], ends.samples, ends.gates)
        y = cubic(path.length, jnp.maximum(ends.z * sign, 0.0), dot * sign, z_end * sign, dot_end * sign)
        time, unit = first_negative(y, ends.watched & ~ends.filled[:, None])
        rows, (count,) = len(ends.samples), path.a.shape
        zero, none = jnp.zeros(()), jnp.zeros(count)
        whole, kinks = jnp.zeros(rows, dtype=int), jnp.zeros(MOST_KINKS)
        places = jnp.zeros(MOST_KINKS, dtype=int)
        queue = Queue(time, unit, whole)
        known = Rows(ends.gates, ends.watched, jnp.zeros(rows), jnp.zeros(rows, dtype=bool), jnp.zeros((rows, count)))
        return Walked(
            s=zero,
            d=none,
            integral=none,
            total=none,
            rows=known,
            next=self.chosen(ends, known, queue),
            queue=queue,
            log=Log(kinks, places, places, kinks, kinks, jnp.zeros(MOST_KINKS, dtype=bool)),
            found=whole[0],
            passes=whole[0],
            work=zero,
        )

    def group(self, ends: Ends, row: JaxArray, unit: JaxArray) -> Group:
        """The gates on whose common kink a gate is."""
        import jax.numpy as jnp

        if self.ties is None:
            rows, units, real = row[None], unit[None], jnp.ones(1, dtype=bool)
            return Group(rows, units, real, real, jnp.arange(len(self.high)) == unit)
        units, samples, real = self.ties.group(unit, ends.samples[row])
        rows = jnp.where(real, ends.rows[samples], row)
        same = rows[:, None] == rows[None, :]
        earlier = jnp.tril(same & real[None, :], -1).any(axis=1)
        mine = (units[:, None] == jnp.arange(len(self.high))) & real[:, None]  # (G, U)
        return Group(rows, units, real, real & ~earlier, (same[:, :, None] & mine[None]).any(axis=1))

    def event(self, ends: Ends, state: Walked) -> Walked:
        """Handles the first kink of the queue, or puts it back with a better time."""
        import jax
        import jax.numpy as jnp

        row = state.queue.time.argmin()
        group = self.group(ends, row, state.queue.unit[row])
        time = jnp.maximum(state.queue.time[row], state.s)
        found = self.sides(ends, state, group, time)
        u, old = group.units[0], state.next.gates[0, group.units[0]]
        z, dot, dot_then = found.z[0, 0, u], found.dot[0, 0, u], found.dot[0, 1, u]
        sign = jnp.where(old == self.high[u], 1.0, -1.0)
        newton = jnp.where(dot != 0, -z / jnp.where(dot != 0, dot, 1.0), 0.0)
        back = (z * sign > 0) & (dot * sign >= 0)  # it turned back: another path than was foreseen
        again = ~back & (jnp.abs(newton) > NEAR * ends.path.length) & (state.queue.tries[row] < TRIES)
        taken = ~back & ~again
        at = jnp.where(taken, jnp.clip(time + newton, state.s, ends.path.length), jnp.where(back, time, state.s))
        late = jnp.clip(at - (time + newton), 0.0, at)
        rests = jnp.abs(dot_then) <= REST * jnp.abs(dot)  # nothing moves it beyond: a unit that is dead there
        holds = taken & (dot != 0) & ((dot * dot_then < 0) | rests)
        part = jnp.where(holds, jnp.clip(dot / jnp.where(holds, dot - dot_then, 1.0), 0.0, 1.0), 1.0)
        state = advanced(state, at)
        later = jnp.where(again, time + newton, jnp.inf)
        later = jnp.where(later <= ends.path.length, jnp.maximum(later, state.s), jnp.inf)
        mine = jnp.arange(len(ends.samples)) == row
        queue = Queue(jnp.where(mine, later, state.queue.time), state.queue.unit, state.queue.tries + mine)
        state = state._replace(queue=queue, passes=state.passes + 1, work=state.work + 11 / 3 * group.once.sum())
        state, now = self.changed(state, group, found, taken, Change(at, late, part, holds))
        part = jnp.where(taken, part, 0.0)
        z_now = found.z[:, 0] + (at - time) * found.dot[:, 0]
        dot_now = found.dot[:, 0] + part * (found.dot[:, 1] - found.dot[:, 0])
        new = jax.lax.cond(
            again,
            lambda: (jnp.full(len(group.rows), jnp.inf), jnp.zeros(len(group.rows), dtype=int)),
            lambda: self.predicted(ends, state, group, now, (z_now, dot_now)),
        )
        known, tries = group.once & ~again, jnp.where(back, queue.tries[group.rows], 0)
        hopeless = tries > TURNS  # what is foreseen again and again is rounding; it is seen to at the end of the step
        new = jnp.where(hopeless, jnp.inf, new[0]), new[1], tries
        queue = Queue(*(put_rows(a, group.rows, v, known, a[group.rows]) for a, v in zip(queue, new, strict=True)))
        state = state._replace(next=self.chosen(ends, state.rows, queue))
        return state._replace(queue=queue, work=state.work + jnp.where(again, 0.0, 2 / 3 * group.once.sum()))

    def sides(self, ends: Ends, state: Walked, group: Group, time: JaxArray) -> Sides:
        """What the samples of a group do before and after their gates change."""
        import jax
        import jax.numpy as jnp

        theta = ends.path(time) + state.d - (time - state.s) * state.total
        before, samples = state.next.gates, ends.samples[group.rows]
        flipped = jnp.where(before == self.high, self.low, self.high)
        after = jnp.where(group.just, flipped, before)
        both = jnp.stack([before, after], axis=1)  # (G, 2, U)
        three = jnp.concatenate([both, ends.gates[group.rows][:, None]], axis=1)
        share = jax.vmap(jax.vmap(self.sample.share, in_axes=(None, None, 0)), in_axes=(None, 0, 0))
        found = share(theta, samples, three)
        apart = (found[:, :2] - found[:, 2:]) * group.once[:, None, None]
        apart = tangential(ends, apart)
        mine = group.once @ state.next.left
        velocity = ends.path.slope(time) - (state.total - mine) - apart.sum(axis=0)  # (2, P)
        moving = jax.vmap(self.sample.moving, in_axes=(None, 0, None, 0))
        z, dot = jax.vmap(moving, in_axes=(None, None, 0, 0))(theta, velocity, samples, both)
        return Sides(apart[:, 0], apart[:, 1], after, z, dot)

    def changed(
        self, state: Walked, group: Group, found: Sides, taken: JaxArray, change: Change
    ) -> tuple[Walked, Rows]:
        """The gates of a group change, where that is so; the new rows too."""
        import jax.numpy as jnp

        at, late, part, holds = change
        rows, old, many = group.rows, state.next, len(group.rows)
        then = found.before + part * (found.after - found.before)
        left = group.once[:, None] * old.left
        missed = jnp.where(old.own & group.once, (at - old.since) / 2, 0.0) @ (found.before - left)
        d = state.d - missed - late * (then - found.before).sum(axis=0)
        new = Rows(
            jnp.where(group.just & holds, old.gates + part * (found.gates - old.gates), found.gates),
            old.watched & ~(group.just & holds),
            jnp.full(many, at),
            jnp.ones(many, dtype=bool),
            then,
        )
        places, units = state.found + jnp.cumsum(group.real) - 1, (jnp.arange(many), group.units)
        values = Log(
            jnp.full(many, at - late), rows, group.units, old.gates[units], new.gates[units], jnp.full(many, holds)
        )
        log = Log(
            *(put_rows(a, places, v, group.real & taken, a[places]) for a, v in zip(state.log, values, strict=True))
        )
        now = Rows(*(jnp.where(taken, a, b) for a, b in zip(new, old, strict=True)))
        known = Rows(*(put_rows(a, rows, v, group.once, b) for a, v, b in zip(state.rows, now, old, strict=True)))
        return state._replace(
            d=jnp.where(taken, d, state.d),
            total=jnp.where(taken, state.total + (then - left).sum(axis=0), state.total),
            rows=known,
            log=log,
            found=state.found + jnp.where(taken, group.real.sum(), 0),
        ), now

    def chosen(self, ends: Ends, rows: Rows, queue: Queue) -> Rows:
        """What is known of the samples whose kink comes next."""
        row = queue.time.argmin()
        group = self.group(ends, row, queue.unit[row])
        return Rows(*(chosen_rows(a, group.rows) for a in rows))

    def predicted(
        self, ends: Ends, state: Walked, group: Group, now: Rows, moves: tuple[JaxArray, JaxArray]
    ) -> tuple[JaxArray, JaxArray]:
        """The next kinks of the samples of a group, after one that they just had: when, and which unit (G,) each."""
        import jax
        import jax.numpy as jnp

        length = ends.path.length
        left, gates, (z, dot) = length - state.s, now.gates, moves
        onwards = jnp.stack([state.d - left * state.total, state.total])
        shift, excess = jnp.where(ends.known, ends.correction, onwards)
        theta, velocity = ends.path(length) + shift, -ends.slopes[1] - excess
        moving = jax.vmap(self.sample.moving, in_axes=(None, None, 0, 0))
        z_end, dot_end = moving(theta, velocity, ends.samples[group.rows], gates)
        sign = self.on(gates)
        watched = now.watched & (~group.just | (z_end * sign < 0))
        start = jnp.maximum(jnp.where(group.just, 0.0, z) * sign, 0.0)
        span = jnp.maximum(left, jnp.finfo(left.dtype).tiny)
        time, unit = first_negative(cubic(span, start, dot * sign, z_end * sign, dot_end * sign), watched)
        return jnp.where(left > 0, state.s + time, jnp.inf), unit

    def finished(self, ends: Ends, state: Walked) -> Walked:
        """d at the end of the step, with excesses linear in time since each sample's last kink."""
        import jax
        import jax.numpy as jnp

        length = ends.path.length
        state = advanced(state, length)
        theta = ends.path(length) + state.d

        known = state.rows
        order = jnp.argsort(~known.own)  # rows that had a kink first

        def grown(k: JaxArray, d: JaxArray) -> JaxArray:
            row = order[k]
            both = jnp.stack([known.gates[row], ends.gates[row]])
            found = jax.vmap(self.sample.share, in_axes=(None, None, 0))(theta, ends.samples[row], both)
            apart = found[0] - found[1]
            apart = tangential(ends, apart)
            return d - (length - known.since[row]) / 2 * (apart - chosen_rows(known.left, row[None])[0])

        d = jax.lax.fori_loop(0, known.own.sum(), grown, state.d)
        return state._replace(d=d, work=state.work + 2 * known.own.sum() + 4 / 3 * (~ends.filled).sum())
