r"""Short runs of descent and flow in JAX, traceable: all in one loop, so that the gradient is compiled once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from symflow.analysis.falsify.vocabulary import Needs

FINE, COARSE = 64, 32
"""Steps of two integrations of the flow by Runge and Kutta's classical method."""
SAMPLES = 8
"""How many points of the flow are kept, beside its start."""
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

    descent: Any
    flow: Any
    coarse: Any
    beside: Any

    @property
    def tube(self) -> Any:
        """The flow's points, then others of the tube around it whose radius is the deviation."""
        away = self.descent - self.flow[-1]
        return jnp.concatenate([self.flow, self.flow + away, self.flow - away])


@dataclass(frozen=True)
class Paths:
    """What is run for a claim.

    Attributes:
        needs: of the claim.
        most_steps: the largest k.
    """

    needs: Needs
    most_steps: int

    def __call__(self, slope: Callable[[Any], Any], theta: Any, eta: Any, steps: Any) -> Run:
        """Descent and flow from theta.

        In substep i a path at y with the last slope k, moving by h, does
            k <- -g(y + a_i h k),  z <- z + b_i h k,  and at the end of a step  y <- z.
        With a = (0, 1/2, 1/2, 1), b = (1/6, 1/3, 1/3, 1/6) that is a step of Runge and Kutta, with a = 0, b = 1 in
        every substep one of descent.

        Where the tube enters, descent is taken as theta(t) + eta e(t), e' = -H e - H g / 2 (R18): such claims are about
        small steps, of which there would be too many.
        """
        if not (self.needs.descent or self.needs.flow):
            return Run(theta, theta[None], theta, theta)
        if self.needs.descent and self.needs.tube:
            return self._leading(slope, theta, eta, steps)
        first, last = (0 if self.needs.descent else 1), (3 if self.needs.flow else 1)
        path, ends = self._march(slope, theta, eta, steps, slice(first, last))
        descent = ends[0] if self.needs.descent else theta
        if not self.needs.flow:
            return Run(descent, theta[None], theta, descent)
        return Run(descent, _kept(theta, path[:, -2]), ends[-1], descent)

    def _leading(self, slope: Callable[[Any], Any], theta: Any, eta: Any, steps: Any) -> Run:
        size = theta.shape[0]

        def both(state: Any) -> Any:
            g = slope(state[:size])
            _, pushed = jax.jvp(slope, (state[:size],), (state[size:] + g / 2,))
            return jnp.concatenate([g, pushed])

        start = jnp.concatenate([theta, jnp.zeros_like(theta)])
        path, (fine, coarse) = self._march(both, start, eta, steps, slice(1, 3))
        at, near = (end[:size] + eta * end[size:] for end in (fine, coarse))
        return Run(at, _kept(theta, path[:, 0, :size]), coarse[:size], near)

    def _march(self, slope: Callable[[Any], Any], start: Any, eta: Any, steps: Any, lanes: slice) -> tuple[Any, Any]:
        """The paths of some lanes (descent, fine, coarse) after every substep, and their ends."""
        t = steps * eta
        count = max(4 * FINE if lanes.stop > 1 else 0, self.most_steps if lanes.start == 0 else 0)
        stage = np.arange(count) % 4
        nodes, weights, ends = (
            np.stack([np.broadcast_to(one, count), rk, rk], axis=1)
            for one, rk in (
                (0.0, np.array(_NODES)[stage]),
                (1.0, np.array(_WEIGHTS)[stage]),
                (True, stage == 3),
            )
        )
        until = jnp.stack([steps, jnp.asarray(4 * FINE), jnp.asarray(4 * COARSE)])[lanes, None]
        lengths = jnp.stack([eta, t / FINE, t / COARSE])[lanes, None]

        def substep(state: tuple[Any, Any, Any], now: tuple[Any, Any, Any, Any]) -> tuple[Any, Any]:
            y, k, z = state
            i, a, b, end = now
            k = -jax.vmap(slope)(y + a[lanes, None] * lengths * k)
            z = z + b[lanes, None] * lengths * k
            done = end[lanes, None]
            y = jnp.where(done & (i < until), z, y)
            return (y, k, jnp.where(done, y, z)), y

        starts = jnp.broadcast_to(start, (lanes.stop - lanes.start, start.shape[0]))
        xs = (jnp.arange(count), jnp.asarray(nodes), jnp.asarray(weights), jnp.asarray(ends))
        (last, _, _), path = lax.scan(substep, (starts, jnp.zeros_like(starts), starts), xs)
        return path, last


def _kept(theta: Any, path: Any) -> Any:
    """The start and the points of the finer integration that are kept."""
    return jnp.concatenate([theta[None], path[4 * FINE // SAMPLES - 1 : 4 * FINE : 4 * FINE // SAMPLES]])
