"""The training loss of a network as a program (sample form)."""

from __future__ import annotations

from fractions import Fraction
from itertools import chain
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
    """The parameter inputs W_1, ..., W_n."""
    return tuple(Input(f"W{j}", axes, "parameter", f"W_{{{j}}}") for j, axes in enumerate(network.weight_axes, start=1))


def bias_inputs(network: Network) -> tuple[Input, ...]:
    """The parameter inputs b_1, ..., b_n: one entry a unit or channel."""
    return tuple(
        Input(f"b{j}", axes[:1], "parameter", f"b_{{{j}}}") for j, axes in enumerate(network.weight_axes, start=1)
    )


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
    biases: bool = False,
) -> Objective:
    """f(theta) = (1/N) sum_i l(h_theta(x_i), y_i), the training loss of a network.

    A network with biases, or with an activation that is not homogeneous, is not homogeneous in its weights: the
    objective then has no `network`, and no result on homogeneous networks applies.

    Args:
        network: the architecture.
        x: N x d_0 inputs, one row per sample (images row-major, channel by channel), or N numbers where d_0 = 1; None
            leaves the data symbolic. Rational numbers; a float means its binary value.
        y: N x d_n targets, or N numbers where d_n = 1; None leaves them symbolic. Rational numbers.
        loss: the loss of one sample, or its name such as "logistic".
        biases: give every layer a bias, z_j = W_j a_{j-1} + b_j; the parameters are then W_1, b_1, W_2, b_2, ...

    Returns:
        An `Objective` of P parameters: theta is all weights, layer 1 first, each matrix row-major; data are kept
        exactly.

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
    loss = as_loss(loss)
    x = None if x is None else _rows(x, "x", network.input_axes, None)
    y = None if y is None else _rows(y, "y", network.output_axes, None if x is None else len(x))
    if y is not None:
        loss.known.check_targets(y, "y")
    samples: Size = sympy.Symbol("N", integer=True, positive=True) if x is None else len(x)
    weights = weight_inputs(network)
    added = bias_inputs(network) if biases else ()
    parameters = tuple(chain.from_iterable(zip(weights, added, strict=True))) if biases else weights
    reason = _not_homogeneous(network, biases)
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


def _not_homogeneous(network: Network, biases: bool) -> str | None:
    """Why a network's output is not positively homogeneous in each layer's weights; None where it is."""
    if biases:
        return "the network has biases, so that its output is not homogeneous in the weights"
    if network.sigma.slopes is None:
        return f"the activation {network.activation} is not homogeneous, nor is the network's output in its weights"
    return None
