"""Problems from weights that were made elsewhere: look-alikes of PyTorch, Flax and Equinox, and arrays.

The real libraries are asked in `test_from_real_weights` (thorough).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import symflow as sf

DATA = {"x": [[1, 0], [0, 1]], "y": [1, -1]}
W1 = np.float32([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
W2 = np.float32([[0.7, 0.8, 0.9]])
THETA = tuple(Fraction(float(v)) for w in (W1, W2) for v in w.flat)


class Tensor:
    """What a PyTorch tensor with a gradient shows of itself: NumPy may not look at it before it is detached."""

    def __init__(self, values: Any, graph: bool = True) -> None:
        self.values, self.graph, self.dtype = np.asarray(values), graph, "torch.float32"

    def detach(self) -> Tensor:
        return Tensor(self.values, graph=False)

    def cpu(self) -> Tensor:
        return self

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        if self.graph:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad")
        return self.values


@dataclass(frozen=True)
class Linear:
    """A layer as Equinox has it: fields, among them numbers that are not weights."""

    weight: Any
    bias: Any
    in_features: int = 2
    use_bias: bool = False


@dataclass(frozen=True)
class Mlp:
    layers: tuple[Linear, ...]
    activation: Any = abs
    depth: int = 1


FORMS: dict[str, Any] = {
    "state dict": OrderedDict({"0.weight": W1, "2.weight": W2}),
    "state dict of a module": OrderedDict({"net.layers.0.weight": W1, "net.head.weight": W2}),
    "tensors": {"0.weight": Tensor(W1), "2.weight": Tensor(W2)},
    "flax": {"params": {"Dense_0": {"kernel": W1.T}, "Dense_1": {"kernel": W2.T}}},
    "flax without params": {"Dense_0": {"kernel": W1.T}, "Dense_1": {"kernel": W2.T}},
    "equinox": Mlp((Linear(W1, None), Linear(W2, None))),
    "list": [W1, W2],
    "pairs": [(W1, None), (W2, None)],
    "list of dictionaries": [{"weight": W1}, {"weight": W2}],
}


@pytest.mark.parametrize("weights", FORMS.values(), ids=FORMS)
def test_every_form_of_the_same_weights_is_the_same_start(weights: Any) -> None:
    problem = sf.Problem.from_weights(weights, DATA, activation="relu", loss="logistic", run={"horizon": 1}, name="it")
    assert problem.network == sf.FullyConnected((2, 3, 1), activation="relu")
    assert problem.theta0 == THETA
    assert (problem.horizon, problem.name) == (1, "it")


def test_a_module_is_asked_for_its_state() -> None:
    class Module:
        def state_dict(self) -> dict[str, np.ndarray]:
            return {"a.weight": W1, "b.weight": W2}

    assert sf.Problem.from_weights(Module(), DATA, "relu").theta0 == THETA


B1, B2 = np.float32([1.5, 2.5, 3.5]), np.float32([4.5])
BIASED: dict[str, tuple[Any, list[bool]]] = {
    "state dict": ({"0.weight": W1, "0.bias": B1, "2.weight": W2, "2.bias": B2}, [True, True]),
    "bias before its matrix": ({"0.bias": B1, "0.weight": W1, "2.weight": W2}, [True, False]),
    "flax": ({"params": {"a": {"bias": B1, "kernel": W1.T}, "b": {"kernel": W2.T}}}, [True, False]),
    "equinox": (Mlp((Linear(W1, None), Linear(W2, B2))), [False, True]),
    "list": ([W1, B1, W2], [True, False]),
    "pairs": ([(W1, B1), (W2, B2)], [True, True]),
}


@pytest.mark.parametrize("case", BIASED.values(), ids=BIASED)
def test_biases_are_found_layer_by_layer(case: tuple[Any, list[bool]]) -> None:
    weights, biases = case
    problem = sf.Problem.from_weights(weights, DATA, "relu")
    assert problem.network == sf.FullyConnected((2, 3, 1), activation="relu", biases=biases)
    expected = [W1, *([B1] if biases[0] else []), W2, *([B2] if biases[1] else [])]
    assert problem.theta0 == tuple(Fraction(float(v)) for w in expected for v in w.flat)


def test_biases_and_the_architecture_that_goes_with_them() -> None:
    network = sf.FullyConnected((2, 2, 1), diagonal=[1], biases=[True, False], skip=[[0, 1]], output_scale="1/2")
    weights = [np.array([1.0, 2.0]), np.array([3.0, 4.0]), np.array([[5.0, 6.0]])]
    assert sf.Problem.from_weights(weights, DATA, network=network).theta0 == (1, 2, 3, 4, 5, 6)
    convolution = {"0.weight": np.ones((2, 1, 2)), "0.bias": np.array([[7.0], [8.0]])}  # Equinox's shape, (out, 1)
    data = {"x": [[1, 2, 3]], "y": [[0, 0, 0, 0]]}
    found = sf.Problem.from_weights(convolution, data, "linear", input=(1, 3), stride=1, padding=0)
    assert found.theta0 == (1, 1, 1, 1, 7, 8)


def test_layers_of_a_sorted_pytree_are_in_the_order_of_their_numbers() -> None:
    kernels = {f"Dense_{j}": {"kernel": np.full((2, 2), float(j))} for j in range(11)}
    kernels["Dense_11"] = {"kernel": np.ones((2, 1))}
    weights = {key: kernels[key] for key in sorted(kernels)}  # what jax.tree.map makes of it
    assert list(weights)[1:3] == ["Dense_1", "Dense_10"]
    problem = sf.Problem.from_weights(weights, DATA, "relu")
    assert problem.theta0[::4] == (*range(11), 1)


def test_a_square_matrix_is_turned_by_its_name_alone() -> None:
    square, last = np.array([[1.0, 2.0], [3.0, 4.0]]), np.ones((1, 2))
    torch = sf.Problem.from_weights({"0.weight": square, "1.weight": last}, DATA, "linear")
    flax = sf.Problem.from_weights({"a": {"kernel": square}, "b": {"kernel": last.T}}, DATA, "linear")
    assert torch.theta0[:4] == (1, 2, 3, 4)
    assert flax.theta0[:4] == (1, 3, 2, 4)


def convolve(image: np.ndarray, kernel: np.ndarray, stride: int, padding: int) -> np.ndarray:
    """A cross-correlation by its definition: (channels, height, width), kernel (out, in, height, width)."""
    padded = np.pad(image, ((0, 0), (padding, padding), (padding, padding)))
    size = (padded.shape[1] - kernel.shape[2]) // stride + 1
    found = np.zeros((len(kernel), size, size))
    for a in range(size):
        for b in range(size):
            window = padded[:, a * stride :, b * stride :][:, : kernel.shape[2], : kernel.shape[3]]
            found[:, a, b] = np.tensordot(kernel, window, 3)
    return found


@pytest.mark.parametrize("library", ["torch", "flax"])
def test_convolutions_give_what_their_library_gives(library: str) -> None:
    rng = np.random.default_rng(0)
    kernel, dense, images = rng.normal(size=(3, 2, 3, 3)), rng.normal(size=(2, 48)), rng.normal(size=(2, 2, 7, 7))
    features = np.array([np.maximum(convolve(image, kernel, 2, 1), 0) for image in images])
    if library == "torch":
        weights: Any = {"0.weight": kernel, "3.weight": dense}
        y = features.reshape(2, -1) @ dense.T
    else:  # images and kernels have their channels last
        weights = {"Conv_0": {"kernel": kernel.transpose(2, 3, 1, 0)}, "Dense_0": {"kernel": dense.T}}
        y = features.transpose(0, 2, 3, 1).reshape(2, -1) @ dense.T
    data = {"x": images.reshape(2, -1), "y": y}
    problem = sf.Problem.from_weights(weights, data, "relu", input=(2, 7, 7), stride=2, padding=1)
    assert float(sf.evaluate_exact(sf.loss(problem.objective), problem.theta0)) < 1e-28
    assert float(sf.evaluate_exact(sf.loss(problem.objective), problem.theta0[::-1])) > 1e-3


def test_pools_come_with_the_architecture() -> None:
    parts = (sf.Convolution(2, (2,)), sf.Pool("max", (2,)), sf.Dense(1))
    network = sf.Convolutional((1, 5), parts, activation="relu")
    weights = [np.ones((2, 1, 2)), np.arange(4.0).reshape(1, 4)]
    problem = sf.Problem.from_weights(weights, {"x": [[1, 2, 3, 4, 5]], "y": [0]}, network=network)
    assert problem.network == network
    assert problem.theta0 == (1, 1, 1, 1, 0, 1, 2, 3)


def test_the_way_there_and_back() -> None:
    problem = sf.Problem.from_weights([W1, W2], DATA, "relu")
    weights = sf.solve_flow(problem, horizon=1, dps=20).weights(0)
    assert sf.Problem.from_weights(weights, DATA, "relu").theta0 == THETA


Case = tuple[Any, dict[str, Any], str]
REFUSED: dict[str, Case] = {
    "no activation": ([W1, W2], {}, "activation is missing, weights do not say it; give one of \"linear\""),
    "nothing": ({}, {"activation": "relu"}, "must hold the arrays of all layers, got an empty table"),
    "one array": (W1, {"activation": "relu"}, "must hold the arrays of all layers"),
    "numbers": ([[1.0, 2.0]], {"activation": "relu"}, "weights['0.0'] must be an array, got 1.0"),
    "a path": ("model.pt", {"activation": "relu"}, "must hold the arrays of all layers, got 'model.pt'"),
    "turned": ([W1.T, W2.T], {"activation": "relu"}, "must have 2 columns, the outputs of the layer before it, got the "
               "shape (3, 1); matrices have their outputs first, as in PyTorch: transpose them"),
    "out of order": ([W2, W1], {"activation": "relu"}, "must have 1 columns"),
    "a norm": ({"0.weight": W1, "1.running_mean": W2}, {"activation": "relu"},
               "weights['1.running_mean'] must be called weight, kernel or bias"),
    "a vector": ({"0.weight": W1, "1.weight": np.ones(3)}, {"activation": "relu"}, "must have a matrix, got an array"),
    "a bias alone": ({"0.bias": np.ones(3)}, {"activation": "relu"}, "must have a weight or a kernel next to its bias"),
    "a bias first": ([np.ones(3), W1], {"activation": "relu"}, "must be a matrix, or a bias after its matrix"),
    "a bias too long": ([W1, np.ones(2), W2], {"activation": "relu"}, "must have 3 numbers, one an output"),
    "both names": ({"a": {"kernel": W1.T}, "b": {"weight": W2}}, {"activation": "relu"}, "got both"),
    "names and positions": ([W1, {"weight": W2}], {"activation": "relu"}, "all named or all in a list"),
    "not a number": ([W1, np.array([[1, np.nan, 2]])], {"activation": "relu"}, "must be a finite number, got nan"),
    "empty": ([np.ones((0, 2))], {"activation": "relu"}, "must not be empty"),
    "geometry of dense layers": ([W1, W2], {"activation": "relu", "stride": 1}, "stride goes with convolutions"),
    "no input": ([np.ones((2, 1, 2))], {"activation": "relu"}, "input is missing, weights of convolutions"),
    "no stride": ([np.ones((2, 1, 2))], {"activation": "relu", "input": (1, 5)}, "stride is missing"),
    "other channels": ([np.ones((2, 1, 2))], {"activation": "relu", "input": (3, 5), "stride": 1, "padding": 0},
                       "must read 3 channels"),
    "another network": ([W1, W2], {"network": sf.FullyConnected((2, 4, 1))}, "must have the shape (4, 2) of W1"),
    "fewer layers": ([W1], {"network": sf.FullyConnected((2, 3, 1))}, "must hold 2 arrays as the network says"),
    "said twice": ([W1, W2], {"network": sf.FullyConnected((2, 3, 1)), "activation": "relu"}, "leave activation out"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_weights_do_not_say_or_do_not_fit_is_refused_in_one_line(case: Case) -> None:
    weights, given, expected = case
    with pytest.raises(sf.ProblemError) as refused:
        sf.Problem.from_weights(weights, DATA, **given)
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)
