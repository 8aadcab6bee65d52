"""What is compiled for one objective whose gates are given, not computed: gradients, walks, normals of surfaces.

Gates and pre-activations of all layers are arrays of shape (U, N): one row a unit, one column a sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import numpy as np

from symflow.caching import kept
from symflow.networks.objective import Objective
from symflow.paths.float64.gated.compiled import Compiled, Given, functions
from symflow.paths.float64.gated.rows import FEW_PARAMETERS, MANY_PARAMETERS, Sizes
from symflow.paths.float64.gated.ties import TRIALS, Groups, groups


@dataclass(frozen=True, eq=False)
class Frozen:
    """What is compiled for one objective; (U,) stands for the gates of one sample, (Q, P) for an orthonormal basis.

    Attributes:
        objective: f, a mean over N samples.
        samples: N.
        alpha: slope of each unit where its gate is on, shape (U,).
        alpha_bar: slope where it is off.
        layers: the layer of each unit, counted from 1.
        units: its number within the gates of its layer, from 0.
        slopes: the slopes as exact numbers.
        groups: gates that share their kinks.
        sizes: numbers of held gates that functions are compiled for.
        gradient: (theta, gates (U, N)) -> gradient (P,), pre-activations (U, N).
        stages: (`Begin`, `HeldRows`) -> `Stages`.
        kinks: (`Begin`, `Stages`, `Asked`) -> `Kinks`.
        ended: (`Begin`, `HeldRows`, `Stages`, `Kinks`) -> `Ended`.
        forces: (theta, gates (U, N), `HeldRows`, `MemberRows`) -> `Forces`.
        moving: (theta, velocity, samples (M,), gates (M, U)) -> pre-activations and their velocities, (M, U) each.
        normals: (theta, samples (Q,), units (Q,), gates (Q, U)) -> these pre-activations and their gradients (Q, P).
        pulls: the same arguments -> the derivative of the gradient of f by these gates, (Q, P).
    """

    objective: Objective
    samples: int
    alpha: np.ndarray
    alpha_bar: np.ndarray
    layers: np.ndarray
    units: np.ndarray
    slopes: Mapping[float, Fraction]
    groups: Groups
    sizes: Sizes
    gradient: Compiled
    stages: Compiled
    kinks: Compiled
    ended: Compiled
    forces: Compiled
    moving: Compiled
    normals: Compiled
    pulls: Compiled

    def gates_of(self, z: np.ndarray, gates: np.ndarray) -> np.ndarray:
        """sigma'(z), shape (U, N); the given ones where z = 0."""
        return np.where(z > 0, self.alpha[:, None], np.where(z < 0, self.alpha_bar[:, None], gates))


SMALL = 1000
"""Parameters up to which more rows than are needed cost less than one more compilation."""


@kept
def frozen(objective: Objective) -> Frozen:
    """Compiles an objective with gates that is a mean over samples.

    Raises:
        ProblemError: it is no mean over samples.
    """
    import jax.numpy as jnp

    compiled, parameters = functions(objective), objective.parameter_count
    data = tuple(jnp.asarray(np.asarray(a, dtype=np.float64)) for a in objective.data.values())
    slopes = compiled.alpha, compiled.alpha_bar
    gradient = partial(compiled.gradient, Given(data, None))
    shared = groups(_trials(gradient, parameters, slopes, compiled.samples), parameters)
    given = Given(data, shared.ties)
    return Frozen(
        objective,
        compiled.samples,
        *slopes,
        compiled.layers,
        compiled.units,
        {float(v): v for g in objective.gates for v in (g.alpha, g.alpha_bar)},
        shared,
        FEW_PARAMETERS if parameters <= SMALL else MANY_PARAMETERS,
        gradient=gradient,
        stages=partial(compiled.stages, given),
        kinks=partial(compiled.kinks, given),
        ended=partial(compiled.ended, given),
        forces=partial(compiled.forces, given),
        moving=partial(compiled.moving, given),
        normals=partial(compiled.normals, given),
        pulls=partial(compiled.pulls, given),
    )


def _trials(gradient: Compiled, parameters: int, slopes: tuple[np.ndarray, np.ndarray], samples: int) -> np.ndarray:
    """Pre-activations at random points, shape (TRIALS, U, N)."""
    rng, (high, low) = np.random.default_rng(0), (np.repeat(a[:, None], samples, axis=1) for a in slopes)
    found = []
    for theta in rng.normal(size=(TRIALS, parameters)):
        gates, z = high, np.zeros_like(high)
        for _ in range(len(slopes[0])):  # at most a layer's gates change each time
            z = np.asarray(gradient(theta, gates)[1])
            new = np.where(z >= 0, high, low)
            if (new == gates).all():
                break
            gates = new
        found.append(z)
    return np.stack(found)
