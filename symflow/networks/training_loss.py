"""The training loss of a network as a program (sample form)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np
import sympy

from symflow.errors import ProblemError, brief
from symflow.networks.losses import SQUARE, Loss, as_loss
from symflow.networks.network import Network
from symflow.networks.objective import Objective
from symflow.programs.nodes import Axis, Input, Node, Size, add, hadamard, scale
from symflow.programs.program import Program, shape_of


def _rows(values: object, name: str, axes: tuple[Axis, ...], samples: int | None) -> np.ndarray:
    """Data as exact rationals, one row a sample."""
    from symflow.numbers.rational import rational_array

    width = prod(shape_of(axes)) if all(isinstance(a.size, int) for a in axes) else None
    array = rational_array(values, name, column=width == 1)
    rows, columns = array.shape
    if samples is not None and rows != samples:
        raise ProblemError(f"{name} must have one row for each of the {samples} samples, got {rows} rows")
    if width is not None and columns != width:
        raise ProblemError(f"{name} must have rows of {width} numbers, as the network says, got {columns}")
    return array


def weight_inputs(network: Network) -> tuple[Input, ...]:
    """The parameter inputs W_1, ..., W_n; of a diagonal layer the vector w_j."""
    return tuple(
        Input(f"W{j}", axes, "parameter", f"{'w' if len(axes) == 1 else 'W'}_{{{j}}}")
        for j, axes in enumerate(network.weight_axes, start=1)
    )


def bias_inputs(network: Network) -> tuple[Input, ...]:
    """The parameter inputs b_j of the layers that have a bias: one entry a unit or channel."""
    return tuple(
        Input(f"b{j}", axes[:1], "parameter", f"b_{{{j}}}")
        for j, (axes, has) in enumerate(zip(network.weight_axes, network.biased, strict=True), start=1)
        if has
    )


def parameter_inputs(weights: Sequence[Input], biases: Sequence[Input]) -> tuple[Input, ...]:
    """All parameters in the order of theta: W_1, b_1, W_2, b_2, ..."""
    return tuple(sorted((*weights, *biases), key=lambda x: (int(x.name[1:]), x.name[0] == "b")))


def sample_inputs(network: Network, sample: Axis) -> tuple[Input, Input]:
    """The data inputs X and Y: one column a sample."""
    x = Input("X", (*network.input_axes, sample), "data", "X")
    return x, Input("Y", (*network.output_axes, sample), "data", "Y")


def network_objective(
    network: Network,
    x: np.ndarray | None,
    y: np.ndarray | None,
    loss: Loss | str = SQUARE,
    *,
    biases: bool | None = None,
) -> Objective:
    """f(theta) = (1/N) sum_i l(h_theta(x_i), y_i), the training loss of a network.

    A network with biases or skip connections, or with an activation that is not homogeneous, is not homogeneous in each
    layer's weights: the objective then has no `network`, and no result on homogeneous networks applies. The same holds
    where layers are diagonal or the output is scaled, for which the results are not stated. `no_network` says why.

    Args:
        network: the architecture.
        x: N x d_0 inputs, one row per sample (images row-major, channel by channel), or N numbers where d_0 = 1; None
            leaves the data symbolic. Rational numbers; a float means its binary value.
        y: N x d_n targets, or N numbers where d_n = 1; None leaves them symbolic. Rational numbers.
        loss: the loss of one sample, or its name such as "logistic".
        biases: True gives every layer a bias, z_j = W_j a_{j-1} + b_j, False none; left out, the network says it.

    Returns:
        An `Objective` of P parameters: theta is W_1, b_1, W_2, b_2, ..., each matrix row-major, of a diagonal one its
        diagonal; data are kept exactly.

    Raises:
        ValueError: data that are not rational numbers or have another shape, or targets that the loss does not admit.

    Example:
        >>> import numpy as np
        >>> objective = sf.network_objective(sf.FullyConnected((2, 1, 1)), np.eye(2), [1, -1])
        >>> sf.loss(objective).explicit()
        (W1_11*W2_11 - 1)**2/4 + (W1_12*W2_11 + 1)**2/4
        >>> objective.parameter_count
        3
    """
    if not hasattr(network, "weight_axes"):
        raise ProblemError(f"a network such as sf.FullyConnected((2, 3, 1)) is needed, got {brief(network)}")
    network = network if biases is None else network.with_biases(biases)
    loss = as_loss(loss)
    x = None if x is None else _rows(x, "x", network.input_axes, None)
    y = None if y is None else _rows(y, "y", network.output_axes, None if x is None else len(x))
    if y is not None:
        loss.known.check_targets(y, "y")
    samples: Size = sympy.Symbol("N", integer=True, positive=True) if x is None else len(x)
    weights, added = weight_inputs(network), bias_inputs(network)
    parameters, reason = parameter_inputs(weights, added), network.not_homogeneous
    about: dict[str, Any] = {"sample_loss": loss, "biases": added, "architecture": network}
    about |= {"network": network} if reason is None else {"no_network": reason}
    inputs, targets = sample_inputs(network, Axis("sample", samples))
    forward = network.forward(weights, inputs, added)
    names: dict[Node, str] = dict(forward.names)
    if loss.known.residual:
        names[add([(1, forward.prediction), (-1, targets)])] = "R"
    total = loss.total(forward.prediction, targets)
    if x is None:
        inverse = Input("inverse_samples", (), "hyper", r"\tfrac{1}{N}")
        program = Program((*parameters, inputs, targets, inverse), {"f": hadamard(inverse, total)}, names)
        return Objective(program, parameters, **about)
    program = Program((*parameters, inputs, targets), {"f": scale(Fraction(1, len(x)), total)}, names)
    data = {inputs: x.T.reshape(shape_of(inputs.axes))}
    if y is not None:
        data[targets] = y.T.reshape(shape_of(targets.axes))
    return Objective(program, parameters, data, **about)
