"""The method of order 8 of Dormand and Prince with its dense output of order 7, for JAX to trace.

Source: Hairer, Norsett & Wanner 1993, section II.10; the coefficients are SciPy's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symflow.numbers.types import JaxArray

MAIN, ALL = 12, 16
"""Stages of a step; with the one at its end and three more for the dense output."""
ORDER = 8
DENSE = 7
"""Rows of the dense output."""


def _tableau() -> np.ndarray:
    """One row a stage; the state at the end is that of stage 12."""
    from scipy.integrate import DOP853

    rows = np.zeros((ALL, ALL))
    rows[:MAIN, :MAIN] = DOP853.A
    rows[MAIN, :MAIN] = DOP853.B
    rows[MAIN + 1 :] = DOP853.A_EXTRA
    return rows


def step(
    field: Callable[[JaxArray], JaxArray], y: JaxArray, h: JaxArray, scale: JaxArray
) -> tuple[JaxArray, JaxArray, JaxArray]:
    """The state at the end of a step, its error (1 at the tolerances), and the dense output, shape (7, P).

    Args:
        field: of an autonomous equation.
        y: the state, shape (P,).
        h: the step size.
        scale: (atol, rtol).
    """
    import jax
    import jax.numpy as jnp
    from scipy.integrate import DOP853

    table = jnp.asarray(_tableau())

    def stage(i: int, slopes: JaxArray) -> JaxArray:
        return slopes.at[i].set(field(y + h * (table[i] @ slopes)))

    k = jax.lax.fori_loop(0, ALL, stage, jnp.zeros((ALL, len(y))))
    end = y + h * (jnp.asarray(DOP853.B) @ k[:MAIN])
    sizes = scale[0] + scale[1] * jnp.maximum(jnp.abs(y), jnp.abs(end))
    fifth, third = (jnp.sum((jnp.asarray(e) @ k[: MAIN + 1] / sizes) ** 2) for e in (DOP853.E5, DOP853.E3))
    total = fifth + 0.01 * third
    error = h * fifth / jnp.sqrt(jnp.where(total > 0, total, 1.0) * len(y))
    moved = end - y
    first = jnp.stack([moved, h * k[0] - moved, 2 * moved - h * (k[MAIN] + k[0])])
    return end, error, jnp.concatenate([first, h * (jnp.asarray(DOP853.D) @ k)])


def between(y: Any, dense: Any, x: Any) -> Any:
    """The state at the part x of a step from y; of NumPy's arrays too, with dense of shape (7, ..., P)."""
    value = 0.0 * y
    for i in range(len(dense)):
        value = (value + dense[len(dense) - 1 - i]) * (x if i % 2 == 0 else 1 - x)
    return y + value
