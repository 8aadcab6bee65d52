"""Derived results at many points at once: in NumPy while that takes less time than JAX needs to compile them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from symflow.caching import kept
from symflow.derivatives.derived import Derived
from symflow.evaluate.cheapest_hessian import fastest
from symflow.evaluate.interpret import interpret
from symflow.evaluate.jax_batches import at_points, in_batches
from symflow.evaluate.jax_runtime import own_modes
from symflow.evaluate.numpy_batches import BatchArithmetic, known_to_numpy, parameters_at
from symflow.networks.objective import Objective
from symflow.programs.nodes import Input
from symflow.programs.program import Program, operation_count

MOST_OPERATIONS = 10_000_000
"""Scalar operations, those of all points together, that NumPy does in less than 0.1 s.

Measured on networks of 10 and 20 parameters: 1000 losses, gradients and Hessians take 2, 4 and 13 to 40 ms in NumPy and
5, 5 and 5 to 10 ms in JAX, after 0.1 to 0.7 s of compilation.
"""


class _Formula(NamedTuple):
    """What NumPy evaluates: the cheapest program, and its data as batches of one."""

    program: Program
    data: dict[Input, np.ndarray]


@kept
def derived_once(objective: Objective, derive: Callable[[Objective], Derived]) -> Derived:
    """What `derive` gives: a scan over step sizes asks for it a hundred times."""
    return derive(objective)


@kept
def _operations(objective: Objective, derive: Callable[[Objective], Derived]) -> float:
    """Scalar operations of a result at one point: infinitely many where NumPy does not have all of them."""
    program = derived_once(objective, derive).program
    return operation_count(program) if known_to_numpy(program) else float("inf")


@kept
def _formula(objective: Objective, derive: Callable[[Objective], Derived]) -> _Formula:
    known = {x: np.asarray(a, dtype=np.float64) for x, a in objective.data.items()}
    program, data = fastest(derived_once(objective, derive), known, np.dtype(np.float64))
    return _Formula(program, {x: a[None] for x, a in data.items()})


def evaluate_batch(
    objective: Objective,
    derive: Callable[[Objective], Derived],
    points: np.ndarray,
    direction: np.ndarray | None = None,
) -> np.ndarray:
    """A derived result (`loss`, `gradient`, `hessian`) at S points, in float64; the first axis is S.

    Args:
        objective: f.
        derive: gives the result.
        points: theta, shape (S, P).
        direction: D at each of them, shape (S, P), where the result is a form in a direction.
    """
    points = np.asarray(points, dtype=np.float64)
    count = len(points)
    if _operations(objective, derive) * count > MOST_OPERATIONS:
        with own_modes():
            return in_batches(at_points(objective, derive), points, *(() if direction is None else (direction,)))
    program, data = _formula(objective, derive)
    derived = derived_once(objective, derive)
    values = data | parameters_at(objective, points)
    if direction is not None:
        values |= parameters_at(objective, direction, derived.directions)
    with np.errstate(all="ignore"):  # values that are not finite are the caller's, as those of JAX
        outputs = interpret(program, values, BatchArithmetic()).values()
    return np.array(derived.joined((np.broadcast_to(a, (count, *a.shape[1:])) for a in outputs), np, lead=1))
