"""Programs of an objective whose gates are given, not computed: of all samples, and of single ones, for JAX to trace.

Gates and pre-activations of all layers are arrays of shape (U, N): one row a unit, one column a sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from symflow.derivatives.derived import gradient_nodes
from symflow.evaluate.interpret import interpret
from symflow.networks.objective import Objective
from symflow.numbers.types import JaxArray
from symflow.programs.nodes import Input
from symflow.programs.program import Program, entries, shape_of, transform


class GatedProgram:
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


@dataclass(frozen=True, eq=False)
class Sample:
    """What is asked of a single sample, for JAX to trace; gates of shape (U,).

    Attributes:
        program: of an objective of one sample.
        data: of all samples, along the last axis.
        samples: N.
    """

    program: GatedProgram
    data: Mapping[Input, JaxArray]
    samples: int

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

    def normal(self, theta: JaxArray, i: JaxArray, u: JaxArray, gates: JaxArray) -> tuple[JaxArray, JaxArray]:
        """The pre-activation of unit u, and its gradient."""
        import jax

        found: tuple[JaxArray, JaxArray] = jax.value_and_grad(lambda x: self.z(x, i, gates)[u])(theta)
        return found
