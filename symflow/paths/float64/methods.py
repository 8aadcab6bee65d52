"""What diffrax and JAX compile for one objective: steps, chunks of steps, and sweeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

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


@kept
def chunk_runner(objective: Objective, solver: str, steps: int) -> Callable[..., tuple[JaxArray, ...]]:
    """(theta, start, end, first step, rtol, atol, longest step) -> what `run_steps` unpacks."""
    import diffrax

    term, method = method_of(objective, solver)

    def run(
        theta: JaxArray,
        start: JaxArray,
        end: JaxArray,
        step: JaxArray,
        rtol: float,
        atol: float,
        longest: JaxArray,
    ) -> tuple[JaxArray, ...]:
        solution = diffrax.diffeqsolve(
            term,
            method,
            t0=start,
            t1=end,
            dt0=step,
            y0=theta,
            saveat=diffrax.SaveAt(steps=True),
            stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol, dtmax=longest),
            max_steps=steps,
            adjoint=diffrax.ForwardMode(),
            throw=False,
        )
        stats, result = solution.stats, solution.result
        full, done = result == diffrax.RESULTS.max_steps_reached, result == diffrax.RESULTS.successful
        return solution.ts, solution.ys, stats["num_accepted_steps"], stats["num_rejected_steps"], full, done

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
