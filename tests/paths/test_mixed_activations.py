"""Flows of networks with a smooth activation before one with kinks: signs by balls, slides, and a plain check."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import symflow as sf

X = np.array([[0.5, -0.25], [0.75, 1.0], [-1.0, 0.375]])
Y = np.array([1.0, -0.25, 0.125])
WIDTHS = (2, 3, 3, 1)


def mixed(theta: list[float]) -> sf.Problem:
    network = sf.FullyConnected(WIDTHS, activation=["tanh", "relu"])
    return sf.Problem(network=network, data={"x": X, "y": Y}, init={"theta": theta}, run={"horizon": 2, "dps": 20})


def plain_descent(theta: np.ndarray, steps: int) -> np.ndarray:
    """Euler's method for plain JAX code of the same loss, to t = 2."""

    def f(v: jax.Array) -> jax.Array:
        w1, w2, w3 = v[:6].reshape(3, 2), v[6:15].reshape(3, 3), v[15:].reshape(1, 3)
        h = (w3 @ jax.nn.relu(w2 @ jnp.tanh(w1 @ X.T)))[0]
        return jnp.mean((h - Y) ** 2) / 2

    with jax.enable_x64(True):
        eta = 2.0 / steps
        found, _ = jax.lax.scan(lambda v, _: (v - eta * jax.grad(f)(v), None), jnp.asarray(theta), None, steps)
        return np.asarray(found)


def test_a_flow_with_both_is_certified_through_its_kinks() -> None:
    """Descent is about eta away from it: half the step, half the distance."""
    theta = np.random.default_rng(11).normal(size=18).round(3) * 0.7
    problem = mixed(list(theta))
    flow = sf.solve_flow(problem)
    assert flow.error is not None
    assert flow.error.how == "certified"
    assert flow.events
    end = flow.numpy(2)
    far, near = (np.abs(plain_descent(theta, n) - end).max() for n in (2000, 4000))
    assert near < 1e-3
    assert 1.5 < far / near < 2.6
    corrected = sf.solve_flow_float64(problem, solver="event-corrected", error=None)
    assert np.abs(corrected.at_end() - end).max() < 1e-7
    assert [e.kind for e in corrected.events] == [e.kind for e in flow.events]


def test_a_sign_that_no_digits_tell_is_refused() -> None:
    """Two hidden tanh units with the same inputs and weights of opposite signs: 0 by symmetry, not by structure."""
    w1, w2 = [0.5, 0.25] * 2 + [1, 1], [1, -1, 0, 1, 1, 1, 0, 1, 1]
    with pytest.raises(sf.ComputationError, match=r"whether a pre-activation is 0 at the start .* change the start"):
        sf.solve_flow(mixed([*w1, *w2, 1, 1, 1]))


def test_a_sweep_in_which_no_flow_arrives_says_so() -> None:
    problem = sf.Problem(network=sf.FullyConnected((1, 1)), data={"x": [1], "y": [1]}, init={"theta": [0]})
    with pytest.raises(sf.FlowStopped, match="1 of 1 starts did not get to the last time"):
        sf.sweep_flow_float64(problem, [[3.0]], [1], max_steps=1)
