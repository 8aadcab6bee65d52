r"""Matrix sensing, completion and factorization: the square loss of a linear network on matrix data.

    f(theta) = phi(W_{n:1}),    phi(W) = (1/2m) sum_i (<A_i, W> - y_i)^2,

with m measurements A_i of the size of the end-to-end matrix W_{n:1} = W_n ... W_1 (sensing). Where the A_i are the
units e_a e_b^T of the observed entries (completion), phi(W) = (1/2m) ||Omega . (W - Y)||_F^2 with the mask Omega, m
the number of ones in it; where every entry is observed (factorization), phi(W) = (1/2m) ||W - Y||_F^2, m = d_n d_0.
So all three are means over measurements, and completion is sensing with the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import sympy

from symflow.networks.batches import SAMPLE
from symflow.networks.losses import SQUARE
from symflow.networks.matrix_data import SENSING, VALUES, MatrixData, linear_network, matrix_data
from symflow.networks.moments import end_to_end
from symflow.networks.network import FullyConnected, Network
from symflow.networks.objective import Objective
from symflow.networks.training_loss import weight_inputs
from symflow.programs.nodes import Axis, Input, Node, add, einsum, hadamard, inner, scale
from symflow.programs.program import Program


def sensing_objective(
    network: Network, sensing: Any = None, y: Any = None, *, mask: Any = None, target: Any = None
) -> Objective:
    r"""f(theta) = (1/2m) sum_i (<A_i, W_n ... W_1> - y_i)^2, the loss of a linear network on matrix data.

    With `target` in place of `sensing` and `y` the entries of the end-to-end matrix are observed, those where `mask`
    is 1 (completion) or all of them (factorization): f = (1/2m) ||mask * (W_n ... W_1 - target)||_F^2 with m observed
    entries, which is sensing with A_i = e_a e_b^T. All results on f = phi(W_{n:1}) apply: R7, R9, R10, R11, R14.

    Args:
        network: a fully connected linear network.
        sensing: A, m x d_n x d_0. Rational numbers; a float means its binary value. With neither `sensing` nor
            `target` the data are symbolic.
        y: m values.
        mask: d_n x d_0 zeros and ones; all ones if left out.
        target: d_n x d_0 values; those that are not observed do not matter.

    Returns:
        An `Objective` of P parameters: theta is all weights, layer 1 first, each matrix row-major.

    Raises:
        ProblemError: another network, or data of another shape.

    Source: for flow and descent on it Gunasekar et al. 2017; Arora, Cohen, Hu & Luo 2019.

    Example:
        >>> network = sf.FullyConnected((2, 2, 2))
        >>> print(sf.gradient(sf.sensing_objective(network)).latex())
        \begin{aligned}
        r &= \mathcal{A}(W_{2:1}) - y \\
        \nabla_{W_{1}} f &= \tfrac{1}{m} W_{2}^\top \mathcal{A}^{*}(r) \\
        \nabla_{W_{2}} f &= \tfrac{1}{m} \mathcal{A}^{*}(r) W_{1}^\top \\
        &\text{where }\mathopen{} \mathcal{A}(W)_i := \langle A_i, W\rangle \\
        &\phantom{\text{where }}\mathopen{} \mathcal{A}^{*}(r) = \textstyle\sum_i r_i A_i
        \end{aligned}
        >>> completion = sf.sensing_objective(network, mask=[[1, 0], [0, 1]], target=[[1, 0], [0, 2]])
        >>> sf.loss(completion).explicit()
        (W1_11*W2_11 + W1_21*W2_12 - 1)**2/4 + (W1_12*W2_21 + W1_22*W2_22 - 2)**2/4
    """
    keys = {"sensing": sensing, "y": y, "mask": mask, "target": target}
    given = {key: values for key, values in keys.items() if values is not None}
    if not given:
        return _sensing(linear_network(network), MatrixData(None, None, None, None))
    return objective_of(network, matrix_data(network, given, "sensing_objective"))


def objective_of(network: Network, data: MatrixData) -> Objective:
    """The loss of a linear network on matrix data that fit it."""
    known = linear_network(network)
    return _sensing(known, data) if data.kind == "sensing" else _entries(known, data)


def _sensing(network: FullyConnected, data: MatrixData) -> Objective:
    """The residuals r = A(W) - y as one contraction: as long for any m."""
    symbolic = data.sensing is None
    count: Any = sympy.Symbol("m", integer=True, positive=True) if symbolic else data.count
    sample = Axis(SAMPLE, count)
    outer = (*network.output_axes, *network.input_axes)
    sensing = Input(SENSING, (*outer, sample), "data", "A")
    values = Input(VALUES, (sample,), "data", "y")

    def residual(w: Node) -> tuple[Node, str]:
        return add([(1, einsum((sensing, w), ((0, 1, 2), (0, 1)), (2,))), (-1, values)]), "r"

    if data.sensing is None or data.y is None:
        inverse = Input("inverse_samples", (), "hyper", r"\tfrac{1}{m}")
        return _objective(network, data, (sensing, values, inverse), residual, lambda x: hadamard(inverse, x), {})
    bound = {sensing: np.moveaxis(data.sensing, 0, -1), values: data.y}
    return _objective(network, data, (sensing, values), residual, lambda x: scale(Fraction(1, count), x), bound)


def _entries(network: FullyConnected, data: MatrixData) -> Objective:
    """The residuals R = Omega . W - Y, where Y is 0 outside the mask."""
    outer = (*network.output_axes, *network.input_axes)
    mask, target = Input("Omega", outer, "data", r"\Omega"), Input("target", outer, "data", "Y")

    def residual(w: Node) -> tuple[Node, str]:
        return add([(1, w if data.mask is None else hadamard(mask, w)), (-1, target)]), "R"

    assert data.target is not None
    bound = {target: data.target} if data.mask is None else {mask: data.mask, target: data.target}
    return _objective(network, data, tuple(bound), residual, lambda x: scale(Fraction(1, data.count), x), bound)


def _objective(
    network: FullyConnected,
    data: MatrixData,
    inputs: tuple[Input, ...],
    residual: Callable[[Node], tuple[Node, str]],
    mean: Callable[[Node], Node],
    bound: dict[Input, np.ndarray],
) -> Objective:
    """Half the mean square of the residuals."""
    weights = weight_inputs(network)
    found, name = residual(end_to_end(list(weights[::-1])))
    total = mean(scale(Fraction(1, 2), inner(found, found)))
    program = Program((*weights, *inputs), {"f": total}, {found: name})
    return Objective(program, weights, bound, network, sample_loss=SQUARE, architecture=network, matrix_data=data)
