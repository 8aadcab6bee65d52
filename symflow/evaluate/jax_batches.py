"""Derived results at many points, in float64 through JAX: compiled once, evaluated in batches of one size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from symflow.caching import kept
from symflow.derivatives.derived import Derived
from symflow.evaluate.jit_options import jit
from symflow.evaluate.threads import each, threads
from symflow.networks.objective import Objective
from symflow.numbers.types import JaxArray

BATCH = 64
"""Points evaluated at once; a fixed number, so that one compilation serves every trajectory of an objective."""


@kept
def at_points(objective: Objective, derive: Callable[[Objective], Derived]) -> Callable[..., JaxArray]:
    """A derived result as a function of many points: (S, P) -> (S, ...)."""
    import jax

    from symflow.evaluate.jax import to_jax

    return jit(jax.vmap(to_jax(derive(objective))))


def in_batches(function: Callable[..., JaxArray], *arrays: np.ndarray) -> np.ndarray:
    """A mapped function at many points, in batches of one size so that it is compiled at most twice."""
    count = len(arrays[0])
    size = 1 if count == 1 else BATCH

    def batch(start: int) -> np.ndarray:
        chunks = [a[start : start + size] for a in arrays]
        padded = [np.concatenate([c, np.repeat(c[-1:], size - len(c), axis=0)]) for c in chunks]
        return np.asarray(function(*padded))[: len(chunks[0])]

    with threads() as pool:
        return np.concatenate(each(pool, batch, range(0, count, size)))
