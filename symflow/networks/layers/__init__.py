"""Layers of convolutional networks by name: a new kind is a file with its record, and a line here."""

from __future__ import annotations

from symflow.networks.layers import convolution, dense, pool
from symflow.networks.layers.layer import Layer, LayerKind

__all__ = ["LAYERS", "Layer", "LayerKind"]

LAYERS: dict[str, LayerKind] = {**convolution.KINDS, **pool.KINDS, **dense.KINDS}
