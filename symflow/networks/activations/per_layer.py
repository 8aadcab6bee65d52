"""Different activations in different layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from symflow.errors import ProblemError, brief
from symflow.networks.activations.activation import Activation


@dataclass(frozen=True)
class PerLayer(Activation):
    """One activation for each layer with weights but the last; it counts as not homogeneous.

    Attributes:
        each: that of the first layer with weights, of the second, ...
    """

    each: tuple[Activation, ...]

    def __post_init__(self) -> None:
        found: dict[str, object] = {"name": ", ".join(s.name for s in self.each)}
        found |= {"smooth": all(s.smooth for s in self.each), "latex": "; ".join(s.latex for s in self.each)}
        for key, value in found.items():
            object.__setattr__(self, key, value)

    def at(self, layer: int) -> Activation:
        """That of this layer."""
        return self.each[layer - 1]

    @property
    def given(self) -> Any:
        """A list of those of the layers."""
        return [s.given for s in self.each]


def joined(each: Sequence[Activation], layers: int) -> Activation:
    """One record for the activations of all layers: their own where all are the same.

    Raises:
        ProblemError: not one for each layer with weights but the last.
    """
    if len(each) != layers:
        raise ProblemError(
            f"activation must have one entry for each of the {layers} layers with weights before the last, got "
            f"{len(each)}: {brief([s.name for s in each])}"
        )
    return each[0] if len(set(each)) == 1 else PerLayer(tuple(each))
