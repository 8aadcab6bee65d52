"""Biases, skip connections, diagonal layers, output scale, activations by layers: against plain JAX and SciPy."""

from __future__ import annotations

import json
from fractions import Fraction
from math import prod
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import sympy
from scipy.integrate import solve_ivp

import symflow as sf
from symflow.analysis.sweeps.axes import axes_of, starts
from tests.evaluate.plain_networks import plain_loss, plain_network

FULL = {
    "widths": [2, 3, 3, 1],
    "activation": ["relu", ("leaky-relu", "1/5")],
    "biases": [True, False, True],
    "skip": [[1, 2]],
    "diagonal": [2],
    "output_scale": "1/3",
}
PARTS = (sf.Convolution(2, (3,), padding=(1,)), sf.Pool("max", (2,)), sf.Dense(2), sf.Dense(2))


def drawn(seed: int) -> sf.FullyConnected:
    """A random network of two or three layers."""
    rng = np.random.default_rng(seed)
    depth, hidden = int(rng.integers(2, 4)), int(rng.integers(1, 4))
    widths = [int(rng.integers(1, 3)), *[hidden] * (depth - 1), int(rng.integers(1, 3))]
    equal = [(i, j) for i in range(depth) for j in range(i + 1, depth + 1) if widths[i] == widths[j]]
    square = [j for j in range(1, depth + 1) if widths[j - 1] == widths[j]]
    slopes = [(1, 0), (1, Fraction(1, 5)), (1, 1)]
    return sf.FullyConnected(
        widths,
        activation=[("homogeneous", *slopes[int(rng.integers(3))]) for _ in range(depth - 1)],
        biases=[bool(v) for v in rng.integers(0, 2, depth)],
        skip=[pair for pair in equal if rng.random() < 0.5],
        diagonal=[j for j in square if rng.random() < 0.4],
        output_scale=Fraction(int(rng.integers(1, 4)), 2),
    )


def points(seed: int, samples: int = 3) -> tuple[sf.FullyConnected, list[Fraction], list[Any], list[Any]]:
    network = drawn(seed)
    rng = np.random.default_rng(seed + 1000)

    def rows(width: int) -> list[list[Fraction]]:
        return [[Fraction(int(v), 4) for v in row] for row in rng.integers(-8, 9, (samples, width))]

    theta = [Fraction(int(v), 10) for v in rng.integers(-12, 13, network.parameter_count)]
    return network, theta, rows(network.widths[0]), rows(network.widths[-1])


def floats(values: Any) -> np.ndarray:
    return np.array(values, dtype=float)


# --- Derivatives ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 3, *(pytest.param(s, marks=pytest.mark.thorough) for s in range(4, 40))])
def test_gradient_and_hessian_are_those_of_plain_jax(seed: int) -> None:
    network, theta, x, y = points(seed)
    objective = sf.network_objective(network, x, y)

    def plain(t: Any) -> Any:
        return plain_loss("square", plain_network(network, t, floats(x)), floats(y))

    with jax.enable_x64(True):
        for derived, by_jax in ((sf.gradient(objective), jax.grad), (sf.hessian(objective), jax.hessian)):
            wanted = np.asarray(jax.jit(by_jax(plain))(floats(theta)))
            assert np.allclose(floats(sf.evaluate_exact(derived, theta)), wanted, rtol=1e-12, atol=1e-12)


def test_a_residual_block_is_the_expression() -> None:
    """h(x) = (1/2)(w_3 (d_2 a_1 + b_2 + a_1) + b_3 + x), a_1 = w_1 x + x: SymPy's own derivative, exactly."""
    network = sf.FullyConnected(
        (1, 1, 1, 1), skip=[[0, 1], [1, 2], [0, 3]], diagonal=[2], biases=[False, True, True], output_scale="1/2"
    )
    objective = sf.network_objective(network, [3], [2])
    names = sympy.symbols("W1_11 W2_1 b2_1 W3_11 b3_1", real=True)
    w1, d2, b2, w3, b3 = names
    a1 = w1 * 3 + 3
    f = (sympy.Rational(1, 2) * (w3 * (d2 * a1 + b2 + a1) + b3 + 3) - 2) ** 2 / 2
    assert sympy.expand(sf.loss(objective).explicit() - f) == 0
    for found, name in zip(sf.gradient(objective).explicit(), names, strict=True):
        assert sympy.expand(found - f.diff(name)) == 0
    without = sf.network_objective(sf.FullyConnected((1, 1, 1, 1), diagonal=[2], biases=[False, True, True]), [3], [2])
    assert sympy.expand(sf.loss(without).explicit() - f) != 0  # negative control


def test_a_bias_is_the_weight_of_a_constant_input() -> None:
    x, y = [[1, 2], [-1, 3], [2, "1/2"]], [1, 2, -1]
    biased = sf.network_objective(sf.FullyConnected((2, 1), biases=True), x, y)
    wide = sf.network_objective(sf.FullyConnected((3, 1)), [[*row, 1] for row in x], y)
    theta = ["1/3", "-2/5", "7/4"]
    assert sf.evaluate_exact(sf.loss(biased), theta) == sf.evaluate_exact(sf.loss(wide), theta)
    assert list(sf.evaluate_exact(sf.gradient(biased), theta)) == list(sf.evaluate_exact(sf.gradient(wide), theta))
    flows = [sf.solve_flow(sf.Problem(objective=f, theta0=theta, horizon=2), dps=30) for f in (biased, wide)]
    assert max(abs(a - b) for a, b in zip(*(flow(2) for flow in flows), strict=True)) < 1e-28


# --- Flows ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [6, *(pytest.param(s, marks=pytest.mark.thorough) for s in (3, *range(8, 20)))])
def test_flows_through_kinks_are_those_of_scipy(seed: int) -> None:
    network, theta, x, y = points(seed)
    problem = sf.Problem(network=network, data={"x": x, "y": y}, init={"theta": theta}, run={"horizon": 1})
    exact = sf.solve_flow(problem, dps=25)
    field = sf.to_jax(sf.gradient(problem.objective))  # compared with plain JAX above
    found = solve_ivp(lambda _, v: -np.asarray(field(v)), (0, 1), floats(theta), rtol=1e-8, atol=1e-10, max_step=0.01)
    assert np.allclose(found.y[:, -1], exact.numpy("1"), atol=5e-4 if exact.events else 1e-6)
    fast = sf.solve_flow_float64(problem, solver="event-corrected" if exact.events else "dopri8")
    assert np.abs(fast.numpy("1") - exact.numpy("1")).max() <= float(fast.error.value) < 1e-5


def test_a_saved_flow_keeps_its_network(tmp_path: Path) -> None:
    data = {"x": [[1, 2], [2, -1]], "y": [1, -1]}
    problem = sf.Problem(network=sf.FullyConnected(**FULL), data=data, init={"scheme": "xavier", "bias_scale": 1})
    flow = sf.solve_flow(problem, horizon="1/10", dps=20)
    flow.save(tmp_path / "flow.json")
    again = sf.load_trajectory(tmp_path / "flow.json")
    assert again.objective.architecture == problem.network
    assert list(again("1/10")) == list(flow("1/10"))
    assert [w.shape for w in flow.weights("1/10")] == [(3, 2), (3,), (3,), (1, 3), (1,)]
    with pytest.raises(sf.ProblemError, match=r"only a network of matrices .* the network has biases"):
        flow.end_to_end("1/10")


# --- Records and files ------------------------------------------------------------------------------------------------


def test_records_are_equal_printed_and_filed() -> None:
    network = sf.FullyConnected(**FULL)
    assert network == eval(repr(network), vars(sf).copy())
    assert network != sf.FullyConnected(**FULL | {"skip": []})
    assert sf.FullyConnected((2, 2, 2, 1), activation=["relu", "relu"]) == sf.FullyConnected((2, 2, 2, 1), alpha_bar=0)
    problem = sf.Problem(network=network, data={"x": [[1, 2]], "y": [1]}, init={"scheme": "gaussian"})
    table = json.loads(json.dumps(problem.to_dict()))
    assert table["network"]["activation"] == ["relu", {"kind": "leaky-relu", "slope": "1/5"}]
    assert sf.Problem(**table).network == network
    assert problem.objective.parameter_count == network.parameter_count == 3 * 2 + 3 + 3 + 3 + 1
    assert "biases in 1, 3, skip 1->2, diagonal 2, output scale 1/3" in repr(problem)
    assert problem.objective.parameter_names()[6:13] == [
        "b1_1",
        "b1_2",
        "b1_3",
        "W2_1",
        "W2_2",
        "W2_3",
        "W3_11",
    ]
    convolutional = sf.Convolutional((1, 4), PARTS, activation="relu", biases=True, skip=[[3, 4]], diagonal=[4])
    assert convolutional.biases == (True, False, True, True)
    assert convolutional.parameter_count == 2 * 3 + 2 + 2 * 4 + 2 + 2 + 2
    assert convolutional == eval(repr(convolutional), vars(sf).copy())


def test_an_objective_with_biases_is_one_of_a_network_with_biases() -> None:
    network = sf.FullyConnected((1, 2, 1), activation="relu")
    first = sf.network_objective(network, [1], [2], biases=True)
    second = sf.network_objective(sf.FullyConnected((1, 2, 1), activation="relu", biases=True), [1], [2])
    assert first.architecture == second.architecture
    assert first.loss is second.loss
    assert first.network is None


@pytest.mark.parametrize("option", [{"biases": True}, {"skip": [[1, 2]]}, {"diagonal": [2]}])
def test_the_moment_form_is_for_products_of_matrices(option: dict[str, Any]) -> None:
    objective = sf.network_objective(sf.FullyConnected((2, 2, 2, 1), **option), [[1, 2]], [1])
    assert sf.moment_form(objective) is None
    assert sf.moment_form(sf.network_objective(sf.FullyConnected((2, 2, 2, 1)), [[1, 2]], [1])) is not None


def test_a_scaled_linear_network_has_a_moment_form() -> None:
    """f = (1/2N) |c W_2 W_1 X - Y|^2, whichever way it is written."""
    objective = sf.network_objective(sf.FullyConnected((2, 2, 1), output_scale="1/3"), [[1, 2], [3, -1]], [1, 2])
    moments = sf.moment_form(objective)
    assert moments is not None
    theta = [1, "1/2", -1, 2, "3/2", -2]
    assert sf.evaluate_exact(sf.loss(moments), theta) == sf.evaluate_exact(sf.loss(objective), theta)
    found = sf.evaluate_exact(sf.loss(objective), theta)
    product = np.array([[Fraction(3, 2), -2]]) @ np.array([[1, Fraction(1, 2)], [-1, 2]]) @ np.array([[1, 3], [2, -1]])
    assert found == sum((product[0] / 3 - [1, 2]) ** 2) / 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"biases": [True]}, "biases must have one entry for each of the 3 layers, got 1"),
        ({"biases": "yes"}, "biases must be True or False, or a list of these"),
        ({"skip": [[0, 1]]}, "skip[0] = [0, 1] must join layers of the same shape, got 2 and 3"),
        ({"skip": [[2, 1]]}, "skip[0] must lead from a layer i to a later one j > i, got [2, 1]"),
        ({"skip": [[1, 2], [1, 2]]}, "skip[1] must be given once"),
        ({"skip": [[1, 4]]}, "skip[0] must be a whole number from 0 to 3, got 4"),
        ({"diagonal": [1]}, "diagonal[0] = 1 must have a square matrix, got 3 x 2"),
        ({"output_scale": 0}, "output_scale must not be 0"),
        ({"activation": ["relu"]}, "activation must have one entry for each of the 2 layers"),
    ],
)
def test_senseless_settings_are_refused_in_one_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises(sf.ProblemError) as refused:
        sf.FullyConnected(**FULL | change)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"biases": [True, True, True, True]}, "biases[1] must be false, as layer 2 is a pool"),
        ({"diagonal": [1]}, "diagonal[0] must be a layer with a matrix of units, got 1, a convolution"),
        ({"skip": [[0, 1]]}, "skip[0] = [0, 1] must join layers of the same shape, got 1x4 and 2x4"),
    ],
)
def test_convolutional_settings_are_refused_in_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(sf.ProblemError) as refused:
        sf.Convolutional((1, 4), PARTS, **options)
    assert message in str(refused.value)


# --- Initial points ---------------------------------------------------------------------------------------------------


def start(network: dict[str, Any], **init: Any) -> list[np.ndarray]:
    width = network["widths"][0]
    problem = sf.Problem(
        network={"activation": "linear", **network}, data={"x": [[1] * width], "y": [[1] * network["widths"][-1]]},
        init={"seed": 4, **init},
    )  # fmt: skip
    return [np.array(problem.theta0[s], dtype=object).reshape(shape) for s, shape in problem.objective.slices()]


def test_weights_do_not_depend_on_biases_which_are_zero_unless_asked() -> None:
    widths = [2, 3, 3, 1]
    for scheme in ("gaussian", "xavier"):
        bare = start({"widths": widths}, scheme=scheme)
        zero = start({"widths": widths, "biases": True}, scheme=scheme)
        drawn = start({"widths": widths, "biases": True}, scheme=scheme, bias_scale="1/2")
        for found in (zero, drawn):
            assert all((a == b).all() for a, b in zip(bare, found[::2], strict=True))
        assert all((b == 0).all() for b in zero[1::2])
        assert all((b != 0).all() for b in drawn[1::2])


def test_a_diagonal_layer_has_fans_of_one() -> None:
    network = sf.FullyConnected((2, 200, 200, 1), diagonal=[2])
    assert network.fans == ((2, 200), (1, 1), (200, 1))
    found = start({"widths": [2, 200, 200, 1], "diagonal": [2]}, scheme="xavier")[1]
    assert 1.4 < max(abs(v) for v in found) <= Fraction(17320508, 10**7) + Fraction(1, 10**6)  # sqrt(6 / 2)


def test_balanced_diagonal_networks_conserve_balance() -> None:
    """w_1^2 = w_2^2 = W_3^2 entry by entry: with the end layers of one output it is what the flow conserves."""
    first, second, last = start({"widths": [3, 3, 3, 1], "diagonal": [1, 2]}, scheme="balanced", scale="1/10")
    assert (first**2 == second**2).all()
    assert (first**2 == last[0] ** 2).all()
    problem = sf.Problem(
        network={"widths": [3, 3, 3, 1], "activation": "linear", "diagonal": [1, 2]},
        data={"x": [[1, 2, -1], [2, "1/2", 1]], "y": [1, -1]},
        init={"scheme": "balanced", "scale": "1/2", "seed": 4},
    )
    a, b, c = sf.solve_flow(problem, horizon=5, dps=20).weights(5)
    assert max(abs(a**2 - b**2).max(), abs(b**2 - c[0] ** 2).max()) < 1e-17


@pytest.mark.parametrize(
    ("network", "init", "message"),
    [
        ({"widths": [2, 2, 2], "skip": [[1, 2]]}, {}, "must go with a network without skip connections"),
        ({"widths": [2, 2, 2], "diagonal": [1]}, {}, "must go with layers that all are diagonal"),
        ({"widths": [2, 2, 2], "biases": True}, {"bias_scale": 1}, "has biases 0"),
    ],
)
def test_balanced_starts_are_refused_where_they_mean_nothing(
    network: dict[str, Any], init: dict[str, Any], message: str
) -> None:
    with pytest.raises(sf.ProblemError, match=message):
        start(network, scheme="balanced", **init)


def test_a_scale_of_biases_needs_biases() -> None:
    with pytest.raises(sf.ProblemError, match=r"init\.bias_scale = 1/2 goes with a network with biases"):
        start({"widths": [2, 2, 1]}, scheme="gaussian", bias_scale="1/2")


# --- Conservation laws ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "count", "names"),
    [
        ({"activation": "relu", "skip": [[1, 2]], "biases": True}, 2, ["D_1+2[1,1]", "D_1+2[2,2]"]),
        ({"skip": [[0, 1]]}, 6, ["D_2[1,1]", "D_2[1,2]", "D_2[2,2]"]),
        ({"diagonal": [2]}, 4, ["D_1[1,1]", "D_1[2,2]", "D_2[1,1]", "D_2[2,2]"]),
        ({"activation": ["relu", "linear"], "output_scale": 2}, 5, ["D_1[1,1]", "D_1[2,2]", "D_2[1,1]", "D_2[1,2]"]),
    ],
)
def test_laws_are_conserved_and_complete(options: dict[str, Any], count: int, names: list[str]) -> None:
    """Complete by brackets; conserved: each law's gradient is orthogonal to that of a loss, exactly."""
    network = sf.FullyConnected((2, 2, 2, 2), **options)
    laws = sf.conservation_laws(network)
    assert (laws.count, laws.exact, laws.complete) == (count, True, True)
    assert [law.name for law in laws.laws][: len(names)] == names
    rng = np.random.default_rng(0)
    objective = sf.network_objective(network, rng.integers(-5, 6, (3, 2)), rng.integers(-5, 6, (3, 2)))
    theta = [Fraction(int(v), 7) for v in rng.integers(-20, 21, objective.parameter_count)]
    gradient = sf.evaluate_exact(sf.gradient(objective), theta)
    for law in laws.laws:
        along = Fraction(0)
        for where, c in law.terms:
            for at, p in enumerate(where):
                along += c * gradient[p] * prod(theta[q] for k, q in enumerate(where) if k != at)
        assert along == 0, law.name


# --- Sweeps and claims ------------------------------------------------------------------------------------------------


def test_sweeps_draw_biases_as_the_base_problem_does() -> None:
    base = sf.Problem(
        network={"widths": [1, 2, 1], "activation": "tanh", "biases": True}, data={"x": [1, -2], "y": [1, 2]},
        init={"scheme": "xavier", "seed": 3, "bias_scale": "1/2"}, run={"horizon": "1/5", "step_size": "1/10"},
    )  # fmt: skip
    axes = axes_of(base, step_size=None, seed=[3], depth=None, width=[2, 3], scale=None, scheme=None)
    same, wider = starts(base, axes)
    assert same.problem.theta0 == base.theta0
    assert all(wider.problem.theta0[p] != 0 for p in (3, 4, 5, 9))


def test_claims_are_searched_on_these_networks() -> None:
    network = sf.FullyConnected((1, 2, 1), activation="relu", biases=True)
    claim = sf.claim_quantities()["lambda_min"].symbol >= 0
    refuted = sf.falsify(claim, sf.Family(networks=[network]), seconds=20)
    assert refuted.status == "refuted"
    assert refuted.problem.network == network
    f, theta = refuted.problem.objective, refuted.problem.theta0
    assert np.linalg.eigvalsh(floats(sf.evaluate_exact(sf.hessian(f), theta)))[0] < 0
    with pytest.raises(sf.ProblemError, match="grad_phi"):  # no gradient of phi where there is no phi
        sf.falsify(sf.claim_quantities()["grad_phi"].symbol >= 0, sf.Family(networks=[network]), seconds=5)
