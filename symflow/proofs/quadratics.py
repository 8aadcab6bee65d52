r"""Flows with closed form: f(theta) = (1/2) sum_i lambda_i theta_i^2, the playground of bounds on trajectories.

theta_i(t) = theta_i(0) e^{-lambda_i t}; descent: theta_i (1 - eta lambda_i)^k. Arrays are JAX's; integrals are
Gauss-Legendre with 24 nodes, exact to rounding for these integrands on moderate intervals.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from symflow.numbers.types import JaxArray

NODES, WEIGHTS = np.polynomial.legendre.leggauss(24)


def flow(curvatures: JaxArray, start: JaxArray, t: JaxArray) -> JaxArray:
    """theta(t)."""
    return start * jnp.exp(-curvatures * t)


def descent(curvatures: JaxArray, start: JaxArray, step_size: JaxArray, k: JaxArray) -> JaxArray:
    """theta_k."""
    factor = 1 - step_size * curvatures
    sign = jnp.where((factor < 0) & (k % 2 == 1), -1.0, 1.0)
    return start * sign * jnp.abs(factor) ** k


def integral(integrand: Callable[[JaxArray], JaxArray], upper: JaxArray) -> JaxArray:
    """The integral of a scalar function of s over [0, upper]."""
    values = jax.vmap(integrand)(upper * (1 + jnp.asarray(NODES)) / 2)
    return jnp.dot(jnp.asarray(WEIGHTS), values) * upper / 2
