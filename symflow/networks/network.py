"""Homogeneous networks: what every architecture offers, and the fully connected one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Protocol

import sympy

from symflow.errors import ProblemError, brief
from symflow.programs.nodes import Axis, Node, Size, add, broadcast, gate, hadamard, matmul, scale


class Network(Protocol):
    """An architecture whose output, without biases, is positively homogeneous in each layer's weights.

    Attributes:
        alpha: slope of the activation for z >= 0.
        alpha_bar: slope for z < 0.
    """

    @property
    def alpha(self) -> Fraction: ...
    @property
    def alpha_bar(self) -> Fraction: ...

    @property
    def kind(self) -> str:
        """Its name in problem files."""
        ...

    @property
    def depth(self) -> int:
        """n, the number of layers with weights."""
        ...

    @property
    def linear(self) -> bool:
        """Whether h(x) = c W_n ... W_1 x with the weight matrices themselves."""
        ...

    @property
    def smooth(self) -> bool:
        """Whether h is a polynomial in the weights: no gates."""
        ...

    @property
    def activation(self) -> str:
        """The name of the activation in problem files."""
        ...

    @property
    def input_axes(self) -> tuple[Axis, ...]:
        """The axes of one input."""
        ...

    @property
    def output_axes(self) -> tuple[Axis, ...]:
        """The axes of one prediction."""
        ...

    @property
    def weight_axes(self) -> tuple[tuple[Axis, ...], ...]:
        """The axes of every weight array, outputs first."""
        ...

    @property
    def fans(self) -> tuple[tuple[int, int], ...]:
        """Fan-in and fan-out of every layer with weights: how many inputs a unit has, how many units an input."""
        ...

    def forward(self, weights: Sequence[Node], x: Node, biases: Sequence[Node] = ()) -> Forward:
        """The network as nodes, for inputs x with the axes `input_axes` and, last, the samples.

        Args:
            weights: W_1, ..., W_n.
            x: the inputs.
            biases: b_1, ..., b_n, one number a unit or channel, for z_j = W_j a_{j-1} + b_j; none if left out.
        """
        ...


@dataclass(frozen=True)
class Layer:
    """One layer with weights, inside `Forward`.

    Attributes:
        weight: W_j.
        inputs: what it reads, a_{j-1} (for a convolution after padding and pooling, before patches are cut out).
        outputs: z_j, its pre-activation.
    """

    weight: Node
    inputs: Node
    outputs: Node


@dataclass(frozen=True)
class Forward:
    """A network's computation.

    Attributes:
        prediction: h(x), with the axes `output_axes` and the samples.
        layers: the layers with weights.
        names: LaTeX names of intermediate nodes.
    """

    prediction: Node
    layers: tuple[Layer, ...]
    names: dict[Node, str]


def activation_name(alpha: Fraction, alpha_bar: Fraction) -> str:
    """The name of an activation in problem files."""
    if alpha == alpha_bar == 1:
        return "linear"
    if alpha == 1 and alpha_bar == 0:
        return "relu"
    if alpha == 1 and 0 < alpha_bar < 1:
        return "leaky-relu"
    return "homogeneous"


def activate(z: Node, alpha: Fraction, alpha_bar: Fraction, layer: int, names: dict[Node, str]) -> Node:
    """sigma(z), with Z, D and A of this layer named where the activation bends."""
    if alpha == alpha_bar:
        return scale(alpha, z)
    d = gate(z, alpha, alpha_bar, layer)
    a = hadamard(d, z)
    names |= {z: f"Z_{{{layer}}}", d: f"D_{{{layer}}}", a: f"A_{{{layer}}}"}
    return a


def affine(z: Node, biases: Sequence[Node], layer: int) -> Node:
    """z with the bias of this layer added to every unit or channel; z itself where there are no biases."""
    if not biases:
        return z
    bias = biases[layer - 1]
    for position in range(1, len(z.axes)):
        bias = broadcast(bias, position, z.axes[position])
    return add([(1, z), (1, bias)])


def set_slopes(network: Network) -> None:
    """Makes the slopes of a network exact rationals; each is a single setting, so that a float 0.1 is 1/10.

    Raises:
        ProblemError: a slope that is no rational number.
    """
    from symflow.numbers.rational import rational

    for name in ("alpha", "alpha_bar"):
        object.__setattr__(network, name, rational(getattr(network, name), name))


def _width(value: object) -> Size:
    if isinstance(value, sympy.Expr) and not value.is_Number:
        return value
    from symflow.numbers.arguments import whole

    return whole(int(value) if isinstance(value, sympy.Integer) else value, "a width", 1)


@dataclass(frozen=True)
class FullyConnected:
    """h(x) = W_n sigma(W_{n-1} ... sigma(W_1 x)) with sigma(z) = alpha z for z >= 0 and alpha_bar z for z < 0.

    Attributes:
        widths: d_0, ..., d_n (integers, or SymPy symbols when only formulas are wanted).
        alpha: slope of the activation for z >= 0.
        alpha_bar: slope for z < 0; equal slopes give a linear network.

    Raises:
        ProblemError: no list of at least two positive widths, or a slope that is no rational number.
    """

    widths: tuple[Size, ...]
    alpha: Fraction = Fraction(1)
    alpha_bar: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        given: object = self.widths
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise ProblemError(f"widths must be a list of layer widths such as (2, 3, 1), got {brief(given)}; give one")
        object.__setattr__(self, "widths", tuple(map(_width, given)))
        if len(self.widths) < 2:
            raise ProblemError(f"widths must have at least two entries (input and output), got {list(self.widths)}")
        set_slopes(self)

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
        return activation_name(self.alpha, self.alpha_bar)

    @property
    def smooth(self) -> bool:
        """Whether h is a polynomial in the weights."""
        return self.linear

    @property
    def kind(self) -> str:
        """Its name in problem files."""
        return "fully-connected"

    @property
    def input_axes(self) -> tuple[Axis, ...]:
        """The axis of one input."""
        return self.axes[:1]

    @property
    def output_axes(self) -> tuple[Axis, ...]:
        """The axis of one prediction."""
        return self.axes[-1:]

    @property
    def weight_axes(self) -> tuple[tuple[Axis, ...], ...]:
        """(d_j, d_{j-1}) for every weight matrix."""
        return tuple((b, a) for a, b in zip(self.axes, self.axes[1:], strict=False))

    @property
    def fans(self) -> tuple[tuple[int, int], ...]:
        """(d_{j-1}, d_j) for every layer."""
        return tuple((a, b) for b, a in self.shapes)

    def forward(self, weights: Sequence[Node], x: Node, biases: Sequence[Node] = ()) -> Forward:
        """W_n sigma(W_{n-1} ... sigma(W_1 x)), with z_j = W_j a_{j-1} + b_j where there are biases."""
        names: dict[Node, str] = {}
        layers: list[Layer] = []
        a = x
        for j, w in enumerate(weights, start=1):
            z = affine(matmul(w, a), biases, j)
            layers.append(Layer(w, a, z))
            a = z if j == self.depth else activate(z, self.alpha, self.alpha_bar, j, names)
        return Forward(a, tuple(layers), names)

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
