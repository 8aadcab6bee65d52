"""Moment form: the rewrite of a linear network's square loss from samples to Sigma_xx, Lambda_yx and Sigma_yy.

    (1/2N) ||M X - Y||_F^2  =  1/2 <M Sigma_xx, M> - <M, Lambda_yx> + 1/2 Tr Sigma_yy,   M = W_{n:1},

with Sigma_xx = X X^T / N and so on. One evaluation then costs O(1) in the number of samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import lcm

import numpy as np

from symflow.networks.objective import Objective, require_objective
from symflow.programs.nodes import Add, Einsum, Input, Node, add, einsum, inner, matmul, scale, split_scale
from symflow.programs.program import Program, shape_of


def exact_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The exact matrix product of two object arrays of `Fraction`, over a common denominator."""

    def integers(m: np.ndarray) -> tuple[np.ndarray, int]:
        denominator = lcm(*(q.denominator for q in m.flat))
        scaled = [q.numerator * (denominator // q.denominator) for q in m.flat]
        return np.array(scaled, dtype=object).reshape(m.shape), denominator

    (p, c), (q, d) = integers(a), integers(b)
    product = p.dot(q)
    return np.array([Fraction(int(v), c * d) for v in product.flat], dtype=object).reshape(product.shape)


def _chain(x: Node, objective: Objective) -> tuple[Fraction, list[Input]] | None:
    """Reads x as c W_n ... W_1 X; returns (c, [W_n, ..., W_1, X]), or None if it is not of that form."""
    factor, node = split_scale(x)
    factors: list[Input] = []
    while isinstance(node, Einsum):
        if len(node.args) != 2 or len(node.out) != 2:
            return None
        w = next((a for a in node.args if a in objective.parameters), None)
        if not isinstance(w, Input) or len(w.axes) != 2:  # shared weights are not matrices
            return None
        rest = node.args[1] if node.args[0] is w else node.args[0]
        if matmul(w, rest) is not node:
            return None
        factors.append(w)
        c, node = split_scale(rest)
        factor *= c
    if not isinstance(node, Input) or node not in objective.data_inputs:
        return None
    return factor, [*factors, node]


@dataclass(frozen=True)
class Quadratic:
    """f = (total / 2N) ||factor W_n ... W_1 X + sign Y||_F^2.

    Attributes:
        total: 1 for the mean over samples of half the squared distance.
        factor: the product of the activations' slopes.
        sign: 1 or -1.
        weights: W_n, ..., W_1.
        x: X, one column a sample.
        targets: Y.
    """

    total: Fraction
    factor: Fraction
    sign: Fraction
    weights: tuple[Input, ...]
    x: Input
    targets: Input

    @property
    def sigma_xx(self) -> Node:
        """X X^T / N as a node."""
        return _moment(self.x, self.x)

    @property
    def lambda_yx(self) -> Node:
        """Y X^T / N as a node."""
        return _moment(self.targets, self.x)


def _moment(a: Input, b: Input) -> Node:
    return scale(Fraction(1, shape_of(b.axes)[1]), einsum((a, b), ((0, 1), (2, 1)), (0, 2)))


def read_quadratic(objective: Objective) -> Quadratic | None:
    """Reads f as the square loss of a linear network with a known number of samples, or returns None."""
    if objective.matrix_data is not None:
        return None
    weight, square = split_scale(objective.loss)
    if not (isinstance(square, Einsum) and len(square.args) == 2 and square.args[0] is square.args[1]):
        return None
    residual = square.args[0]
    if square.out or not isinstance(residual, Add) or len(residual.terms) != 2:
        return None
    (c, prediction), (sign, targets) = residual.terms
    if sign * sign != 1 or not isinstance(targets, Input) or targets not in objective.data_inputs:
        return None
    chain = _chain(prediction, objective)
    if chain is None or len(chain[1]) < 2:
        return None
    factor, (*weights, x) = chain
    count = x.axes[1].size
    if len(x.axes) != 2 or not isinstance(count, int):
        return None
    return Quadratic(2 * weight * count, factor * c, sign, tuple(weights), x, targets)


def moment_form(objective: Objective) -> Objective | None:
    """f(theta) = (1/2)(<W, W Sigma_xx> - 2 <W, Lambda_yx> + Tr Sigma_yy), W = W_{n:1}: the square loss by its moments.

    W_{n:1} = W_n ... W_1 is the end-to-end matrix of a linear network, and with N samples as columns of X and Y the
    moments are Sigma_xx = X X^T/N (d_0 x d_0), Lambda_yx = Y X^T/N (d_n x d_0) and Tr Sigma_yy = ||Y||_F^2/N. The
    values of f are the same; the cost no longer depends on N. Solvers use it of their own accord.

    Args:
        objective: f, with both data arrays bound.

    Returns:
        An `Objective` in the same parameters whose data are the moments, exact rationals; None where f is not of the
        form (c/2)||c' W_{n:1} X - Y||_F^2 or its data are not bound.

    Raises:
        ProblemError: not an `Objective`.

    Source: classical; the moments as in Elkabetz & Cohen 2021.

    Example:
        >>> objective = sf.network_objective(sf.FullyConnected((2, 2, 1)), [[1, 1]] * 1000, [1] * 1000)
        >>> {x.name: values.shape for x, values in sf.moment_form(objective).data.items()}
        {'Sigma_xx': (2, 2), 'Lambda_yx': (1, 2), 'mean_square_y': ()}
        >>> relu = sf.FullyConnected((1, 2, 1), alpha_bar=0)
        >>> sf.moment_form(sf.network_objective(relu, [1], [1])) is None
        True
    """
    require_objective(objective)
    found = read_quadratic(objective)
    if found is None or found.x not in objective.data or found.targets not in objective.data:
        return None
    count = shape_of(found.x.axes)[1]
    xs, ys = objective.data[found.x], objective.data[found.targets]

    def moment(name: str, a: np.ndarray, b: np.ndarray, axes: tuple, latex: str) -> tuple[Input, np.ndarray]:
        return Input(name, axes, "data", latex), exact_product(a, b.T) / Fraction(count)

    d0, dn = found.x.axes[0], found.targets.axes[0]
    sigma_xx, value_xx = moment("Sigma_xx", xs, xs, (d0, d0), r"\Sigma_{xx}")
    lambda_yx, value_yx = moment("Lambda_yx", ys, xs, (dn, d0), r"\Lambda_{yx}")
    squared_y = Input("mean_square_y", (), "data", r"\operatorname{Tr}\Sigma_{yy}")
    value_yy = np.array(sum((v * v for v in ys.flat), Fraction(0)) / count, dtype=object)
    product = end_to_end(list(found.weights))
    slope = add([(found.factor**2, matmul(product, sigma_xx)), (2 * found.factor * found.sign, lambda_yx)])
    # f = total/2 (<M, M Sigma - 2 Lambda> + Tr Sigma_yy), written so that its gradient is total (M Sigma - Lambda).
    loss = scale(found.total / 2, add([(1, inner(product, slope)), (1, squared_y)]))
    inputs = (*objective.parameters, sigma_xx, lambda_yx, squared_y)
    data = {sigma_xx: value_xx, lambda_yx: value_yx, squared_y: value_yy}
    return Objective(
        Program(inputs, {"f": loss}),
        objective.parameters,
        data,
        objective.network,
        no_network=objective.no_network,
        sample_loss=objective.sample_loss,
        architecture=objective.architecture,
    )


def end_to_end(weights: list[Input]) -> Node:
    """W_n ... W_1, associated from the narrower side so that intermediate products are small."""
    first, last = weights[-1].axes[1].size, weights[0].axes[0].size
    from_input = not (isinstance(first, int) and isinstance(last, int)) or first <= last
    ordered = weights[::-1] if from_input else weights
    product: Node = ordered[0]
    for w in ordered[1:]:
        product = matmul(w, product) if from_input else matmul(product, w)
    return product
