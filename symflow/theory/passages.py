r"""What a change of a pre-activation changes in later layers, sample by sample, where no gate changes.

P_{k,j} = d a_k / d z_j and Q_j = d a_n / d z_j, skip connections included:

    P_{j,j} = D_j,    P_{k,j} = D_k W_k P_{k-1,j} + sum over skip connections (i, k), i >= j, of P_{i,j},

where D_n = I. They are matrices with the samples first. Without skip connections P_{k,j} = W^{(i)}_{k:j+1} D_{i,j}.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from symflow.networks.network import Forward, FullyConnected
from symflow.programs.nodes import Identity, Node, add, broadcast, einsum, gate


def gate_matrix(network: FullyConnected, forward: Forward, layer: int) -> Node:
    """D_{i,j} as a diagonal matrix for every sample.

    Raises:
        TypeError: an activation that is not homogeneous has no gates.
    """
    z, slopes = forward.layers[layer - 1].outputs, network.sigma.at(layer).slopes
    if slopes is None:
        raise TypeError(f"layer {layer} has no gates: its activation is not homogeneous")
    axis = z.axes[0]
    return einsum((gate(z, *slopes, layer), Identity((axis, axis))), ((1, 0), (1, 2)), (0, 1, 2))


@dataclass(frozen=True, eq=False)
class Passages:
    """P_{k,j} and Q_j of a fully connected network with homogeneous activations.

    Attributes:
        network: the architecture.
        forward: its computation.
        known: the matrices that were met, by k and j.
    """

    network: FullyConnected
    forward: Forward
    known: dict[tuple[int, int], Node] = field(default_factory=dict)

    def between(self, top: int, layer: int) -> Node:
        """P_{top,layer}, top >= layer."""
        if (top, layer) not in self.known:
            self.known[top, layer] = self._gates(layer) if top == layer else self._further(top, layer)
        return self.known[top, layer]

    def to_output(self, layer: int) -> Node:
        """Q_j."""
        return self.between(self.network.depth, layer)

    def _gates(self, layer: int) -> Node:
        if layer < self.network.depth:
            return gate_matrix(self.network, self.forward, layer)
        z = self.forward.layers[layer - 1].outputs
        axis, sample = z.axes
        return broadcast(Identity((axis, axis)), 0, sample)

    def _further(self, top: int, layer: int) -> Node:
        below, w = self.between(top - 1, layer), self.forward.layers[top - 1].weight
        moved = einsum((w, below), ((1,), (0, 1, 2)), (0, 1, 2)) if len(w.axes) == 1 else (
            einsum((w, below), ((1, 3), (0, 3, 2)), (0, 1, 2))
        )  # fmt: skip
        if top < self.network.depth:
            moved = einsum((self._gates(top), moved), ((0, 1, 3), (0, 3, 2)), (0, 1, 2))
        skips = [(1, self.between(i, layer)) for i, k in self.network.skip if k == top and i >= layer]
        return add([(1, moved), *skips])
