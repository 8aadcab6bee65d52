"""The Hessian of a linear network with the square loss, all blocks at once (R7, stacked).

Put all units of all layers on one axis and let N hold every weight matrix: N[unit of layer j, unit of layer j-1] = W_j.
Then R = I + N + N^2 + ... + N^n holds every product W_{j':j}, and dR = R dN R. With A the rows of R that belong to the
outputs, B its columns that belong to the inputs, G the gradient of f in the end-to-end matrix, and r(p), c(p) the row
and the column of N where the parameter p stands:

    H[p, q] = (A^T A)[r(p), r(q)] (B Sigma B^T)[c(p), c(q)] + Q[r(p), c(q)] R[c(p), r(q)] + Q[r(q), c(p)] R[c(q), r(p)],

Q = A^T G B^T. The powers of N double, so this takes O(log n) products, whatever the number of blocks.
"""

from __future__ import annotations

from symflow.derivatives.derived import Derived
from symflow.networks.moments import read_quadratic
from symflow.networks.objective import Objective
from symflow.programs.nodes import (
    Axis,
    Identity,
    Node,
    Table,
    add,
    einsum,
    gather,
    hadamard,
    matmul,
    scale,
    scatter_add,
)
from symflow.programs.program import Program, shape_of


def stacked_hessian(objective: Objective) -> Derived | None:
    """The Hessian as one P x P output "H", or None where f is not the square loss of a linear network."""
    found = read_quadratic(objective)
    if found is None:
        return None
    layers = [found.weights[-1].axes[1], *(w.axes[0] for w in reversed(found.weights))]
    starts = [sum(shape_of(layers[:j])) for j in range(len(layers) + 1)]
    units = Axis("units", starts[-1])
    tables = [
        Table(units, (axis,), tuple(range(start, end)))
        for axis, start, end in zip(layers, starts, starts[1:], strict=False)
    ]
    power = add(
        (1, scatter_add(scatter_add(w, tables[j + 1], 0), tables[j], 1)) for j, w in enumerate(reversed(found.weights))
    )
    products, length = add([(1, Identity((units, units))), (1, power)]), 2
    while length <= len(found.weights):
        power = matmul(power, power)
        products, length = add([(1, products), (1, matmul(products, power))]), 2 * length
    a, b = gather(products, tables[-1], 0), gather(products, tables[0], 1)
    moved = matmul(b, found.sigma_xx)
    slope = add([(found.factor, gather(moved, tables[-1], 0)), (found.sign, found.lambda_yx)])
    q = einsum((einsum((a, slope), ((0, 1), (0, 2)), (1, 2)), b), ((0, 1), (2, 1)), (0, 2))

    theta = Axis("theta", objective.parameter_count)
    layer_of = {w: len(found.weights) - n for n, w in enumerate(found.weights)}
    rows, columns = [], []
    for w in objective.parameters:
        height, width = shape_of(w.axes)
        rows += [starts[layer_of[w]] + i for i in range(height) for _ in range(width)]
        columns += [starts[layer_of[w] - 1] + i for _ in range(height) for i in range(width)]

    def read(x: Node, row: list[int], column: list[int]) -> Node:
        return gather(gather(x, Table(units, (theta,), tuple(row)), 0), Table(units, (theta,), tuple(column)), 1)

    outputs = einsum((a, a), ((0, 1), (0, 2)), (1, 2))
    inputs = einsum((moved, b), ((0, 1), (2, 1)), (0, 2))
    curved = hadamard(read(q, rows, columns), read(products, columns, rows))
    mirrored = hadamard(read(_transposed(q), columns, rows), read(_transposed(products), rows, columns))
    hessian = add(
        [
            (found.factor**2, hadamard(read(outputs, rows, rows), read(inputs, columns, columns))),
            (found.factor, curved),
            (found.factor, mirrored),
        ]
    )
    program = Program(objective.program.inputs, {"H": scale(found.total, hessian)})
    return Derived("hessian", objective, program, "matrix", (), "R7")


def _transposed(x: Node) -> Node:
    return einsum((x,), ((0, 1),), (1, 0))
