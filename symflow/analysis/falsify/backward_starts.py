"""Starts from which the flow passes close by a saddle: the flow run backwards from small weights.

Backwards, what leaves a saddle contracts and what approaches it expands, so that the points reached lie close to the
saddle's stable manifold. There deviation grows while nothing else moves, which random starts hardly ever show.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from symflow.analysis.falsify.draws import Points, log_eta_range
from symflow.analysis.falsify.family import Family
from symflow.derivatives.derived import gradient
from symflow.evaluate.interpret import interpret
from symflow.evaluate.numpy_batches import BatchArithmetic
from symflow.networks.objective import Objective
from symflow.programs.program import shape_of

STEP = 0.05
"""Length of a step relative to theta."""
MOST = 400


def rewound(objective: Objective, family: Family, points: Points, rng: np.random.Generator) -> Points:
    """The points, their weights made small and then carried back until one is as large as the family allows.

    Args:
        objective: a training loss of their shape.
        family: the ranges.
        points: drawn at random.
        rng: the source.
    """
    program = gradient(objective).program
    named = {node.name: node for node in objective.data_inputs}
    data = {
        named[name]: np.swapaxes(a, 1, 2).reshape(len(a), *shape_of(named[name].axes))
        for name, a in (("X", points.x), ("Y", points.y))
    }

    def slope(theta: np.ndarray) -> np.ndarray:
        weights = {
            w: theta[:, where].reshape(len(theta), *shape)
            for w, (where, shape) in zip(objective.parameters, objective.slices(), strict=True)
        }
        found = interpret(program, data | weights, BatchArithmetic()).values()
        return np.concatenate(
            [np.broadcast_to(g, (len(theta), *g.shape[1:])).reshape(len(theta), -1) for g in found], 1
        )

    size = np.exp(rng.uniform(np.log(1e-5), np.log(0.1), (points.count, 1)))
    largest = float(family.weights) * rng.uniform(0.2, 1.0, points.count)
    theta, spent = points.theta * size, np.zeros(points.count)
    for _ in range(MOST):
        g = slope(theta)
        h = STEP * np.linalg.norm(theta, axis=1) / (np.linalg.norm(g, axis=1) + 1e-12)
        h = np.where((np.abs(theta).max(axis=1) < largest) & (spent + h < float(family.times[1])), h, 0.0)
        if not h.any():
            break
        step = h[:, None]
        b = slope(theta + step / 2 * g)
        c = slope(theta + step / 2 * b)
        theta = theta + step / 6 * (g + 2 * b + 2 * c + slope(theta + step * c))
        spent += h
    low, high = log_eta_range(family, points.steps, True)
    time = np.maximum(spent, 1e-12) * rng.uniform(1.0, 2.5, points.count)
    most = float(family.weights)
    return replace(
        points,
        theta=np.clip(theta, -most, most),
        log_eta=np.clip(np.log(time) - np.log(points.steps), low, high),
    )
