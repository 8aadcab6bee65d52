"""Weights from the real libraries, each asked for its own predictions: `sf.Problem.from_weights` (thorough).

The targets of each problem are the library's float32 predictions, so that f(theta0) = (1/2N) sum ||h(x) - y||^2 is
what its rounding leaves: below 1e-12 for numbers of size one, where a wrong layout gives one of size one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symflow as sf

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # the libraries' own, on import
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
ROUNDING = 1e-12


def library(name: str) -> Any:
    return pytest.importorskip(name, reason=f"{name} is not installed: its weights are not tested")


def at_start(problem: sf.Problem) -> float:
    return float(sf.evaluate_exact(sf.loss(problem.objective), problem.theta0))


def shuffled(problem: sf.Problem) -> float:
    """f at the same numbers in another order: what a wrong layout gives."""
    return float(sf.evaluate_exact(sf.loss(problem.objective), problem.theta0[::-1]))


def assert_predicts(problem: sf.Problem) -> None:
    assert at_start(problem) < ROUNDING
    assert shuffled(problem) > 1e6 * ROUNDING


@pytest.mark.parametrize("bias", [False, True])
def test_pytorch(bias: bool) -> None:
    torch = library("torch")
    torch.manual_seed(0)
    nn = torch.nn
    model = nn.Sequential(nn.Linear(3, 4, bias), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2, bias))
    x = torch.randn(5, 3)
    for weights in (model, model.state_dict(), list(model.parameters())):
        problem = sf.Problem.from_weights(weights, {"x": x, "y": model(x)}, "relu")
        assert problem.network.biases == (bias, True, bias)
        assert_predicts(problem)
    first = model.state_dict()["0.weight"]
    assert [float(v) for v in problem.theta0[:12]] == first.ravel().tolist()


def test_pytorch_convolutions_with_a_pool_and_a_head() -> None:
    torch = library("torch")
    torch.manual_seed(0)
    nn = torch.nn
    layers = [nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(3, 2, 2, stride=2, padding=1), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(18, 2))
    images = torch.randn(3, 2, 7, 7)
    data = {"x": images.reshape(3, -1), "y": model(images)}
    assert_predicts(sf.Problem.from_weights(model, data, "relu", input=(2, 7, 7), stride=2, padding=1))
    pooled = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2, 2), nn.Flatten(), nn.Linear(12, 2))
    parts = (sf.Convolution(3, (3, 3)), sf.Pool("max", (2, 2), (2, 2)), sf.Dense(2))
    network = sf.Convolutional((2, 7, 7), parts, activation="relu", biases=[True, False, True])
    data = {"x": images.reshape(3, -1), "y": pooled(images)}
    assert_predicts(sf.Problem.from_weights(pooled.state_dict(), data, network=network))


def test_the_flow_and_back_to_pytorch() -> None:
    """docs/examples.md: weights at a time of the flow, loaded into the model."""
    torch = library("torch")
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1)).double()
    x = torch.randn(4, 2).double()
    problem = sf.Problem.from_weights(model.state_dict(), {"x": x, "y": [1, -1, 0, 2]}, "relu", run={"horizon": 1})
    trajectory = sf.solve_flow(problem, dps=20)
    weights = [torch.tensor(w.astype(float)) for w in trajectory.weights(1)]
    model.load_state_dict(dict(zip(model.state_dict(), weights, strict=True)))
    predicted = model(x).detach().numpy().ravel()
    residual = float(np.sum((predicted - [1, -1, 0, 2]) ** 2)) / 8
    assert residual == pytest.approx(float(sf.evaluate_mpmath(sf.loss(problem.objective), trajectory(1))), rel=1e-12)


@pytest.mark.parametrize("bias", [False, True])
def test_flax_linen_and_the_sorted_pytree(bias: bool) -> None:
    nn, jax = library("flax.linen"), library("jax")

    class Deep(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            for _ in range(11):
                x = nn.relu(nn.Dense(4, use_bias=bias)(x))
            return nn.Dense(2, use_bias=bias)(x)

    key = jax.random.PRNGKey(0)
    x = jax.random.normal(key, (5, 4))
    model = Deep()
    weights = model.init(key, x)
    if bias:  # biases that are not 0
        weights = jax.tree.map(lambda w: w + 0.1, weights)
    mapped = jax.tree.map(lambda w: w, weights)
    assert list(mapped["params"])[2] == "Dense_10"
    for given in (weights, mapped):
        problem = sf.Problem.from_weights(given, {"x": x, "y": model.apply(weights, x)}, "relu")
        assert problem.network.depth == 12
        assert at_start(problem) < ROUNDING
        assert problem.theta0[1] == float(weights["params"]["Dense_0"]["kernel"][1, 0])


def test_flax_convolutions_have_their_channels_last() -> None:
    nn, jax = library("flax.linen"), library("jax")

    class Model(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            x = nn.relu(nn.Conv(3, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))(x))
            return nn.Dense(2)(x.reshape(x.shape[0], -1))

    key = jax.random.PRNGKey(0)
    images = jax.random.normal(key, (3, 7, 7, 2))
    model = Model()
    weights = jax.tree.map(lambda w: w + 0.1, model.init(key, images))
    data = {"x": np.moveaxis(np.asarray(images), 3, 1).reshape(3, -1), "y": model.apply(weights, images)}
    assert_predicts(sf.Problem.from_weights(weights, data, "relu", input=(2, 7, 7), stride=2, padding=1))


def test_flax_nnx() -> None:
    nnx, jax = library("flax.nnx"), library("jax")

    class Model(nnx.Module):
        def __init__(self, rngs: Any) -> None:
            self.first = nnx.Linear(3, 4, rngs=rngs)
            self.last = nnx.Linear(4, 2, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            return self.last(nnx.relu(self.first(x)))

    model = Model(nnx.Rngs(0))
    x = jax.random.normal(jax.random.PRNGKey(0), (5, 3))
    for weights in (nnx.state(model), nnx.to_pure_dict(nnx.state(model))):
        assert_predicts(sf.Problem.from_weights(weights, {"x": x, "y": model(x)}, "relu"))


def test_equinox() -> None:
    eqx, jax = library("equinox"), library("jax")
    key = jax.random.PRNGKey(0)
    x = jax.random.normal(key, (5, 3))
    model = eqx.nn.MLP(3, 2, 5, 2, key=key)
    assert_predicts(sf.Problem.from_weights(model, {"x": x, "y": jax.vmap(model)(x)}, "relu"))
    arrays = eqx.filter(model, eqx.is_array)
    assert_predicts(sf.Problem.from_weights(arrays, {"x": x, "y": jax.vmap(model)(x)}, "relu"))
    images = jax.random.normal(key, (3, 2, 7, 7))
    layers = [eqx.nn.Conv2d(2, 3, 3, stride=2, padding=1, key=key), eqx.nn.Lambda(jax.nn.relu)]
    layers += [eqx.nn.Lambda(lambda a: a.ravel()), eqx.nn.Linear(48, 2, key=key)]
    model = eqx.nn.Sequential(layers)
    data = {"x": images.reshape(3, -1), "y": jax.vmap(model)(images)}
    assert_predicts(sf.Problem.from_weights(model, data, "relu", input=(2, 7, 7), stride=2, padding=1))


def test_short_floats_keep_their_values() -> None:
    torch, jax = library("torch"), library("jax")
    weights = torch.nn.Linear(2, 1, bias=False).bfloat16().state_dict()
    data = {"x": torch.ones(1, 2, requires_grad=True), "y": [0]}
    assert [float(v) for v in sf.Problem.from_weights(weights, data, "linear").theta0] == weights["weight"][0].tolist()
    short = jax.numpy.asarray([[0.1, 0.7]], dtype="bfloat16")
    found = sf.Problem.from_weights([short], data, "linear").theta0
    assert [float(v) for v in found] == short[0].astype("float32").tolist()
    half = sf.Problem.from_weights([np.float16([[0.1, 0.7]])], data, "linear").theta0
    assert [float(v) for v in half] == np.float16([0.1, 0.7]).tolist()
