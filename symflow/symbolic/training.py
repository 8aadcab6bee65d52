"""The training loss of a network as a program (sample form)."""

from __future__ import annotations

from fractions import Fraction
from math import prod

import numpy as np
import sympy

from symflow.errors import ProblemError, brief
from symflow.symbolic.losses import SQUARE, Loss, check_targets
from symflow.symbolic.network import Network
from symflow.symbolic.nodes import Axis, Input, Node, Size, add, hadamard, scale
from symflow.symbolic.objective import Objective
from symflow.symbolic.program import Program, shape_of


def _rows(values: object, name: str, axes: tuple[Axis, ...], samples: int | None) -> np.ndarray:
    """Data as exact rationals, one row a sample."""
    from symflow.problem.numbers import rational_array

    array = rational_array(values, name)
    rows, columns = array.shape
    if samples is not None and rows != samples:
        raise ValueError(f"{name} must have one row for each of the {samples} samples, got {rows} rows")
    if all(isinstance(a.size, int) for a in axes) and columns != prod(shape_of(axes)):
        raise ValueError(f"{name} must have rows of {prod(shape_of(axes))} numbers, as the network says, got {columns}")
    return array


def weight_inputs(network: Network) -> tuple[Input, ...]:
    """The parameter inputs W_1, ..., W_n."""
    return tuple(Input(f"W{j}", axes, "parameter", f"W_{{{j}}}") for j, axes in enumerate(network.weight_axes, start=1))


def sample_inputs(network: Network, sample: Axis) -> tuple[Input, Input]:
    """The data inputs X and Y: one column a sample."""
    x = Input("X", (*network.input_axes, sample), "data", "X")
    return x, Input("Y", (*network.output_axes, sample), "data", "Y")


def network_objective(network: Network, x: np.ndarray | None, y: np.ndarray | None, loss: Loss = SQUARE) -> Objective:
    """The training loss f(theta) = (1/N) sum_i l(h(x_i), y_i) of a network.

    Args:
        network: the architecture.
        x: N x d_0 inputs, one row a sample (images row-major, channel by channel); None leaves the data symbolic.  A
            float means its binary value.
        y: N x d_n targets, likewise.
        loss: the loss of one sample.

    Raises:
        ValueError: data that are no rational numbers, of another shape, or targets that the loss does not admit.
    """
    if not isinstance(loss, Loss):
        raise ProblemError(f'loss must be a Loss such as sf.Loss("logistic"), got {brief(loss)}')
    x = None if x is None else _rows(x, "x", network.input_axes, None)
    y = None if y is None else _rows(y, "y", network.output_axes, None if x is None else len(x))
    if y is not None:
        check_targets(loss, y, "y")
    samples: Size = sympy.Symbol("N", integer=True, positive=True) if x is None else len(x)
    weights = weight_inputs(network)
    inputs, targets = sample_inputs(network, Axis("sample", samples))
    forward = network.forward(weights, inputs)
    names: dict[Node, str] = dict(forward.names)
    if loss.kind == "square":
        names[add([(1, forward.prediction), (-1, targets)])] = "R"
    total = loss.total(forward.prediction, targets)
    if x is None:
        inverse = Input("inverse_samples", (), "hyper", r"\tfrac{1}{N}")
        program = Program((*weights, inputs, targets, inverse), {"f": hadamard(inverse, total)}, names)
        return Objective(program, weights, {}, network, sample_loss=loss)
    program = Program((*weights, inputs, targets), {"f": scale(Fraction(1, len(x)), total)}, names)
    data = {inputs: x.T.reshape(shape_of(inputs.axes))}
    if y is not None:
        data[targets] = y.T.reshape(shape_of(targets.axes))
    return Objective(program, weights, data, network, sample_loss=loss)
