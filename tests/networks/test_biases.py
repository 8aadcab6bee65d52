"""Networks with biases: the gradient against plain JAX, the flow against a closed form, the theory refused."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import symflow as sf
from symflow.theory.registry import statements

POOLED = sf.Convolutional(
    (1, 6, 6),
    (
        sf.Convolution(2, (3, 3), (1, 1), (1, 1)),
        sf.Pool("max", (2, 2), (2, 2)),
        sf.Convolution(3, (2, 2), (1, 1), (0, 0)),
        sf.Dense(4),
        sf.Dense(2),
    ),
    1,
    0,
)
DENSE = sf.FullyConnected((3, 4, 2), 1, 0)


def data(network: sf.Convolutional | sf.FullyConnected, samples: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y and theta."""
    rng = np.random.default_rng(3)
    inputs = int(np.prod([a.size for a in network.input_axes]))
    count = sum(int(np.prod([a.size for a in axes])) + int(axes[0].size) for axes in network.weight_axes)
    return rng.normal(size=(samples, inputs)), np.eye(2)[rng.integers(2, size=samples)], 0.4 * rng.normal(size=count)


def pooled(theta: jax.Array, x: np.ndarray) -> jax.Array:
    """The predictions of POOLED in plain JAX, samples first; theta is W_1, b_1, W_2, b_2, ..."""
    shapes = [(2, 1, 3, 3), (2,), (3, 2, 2, 2), (3,), (4, 12), (4,), (2, 4), (2,)]
    parts, start = [], 0
    for shape in shapes:
        size = int(np.prod(shape))
        parts.append(theta[start : start + size].reshape(shape))
        start += size
    w1, b1, w2, b2, w3, b3, w4, b4 = parts
    a = jax.lax.conv_general_dilated(jnp.asarray(x).reshape(-1, 1, 6, 6), w1, (1, 1), [(1, 1), (1, 1)])
    a = jax.nn.relu(a + b1[:, None, None])
    a = jax.lax.reduce_window(a, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
    a = jax.nn.relu(jax.lax.conv_general_dilated(a, w2, (1, 1), "VALID") + b2[:, None, None])
    a = jax.nn.relu(a.reshape(len(x), -1) @ w3.T + b3)
    return a @ w4.T + b4


def dense(theta: jax.Array, x: np.ndarray) -> jax.Array:
    """The predictions of DENSE."""
    w1, b1, w2, b2 = theta[:12].reshape(4, 3), theta[12:16], theta[16:24].reshape(2, 4), theta[24:]
    return jax.nn.relu(x @ w1.T + b1) @ w2.T + b2


@pytest.mark.parametrize(("network", "plain"), [(POOLED, pooled), (DENSE, dense)])
def test_loss_and_gradient_are_those_of_plain_jax(network, plain) -> None:  # type: ignore[no-untyped-def]
    x, y, theta = data(network, 5)
    objective = sf.network_objective(network, x, y, sf.Loss("cross-entropy"), biases=True)

    def loss(theta: jax.Array) -> jax.Array:
        return -jnp.mean(jnp.sum(y * jax.nn.log_softmax(plain(theta, x), axis=1), axis=1))

    with jax.enable_x64(True):
        expected, slope = jax.jit(jax.value_and_grad(loss))(jnp.asarray(theta))
        np.testing.assert_allclose(sf.to_jax(objective)(theta), expected, rtol=1e-13)
        np.testing.assert_allclose(sf.to_jax(sf.gradient(objective))(theta), slope, rtol=0, atol=1e-14)
        # negative control: without biases the same weights have another gradient
        weights = np.concatenate(
            [theta[w] for b, (w, _) in zip(objective.parameters, objective.slices(), strict=True) if len(b.axes) > 1]
        )
        bare = sf.to_jax(sf.gradient(sf.network_objective(network, x, y, sf.Loss("cross-entropy"))))(weights)
        kept = [slope[w] for b, (w, _) in zip(objective.parameters, objective.slices(), strict=True) if len(b.axes) > 1]
        assert np.abs(bare - np.concatenate(kept)).max() > 1e-3


def test_flow_of_a_bias_has_its_closed_form() -> None:
    """h = w x + b with x = 0: b' = -(b - y), so b = y + (b_0 - y) e^-t, and w stays."""
    objective = sf.network_objective(sf.FullyConnected((1, 1)), [[0]], [[3]], biases=True)
    problem = sf.Problem(objective=objective, theta0=["1/2", "1/4"], horizon=2)
    w, b = sf.solve_flow(problem, dps=30)(2)
    assert w == 0.5
    assert abs(b - (3 + (0.25 - 3) * mpmath.exp(-2))) < 1e-15


def test_the_homogeneous_theory_says_that_it_does_not_apply() -> None:
    x, y, theta = data(POOLED, 3)
    objective = sf.network_objective(POOLED, x, y, sf.Loss("cross-entropy"), biases=True)
    problem = sf.Problem(objective=objective, theta0=theta, horizon=1, step_size="1/100")
    for row in sf.applicable(problem):
        if row.result in ("R2", *(f"R{i}" for i in range(7, 17))):
            assert row.answer == "not applicable"
            assert "have biases" in row.reason or row.result == "R8"  # R8 is about linear networks with biases too
    assert sf.applicable(problem)["R3"].answer == "unchecked"  # the general results do not ask for homogeneity
    with pytest.raises(sf.ProblemError, match="have biases"):
        sf.curvature_bounds(objective)
    for name in statements():
        if name not in ("R1", "R3", "R4", "R5", "R6", "R8", "R17", "R18", "R22", "R32", "R33"):
            with pytest.raises(sf.ProblemError, match=r"have biases|has biases|a closed form"):
                sf.statement(name).instantiate(objective)
    bare = sf.Problem(
        objective=sf.network_objective(POOLED, x, y, sf.Loss("cross-entropy")), theta0=theta[: 2 * 9 + 24 + 48 + 8]
    )
    assert sf.applicable(bare)["R2"].answer != "not applicable"  # negative control
