"""The Hessian of a fully connected network's training loss through Jacobians, all blocks at once.

Gates are constants when they are differentiated, so for each sample i the network is a product of matrices W_k and
gates. With delta_k = df/dz_k, the gradient in W_k[r, u] is sum_i delta_k[r, i] a_{k-1}[u, i], and its derivative in
the parameter p of the same or an earlier layer is

    H[(k, r, u), p] = sum_i a_{k-1}[u, i] Z_k[i, r, p] + delta_k[r, i] K_k[i, u, p],

Z_k the derivative of delta_k that comes through the outputs, K_k that of a_{k-1}. Both are read from small arrays that
have one axis for all units z of the network:

    Z_k[i, r, p] = (A^T S A)[i, r, r(p)] a[i, c(p)],   A = dh/dz,   S = d^2 f/dh dh,   p = W[r(p), c(p)].

O(depth) operations, whatever the number of blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from symflow.derivatives.derived import Derived
from symflow.networks.network import FullyConnected
from symflow.networks.objective import Objective
from symflow.programs.blocks import Directional
from symflow.programs.differentiate import jvp, transpose
from symflow.programs.nodes import (
    Axis,
    Const,
    Identity,
    Input,
    Node,
    Table,
    add,
    einsum,
    gate,
    gather,
    hadamard,
    scatter_add,
)
from symflow.programs.program import Program, entries, shape_of, topological


def jacobian_hessian(objective: Objective) -> Derived | None:
    """The Hessian as one P x P output "H", or None where f is not the loss of a fully connected network on samples."""
    network, weights = objective.network, objective.parameters
    x = next((d for d in objective.data_inputs if d.name == "X"), None)
    if not isinstance(network, FullyConnected) or x is None or not isinstance(x.axes[-1].size, int):
        return None
    forward = network.forward(weights, x)
    if forward.prediction not in objective.program.nodes:
        return None
    found = _loss_derivatives(objective.loss, forward.prediction)
    if found is None:
        return None
    slope, curvature = found
    layers = forward.layers
    gates = [gate(z.outputs, network.alpha, network.alpha_bar, k) for k, z in enumerate(layers[:-1], start=1)]
    inputs = _joined([einsum((z.inputs,), ((0, 1),), (1, 0)) for z in layers])
    rows, columns = _places(weights)
    theta = Axis("theta", len(rows))

    outputs = _joined(_output_derivatives(weights, gates, forward.prediction))
    weighted = einsum((curvature, outputs), ((0, 1, 2), (0, 2, 3)), (0, 1, 3))
    mixed = einsum((outputs, weighted), ((0, 2, 1), (0, 2, 3)), (0, 1, 3))
    deltas = _deltas(weights, gates, slope)
    reached = _input_derivatives(weights, gates)
    terms: list[tuple[int, Node]] = []
    start = above = 0
    for k, (w, layer) in enumerate(zip(weights, layers, strict=True)):
        height, end = shape_of(w.axes)[0], start + entries(w.axes)
        here = gather(mixed, Table(mixed.axes[1], w.axes[:1], tuple(range(above, above + height))), 1)
        upto = Axis(f"upto{k}", end)
        moved = _per_parameter(here, inputs, rows[:end], columns[:end], upto)
        block = einsum((layer.inputs, moved), ((1, 0), (0, 2, 3)), (2, 1, 3))
        terms.append((1, _placed(block, theta, start, 0)))
        if k:
            earlier = Axis(f"upto{k - 1}", start)
            bent = _per_parameter(reached[k - 1], inputs, rows[:start], columns[:start], earlier)
            lower = einsum((deltas[k], bent), ((0, 1), (1, 2, 3)), (0, 2, 3))
            left = gather(block, Table(upto, (earlier,), tuple(range(start))), 2)
            mirrored = _placed(add([(1, left), (1, lower)]), theta, start, 0)
            terms += [(1, _placed(lower, theta, start, 0)), (1, einsum((mirrored,), ((0, 1),), (1, 0)))]
        start, above = end, above + height
    program = Program(objective.program.inputs, {"H": add(terms)})
    return Derived("hessian", objective, program, "matrix")


def _placed(block: Node, theta: Axis, row: int, column: int) -> Node:
    """A block with the axes of one weight matrix and of some parameters, inside the P x P matrix."""
    below = entries(block.axes[:2])
    flat = scatter_add(block, Table(theta, block.axes[:2], tuple(range(row, row + below))), 0)
    return scatter_add(flat, Table(theta, block.axes[2:], tuple(range(column, column + entries(block.axes[2:])))), 1)


def _loss_derivatives(loss: Node, prediction: Node) -> tuple[Node, Node] | None:
    """df/dh (outputs, samples) and d^2 f/dh dh (samples, outputs, outputs), or None where the loss mixes samples."""
    direction = Input("prediction", prediction.axes, "direction", "h")
    slope = transpose(jvp([loss], {prediction: direction})[loss], [direction], Const(Fraction(1), ()))[direction]
    directional = Directional(prediction)
    for x in topological([slope]):
        directional.of(x)
    output, sample = prediction.axes
    across, along = directional.free
    terms = []
    for t in directional.of(slope):
        c, i = t.own
        # Where samples do not mix, every term has an identity in the two samples, which are one from here on.
        factors = [(f, tuple(i if label == along else label for label in used)) for f, used in t.factors]
        kept = [(f, used) for f, used in factors if used != (i, i)]
        if len(kept) != len(factors) - 1:
            return None
        axes = {i: sample, c: output, across: output}
        terms.append((t.coefficient, einsum([f for f, _ in kept], [used for _, used in kept], (i, c, across), axes)))
    return slope, add(terms) if terms else Const(Fraction(0), (sample, output, output))


def _places(weights: Sequence[Input]) -> tuple[list[int], list[int]]:
    """Of every parameter, the unit it leads to (counted from the first hidden layer) and the one it reads."""
    rows: list[int] = []
    columns: list[int] = []
    above = below = 0
    for w in weights:
        height, width = shape_of(w.axes)
        rows += [above + r for r in range(height) for _ in range(width)]
        columns += [below + c for _ in range(height) for c in range(width)]
        above, below = above + height, below + width
    return rows, columns


def _joined(parts: Sequence[Node]) -> Node:
    """Arrays that differ in their last axis, joined along it."""
    position = len(parts[0].axes) - 1
    sizes = shape_of(x.axes[-1] for x in parts)
    units = Axis(f"units{len(parts)}", sum(sizes))
    terms = []
    for n, x in enumerate(parts):
        start = sum(sizes[:n])
        terms.append((1, scatter_add(x, Table(units, x.axes[-1:], tuple(range(start, start + sizes[n]))), position)))
    return add(terms)


def _per_parameter(x: Node, inputs: Node, rows: list[int], columns: list[int], theta: Axis) -> Node:
    """x[i, c, row of p] inputs[i, column of p]: a derivative in pre-activations as one in the parameters."""
    units = gather(x, Table(x.axes[2], (theta,), tuple(rows)), 2)
    read = gather(inputs, Table(inputs.axes[1], (theta,), tuple(columns)), 1)
    return einsum((units, read), ((0, 1, 2), (0, 2)), (0, 1, 2))


def _output_derivatives(weights: Sequence[Input], gates: Sequence[Node], prediction: Node) -> list[Node]:
    """dh/dz_k for every layer, each with the axes sample, output, unit."""
    output, sample = prediction.axes
    product = einsum((Identity((output, output)),), ((1, 2),), (0, 1, 2), {0: sample})
    result = [product]
    for k in range(len(gates) - 1, -1, -1):
        product = einsum((product, weights[k + 1]), ((0, 1, 2), (2, 3)), (0, 1, 3))
        product = einsum((product, gates[k]), ((0, 1, 2), (2, 0)), (0, 1, 2))
        result.append(product)
    return result[::-1]


def _input_derivatives(weights: Sequence[Input], gates: Sequence[Node]) -> list[Node]:
    """da_{k-1}/dz of layers 2, 3, ..., each with the axes sample, unit, unit of any earlier layer."""
    result: list[Node] = []
    for k, d in enumerate(gates):
        unit = d.axes[0]
        here = einsum((Identity((unit, unit)), d), ((1, 2), (2, 0)), (0, 1, 2))
        if result:
            before = einsum((weights[k], result[-1]), ((1, 3), (0, 3, 2)), (0, 1, 2))
            here = _joined([einsum((before, d), ((0, 1, 2), (1, 0)), (0, 1, 2)), here])
        result.append(here)
    return result


def _deltas(weights: Sequence[Input], gates: Sequence[Node], slope: Node) -> list[Node]:
    """df/dz_k for every layer."""
    result = [slope]
    for k in range(len(gates) - 1, -1, -1):
        pulled = einsum((weights[k + 1], result[-1]), ((0, 1), (0, 2)), (1, 2))
        result.append(hadamard(pulled, gates[k]))
    return result[::-1]
