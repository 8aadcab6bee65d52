"""The Hessian of a fully connected network's training loss through Jacobians, all blocks at once.

With delta_k = df/dz_k, the gradient in W_k[r, u] is sum_i delta_k[r, i] a_{k-1}[u, i], and its derivative in the
parameter p of the same or an earlier layer is

    H[(k, r, u), p] = sum_i a_{k-1}[u, i] Z_k[i, r, p] + delta_k[r, i] K_k[i, u, p],

K_k the derivative of a_{k-1}, Z_k that of delta_k but for the weights of the layers after k. Both are read from small
arrays that have one axis for all units z of the layers up to k: with p = W[r(p), c(p)] and J_k = dz_k/dz,

    Z_k[i, r, p] = (S_k J_k)[i, r, r(p)] a[i, c(p)],   K_k[i, u, p] = (D_{k-1} J_{k-1})[i, u, r(p)] a[i, c(p)],
    S_n = d^2 f/dh dh,   S_k = V_k^T S_{k+1} V_k + diag(sigma''(z_k) df/da_k),   V_k = dz_{k+1}/dz_k = W_{k+1} D_k,

D_k the diagonal of sigma'(z_k). S_k is the second derivative of f in z_k. O(depth) operations, whatever the number of
blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from symflow.derivatives.derived import Derived
from symflow.networks.network import FullyConnected, WeightedLayer
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
    gather,
    hadamard,
    is_zero,
    scatter_add,
)
from symflow.programs.program import Program, entries, shape_of, topological


def jacobian_hessian(objective: Objective) -> Derived | None:
    """The Hessian as one P x P output "H", or None where f is not the loss of a fully connected network on samples.

    Networks with biases, skip connections, diagonal layers or an output scale have none.
    """
    network, weights = objective.architecture, objective.parameters
    x = next((d for d in objective.data_inputs if d.name == "X"), None)
    if not isinstance(network, FullyConnected) or x is None or not isinstance(x.axes[-1].size, int):
        return None
    if any(network.biases) or network.skip or network.diagonal or network.output_scale != 1:
        return None
    forward = network.forward(weights, x)
    if not _only_through(objective.loss, forward.prediction, weights):
        return None
    found = _loss_derivatives(objective.loss, forward.prediction)
    if found is None:
        return None
    slope, curvature = found
    layers = forward.layers
    gates, bends = _activation_derivatives(layers)
    inputs = _joined([einsum((z.inputs,), ((0, 1),), (1, 0)) for z in layers])
    rows, columns = _places(weights)
    theta = Axis("theta", len(rows))

    deltas, pulled = _deltas(weights, gates, slope)
    steps = _steps(weights, gates)
    second = _second_derivatives(steps, curvature, [(c, e) for c, e in zip(bends, pulled, strict=True)])
    along = _jacobians(steps, layers[0].outputs)
    terms: list[tuple[int, Node]] = []
    start = 0
    for k, (w, layer) in enumerate(zip(weights, layers, strict=True)):
        end = start + entries(w.axes)
        here = einsum((second[k], along[k]), ((0, 1, 2), (0, 2, 3)), (0, 1, 3)) if k else second[k]
        upto = Axis(f"upto{k}", end)
        moved = _per_parameter(here, inputs, rows[:end], columns[:end], upto)
        block = einsum((layer.inputs, moved), ((1, 0), (0, 2, 3)), (2, 1, 3))
        terms.append((1, _placed(block, theta, start, 0)))
        if k:
            earlier = Axis(f"upto{k - 1}", start)
            reached = einsum((gates[k - 1], along[k - 1]), ((1, 0), (0, 1, 2)), (0, 1, 2))
            later = _per_parameter(reached, inputs, rows[:start], columns[:start], earlier)
            lower = einsum((deltas[k], later), ((0, 1), (1, 2, 3)), (0, 2, 3))
            left = gather(block, Table(upto, (earlier,), tuple(range(start))), 2)
            mirrored = _placed(add([(1, left), (1, lower)]), theta, start, 0)
            terms += [(1, _placed(lower, theta, start, 0)), (1, einsum((mirrored,), ((0, 1),), (1, 0)))]
        start = end
    program = Program(objective.program.inputs, {"H": add(terms)})
    return Derived("hessian", objective, program, "matrix")


def _only_through(loss: Node, prediction: Node, weights: Sequence[Input]) -> bool:
    """Whether the loss depends on the weights, and that through the prediction alone."""
    below: set[Node] = set()
    for x in topological([loss]):
        if x in weights or (x is not prediction and any(a in below for a in x.arguments)):
            below.add(x)
    return prediction in topological([loss]) and loss not in below


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


def _activation_derivatives(layers: Sequence[WeightedLayer]) -> tuple[list[Node], list[Node]]:
    """sigma'(z) and sigma''(z) of every layer but the last."""
    first: list[Node] = []
    second: list[Node] = []
    for below, above in pairwise(layers):
        z, a = below.outputs, above.inputs
        one = {z: Const(Fraction(1), z.axes)}
        first.append(jvp([a], one)[a])
        second.append(jvp(first[-1:], one)[first[-1]])
    return first, second


def _steps(weights: Sequence[Input], gates: Sequence[Node]) -> list[Node]:
    """V_k = dz_{k+1}/dz_k for every layer but the last, with the axes sample, unit, unit."""
    return [einsum((w, d), ((1, 2), (2, 0)), (0, 1, 2)) for w, d in zip(weights[1:], gates, strict=True)]


def _second_derivatives(steps: Sequence[Node], last: Node, bends: Sequence[tuple[Node, Node]]) -> list[Node]:
    """S_k for every layer: the second derivative of f in z_k, with the axes sample, unit, unit.

    Args:
        steps: V_k.
        last: S_n.
        bends: sigma''(z_k) and df/da_k for every layer but the last.
    """
    result = [last]
    for v, (bend, error) in zip(reversed(steps), reversed(bends), strict=True):
        moved = einsum((result[-1], v), ((0, 1, 2), (0, 2, 3)), (0, 1, 3))
        s = einsum((v, moved), ((0, 2, 1), (0, 2, 3)), (0, 1, 3))
        if not is_zero(bend):
            unit = bend.axes[0]
            s = add([(1, s), (1, einsum((hadamard(bend, error), Identity((unit, unit))), ((1, 0), (1, 2)), (0, 1, 2)))])
        result.append(s)
    return result[::-1]


def _jacobians(steps: Sequence[Node], first: Node) -> list[Node]:
    """J_k = dz_k/dz of all units of the layers up to k, with the axes sample, unit, unit."""
    unit, sample = first.axes
    result = [einsum((Identity((unit, unit)),), ((1, 2),), (0, 1, 2), {0: sample})]
    for k, v in enumerate(steps):
        unit = v.axes[1]
        own = einsum((Identity((unit, unit)),), ((1, 2),), (0, 1, 2), {0: sample})
        before = einsum((v, result[-1]), ((0, 1, 2), (0, 2, 3)), (0, 1, 3)) if k else v
        result.append(_joined([before, own]))
    return result


def _deltas(weights: Sequence[Input], gates: Sequence[Node], slope: Node) -> tuple[list[Node], list[Node]]:
    """df/dz_k for every layer, and df/da_k for every layer but the last."""
    deltas, pulled = [slope], []
    for k in range(len(gates) - 1, -1, -1):
        pulled.append(einsum((weights[k + 1], deltas[-1]), ((0, 1), (0, 2)), (1, 2)))
        deltas.append(hadamard(pulled[-1], gates[k]))
    return deltas[::-1], pulled[::-1]
