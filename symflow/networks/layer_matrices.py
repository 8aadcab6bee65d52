r"""The layers of a convolutional network as matrices, and the constants of R13 with their proofs.

On a smooth region h(x) = P_{n+1} C_n(w_n) P_n D_{n-1} ... D_1 C_1(w_1) P_1 x, where C_j is linear in the layer's
weights w_j, D_j holds the slopes of the activation and P_j is the pooling between two layers (the identity if none).

*Constant of a layer.*  ||C_j(w)|| <= kappa_j ||w||, where kappa_j^2 is the largest number of windows that read one and
the same pixel, at most prod over dimensions of ceil(kernel/stride); kappa_j = 1 for dense layers.
Proof.  The output at window q is w patch_q(a), with w a matrix of one row an output channel.  So
||C_j(w) a||^2 = sum_q ||w patch_q(a)||^2 <= ||w||_F^2 sum_q ||patch_q(a)||^2 <= ||w||_F^2 kappa_j^2 ||a||^2, because
an entry of a occurs in as many patches as windows read its pixel.  Along one dimension the windows that read pixel a
begin at multiples of the stride within kernel neighbouring places: at most ceil(kernel/stride) of them.

*Average pooling* over windows of m pixels: ||P|| <= sqrt(r/m), r the largest number of windows that read one pixel.
Proof.  (P a)_q^2 <= (1/m) sum_{p in q} a_p^2 by Cauchy and Schwarz; sum over q.  As r <= prod ceil(size/stride) <= m,
||P|| <= 1; without overlap r = 1 and P P^T = I/m, so that ||C P|| = ||C||/sqrt(m) exactly.

*Max pooling*: on a smooth region P selects one pixel a window; P^T P is diagonal and counts how many windows select a
pixel, at most r, so ||P|| <= sqrt(r).
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from math import prod

from symflow.networks.convolutional import Convolutional, Dense, Pool
from symflow.networks.network import Forward
from symflow.programs.nodes import Axis, Const, Identity, Node, Table, gather, power, scale, scatter_add, split_scale
from symflow.programs.program import shape_of, transform


def overlap(table: Table) -> int:
    """The largest number of windows that read one and the same pixel (padding does not count)."""
    return max(Counter(source for source in table.index if source >= 0).values(), default=0)


def _weighted(network: Convolutional) -> list[int]:
    """The positions of the layers with weights."""
    return [p for p, part in enumerate(network.parts) if not isinstance(part, Pool)]


def _root(square: Fraction) -> Node:
    return power(Const(square, ()), Fraction(1, 2)) if square != 1 else Const(Fraction(1), ())


def layer_constant(network: Convolutional, layer: int) -> Node:
    """kappa_j, a number with ||C_j(w)|| <= kappa_j ||w|| for all w; layers count from 1."""
    position = _weighted(network)[layer - 1]
    if isinstance(network.parts[position], Dense):
        return _root(Fraction(1))
    return _root(Fraction(overlap(network.table(position))))


def pooling_norm(network: Convolutional) -> Node:
    """p, a bound on the product of the norms of all poolings."""
    square = Fraction(1)
    for position, part in enumerate(network.parts):
        if isinstance(part, Pool):
            table = network.table(position)
            windows = 1 if part.kind == "max" else prod(shape_of(table.targets[:-1]))
            square *= Fraction(overlap(table), windows)
    return _root(square)


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
