r"""Short runs of descent and flow in JAX, traceable: all in one loop, so that the gradient is compiled once."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from symflow.analysis.falsify.vocabulary import Needs
from symflow.dynamics.method import Method
from symflow.numbers.types import JaxArray
from symflow.paths.jax_steps import JaxSteps, Slope, State

FINE, COARSE = 64, 32
"""Steps of two integrations of the flow by Runge and Kutta's classical method."""
SAMPLES = 8
"""How many points of the flow are kept, apart from its start."""
_NODES, _WEIGHTS = (0.0, 0.5, 0.5, 1.0), (1 / 6, 1 / 3, 1 / 3, 1 / 6)


@dataclass(frozen=True, eq=False)
class Run:
    """Descent and flow from one point; the start where a path is not needed.

    Attributes:
        descent: theta_k.
        flow: theta at `SAMPLES` + 1 times from 0 to k eta, shape (S, P).
        coarse: theta(k eta) by the coarser integration.
        beside: theta_k to compare with it.
    """

    descent: JaxArray
    flow: JaxArray
    coarse: JaxArray
    beside: JaxArray

    @property
    def tube(self) -> JaxArray:
        """The flow's points, then others of the tube around it whose radius is the deviation."""
        away = self.descent - self.flow[-1]
        return jnp.concatenate([self.flow, self.flow + away, self.flow - away])


@dataclass(frozen=True)
class Paths:
    """What is run for a claim.

    Attributes:
        needs: of the claim.
        most_steps: the largest k.
        method: of descent; the flow is its own of order 0.
    """

    needs: Needs
    most_steps: int
    method: Method

    def __call__(self, slope: Slope, theta: JaxArray, eta: JaxArray, steps: JaxArray) -> Run:
        """Descent and flow from theta.

        Where the tube enters, descent is taken as theta(t) + eta e(t), e' = -H e - H g / 2 (R18): such claims are about
        small steps, of which there would be too many.
        """
        needs = self.needs
        if not (needs.descent or needs.flow):
            return Run(theta, theta[None], theta, theta)
        if needs.descent and needs.tube:
            return self._leading(slope, theta, eta, steps)
        descent, path, ends = self._march(slope, theta, eta, steps, descends=needs.descent, flows=needs.flow)
        if not needs.flow:
            return Run(descent, theta[None], theta, descent)
        return Run(descent, _kept(theta, path), ends[1], descent)

    def _leading(self, slope: Slope, theta: JaxArray, eta: JaxArray, steps: JaxArray) -> Run:
        size = theta.shape[0]

        def both(state: JaxArray) -> JaxArray:
            g = slope(state[:size])
            _, moved = jax.jvp(slope, (state[:size],), (state[size:] + g / 2,))
            return jnp.concatenate([g, moved])

        start = jnp.concatenate([theta, jnp.zeros_like(theta)])
        _, path, (fine, coarse) = self._march(both, start, eta, steps, descends=False, flows=True)
        at, near = (end[:size] + eta * end[size:] for end in (fine, coarse))
        return Run(at, _kept(theta, path[:, :size]), coarse[:size], near)

    def _march(
        self, slope: Slope, start: JaxArray, eta: JaxArray, steps: JaxArray, *, descends: bool, flows: bool
    ) -> tuple[JaxArray, JaxArray, JaxArray]:
        """theta_k, the finer flow after every substep, and the ends of both flows; the start for what is not run.

        Each pass of the loop makes one step of descent and one substep of the flows' Runge-Kutta steps,
            k <- -g(y + a_i h k),  z <- z + b_i h k,  and at the end of a step  y <- z,
        with a = (0, 1/2, 1/2, 1), b = (1/6, 1/3, 1/3, 1/6), so that the gradient is compiled once for all of them.
        """
        count = max(4 * FINE if flows else 0, self.most_steps if descends else 0)
        stage = np.arange(count) % 4
        method = JaxSteps(self.method, [start.shape[0]])
        speed, decay = float(self.method.speed or 1), float(self.method.flow_decay)
        until = jnp.asarray([[4 * FINE], [4 * COARSE]])
        lengths = (steps * eta / jnp.asarray([FINE, COARSE]))[:, None]

        def substep(
            state: tuple[State, JaxArray, JaxArray, JaxArray], now: tuple[JaxArray, JaxArray, JaxArray, JaxArray]
        ) -> tuple[tuple[State, JaxArray, JaxArray, JaxArray], JaxArray]:
            descent, y, k, z = state
            i, a, b, end = now
            points = ([method.points(method.split(descent))[0][None]] if descends else []) + (
                [y + a * lengths * k] if flows else []
            )
            slopes = jax.vmap(slope)(jnp.concatenate(points))
            if descends:
                following = method.join(method.step(method.split(descent), [slopes[0]], eta))
                descent = tuple(jnp.where(i < steps, x, was) for x, was in zip(following, descent, strict=True))
            if flows:
                k = -speed * slopes[-2:] - (decay * points[-1] if decay else 0)
                z = z + b * lengths * k
                y = jnp.where(end & (i < until), z, y)
                z = jnp.where(end, y, z)
            return (descent, y, k, z), y[0]

        both = jnp.broadcast_to(start, (2, start.shape[0]))
        xs = (jnp.arange(count), jnp.asarray(_NODES)[stage], jnp.asarray(_WEIGHTS)[stage], jnp.asarray(stage == 3))
        begin = (method.start(start), both, jnp.zeros_like(both), both)
        (descent, ends, _, _), path = lax.scan(substep, begin, xs)
        return descent[0], path, ends


def _kept(theta: JaxArray, path: JaxArray) -> JaxArray:
    """The start and the points of the finer integration that are kept."""
    return jnp.concatenate([theta[None], path[4 * FINE // SAMPLES - 1 : 4 * FINE : 4 * FINE // SAMPLES]])
