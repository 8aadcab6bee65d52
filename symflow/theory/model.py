r"""What the letters of a statement mean for one objective: weights, gradients, gates, data as typed nodes.

| letter | prints | is |
|---|---|---|
| W, Delta, G | W_j, \Delta_j, G_j | weights, direction, gradient of layer j |
| W_in, W_out | (W_j)_{c:}, (W_j)_{:c} | weights of layer j into its output c, out of its input c; for all c at once |
| f, h, x, grad_loss | f, h, x_i, \nabla\ell_i | loss; of a sample: output, input, gradient of l there |
| grad_phi | \nabla\varphi | linear networks: the gradient at the end-to-end matrix |
| Sigma_xx | \Sigma_{xx} | second moment of the inputs; matrix data: a matrix whose norm bounds hess phi |
| D | D_{i,j} | the diagonal of sigma' at sample i, layer j; D_{i,n} = I |
| layer_matrix, kappa, pool | \mathcal A_j(w_j), \kappa_j, p | convolutional networks, see `networks.layer_matrices` |
| V, V_in, V_out | V_j, ... | W_j + I around which a skip connection leads, see `shortcuts`; else W_j |
| b, beta, has_bias | b_j, \beta_j, e_j | bias of layer j, its direction, 1 where it has one and 0 elsewhere |
| b_unit, g_unit | (b_j)_c, (g_j)_c | the bias of output c and its gradient, for all c at once |
| b_square, g_square | b_j b_j^\top, g_j g_j^\top | the products as matrices |
| activations | a_{i,j} | what layer j + 1 reads at sample i |
| passage, to_output | P^{(i)}_{k,j}, Q_{i,j} | what a change of z_j changes in a_k and in a_n, see `passages` |
| unit_weight, unit_slope | (w_j)_c, \partial_c\varphi | diagonal networks: entry by entry |
| slope, smoothness, third | \max\{|\alpha|, |\bar\alpha|\}, L, L_3 | of the activation; of the loss |
| eta, epsilon | \eta, \varepsilon | hyper-parameters |
| lambda_min, lambda_max | \lambda_{\min}(H), \lambda_{\max}(H) | of the Hessian |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import prod
from typing import Literal

from symflow.derivatives.derived import gradient_nodes, parameter_directions
from symflow.errors import ProblemError
from symflow.networks.convolutional import Convolutional
from symflow.networks.layer_matrices import layer_constant, layer_matrix, pooling_norm
from symflow.networks.losses import LOSSES
from symflow.networks.matrix_data import SENSING, MatrixData
from symflow.networks.moments import end_to_end
from symflow.networks.network import Forward, FullyConnected, Network
from symflow.networks.objective import Objective
from symflow.programs.differentiate import jvp, transpose
from symflow.programs.nodes import (
    Axis,
    Const,
    Identity,
    Input,
    LargestEigenvalue,
    Node,
    add,
    einsum,
    inner,
    scale,
)
from symflow.programs.program import shape_of, transform
from symflow.theory.architecture_checks import shortcuts, trained
from symflow.theory.arrays import (
    columns,
    columns_first,
    diagonal_entries,
    joined_hessian,
    outer,
    rows,
    single_row,
    vectors,
)
from symflow.theory.passages import Passages, gate_matrix
from symflow.theory.values import Value, number, times

ETA = Input("eta", (), "hyper", r"\eta")
EPSILON = Input("epsilon", (), "hyper", r"\varepsilon")


@dataclass(frozen=True, eq=False)
class Model:
    """The meaning of letters for the training loss of a network in sample form.

    Diagonal layers are diagonal matrices. An output scale c belongs to the loss: that of a sample is l(c a_n, y).

    Attributes:
        objective: the training loss.
        every: the statement says which networks it is about; without, they are homogeneous.

    Raises:
        ProblemError: the objective is not such a loss.
    """

    objective: Objective
    every: bool = False

    def __post_init__(self) -> None:
        known = trained(self.objective)
        if known is None or self.objective.sample_loss is None:
            raise ProblemError("a statement about networks needs a network's training loss, got another objective")
        if self.objective.network is None and not self.every:
            raise ProblemError(f"a statement about homogeneous networks does not apply: {self.objective.no_network}")
        if self.objective.matrix_data is None and "X" not in {x.name for x in self.objective.data_inputs}:
            raise ProblemError("a statement about networks needs the loss over samples, got its moment form")

    @property
    def network(self) -> Network:
        """The architecture."""
        network = trained(self.objective)
        assert network is not None
        return network

    @property
    def depth(self) -> int:
        """n."""
        return self.network.depth

    @cached_property
    def inputs(self) -> Mapping[str, Input]:
        """The objective's inputs by name."""
        return {x.name: x for x in self.objective.program.inputs}

    @cached_property
    def weights(self) -> tuple[Input, ...]:
        """W_1, ..., W_n; of diagonal layers their diagonals."""
        return tuple(w for w in self.objective.parameters if w not in self.objective.biases)

    @cached_property
    def biases(self) -> Mapping[int, Input]:
        """b_j by the layers that have one."""
        layers = (j for j, has in enumerate(self.network.biased, 1) if has)
        return dict(zip(layers, self.objective.biases, strict=True))

    @cached_property
    def directions(self) -> tuple[Input, ...]:
        """The directions of all parameters."""
        return parameter_directions(self.objective)

    @cached_property
    def slopes(self) -> tuple[Node, ...]:
        """The gradients in all parameters."""
        found, _ = gradient_nodes(self.objective)
        return tuple(found[w] for w in self.objective.parameters)

    def matrix(self, of: Sequence[Node], layer: int) -> Node:
        """What belongs to W_j among arrays like the parameters: a matrix, also of a diagonal layer."""
        w = self.weights[layer - 1]
        found = dict(zip(self.objective.parameters, of, strict=True))[w]
        if len(w.axes) > 1:
            return found
        axis = w.axes[0]
        return einsum((found, Identity((axis, axis))), ((0,), (0, 1)), (0, 1))

    def with_identity(self, layer: int) -> Node:
        """V_j: W_j + I where a skip connection leads around a layer without activation, else W_j."""
        w = self.matrix(self.objective.parameters, layer)
        if layer not in shortcuts(self.network):
            return w
        return add([(1, w), (1, Identity((w.axes[0], w.axes[1])))])

    def bias(self, of: Sequence[Node], layer: int) -> Node:
        """What belongs to b_j among arrays like the parameters; 0 where the layer has no bias."""
        if layer not in self.biases:
            return Const(Fraction(0), self.weights[layer - 1].axes[:1])
        return dict(zip(self.objective.parameters, of, strict=True))[self.biases[layer]]

    @cached_property
    def forward(self) -> Forward:
        """The network's computation, the same nodes as in the loss."""
        return self.network.forward(self.weights, self.inputs["X"], self.objective.biases)

    @cached_property
    def passages(self) -> Passages:
        """What a change of one pre-activation changes further on."""
        return Passages(self.fully_connected, self.forward)

    @cached_property
    def inverse_samples(self) -> Value:
        """1/N, times the factor of a multiple of the training loss."""
        factor = number(self.objective.factor)
        if "inverse_samples" in self.inputs:
            return times(factor, Value(self.inputs["inverse_samples"]))
        return times(factor, number(Fraction(1, shape_of(self.inputs["X"].axes[-1:])[0])))

    def letter(self, name: str, indices: tuple[int, ...]) -> Value:
        """The value of a letter; `indices` are those of layers, without samples and channels.

        Raises:
            ProblemError: the letter has no meaning for this network or loss.
        """
        if name not in _LETTERS:
            raise ProblemError(f"{name} is a supremum, which no program computes")
        if self.objective.matrix_data is not None and name in _OF_SAMPLES:
            raise ProblemError("this formula is one of losses over samples, got matrix data")
        return _LETTERS[name](self, *indices)

    def layer_identity(self, layer: int) -> Value:
        """The identity on the outputs of a layer of a fully connected network."""
        axis = self.fully_connected.axes[layer]
        return Value(Identity((axis, axis)))

    @property
    def fully_connected(self) -> FullyConnected:
        """The network, which has weight matrices.

        Raises:
            ProblemError: it is convolutional.
        """
        if not isinstance(self.network, FullyConnected):
            raise ProblemError(f"this formula is one of fully connected networks, got a {self.network.kind} one")
        return self.network

    @property
    def slope_product(self) -> Fraction:
        """a with a_n = a W_{n:1} x: the product of the slopes of linear activations; h = c a_n.

        Raises:
            ProblemError: the network is not linear.
        """
        sigma = self.network.sigma
        if not (sigma.smooth and all(sigma.at(j).slopes is not None for j in range(1, self.depth))):
            raise ProblemError(f"this formula is one of linear networks, got the activation {self.network.activation}")
        found = [slopes[0] for j in range(1, self.depth) if (slopes := sigma.at(j).slopes) is not None]
        return prod(found, start=Fraction(1))

    @cached_property
    def _loss_gradient(self) -> tuple[Input, Node]:
        """A stand-in for the predictions, and the gradients of the losses of all samples there."""
        assert self.objective.sample_loss is not None
        axes = (*self.network.output_axes, self.inputs["X"].axes[-1])
        stand_in, direction = Input("prediction", axes, "data", "P"), Input("E", axes, "direction", "E")
        total = self.objective.sample_loss.total(stand_in, self.inputs["Y"])
        form = jvp([total], {stand_in: direction})[total]
        return stand_in, transpose(form, [direction], Const(Fraction(1), ()))[direction]

    def _at_prediction(self, x: Node) -> Node:
        stand_in, _ = self._loss_gradient
        return transform([x], lambda y, _: self.forward.prediction if y is stand_in else None)[x]

    def loss_gradient(self) -> Node:
        """The gradients of l(c a_n, y) in a_n, one column a sample."""
        return scale(self.network.output_scale, self._at_prediction(self._loss_gradient[1]))

    def loss_curvature(self, direction: Value) -> Value:
        """The second derivative of l(c a_n, y) in a_n, twice along a_i, for every sample."""
        stand_in, slope = self._loss_gradient
        rank = len(stand_in.axes)
        columns = einsum((direction.node,), (tuple(range(rank)),), (*range(1, rank), 0))
        columns = scale(self.network.output_scale, columns)
        bent = self._at_prediction(jvp([slope], {stand_in: columns})[slope])
        labels = tuple(range(rank))
        return Value(einsum((bent, columns), (labels, labels), labels[-1:]), True)

    @cached_property
    def phi_gradient(self) -> tuple[Input, Node]:
        """Matrix data: a stand-in for W_{n:1}, and the gradient of phi there."""
        w = end_to_end(list(self.weights[::-1]))
        stand_in, direction = Input("end_to_end", w.axes, "data", "W"), Input("E", w.axes, "direction", "E")
        phi = transform([self.objective.loss], lambda x, _: stand_in if x is w else None)[self.objective.loss]
        form = jvp([phi], {stand_in: direction})[phi]
        return stand_in, transpose(form, [direction], Const(Fraction(1), ()))[direction]

    def phi_curvature(self, direction: Value) -> Value:
        """hess phi [A, A] at a matrix A of the size of the end-to-end matrix."""
        if self.objective.matrix_data is not None:
            stand_in, slope = self.phi_gradient
            return Value(inner(jvp([slope], {stand_in: direction.node})[slope], direction.node))
        moved = times(direction, Value(self.inputs["X"])).node
        forms = self.loss_curvature(Value(columns_first(scale(self.slope_product, moved)), True))
        return times(self.inverse_samples, Value(einsum((forms.node,), ((0,),), ())))


def _gradient_of_phi(model: Model) -> Value:
    """(c/N) sum_i grad l_i x_i^T; of matrix data (1/m) sum_i (<A_i, W> - y_i) A_i."""
    if model.objective.matrix_data is not None:
        stand_in, slope = model.phi_gradient
        w = end_to_end(list(model.weights[::-1]))
        return Value(transform([slope], lambda x, _: w if x is stand_in else None)[slope])
    product = einsum((model.loss_gradient(), model.inputs["X"]), ((0, 2), (1, 2)), (0, 1))
    return times(model.inverse_samples, Value(scale(model.slope_product, product)))


def _second_moment(model: Model) -> Value:
    """(1/N) X X^T; of matrix data a matrix of the norm of hess phi = (1/m) sum_i A_i kron A_i."""
    if model.objective.matrix_data is not None:
        return _measured_moment(model, model.objective.matrix_data)
    x = model.inputs["X"]
    return times(model.inverse_samples, Value(einsum((x, x), ((0, 2), (1, 2)), (0, 1))))


def _measured_moment(model: Model, data: MatrixData) -> Value:
    """The Gram matrix (1/m) <A_i, A_j>, of the same norm as hess phi; I/m where A_i = e_a e_b^T."""
    if data.kind != "sensing":
        axis = model.fully_connected.axes[0]
        return Value(scale(Fraction(1, data.count), Identity((axis, axis))))
    sensing = model.inputs[SENSING]
    sample = sensing.axes[-1]
    other = Axis(f"{sample.name}'", sample.size)
    copies = einsum((sensing, Identity((sample, other))), ((0, 1, 2), (2, 3)), (0, 1, 3))
    gram = einsum((sensing, copies), ((0, 1, 2), (0, 1, 3)), (2, 3))
    inverse = model.inputs.get("inverse_samples")
    return times(number(Fraction(1, data.count)) if inverse is None else Value(inverse), Value(gram))


def _gates(model: Model, layer: int) -> Value:
    """D_{i,j} as a diagonal matrix for every sample."""
    if layer == model.depth:
        return model.layer_identity(layer)
    return Value(gate_matrix(model.fully_connected, model.forward, layer), True)


def _steepest(model: Model) -> Fraction:
    """The largest slope of all activations, in size; 1 where there are none."""
    sigma, layers = model.network.sigma, range(1, model.depth)
    found = [sigma.at(j).slopes for j in layers] or [sigma.slopes]
    if any(slopes is None for slopes in found):
        raise ProblemError(f"only homogeneous activations have slopes, got {model.network.activation}")
    return max(abs(a) for slopes in found if slopes is not None for a in slopes)


def _smallest_eigenvalue(model: Model) -> Value:
    """-lambda_max(-H)."""
    return Value(scale(-1, LargestEigenvalue(joined_hessian(model.objective, model.slopes, -1))))


def _largest_eigenvalue(model: Model) -> Value:
    return Value(LargestEigenvalue(joined_hessian(model.objective, model.slopes, 1)))


def _bound_on_loss(name: Literal["smoothness", "third"], derivative: str, power: int) -> Callable[[Model], Value]:
    def value(model: Model) -> Value:
        loss = model.objective.sample_loss
        found = None if loss is None else getattr(loss.known, name)
        if found is None:
            known = ", ".join(kind for kind, properties in LOSSES.items() if getattr(properties, name) is not None)
            raise ProblemError(
                f"a bound on the {derivative} derivative is known for {known}, got the loss "
                f"{None if loss is None else loss.kind}"
            )
        return number(found * abs(model.network.output_scale) ** power)

    return value


def _convolutional(model: Model) -> Convolutional:
    if not isinstance(model.network, Convolutional):
        raise ProblemError(f"this formula is one of convolutional networks, got a {model.network.kind} one")
    return model.network


_LETTERS: Mapping[str, Callable[..., Value]] = {
    "W": lambda m, j: Value(m.matrix(m.objective.parameters, j)),
    "Delta": lambda m, j: Value(m.matrix(m.directions, j)),
    "G": lambda m, j: Value(m.matrix(m.slopes, j)),
    "W_in": lambda m, j: rows(m.matrix(m.objective.parameters, j)),
    "W_out": lambda m, j: columns(m.matrix(m.objective.parameters, j)),
    "V": lambda m, j: Value(m.with_identity(j)),
    "V_in": lambda m, j: rows(m.with_identity(j)),
    "V_out": lambda m, j: columns(m.with_identity(j)),
    "G_in": lambda m, j: rows(m.matrix(m.slopes, j)),
    "G_out": lambda m, j: columns(m.matrix(m.slopes, j)),
    "b": lambda m, j: Value(m.bias(m.objective.parameters, j)),
    "b_unit": lambda m, j: Value(m.bias(m.objective.parameters, j), True),
    "g_unit": lambda m, j: Value(m.bias(m.slopes, j), True),
    "b_square": lambda m, j: outer(m.bias(m.objective.parameters, j)),
    "g_square": lambda m, j: outer(m.bias(m.slopes, j)),
    "beta": lambda m, j: Value(m.bias(m.directions, j)),
    "has_bias": lambda m, j: number(int(j in m.biases)),
    "activations": lambda m, j: Value(columns_first(m.forward.layers[j].inputs), True),
    "passage": lambda m, top, j: Value(m.passages.between(top, j), True),
    "to_output": lambda m, j: Value(m.passages.to_output(j), True),
    "unit_weight": lambda m, j: Value(single_row(m.weights[j - 1]), True),
    "unit_slope": lambda m: Value(diagonal_entries(m.letter("grad_phi", ()).node), True),
    "f": lambda m: Value(m.objective.loss),
    "h": lambda m: Value(columns_first(m.forward.prediction), True),
    "x": lambda m: Value(vectors(m.inputs["X"]), True),
    "grad_loss": lambda m: Value(vectors(m.loss_gradient()), True),
    "grad_phi": _gradient_of_phi,
    "Sigma_xx": _second_moment,
    "D": _gates,
    "slope": lambda m: number(_steepest(m)),
    "smoothness": _bound_on_loss("smoothness", "second", 2),
    "third": _bound_on_loss("third", "third", 3),
    "eta": lambda m: Value(ETA),
    "epsilon": lambda m: Value(EPSILON),
    "lambda_min": _smallest_eigenvalue,
    "lambda_max": _largest_eigenvalue,
    "layer_matrix": lambda m, j: Value(layer_matrix(_convolutional(m), m.forward, j)),
    "kappa": lambda m, j: Value(layer_constant(_convolutional(m), j)),
    "pool": lambda m: Value(pooling_norm(_convolutional(m))),
}
_OF_SAMPLES = ("h", "x", "grad_loss", "D")
"""The letters that mean something for losses over samples alone."""
