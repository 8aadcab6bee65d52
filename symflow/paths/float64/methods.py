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


class _Chunk(NamedTuple):
    """A chunk of steps so far: the step to come, from t to `until`, and what was accepted."""

    t: JaxArray
    until: JaxArray
    theta: JaxArray
    method: Any
    control: Any
    ts: JaxArray
    ys: JaxArray
    accepted: JaxArray
    made: JaxArray


@kept
def chunk_runner(objective: Objective, solver: str, steps: int) -> Callable[..., tuple[JaxArray, ...]]:
    """(theta, start, end, first step, rtol, atol, longest step) -> what `run_steps` unpacks.

    diffrax's steps and their sizes, in a loop of our own: what `diffrax.diffeqsolve` does besides them takes most of
    the time to trace and to compile (a hundred times `nextafter`, a callback with which JAX keeps no program for other
    processes).
    """
    import diffrax
    import jax
    import jax.numpy as jnp

    term, plain = method_of(objective, solver)
    method = type(plain)(scan_kind="lax")
    order = method.error_order(term)

    def run(
        theta: JaxArray,
        start: JaxArray,
        end: JaxArray,
        step: JaxArray,
        rtol: float,
        atol: float,
        longest: JaxArray,
    ) -> tuple[JaxArray, ...]:
        controller = diffrax.PIDController(rtol=rtol, atol=atol, dtmax=longest)
        close = jax.lax.bitcast_convert_type(jax.lax.bitcast_convert_type(end, int) - CLOSE, float)

        def more(now: _Chunk) -> JaxArray:
            return (now.t < end) & (now.made < steps)

        def tried(now: _Chunk) -> _Chunk:
            new, error, _, state, _ = method.step(term, now.t, now.until, now.theta, None, now.method, made_jump=False)
            error = jnp.where(jnp.isnan(error), jnp.inf, error)
            keep, t, until, _, control, _ = controller.adapt_step_size(
                now.t, now.until, now.theta, new, None, error, order, now.control
            )
            t = jnp.minimum(t, end)
            until = jnp.where(until > close, jnp.where(keep, end, t + 0.5 * (end - t)), until)
            new, state = jax.tree.map(lambda a, b: jnp.where(keep, a, b), (new, state), (now.theta, now.method))
            # What a rejected step writes, the next one writes over.
            ts, ys = (
                jax.lax.dynamic_update_index_in_dim(a, v, now.accepted, 0) for a, v in ((now.ts, t), (now.ys, new))
            )
            return _Chunk(t, until, new, state, control, ts, ys, now.accepted + keep, now.made + 1)

        until, control = controller.init(term, start, end, theta, step, None, method.func, order)
        until = jnp.minimum(until, end)
        state = method.init(term, start, until, theta, None)
        ts, ys = jnp.full(steps, jnp.inf), jnp.full((steps, *theta.shape), jnp.inf)
        zero = jnp.zeros((), int)
        found = jax.lax.while_loop(more, tried, _Chunk(start, until, theta, state, control, ts, ys, zero, zero))
        full = found.t < end
        return found.ts, found.ys, found.accepted, found.made - found.accepted, full, ~full

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

    term, method = method_of(objective, solver)

    def one(theta: JaxArray, step: JaxArray, times: JaxArray, rtol: JaxArray, atol: JaxArray) -> JaxArray:
        control = diffrax.PIDController(rtol=rtol, atol=atol)
        return diffrax.diffeqsolve(
            term,
            method,
            t0=0.0,
            t1=times[-1],
            dt0=step,
            y0=theta,
            saveat=diffrax.SaveAt(ts=times),
            stepsize_controller=diffrax.ClipStepSizeController(control, step_ts=times),
            max_steps=max_steps,
            adjoint=diffrax.ForwardMode(),
            throw=False,
        ).ys

    return jax.jit(jax.vmap(one, in_axes=(0, 0, None, None, 0)))


def first_steps(starts: np.ndarray, slopes: np.ndarray, end: float) -> np.ndarray:
    """A first step size for each start: 0.01 ||theta|| / ||g||, as Hairer, Norsett and Wanner begin (II.4).

    diffrax 0.7.2 has this rule too, but takes 0.01 whatever the scale.
    """
    theta, slope = np.abs(starts).max(axis=1), np.abs(slopes).max(axis=1)
    usual = (theta > 0) & (slope > 0)
    with np.errstate(over="ignore"):
        steps = np.where(usual, 0.01 * theta / np.where(usual, slope, 1.0), 1e-6 * end)
    return np.asarray(np.clip(steps, 1e-300 * end, end))
