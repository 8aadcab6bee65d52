"""What diffrax and JAX compile for one objective: steps, chunks of steps, and sweeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from symflow.caching import kept
from symflow.derivatives.derived import gradient
from symflow.errors import ComputationError
from symflow.evaluate.jax_runtime import own_modes
from symflow.evaluate.jit_options import jit
from symflow.networks.objective import Objective
from symflow.numbers.types import JaxArray

SOLVERS = {"dopri8": ("Dopri8", 13), "tsit5": ("Tsit5", 6), "dopri5": ("Dopri5", 6)}
"""Name -> diffrax's class, and gradient evaluations a step (the last stage is the next step's first)."""
CLOSE = 100
"""A step that would end within so many units in the last place of the final time ends there, as diffrax's do."""
EVENT_CORRECTED = "event-corrected"
"""The method that locates kinks and holds sliding gates (`paths.float64.gated`)."""


@contextmanager
def x64() -> Iterator[None]:
    """JAX's 64-bit mode within the block; numbers that overflow float64 raise symflow's error."""
    try:
        with own_modes():
            yield
    except OverflowError:
        raise ComputationError("the data are beyond float64; solve with digits (solve_flow)") from None


@kept
def method_of(objective: Objective, solver: str) -> tuple[Any, Any]:
    """diffrax's vector field and method."""
    import diffrax

    from symflow.evaluate.jax import to_jax

    g = to_jax(gradient(objective))
    return diffrax.ODETerm(lambda t, theta, _: -g(theta)), getattr(diffrax, SOLVERS[solver][0])()


class _Path(NamedTuple):
    """Where a solution is: t, the end of the step that comes next, and what method and step size control remember."""

    t: JaxArray
    until: JaxArray
    theta: JaxArray
    method: Any
    control: Any


class _Steps:
    """diffrax's steps and their sizes up to a time, for loops of our own.

    What `diffrax.diffeqsolve` does besides them takes most of the time to trace and to compile: a hundred times
    `nextafter`, a callback for mistakes with which JAX keeps no program for other processes.
    """

    def __init__(
        self, objective: Objective, solver: str, end: JaxArray, controller: Any, last: JaxArray | float = 0.0
    ) -> None:
        """A step that would end at `last` or earlier is not lengthened to reach the end."""
        import jax
        import jax.numpy as jnp

        self.term, method = method_of(objective, solver)
        self.method, self.end, self.controller = type(method)(scan_kind="lax"), end, controller
        self.order = method.error_order(self.term)
        close = jax.lax.bitcast_convert_type(jax.lax.bitcast_convert_type(end, int) - CLOSE, float)
        self.close = jnp.maximum(close, last)

    def begun(self, start: JaxArray, theta: JaxArray, step: JaxArray, stop: JaxArray) -> _Path:
        """Before the first step, which goes to `stop` at most."""
        import jax.numpy as jnp

        until, control = self.controller.init(
            self.term, start, self.end, theta, step, None, self.method.func, self.order
        )
        until = jnp.minimum(until, stop)
        return _Path(start, until, theta, self.method.init(self.term, start, until, theta, None), control)

    def tried(self, now: _Path) -> tuple[JaxArray, _Path, Any]:
        """Whether the next step is accepted, the path after it, and what its interpolation needs."""
        import jax
        import jax.numpy as jnp

        new, error, dense, state, _ = self.method.step(
            self.term, now.t, now.until, now.theta, None, now.method, made_jump=False
        )
        error = jnp.where(jnp.isnan(error), jnp.inf, error)
        keep, t, until, _, control, _ = self.controller.adapt_step_size(
            now.t, now.until, now.theta, new, None, error, self.order, now.control
        )
        new, state = jax.tree.map(lambda a, b: jnp.where(keep, a, b), (new, state), (now.theta, now.method))
        return keep, _Path(jnp.minimum(t, self.end), until, new, state, control), dense

    def ending(self, keep: JaxArray, now: _Path) -> _Path:
        """The path whose next step ends at the end where it would end just before, in the middle where that failed."""
        import jax.numpy as jnp

        last = jnp.where(keep, self.end, now.t + 0.5 * (self.end - now.t))
        return now._replace(until=jnp.where(now.until > self.close, last, now.until))


@kept
def chunk_runner(objective: Objective, solver: str, steps: int) -> Callable[..., tuple[JaxArray, ...]]:
    """(theta, start, end, first step, rtol, atol, longest step) -> step ends, states, how many were accepted, how
    many rejected, whether the end was reached."""
    import diffrax
    import jax
    import jax.numpy as jnp

    def run(
        theta: JaxArray,
        start: JaxArray,
        end: JaxArray,
        step: JaxArray,
        rtol: float,
        atol: float,
        longest: JaxArray,
    ) -> tuple[JaxArray, ...]:
        made = _Steps(objective, solver, end, diffrax.PIDController(rtol=rtol, atol=atol, dtmax=longest))

        def tried(known: tuple[_Path, JaxArray, JaxArray, JaxArray, JaxArray]) -> tuple[Any, ...]:
            now, ts, ys, accepted, count = known
            keep, now, _ = made.tried(now)
            # What a rejected step writes, the next one writes over.
            ts, ys = (jax.lax.dynamic_update_index_in_dim(a, v, accepted, 0) for a, v in ((ts, now.t), (ys, now.theta)))
            return made.ending(keep, now), ts, ys, accepted + keep, count + 1

        begun, zero = made.begun(start, theta, step, end), jnp.zeros((), int)
        found = jax.lax.while_loop(
            lambda known: (known[0].t < end) & (known[-1] < steps),
            tried,
            (begun, jnp.full(steps, jnp.inf), jnp.full((steps, *theta.shape), jnp.inf), zero, zero),
        )
        now, ts, ys, accepted, count = found
        return ts, ys, accepted, count - accepted, now.t >= end

    return jit(run)


@kept
def stepper(objective: Objective, solver: str) -> Callable[[JaxArray, JaxArray], JaxArray]:
    """(states, step sizes) -> the states one step later."""
    import jax

    term, method = method_of(objective, solver)

    def one(theta: JaxArray, h: JaxArray) -> JaxArray:
        state = method.init(term, 0.0, h, theta, None)
        return method.step(term, 0.0, h, theta, None, state, made_jump=False)[0]

    return jit(jax.vmap(one))


@kept
def sweeper(objective: Objective, solver: str, max_steps: int) -> Callable[..., JaxArray]:
    """(starts, first steps, times, rtol, their atol) -> states (B, S, P), not finite where a start did not get to."""
    import diffrax
    import jax
    import jax.numpy as jnp

    def run(starts: JaxArray, steps: JaxArray, times: JaxArray, rtol: JaxArray, atols: JaxArray) -> JaxArray:
        end, rows = times[-1], jnp.arange(len(starts))
        last = times[-2] if len(times) > 1 else 0.0  # a step gets to two times at most

        def made(atol: JaxArray) -> _Steps:
            return _Steps(objective, solver, end, diffrax.PIDController(rtol=rtol, atol=atol), last)

        def begun(theta: JaxArray, step: JaxArray, atol: JaxArray) -> _Path:
            return made(atol).begun(jnp.zeros(()), theta, step, times[0])

        def tried(now: _Path, reached: JaxArray, atol: JaxArray) -> tuple[_Path, list[JaxArray], list[JaxArray]]:
            """The path after a step, the states at the next two times, and whether it got there."""
            here = made(atol)
            keep, new, dense = here.tried(now)
            between = here.method.interpolation_cls(t0=now.t, t1=now.until, **dense)
            at = [reached, reached + 1]
            saved = [keep & (k < len(times)) & (times[k] <= now.until) for k in at]
            reached += sum(saved)
            # No step goes to a time that is the next number: one goes by it, and gets to two times.
            reached += times[reached] == jnp.nextafter(new.t, jnp.inf)
            new = new._replace(until=jnp.minimum(new.until, times[reached]))
            return here.ending(keep, new), [between.evaluate(times[k]) for k in at], saved

        def more(known: tuple[_Path, JaxArray, JaxArray, JaxArray]) -> JaxArray:
            return (known[0].t < end) & (known[-1] < max_steps)

        def together(known: tuple[_Path, JaxArray, JaxArray, JaxArray]) -> tuple[Any, ...]:
            now, ys, reached, count = known
            new, states, saved = jax.vmap(tried)(now, reached, atols)
            goes = more(known)
            for state, wanted in zip(states, saved, strict=True):
                at, kept = (rows, reached), wanted & goes
                ys = ys.at[at].set(jnp.where(kept[:, None], state, ys[at]))
                reached += kept
            new = jax.tree.map(lambda a, b: jnp.where(goes.reshape(-1, *[1] * (a.ndim - 1)), a, b), new, now)
            return new, ys, reached, count + 1

        ys, zero = jnp.full((len(starts), len(times), starts.shape[1]), jnp.inf), jnp.zeros((), int)
        begin = jax.vmap(begun)(starts, steps, atols), ys, jnp.zeros(len(starts), int), zero
        found: JaxArray = jax.lax.while_loop(lambda known: more(known).any(), together, begin)[1]
        return found

    return jax.jit(run)


def first_steps(starts: np.ndarray, slopes: np.ndarray, end: float) -> np.ndarray:
    """A first step size for each start: 0.01 ||theta|| / ||g||, as Hairer, Norsett and Wanner begin (II.4).

    diffrax 0.7.2 has this rule too, but takes 0.01 whatever the scale.
    """
    theta, slope = np.abs(starts).max(axis=1), np.abs(slopes).max(axis=1)
    usual = (theta > 0) & (slope > 0)
    with np.errstate(over="ignore"):
        steps = np.where(usual, 0.01 * theta / np.where(usual, slope, 1.0), 1e-6 * end)
    return np.asarray(np.clip(steps, 1e-300 * end, end))
