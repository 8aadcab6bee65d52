"""Gates that are on their kinks together: equal or proportional pre-activations."""

from __future__ import annotations

from typing import NamedTuple

from symflow.numbers.types import JaxArray


class Ties(NamedTuple):
    """Groups of gates whose pre-activations are multiples of each other.

    Attributes:
        number: which group a gate belongs to, -1 for none, shape (U, N).
        units: the units of each group in the order of layers, repeated to fill, shape (T, G).
        samples: their samples.
        real: which of them are meant.
    """

    number: JaxArray
    units: JaxArray
    samples: JaxArray
    real: JaxArray

    def group(self, unit: JaxArray, sample: JaxArray) -> tuple[JaxArray, JaxArray, JaxArray]:
        """Units, samples, and which of them are meant, of the group of a gate, for JAX to trace (G,) each."""
        import jax.numpy as jnp

        number = self.number[unit, sample]
        alone = number < 0
        first = jnp.arange(self.real.shape[1]) == 0
        units = jnp.where(alone, unit, self.units[number])
        samples = jnp.where(alone, sample, self.samples[number])
        return units, samples, jnp.where(alone, first, self.real[number])
