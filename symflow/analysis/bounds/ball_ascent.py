r"""Lower estimates of the suprema on a ball by gradient ascent: what a certified bound cannot go below.

Projected gradient ascent in float64 on -lambda_min(H(q)), ||H(q)|| and ||g(q)|| over ||q - theta|| <= R, from the
centre and from random points of the sphere. A simple eigenvalue lambda with the unit vector v has the gradient
grad_q (v^T H(q) v), ||g|| has H g / ||g||. A certified constant lies between what is found here and the supremum's own
value above it; their ratio is the slack.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from symflow.derivatives.derived import Derived, gradient, hessian, hessian_vector_product
from symflow.evaluate.derived_batches import evaluate_batch
from symflow.networks.objective import Objective
from symflow.programs.differentiate import jvp
from symflow.programs.nodes import Node
from symflow.programs.program import Program

STARTS, STEPS = 6, 40
"""Random starts, and steps of ascent from each."""
TINY = 1e-300


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


def form_slope(objective: Objective) -> Derived:
    """grad_theta H(theta)[D, D] for a fixed direction D, shape (P,): the second derivative of the gradient along D."""
    product = hessian_vector_product(objective)
    tangents: Mapping[Node, Node] = dict(zip(objective.parameters, product.directions, strict=True))
    outputs = product.program.outputs
    moved = jvp(outputs.values(), tangents)
    program = Program(product.program.inputs, {name: moved[x] for name, x in outputs.items()}, product.program.names)
    return replace(product, kind="slope of the hessian form", program=program)


def _climbing(objective: Objective, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """-lambda_min, ||H|| and ||g|| at S points each, shape (3, S, P), and their gradients; nan where not finite."""
    starts = q.shape[1]
    matrices = evaluate_batch(objective, hessian, q.reshape(-1, q.shape[2])).reshape(*q.shape, -1)
    finite = np.isfinite(matrices).all(axis=(2, 3))
    values, vectors = np.linalg.eigh(np.where(finite[..., None, None], matrices, 0)[:2])
    largest = np.abs(values[1, :, 0]) > np.abs(values[1, :, -1])  # the ends of the spectrum in the second row
    chosen = np.stack([np.zeros(starts, dtype=int), np.where(largest, 0, values.shape[-1] - 1)])
    value = np.take_along_axis(values, chosen[..., None], axis=-1)[..., 0]
    vector = np.take_along_axis(vectors, chosen[..., None, None], axis=-1)[..., 0]
    sign = np.stack([-np.ones(starts), np.sign(value[1])])
    slopes = evaluate_batch(objective, form_slope, q[:2].reshape(-1, q.shape[2]), vector.reshape(-1, q.shape[2]))
    g = evaluate_batch(objective, gradient, q[2])
    size = np.sqrt((g**2).sum(axis=-1) + TINY)
    along = np.einsum("sij,sj->si", matrices[2], g) / size[:, None]
    heights = np.concatenate([sign * value, size[None]])
    ups = np.concatenate([sign[..., None] * slopes.reshape(2, starts, -1), along[None]])
    return np.where(finite, heights, np.nan), np.nan_to_num(ups, posinf=0, neginf=0)


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
    u = np.tile(np.concatenate([np.zeros((1, len(centre))), directions]), (3, 1, 1))
    best = np.full(3, -np.inf)
    with np.errstate(all="ignore"):
        for k in range(STEPS + 1):  # the last step only looks
            heights, ups = _climbing(objective, centre + radius * u)
            best = np.fmax(best, np.nan_to_num(heights, nan=-np.inf).max(axis=1))
            size = np.sqrt((ups**2).sum(axis=-1, keepdims=True)) + TINY
            moved = u + ups / size / (1 + 0.1 * k)
            u = moved / np.maximum(1.0, np.sqrt((moved**2).sum(axis=-1, keepdims=True)))
    return Ascent(*best.tolist())
