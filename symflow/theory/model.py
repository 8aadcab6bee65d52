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
| slope, smoothness, third | \max\{|\alpha|, |\bar\alpha|\}, L, L_3 | of the activation; of the loss |
| eta, epsilon | \eta, \varepsilon | hyper-parameters |
| lambda_min, lambda_max | \lambda_{\min}(H), \lambda_{\max}(H) | of the Hessian |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from symflow.programs.blocks import hessian_blocks
from symflow.programs.differentiate import jvp, transpose
from symflow.programs.nodes import (
    Axis,
    Const,
    Identity,
    Input,
    LargestEigenvalue,
    Node,
    Table,
    add,
    einsum,
    gate,
    inner,
    scale,
    scatter_add,
)
from symflow.programs.program import shape_of, transform
from symflow.theory.values import Value, number, times

ETA = Input("eta", (), "hyper", r"\eta")
EPSILON = Input("epsilon", (), "hyper", r"\varepsilon")


def columns_first(x: Node) -> Node:
    """An array with the samples last, with the samples first."""
    rank = len(x.axes)
    return einsum((x,), (tuple(range(rank)),), (rank - 1, *range(rank - 1)))


def vectors(x: Node) -> Node:
    """An array with the samples last as one vector a sample, samples first: norms of images are those of all pixels."""
    columns = columns_first(x)
    own = columns.axes[1:]
    if len(own) == 1:
        return columns
    count = prod(shape_of(own))
    flat = Axis("x".join(a.name for a in own), count)
    return scatter_add(columns, Table(flat, own, tuple(range(count))), 1)


@dataclass(frozen=True, eq=False)
class Model:
    """The meaning of letters for the training loss of a network in sample form.

    Raises:
        ProblemError: the objective is not such a loss.
    """

    objective: Objective

    def __post_init__(self) -> None:
        if self.objective.biases:
            raise ProblemError(f"a statement about homogeneous networks does not apply: {self.objective.no_network}")
        if self.objective.network is None or self.objective.sample_loss is None:
            raise ProblemError("a statement about networks needs a network's training loss, got another objective")
        if self.objective.matrix_data is None and "X" not in {x.name for x in self.objective.data_inputs}:
            raise ProblemError("a statement about networks needs the loss over samples, got its moment form")

    @property
    def network(self) -> Network:
        """The architecture."""
        assert self.objective.network is not None
        return self.objective.network

    @property
    def depth(self) -> int:
        """n."""
        return self.network.depth

    @cached_property
    def inputs(self) -> Mapping[str, Input]:
        """The objective's inputs by name."""
        return {x.name: x for x in self.objective.program.inputs}

    @property
    def weights(self) -> tuple[Input, ...]:
        """W_1, ..., W_n."""
        return self.objective.parameters

    @cached_property
    def directions(self) -> tuple[Input, ...]:
        """Delta_1, ..., Delta_n."""
        return parameter_directions(self.objective)

    @cached_property
    def gradients(self) -> tuple[Node, ...]:
        """G_1, ..., G_n."""
        found, _ = gradient_nodes(self.objective)
        return tuple(found[w] for w in self.weights)

    @cached_property
    def forward(self) -> Forward:
        """The network's computation, the same nodes as in the loss."""
        return self.network.forward(self.weights, self.inputs["X"])

    @cached_property
    def inverse_samples(self) -> Value:
        """1/N."""
        if "inverse_samples" in self.inputs:
            return Value(self.inputs["inverse_samples"])
        return number(Fraction(1, shape_of(self.inputs["X"].axes[-1:])[0]))

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
    def end_to_end_scale(self) -> Fraction:
        """c with h(x) = c W_{n:1} x.

        Raises:
            ProblemError: the network is not linear.
        """
        if not self.network.linear:
            raise ProblemError(f"this formula is one of linear networks, got the activation {self.network.activation}")
        return self.network.end_to_end_scale

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
        """The gradients of l at the predictions, one column a sample."""
        return self._at_prediction(self._loss_gradient[1])

    def loss_curvature(self, direction: Value) -> Value:
        """hess l_i [a_i, a_i] for every sample, at vectors a_i."""
        stand_in, slope = self._loss_gradient
        rank = len(stand_in.axes)
        columns = einsum((direction.node,), (tuple(range(rank)),), (*range(1, rank), 0))
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
        forms = self.loss_curvature(Value(columns_first(scale(self.end_to_end_scale, moved)), True))
        return times(self.inverse_samples, Value(einsum((forms.node,), ((0,),), ())))


def _gradient_of_phi(model: Model) -> Value:
    """(c/N) sum_i grad l_i x_i^T; of matrix data (1/m) sum_i (<A_i, W> - y_i) A_i."""
    if model.objective.matrix_data is not None:
        stand_in, slope = model.phi_gradient
        w = end_to_end(list(model.weights[::-1]))
        return Value(transform([slope], lambda x, _: w if x is stand_in else None)[slope])
    product = einsum((model.loss_gradient(), model.inputs["X"]), ((0, 2), (1, 2)), (0, 1))
    return times(model.inverse_samples, Value(scale(model.end_to_end_scale, product)))


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
    network, z = model.fully_connected, model.forward.layers[layer - 1].outputs
    slopes = gate(z, network.alpha, network.alpha_bar, layer)
    return Value(einsum((slopes, model.layer_identity(layer).node), ((1, 0), (1, 2)), (0, 1, 2)), True)


def _rows(w: Node) -> Value:
    return Value(w, True)


def _columns(w: Node) -> Value:
    rank = len(w.axes)
    return Value(einsum((w,), (tuple(range(rank)),), (1, 0, *range(2, rank))), True)


def _joined_hessian(model: Model, sign: int) -> Node:
    """H or -H, joined from its blocks.

    Raises:
        ValueError: a width is a symbol.
    """
    objective = model.objective
    places = [(where.start, prod(shape)) for where, shape in objective.slices()]
    size = objective.parameter_count
    rows, columns = Axis("theta", size), Axis("theta'", size)

    def placed(block: Node, first: int, second: int, sources: tuple[Axis, Axis]) -> Node:
        for position, (layer, source) in enumerate(zip((first, second), sources, strict=True)):
            start, count = places[layer]
            index = tuple(range(start, start + count))
            block = scatter_add(block, Table(source, model.weights[layer].axes, index), position)
        return block

    terms: list[tuple[int, Node]] = []
    blocks = hessian_blocks(dict(zip(model.weights, model.gradients, strict=True)), model.weights)
    for (a, b), block in blocks.items():
        terms.append((sign, placed(block, a, b, (rows, columns))))
        if a != b:
            mirrored = placed(block, a, b, (columns, rows))
            terms.append((sign, einsum((mirrored,), ((0, 1),), (1, 0))))
    return add(terms)


def _smallest_eigenvalue(model: Model) -> Value:
    """-lambda_max(-H)."""
    return Value(scale(-1, LargestEigenvalue(_joined_hessian(model, -1))))


def _largest_eigenvalue(model: Model) -> Value:
    return Value(LargestEigenvalue(_joined_hessian(model, 1)))


def _bound_on_loss(name: Literal["smoothness", "third"], derivative: str) -> Callable[[Model], Value]:
    def value(model: Model) -> Value:
        loss = model.objective.sample_loss
        found = None if loss is None else getattr(loss.known, name)
        if found is None:
            known = ", ".join(kind for kind, properties in LOSSES.items() if getattr(properties, name) is not None)
            raise ProblemError(
                f"a bound on the {derivative} derivative is known for {known}, got the loss "
                f"{None if loss is None else loss.kind}"
            )
        return number(found)

    return value


def _convolutional(model: Model) -> Convolutional:
    if not isinstance(model.network, Convolutional):
        raise ProblemError(f"this formula is one of convolutional networks, got a {model.network.kind} one")
    return model.network


_LETTERS: Mapping[str, Callable[..., Value]] = {
    "W": lambda m, j: Value(m.weights[j - 1]),
    "Delta": lambda m, j: Value(m.directions[j - 1]),
    "G": lambda m, j: Value(m.gradients[j - 1]),
    "W_in": lambda m, j: _rows(m.weights[j - 1]),
    "W_out": lambda m, j: _columns(m.weights[j - 1]),
    "G_in": lambda m, j: _rows(m.gradients[j - 1]),
    "G_out": lambda m, j: _columns(m.gradients[j - 1]),
    "f": lambda m: Value(m.objective.loss),
    "h": lambda m: Value(columns_first(m.forward.prediction), True),
    "x": lambda m: Value(vectors(m.inputs["X"]), True),
    "grad_loss": lambda m: Value(vectors(m.loss_gradient()), True),
    "grad_phi": _gradient_of_phi,
    "Sigma_xx": _second_moment,
    "D": _gates,
    "slope": lambda m: number(max(abs(m.network.alpha), abs(m.network.alpha_bar))),
    "smoothness": _bound_on_loss("smoothness", "second"),
    "third": _bound_on_loss("third", "third"),
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
