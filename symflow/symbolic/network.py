"""Homogeneous networks and their training loss as a program (sample form)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
import sympy

from symflow.symbolic.nodes import Axis, Input, Node, Size, add, gate, hadamard, inner, matmul, scale
from symflow.symbolic.objective import Objective
from symflow.symbolic.program import Program


@dataclass(frozen=True)
class FullyConnected:
    """h(x) = W_n sigma(W_{n-1} ... sigma(W_1 x)) with sigma(z) = alpha z for z >= 0 and alpha_bar z for z < 0.

    Attributes:
        widths: d_0, ..., d_n (integers, or SymPy symbols when only formulas are wanted).
        alpha: slope of the activation for z >= 0.
        alpha_bar: slope for z < 0; equal slopes give a linear network.
    """

    widths: tuple[Size, ...]
    alpha: Fraction = Fraction(1)
    alpha_bar: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        if len(self.widths) < 2:
            raise ValueError(f"a network needs at least two widths (input and output), got {list(self.widths)}")
        for width in self.widths:
            if not (isinstance(width, sympy.Expr) or (isinstance(width, int) and width > 0)):
                raise ValueError(f"a width is a positive integer or a SymPy symbol, got {width!r}")
        object.__setattr__(self, "widths", tuple(self.widths))
        object.__setattr__(self, "alpha", Fraction(self.alpha))
        object.__setattr__(self, "alpha_bar", Fraction(self.alpha_bar))

    @property
    def depth(self) -> int:
        """The number of layers n."""
        return len(self.widths) - 1

    @property
    def linear(self) -> bool:
        """Whether the activation is linear."""
        return self.alpha == self.alpha_bar

    @property
    def activation(self) -> str:
        """The name of the activation in problem files."""
        if self.alpha == self.alpha_bar == 1:
            return "linear"
        if self.alpha == 1 and self.alpha_bar == 0:
            return "relu"
        if self.alpha == 1 and 0 < self.alpha_bar < 1:
            return "leaky-relu"
        return "homogeneous"

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """One axis a layer boundary: d0, ..., dn."""
        return tuple(Axis(f"d{j}", d) for j, d in enumerate(self.widths))

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """The shape (d_j, d_{j-1}) of every weight matrix.

        Raises:
            ValueError: a width is a symbol.
        """
        if not all(isinstance(d, int) for d in self.widths):
            raise ValueError(f"the widths {self.widths} are symbolic; give integers for shapes")
        return [(int(b), int(a)) for a, b in zip(self.widths, self.widths[1:], strict=False)]

    @property
    def parameter_count(self) -> int:
        """P, the number of weights."""
        return sum(a * b for a, b in self.shapes)


def _rows(values: object, name: str, width: Size, samples: int | None) -> np.ndarray:
    """Data as exact rationals, one row a sample."""
    from symflow.problem.numbers import rational_array

    array = rational_array(values, name)
    rows, columns = array.shape
    if samples is not None and rows != samples:
        raise ValueError(f"{name} must have one row for each of the {samples} samples, got {rows} rows")
    if isinstance(width, int) and columns != width:
        raise ValueError(f"{name} must have rows of {width} numbers, as the network's width says, got {columns}")
    return array


def network_objective(network: FullyConnected, x: np.ndarray | None, y: np.ndarray | None) -> Objective:
    """The training loss f(theta) = (1/2N) sum_i ||h(x_i) - y_i||^2 of a network (square loss).

    Args:
        network: the architecture.
        x: N x d_0 inputs, one row a sample; None leaves the data symbolic.  A float means its binary value.
        y: N x d_n targets, likewise.

    Raises:
        ValueError: data that are no rational numbers, or of another shape.
    """
    x = None if x is None else _rows(x, "x", network.widths[0], None)
    y = None if y is None else _rows(y, "y", network.widths[-1], None if x is None else len(x))
    samples: Size = sympy.Symbol("N", integer=True, positive=True) if x is None else len(x)
    sample = Axis("sample", samples)
    axes, depth = network.axes, network.depth
    weights = tuple(Input(f"W{j}", (axes[j], axes[j - 1]), "parameter", f"W_{{{j}}}") for j in range(1, depth + 1))
    inputs = Input("X", (axes[0], sample), "data", "X")
    targets = Input("Y", (axes[depth], sample), "data", "Y")
    names: dict[Node, str] = {}
    a: Node = inputs
    for j, w in enumerate(weights, start=1):
        z = matmul(w, a)
        if j == depth:
            a = z
        elif network.linear:
            a = scale(network.alpha, z)
        else:
            names[z] = f"Z_{{{j}}}"
            d = gate(z, network.alpha, network.alpha_bar)
            names[d] = f"D_{{{j}}}"
            a = hadamard(d, z)
            names[a] = f"A_{{{j}}}"
    residual = add([(1, a), (-1, targets)])
    names[residual] = "R"
    count = samples if isinstance(samples, int) else None
    if count is None:
        inverse = Input("inverse_samples", (), "hyper", r"\tfrac{1}{N}")
        loss = hadamard(inverse, scale(Fraction(1, 2), inner(residual, residual)))
        program = Program((*weights, inputs, targets, inverse), {"f": loss}, names)
        return Objective(program, weights, {}, network)
    loss = scale(Fraction(1, 2 * count), inner(residual, residual))
    program = Program((*weights, inputs, targets), {"f": loss}, names)
    assert x is not None
    data = {inputs: x.T} if y is None else {inputs: x.T, targets: y.T}
    return Objective(program, weights, data, network)
