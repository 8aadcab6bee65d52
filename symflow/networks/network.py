"""Homogeneous networks: what every architecture offers, and the fully connected one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import prod
from typing import Any

import sympy

from symflow.errors import ProblemError, brief
from symflow.networks.activations import Activation, as_activation
from symflow.numbers.arguments import whole
from symflow.programs.nodes import Axis, Node, Size, add, broadcast, matmul
from symflow.programs.program import shape_of


@dataclass(frozen=True)
class WeightedLayer:
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
    layers: tuple[WeightedLayer, ...]
    names: dict[Node, str]


def affine(z: Node, biases: Sequence[Node], layer: int) -> Node:
    """z with the bias of this layer added to every unit or channel; z itself where there are no biases."""
    if not biases:
        return z
    bias = biases[layer - 1]
    for position in range(1, len(z.axes)):
        bias = broadcast(bias, position, z.axes[position])
    return add([(1, z), (1, bias)])


def _width(value: object) -> Size:
    if isinstance(value, sympy.Expr) and not value.is_Number:
        return value
    return whole(int(value) if isinstance(value, sympy.Integer) else value, "a width", 1)


class Network:
    """An architecture: base of frozen records.

    Where the activation is homogeneous and there are no biases, the output is positively homogeneous in each layer's
    weights.

    Attributes:
        kind: its name in problem files.
        sigma: the activation, as a record.

    Example:
        >>> network = sf.FullyConnected((2, 3, 1), alpha_bar="1/5")
        >>> network.kind, network.depth, network.activation, network.linear, network.smooth
        ('fully-connected', 2, 'leaky-relu', False, False)
    """

    kind: str
    sigma: Activation

    def _activate(self, activation: Any, alpha: Any, alpha_bar: Any) -> None:
        object.__setattr__(self, "sigma", as_activation(activation, alpha, alpha_bar))

    @property
    def activation(self) -> str:
        """The name of the activation in problem files."""
        return self.sigma.name

    @property
    def alpha(self) -> Fraction:
        """Slope of a homogeneous activation for z >= 0."""
        return self._slopes[0]

    @property
    def alpha_bar(self) -> Fraction:
        """Slope of a homogeneous activation for z < 0."""
        return self._slopes[1]

    @property
    def _slopes(self) -> tuple[Fraction, Fraction]:
        if self.sigma.slopes is None:
            raise ProblemError(f"only homogeneous activations have slopes, got {self.activation}; see sigma")
        return self.sigma.slopes

    @property
    def depth(self) -> int:
        """n, the number of layers with weights."""
        return len(self.weight_axes)

    @property
    def layer_count(self) -> int:
        """The number of layers, with or without weights."""
        return self.depth

    @property
    def linear(self) -> bool:
        """Whether h(x) = c W_n ... W_1 x with the weight matrices themselves."""
        return False

    @property
    def smooth(self) -> bool:
        """Whether h is smooth in the weights: no gates."""
        return self.sigma.smooth

    @property
    def input_axes(self) -> tuple[Axis, ...]:
        """The axes of one input."""
        raise NotImplementedError

    @property
    def output_axes(self) -> tuple[Axis, ...]:
        """The axes of one prediction."""
        raise NotImplementedError

    @property
    def weight_axes(self) -> tuple[tuple[Axis, ...], ...]:
        """The axes of every weight array, outputs first."""
        raise NotImplementedError

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shape of every weight array.

        Raises:
            ValueError: a width is a symbol.
        """
        return [shape_of(axes) for axes in self.weight_axes]

    @property
    def parameter_count(self) -> int:
        """P, the number of weights."""
        return sum(map(prod, self.shapes))

    @property
    def fans(self) -> tuple[tuple[int, int], ...]:
        """Fan-in and fan-out of every layer with weights: how many inputs a unit has, how many units an input."""
        raise NotImplementedError

    def forward(self, weights: Sequence[Node], x: Node, biases: Sequence[Node] = ()) -> Forward:
        """The network as nodes, for inputs x with the axes `input_axes` and, last, the samples.

        Args:
            weights: W_1, ..., W_n.
            x: the inputs.
            biases: b_1, ..., b_n, one number a unit or channel, for z_j = W_j a_{j-1} + b_j; none if left out.
        """
        raise NotImplementedError


@dataclass(frozen=True, init=False)
class FullyConnected(Network):
    r"""h(x) = W_n sigma(W_{n-1} ... sigma(W_1 x)), W_j of shape (d_j, d_{j-1}).

    ``FullyConnected((2, 3, 1), activation="relu")``. The activation is a name, a pair such as ("leaky-relu", "1/5"), a
    record, or the slopes `alpha` and `alpha_bar` of sigma(z) = alpha z for z >= 0 and alpha_bar z for z < 0. Left out,
    it is linear.

    Attributes:
        widths: d_0, ..., d_n (integers, or SymPy symbols when only formulas are wanted).
        sigma: the activation, as a record.

    Raises:
        ProblemError: not a list of at least two positive widths, or an unknown activation.

    Source: Elkabetz & Cohen 2021.

    Example:
        >>> sf.FullyConnected((2, 3, 1), alpha_bar="1/5").activation
        'leaky-relu'
        >>> import sympy
        >>> widths = sympy.symbols("d_0 d_1 d_2", integer=True, positive=True)
        >>> print(sf.gradient_flow(sf.network_objective(sf.FullyConnected(widths), None, None)).latex())
        \begin{aligned}
        R &= W_{2:1} X - Y \\
        \bar{R} &= \tfrac{1}{N} R \\
        \dot{W}_{1} &= -W_{2}^\top \bar{R} X^\top \\
        \dot{W}_{2} &= -\bar{R} X^\top W_{1}^\top
        \end{aligned}
    """

    widths: tuple[Size, ...]
    sigma: Activation

    kind = "fully-connected"

    def __init__(self, widths: Iterable[Size], alpha: Any = 1, alpha_bar: Any = 1, *, activation: Any = None) -> None:
        given: object = widths
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise ProblemError(f"widths must be a list of layer widths such as (2, 3, 1), got {brief(given)}; give one")
        object.__setattr__(self, "widths", tuple(map(_width, given)))
        if len(self.widths) < 2:
            raise ProblemError(f"widths must have at least two entries (input and output), got {list(self.widths)}")
        self._activate(activation, alpha, alpha_bar)

    @property
    def linear(self) -> bool:
        """Whether the activation is linear."""
        return self.sigma.smooth and self.sigma.slopes is not None

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
        layers: list[WeightedLayer] = []
        a = x
        for j, w in enumerate(weights, start=1):
            z = affine(matmul(w, a), biases, j)
            layers.append(WeightedLayer(w, a, z))
            a = z if j == self.depth else self.sigma.apply(z, j, names)
        return Forward(a, tuple(layers), names)

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """One axis a layer boundary: d0, ..., dn."""
        return tuple(Axis(f"d{j}", d) for j, d in enumerate(self.widths))
