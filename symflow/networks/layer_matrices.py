r"""The layers of a convolutional network as matrices, and the constants of R13 with their proofs.

On a smooth region h(x) = P_{n+1} C_n(w_n) P_n D_{n-1} ... D_1 C_1(w_1) P_1 x, where C_j is linear in the layer's
weights w_j, D_j holds the slopes of the activation and P_j is the pooling between two layers (the identity if none).

||C_j(w)|| <= kappa_j ||w||, and the norms of poolings, are in the records of the layers (`norm_square`).
"""

from __future__ import annotations

from fractions import Fraction
from math import prod

from symflow.networks.convolutional import Convolutional
from symflow.networks.network import Forward
from symflow.programs.nodes import Axis, Const, Identity, Node, Table, gather, power, scale, scatter_add, split_scale
from symflow.programs.program import shape_of, transform


def _root(square: Fraction) -> Node:
    return power(Const(square, ()), Fraction(1, 2)) if square != 1 else Const(Fraction(1), ())


def layer_constant(network: Convolutional, layer: int) -> Node:
    """kappa_j, a number with ||C_j(w)|| <= kappa_j ||w|| for all w; layers count from 1."""
    position = network.weighted[layer - 1]
    return _root(network.parts[position].norm_square(network.table(position)))


def pooling_norm(network: Convolutional) -> Node:
    """p, a bound on the product of the norms of all poolings."""
    squares = (part.norm_square(network.table(p)) for p, part in enumerate(network.parts) if not part.weighted)
    return _root(prod(squares, start=Fraction(1)))


def layer_matrix(network: Convolutional, forward: Forward, layer: int) -> Node:
    """C_j(w_j) as a matrix from the layer's inputs (after pooling) to its outputs, both flattened.

    The layer's own nodes are applied to all unit vectors at once.
    """
    found = forward.layers[layer - 1]
    factor, inputs = split_scale(found.inputs)
    *own, _ = inputs.axes
    size = prod(shape_of(own))
    unit = Axis(f"unit{layer}", size)
    units = gather(Identity((unit, unit)), Table(unit, tuple(own), tuple(range(size))), 0)
    outputs = transform([found.outputs], lambda x, _: units if x is inputs else None)[found.outputs]
    count = prod(shape_of(outputs.axes[:-1]))
    table = Table(Axis(f"output{layer}", count), outputs.axes[:-1], tuple(range(count)))
    return scale(1 / factor, scatter_add(outputs, table, 0))
