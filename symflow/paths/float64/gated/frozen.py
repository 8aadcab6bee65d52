"""Gradient and pre-activations of an objective whose gates are given, not computed: of all samples and of single ones.

Gates and pre-activations of all layers are arrays of shape (U, N): one row a unit, one column a sample.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from symflow.caching import kept
from symflow.derivatives.derived import gradient_nodes
from symflow.evaluate.interpret import interpret
from symflow.evaluate.jit_options import jit
from symflow.networks.batches import batch_loss, sample_count
from symflow.networks.objective import Objective
from symflow.numbers.types import JaxArray
from symflow.programs.nodes import Input
from symflow.programs.program import Program, entries, shape_of, transform

Compiled = Callable[..., Any]


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
        gradient: (theta, gates (U, N)) -> gradient (P,), pre-activations (U, N).
        crossing: (theta, velocity without this sample's excess, sample, gates before, after, frozen, basis) -> excess
            before and after (P,), pre-activations (U,), their velocity before and after. The excess is the sample's
            gradient minus that with frozen gates, projected off the basis.
        moving: (theta, velocity, samples (M,), gates (M, U)) -> pre-activations and their velocities, (M, U) each.
        excess: (theta, samples (M,), gates, frozen gates (M, U), weights (M,), basis) -> the weighted sum of excesses.
        normals: (theta, samples (Q,), units (Q,), gates (Q, U)) -> gradients of these pre-activations, (Q, P).
        pulls: the same arguments -> the derivative of the gradient of f by these gates, (Q, P).
    """

    objective: Objective
    samples: int
    alpha: np.ndarray
    alpha_bar: np.ndarray
    layers: np.ndarray
    units: np.ndarray
    slopes: Mapping[float, Fraction]
    gradient: Compiled
    crossing: Compiled
    moving: Compiled
    excess: Compiled
    normals: Compiled
    pulls: Compiled

    def gates_of(self, z: np.ndarray) -> np.ndarray:
        """sigma'(z), shape (U, N)."""
        return np.where(z >= 0, self.alpha[:, None], self.alpha_bar[:, None])


LEAST = 8
"""Least number of rows that is compiled for."""


def padded(rows: np.ndarray, least: int = LEAST) -> np.ndarray:
    """Rows repeated up to one of few sizes, so that few are compiled for."""
    size = least
    while size < len(rows):
        size *= 2
    return np.concatenate([rows, np.repeat(rows[:1], size - len(rows), axis=0)])


class _Program:
    """The gradient and the pre-activations with gates as inputs, from an objective of any number of samples."""

    def __init__(self, objective: Objective) -> None:
        from symflow.evaluate.jax_arithmetic import JaxArithmetic

        gates = objective.gates
        self.shapes = [shape_of(g.axes) for g in gates]
        self.ends = np.cumsum([entries(g.axes[:-1]) for g in gates])
        self.inputs = [Input(f"gate_{k}", g.axes, "data", f"D_{{{k}}}") for k, g in enumerate(gates)]
        table = dict(zip(gates, self.inputs, strict=True))
        new = transform([objective.loss, *(g.z for g in gates)], lambda x, _: table.get(x))  # type: ignore[call-overload]
        inputs = (*objective.program.inputs, *self.inputs)
        frozen = replace(objective, program=Program(inputs, {"f": new[objective.loss]}))
        found, _ = gradient_nodes(frozen)
        self.z = Program(inputs, {f"z_{k}": new[g.z] for k, g in enumerate(gates)})
        self.both = Program(inputs, {f"g_{w.name}": found[w] for w in objective.parameters} | dict(self.z.outputs))
        self.objective, self.arithmetic = objective, JaxArithmetic(np.dtype(np.float64))

    def values(self, theta: JaxArray, data: Mapping[Input, JaxArray], gates: JaxArray) -> dict[Input, Any]:
        """What the inputs stand for; gates of shape (U, samples)."""
        import jax.numpy as jnp

        parts = jnp.split(gates, self.ends[:-1])
        cut = {x: part.reshape(s) for x, part, s in zip(self.inputs, parts, self.shapes, strict=True)}
        return {**data, **self.objective.cut(theta), **cut}

    def pre_activations(self, values: Mapping[Input, Any]) -> JaxArray:
        """z, shape (U, samples)."""
        return self._rows(list(interpret(self.z, values, self.arithmetic).values()))

    def gradient(self, values: Mapping[Input, Any]) -> tuple[JaxArray, JaxArray]:
        """The gradient (P,), and z."""
        import jax.numpy as jnp

        found = list(interpret(self.both, values, self.arithmetic).values())
        count = len(self.objective.parameters)
        return jnp.concatenate([jnp.asarray(a).reshape(-1) for a in found[:count]]), self._rows(found[count:])

    def _rows(self, arrays: Sequence[Any]) -> JaxArray:
        import jax.numpy as jnp

        return jnp.concatenate([a.reshape(-1, s[-1]) for a, s in zip(arrays, self.shapes, strict=True)])


class _Sample:
    """What is asked of a single sample, for JAX to trace; gates of shape (U,)."""

    def __init__(self, objective: Objective, samples: int) -> None:
        import jax.numpy as jnp

        batch = batch_loss(objective, 1)
        self.program, self.samples = _Program(batch.objective), samples
        self.data = {x: jnp.asarray(np.asarray(a, dtype=np.float64)) for x, a in batch.data.items()}

    def values(self, theta: JaxArray, i: JaxArray, gates: JaxArray) -> dict[Input, Any]:
        """The inputs for sample i."""
        return self.program.values(theta, {x: a[..., i][..., None] for x, a in self.data.items()}, gates[:, None])

    def z(self, theta: JaxArray, i: JaxArray, gates: JaxArray) -> JaxArray:
        """Its pre-activations (U,)."""
        return self.program.pre_activations(self.values(theta, i, gates))[:, 0]

    def share(self, theta: JaxArray, i: JaxArray, gates: JaxArray) -> JaxArray:
        """Its part of grad f (P,)."""
        return self.program.gradient(self.values(theta, i, gates))[0] / self.samples

    def moving(self, theta: JaxArray, velocity: JaxArray, i: JaxArray, gates: JaxArray) -> tuple[JaxArray, JaxArray]:
        """z, and how fast it moves."""
        import jax

        found: tuple[JaxArray, JaxArray] = jax.jvp(lambda x: self.z(x, i, gates), (theta,), (velocity,))
        return found

    def crossing(
        self, theta: JaxArray, velocity: JaxArray, i: JaxArray, sides: JaxArray, basis: JaxArray
    ) -> tuple[JaxArray, ...]:
        """See `Frozen.crossing`; sides are the gates before, after, and frozen."""
        import jax
        import jax.numpy as jnp

        before, after, usual = jax.vmap(self.share, in_axes=(None, None, 0))(theta, i, sides)
        apart = jnp.stack([before - usual, after - usual])
        apart = apart - (apart @ basis.T) @ basis
        at, dot = jax.vmap(self.moving, in_axes=(None, 0, None, 0))(theta, velocity - apart, i, sides[:2])
        return apart[0], apart[1], at[0], dot[0], dot[1]

    def excess(
        self, theta: JaxArray, i: JaxArray, gates: JaxArray, usual: JaxArray, weights: JaxArray, basis: JaxArray
    ) -> JaxArray:
        """See `Frozen.excess`."""
        import jax

        def one(i: JaxArray, mine: JaxArray, frozen: JaxArray, weight: JaxArray) -> JaxArray:
            return weight * (self.share(theta, i, mine) - self.share(theta, i, frozen))

        total = jax.vmap(one)(i, gates, usual, weights).sum(0)
        return total - basis.T @ (basis @ total)

    def normal(self, theta: JaxArray, i: JaxArray, u: JaxArray, gates: JaxArray) -> JaxArray:
        """The gradient of the pre-activation of unit u."""
        import jax

        found: JaxArray = jax.grad(lambda x: self.z(x, i, gates)[u])(theta)
        return found


@kept
def frozen(objective: Objective) -> Frozen:
    """Compiles an objective with gates that is a mean over samples.

    Raises:
        ProblemError: it is no mean over samples.
    """
    import jax
    import jax.numpy as jnp

    samples = sample_count(objective)
    whole, single = _Program(objective), _Sample(objective, samples)
    counts = np.diff(whole.ends, prepend=0)
    per_unit = [(float(g.alpha), float(g.alpha_bar), g.layer) for g in objective.gates]
    alpha, alpha_bar, layers = (np.repeat([v[k] for v in per_unit], counts) for k in range(3))
    data = {x: jnp.asarray(np.asarray(a, dtype=np.float64)) for x, a in objective.data.items()}
    high, low = jnp.asarray(alpha), jnp.asarray(alpha_bar)

    def pull(theta: JaxArray, i: JaxArray, u: JaxArray, gates: JaxArray) -> JaxArray:
        on, off = (single.share(theta, i, gates.at[u].set(side[u])) for side in (high, low))
        return (on - off) / (high[u] - low[u])

    rows = (None, 0, 0, 0)
    return Frozen(
        objective,
        samples,
        alpha,
        alpha_bar,
        layers,
        np.concatenate([np.arange(n) for n in counts]),
        {float(v): v for g in objective.gates for v in (g.alpha, g.alpha_bar)},
        gradient=jit(lambda theta, gates: whole.gradient(whole.values(theta, data, gates))),
        crossing=jit(single.crossing),
        moving=jit(jax.vmap(single.moving, in_axes=(None, None, 0, 0))),
        excess=jit(single.excess),
        normals=jit(jax.vmap(single.normal, in_axes=rows)),
        pulls=jit(jax.vmap(pull, in_axes=rows)),
    )
