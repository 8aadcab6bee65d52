"""The quantities of a point in JAX, traceable in the point and in the data."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from symflow.analysis.falsify.points import GATES, IMBALANCE, off_kinks, point_program
from symflow.analysis.falsify.vocabulary import Needs
from symflow.derivatives.derived import gradient, hessian_vector_product
from symflow.evaluate.interpret import interpret
from symflow.evaluate.jax import JaxArithmetic
from symflow.networks.objective import Objective
from symflow.numbers.types import JaxArray
from symflow.programs.nodes import Input
from symflow.programs.program import Program

SPECTRAL = ("lambda_min", "lambda_max", "H")
"""Taken from Hessian-vector products, which compile much faster than the Hessian's blocks."""
KINK = "kink"
"""The smallest absolute pre-activation; known where a quantity needs theta off kinks."""


class Local:
    """What a claim needs to know at points of one setup."""

    def __init__(self, objective: Objective, needs: Needs) -> None:
        names = sorted({name for found in needs.points.values() for name in found})
        self.objective, self.arithmetic = objective, JaxArithmetic(np.dtype(np.float64))
        self.spectral = bool(set(names) & set(SPECTRAL))
        self.imbalance = any(needs.imbalance(place) for place in needs.points)
        others = [name for name in names if name not in SPECTRAL]
        self.program = point_program(objective, others, imbalance=self.imbalance, gates=off_kinks(names))
        self.gradient = gradient(objective).program
        self.product = hessian_vector_product(objective)

    def _run(self, program: Program, theta: JaxArray, data: Mapping[Input, JaxArray]) -> dict[str, JaxArray]:
        return interpret(program, dict(data) | self.objective.cut(theta), self.arithmetic)

    def __call__(self, theta: JaxArray, data: Mapping[Input, JaxArray]) -> dict[str, JaxArray]:
        """The quantities at one point by name; under `IMBALANCE` all entries of D_1, D_2, ..., and `KINK`."""
        values = self._run(self.program, theta, data) if self.program.outputs else {}
        found = {name: a for name, a in values.items() if not name.startswith((IMBALANCE, GATES))}
        gates = [jnp.min(jnp.abs(a)) for name, a in values.items() if name.startswith(GATES)]
        if gates:
            found[KINK] = jnp.min(jnp.stack(gates))
        if self.imbalance:
            arrays = [a.reshape(-1) for name, a in values.items() if name.startswith(IMBALANCE)]
            found[IMBALANCE] = jnp.concatenate(arrays) if arrays else jnp.zeros(1)
        if self.spectral:
            low, high = self._spectrum(theta, data)
            found |= {"lambda_min": low, "lambda_max": high, "H": jnp.maximum(-low, high)}
        return found

    def slope(self, theta: JaxArray, data: Mapping[Input, JaxArray]) -> JaxArray:
        """The gradient."""
        return jnp.concatenate([g.reshape(-1) for g in self._run(self.gradient, theta, data).values()])

    def ends(self, theta: JaxArray, data: Mapping[Input, JaxArray]) -> tuple[JaxArray, JaxArray, JaxArray]:
        """Both ends of the Hessian's spectrum, and the norm of the gradient."""
        g = self.slope(theta, data)
        return (*self._spectrum(theta, data), jnp.sqrt(jnp.sum(g * g) + 1e-300) - 1e-150)

    def _spectrum(self, theta: JaxArray, data: Mapping[Input, JaxArray]) -> tuple[JaxArray, JaxArray]:
        count = self.objective.parameter_count

        def column(direction: JaxArray) -> JaxArray:
            cut = dict(zip(self.product.directions, self.objective.cut(direction).values(), strict=True))
            found = self._run(self.product.program, theta, dict(data) | cut)
            return jnp.concatenate([a.reshape(-1) for a in found.values()])

        spectrum = jnp.linalg.eigvalsh(jax.vmap(column)(jnp.eye(count, dtype=np.float64)))
        return spectrum[0], spectrum[-1]
