"""Networks: what every architecture offers, and the fully connected one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import prod
from typing import Any, ClassVar, Self

import sympy

from symflow.errors import ProblemError, brief
from symflow.networks.activations import Activation, as_activation
from symflow.networks.options import (
    Biases,
    Skip,
    affine,
    bias_flags,
    diagonal_layers,
    diagonal_product,
    joined_positions,
    scale_of_output,
    skip_pairs,
    skipped,
)
from symflow.numbers.arguments import whole
from symflow.numbers.rational import text
from symflow.numbers.types import Number
from symflow.programs.nodes import Axis, Node, Size, matmul, scale
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


def _width(value: object) -> Size:
    if isinstance(value, sympy.Expr) and not value.is_Number:
        return value
    return whole(int(value) if isinstance(value, sympy.Integer) else value, "a width", 1)


@dataclass(frozen=True, init=False, repr=False)
class Network:
    """An architecture: base of frozen records.

    With the input as a_0 and the output scale c,

        a_j = sigma(W_j a_{j-1} + b_j) + sum over skip pairs (i, j) of a_i,   h(x) = c a_n,

    where the last layer has no activation. Where the activation is homogeneous and there are neither biases nor skip
    connections, h is positively homogeneous in each layer's weights.

    Attributes:
        kind: its name in problem files.
        sigma: the activation, as a record; that of the layers is `activation_of`.
        biases: whether each layer has a bias, pools included (they have none).
        skip: pairs (i, j), i < j: the output of layer i, after its activation, is added to that of layer j. Layer 0 is
            the input; pools count as layers.
        diagonal: the layers whose matrix is diagonal; their parameter is its diagonal, a vector.
        output_scale: c, a rational number.

    Example:
        >>> network = sf.FullyConnected((2, 3, 1), alpha_bar="1/5")
        >>> network.kind, network.depth, network.activation, network.linear, network.smooth
        ('fully-connected', 2, 'leaky-relu', False, False)
    """

    kind: ClassVar[str]
    sigma: Activation
    biases: tuple[bool, ...]
    skip: tuple[tuple[int, int], ...]
    diagonal: tuple[int, ...]
    output_scale: Fraction

    def _set_options(
        self, sigma: tuple[Any, Any, Any], biases: Biases, skip: Skip, diagonal: Iterable[int], output_scale: Number
    ) -> None:
        """Checks and sets what every architecture may have, once its layers are known."""
        count, numbers = self.layer_count, self.layer_numbers
        weighted = [j in numbers for j in range(1, count + 1)]
        object.__setattr__(self, "sigma", as_activation(*sigma, layers=len(numbers) - 1))
        object.__setattr__(self, "biases", bias_flags(biases, weighted))
        object.__setattr__(self, "skip", skip_pairs(skip, self.boundaries))
        object.__setattr__(self, "diagonal", diagonal_layers(diagonal, self.boundaries, self.matrices))
        object.__setattr__(self, "output_scale", scale_of_output(output_scale))

    @property
    def boundaries(self) -> tuple[Any, ...]:
        """The shape of the input and of the output of every layer."""
        raise NotImplementedError

    @property
    def matrices(self) -> tuple[bool, ...]:
        """Whether each layer multiplies one column a sample by a matrix."""
        raise NotImplementedError

    @property
    def layer_numbers(self) -> tuple[int, ...]:
        """The numbers of the layers with weights, from 1, pools included."""
        return tuple(range(1, self.depth + 1))

    @property
    def biased(self) -> tuple[bool, ...]:
        """Whether each layer with weights has a bias."""
        return tuple(self.biases[j - 1] for j in self.layer_numbers)

    @property
    def not_homogeneous(self) -> str | None:
        """Why the results on homogeneous networks do not apply; None where they do."""
        if any(self.biases):
            return "the network has biases, so that its output is not homogeneous in the weights"
        if self.skip:
            return "the network has skip connections, so that its output is not homogeneous in each layer's weights"
        if self.sigma.slopes is None:
            return f"the activation {self.activation} is not homogeneous, nor is the network's output in its weights"
        if self.diagonal:
            return "the network has diagonal layers, and the results on homogeneous networks are for layers of matrices"
        if self.output_scale != 1:
            return "the network's output is scaled, and the results on homogeneous networks are for output_scale = 1"
        return None

    def with_biases(self, biases: Biases = True) -> Self:
        """The same architecture with other biases."""
        changed = copy(self)
        weighted = [j in self.layer_numbers for j in range(1, self.layer_count + 1)]
        object.__setattr__(changed, "biases", bias_flags(biases, weighted))
        return changed

    def _passed_on(self, z: Node, weighted: int, layer: int, before: Sequence[Node], names: dict[Node, str]) -> Node:
        """a_j, from the result before the activation of layer j; `weighted` counts those with weights (a pool: 0)."""
        a = self.sigma.at(weighted).apply(z, layer, names) if 0 < weighted < self.depth else z
        return skipped(a, [before[i] for i, j in self.skip if j == layer], layer, layer < self.layer_count, names)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join([*self._written(), *self._written_options()])})"

    def _written(self) -> list[str]:
        """The arguments of an architecture of this kind."""
        raise NotImplementedError

    def _written_options(self) -> list[str]:
        """The other arguments, those that are not left out."""
        has = {"skip": [list(pair) for pair in self.skip], "diagonal": list(self.diagonal)}
        listed = [f"{key}={value}" for key, value in has.items() if value]
        if any(self.biases):
            listed.insert(0, f"biases={True if all(self.biased) else list(self.biases)}")
        if self.output_scale != 1:
            listed.append(f"output_scale={text(self.output_scale)!r}")
        return [f"activation={self.sigma.given!r}", *listed]

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
    def end_to_end_scale(self) -> Fraction:
        """c with h(x) = c W_n ... W_1 x, of a linear network."""
        return self.alpha ** (self.depth - 1) * self.output_scale

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

    def layer_is_smooth(self, layer: int) -> bool:
        """Whether a hidden layer, from 1, has no kinks: neither in its activation nor as a pool."""
        return layer not in self.layer_numbers or self.sigma.at(self.layer_numbers.index(layer) + 1).smooth

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
        """P, the number of weights and biases."""
        shapes = self.shapes
        return sum(map(prod, shapes)) + sum(s[0] for s, has in zip(shapes, self.biased, strict=True) if has)

    @property
    def fans(self) -> tuple[tuple[int, int], ...]:
        """Fan-in and fan-out of every layer with weights: how many inputs a unit has, how many units an input."""
        raise NotImplementedError

    def forward(self, weights: Sequence[Node], x: Node, biases: Sequence[Node] = ()) -> Forward:
        """The network as nodes, for inputs x with the axes `input_axes` and, last, the samples.

        Args:
            weights: W_1, ..., W_n.
            x: the inputs.
            biases: b_j of the layers that have one, one number a unit or channel, for z_j = W_j a_{j-1} + b_j.
        """
        raise NotImplementedError

    def _biases_of(self, biases: Sequence[Node]) -> list[Node | None]:
        """The bias of every layer with weights, None for those without."""
        rest = iter(biases)
        return [next(rest) if has else None for has in self.biased]


@dataclass(frozen=True, init=False, repr=False)
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

    kind = "fully-connected"

    def __init__(
        self,
        widths: Iterable[Size],
        alpha: Any = 1,
        alpha_bar: Any = 1,
        *,
        activation: Any = None,
        biases: Biases = False,
        skip: Skip = (),
        diagonal: Iterable[int] = (),
        output_scale: Number = 1,
    ) -> None:
        given: object = widths
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise ProblemError(f"widths must be a list of layer widths such as (2, 3, 1), got {brief(given)}; give one")
        object.__setattr__(self, "widths", tuple(map(_width, given)))
        if len(self.widths) < 2:
            raise ProblemError(f"widths must have at least two entries (input and output), got {list(self.widths)}")
        self._set_options((activation, alpha, alpha_bar), biases, skip, diagonal, output_scale)

    def _written(self) -> list[str]:
        return [str(self.widths)]

    @property
    def depth(self) -> int:
        """n, the number of layers."""
        return len(self.widths) - 1

    @property
    def boundaries(self) -> tuple[Size, ...]:
        """The widths."""
        return self.widths

    @property
    def matrices(self) -> tuple[bool, ...]:
        """True for every layer."""
        return (True,) * self.depth

    @property
    def linear(self) -> bool:
        """Whether h(x) = c W_n ... W_1 x with the weight matrices themselves."""
        plain = not (any(self.biases) or self.skip or self.diagonal)
        return plain and self.sigma.smooth and self.sigma.slopes is not None

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
        """(d_j, d_{j-1}) for every weight matrix, (d_j,) for a diagonal one."""
        return tuple(
            (b,) if j in self.diagonal else (b, a)
            for j, (a, b) in enumerate(zip(self.axes, self.axes[1:], strict=False), 1)
        )

    @property
    def fans(self) -> tuple[tuple[int, int], ...]:
        """(d_{j-1}, d_j) for every layer; (1, 1) for a diagonal one."""
        return tuple((1, 1) if len(shape) == 1 else (shape[1], shape[0]) for shape in self.shapes)

    def forward(self, weights: Sequence[Node], x: Node, biases: Sequence[Node] = ()) -> Forward:
        """c W_n sigma(W_{n-1} ... sigma(W_1 x)), with z_j = W_j a_{j-1} + b_j where there are biases."""
        names: dict[Node, str] = {}
        layers: list[WeightedLayer] = []
        passed = [x]
        for j, (w, b) in enumerate(zip(weights, self._biases_of(biases), strict=True), 1):
            product = diagonal_product if j in self.diagonal else matmul
            z = affine(product(w, passed[-1]), b)
            layers.append(WeightedLayer(w, passed[-1], z))
            passed.append(self._passed_on(z, j, j, passed, names))
        return Forward(scale(self.output_scale, passed[-1]), tuple(layers), names)

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """One axis a layer boundary: d0, ..., dn; those that a skip connection or a diagonal layer joins are one."""
        joined = joined_positions(len(self.widths), [*self.skip, *((j - 1, j) for j in self.diagonal)])
        return tuple(Axis(f"d{first}", self.widths[first]) for first in joined)
