r"""Lower estimates of the suprema on a ball by gradient ascent: what a certified bound cannot go below.

Projected gradient ascent in JAX on -lambda_min(H(q)), ||H(q)|| and ||g(q)|| over ||q - theta|| <= R, from the centre,
from the ends of steepest ascent and from random points of the sphere. A certified constant lies between what is found
here and the supremum's own value above it; their ratio is the slack.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from symflow.caching import kept
from symflow.evaluate.jax_runtime import own_modes
from symflow.evaluate.jit_options import THROWAWAY, jit
from symflow.networks.objective import Objective
from symflow.numbers.types import JaxArray

STARTS, STEPS = 6, 40
"""Random starts, and steps of ascent from each."""


@dataclass(frozen=True)
class Ascent:
    """m, beta, gamma: constants of a ball B_eps(theta) (float64), as bounds or as the largest values found there.

    Attributes:
        m: of -lambda_min(H).
        beta: of ||H||.
        gamma: of ||g||.
    """

    m: float
    beta: float
    gamma: float


@kept
def _climber(objective: Objective) -> Callable[[np.ndarray, float, np.ndarray], JaxArray]:
    """(centre, radius, directions (S, P)) -> the largest values, shape (3,)."""
    import jax
    import jax.numpy as jnp

    from symflow.derivatives.derived import gradient, hessian
    from symflow.evaluate.jax import to_jax

    matrix, slope = to_jax(hessian(objective)), to_jax(gradient(objective))

    def spectrum(q: JaxArray) -> JaxArray:
        return jnp.linalg.eigvalsh(matrix(q))

    goals: tuple[Callable[[JaxArray], JaxArray], ...] = (
        lambda q: -spectrum(q)[0],
        lambda q: jnp.max(jnp.abs(spectrum(q)[jnp.array([0, -1])])),
        lambda q: jnp.sqrt(jnp.sum(slope(q) ** 2) + 1e-300),
    )

    def climb(
        goal: Callable[[JaxArray], JaxArray], centre: JaxArray, radius: JaxArray, direction: JaxArray
    ) -> JaxArray:
        def step(k: JaxArray, state: tuple[JaxArray, JaxArray]) -> tuple[JaxArray, JaxArray]:
            u, best = state
            value, up = jax.value_and_grad(lambda v: goal(centre + radius * v))(u)
            best = jnp.where(jnp.isnan(value), best, jnp.maximum(best, value))
            up = jnp.nan_to_num(up)
            size = jnp.sqrt(jnp.sum(up**2)) + 1e-300
            moved = u + (1.0 / (1.0 + 0.1 * k)) * up / size
            return moved / jnp.maximum(1.0, jnp.sqrt(jnp.sum(moved**2))), best

        return jax.lax.fori_loop(0, STEPS + 1, step, (direction, -jnp.inf))[1]  # the last step only looks

    def largest(centre: JaxArray, radius: JaxArray, directions: JaxArray) -> JaxArray:
        found = [jax.vmap(lambda d, f=goal: climb(f, centre, radius, d))(directions).max() for goal in goals]
        return jnp.stack(found)

    return jit(largest, THROWAWAY)


def ascend(objective: Objective, centre: np.ndarray, radius: float, seed: int = 0) -> Ascent:
    """The largest -lambda_min(H), ||H|| and ||g|| that gradient ascent finds on the ball of a radius around a point.

    Args:
        objective: f.
        centre: theta, shape (P,), float64.
        radius: R >= 0.
        seed: of the random starts.
    """
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(STARTS, len(centre)))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    directions = np.concatenate([np.zeros((1, len(centre))), directions])
    with own_modes():
        found = np.asarray(_climber(objective)(np.asarray(centre, dtype=np.float64), float(radius), directions))
    return Ascent(*(float(v) for v in found))
