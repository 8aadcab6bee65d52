"""The loss over a batch of samples, next to the problem of these samples alone."""

from __future__ import annotations

import numpy as np
import pytest

import symflow as sf

X, Y = [[1, 2, 3], [3, 4, -1], [0, 1, 1]], [[1], [-2], [3]]


def _problem(network: sf.FullyConnected, rows: list[int]) -> sf.Problem:
    data = {"x": [X[i] for i in rows], "y": [Y[i] for i in rows]}
    return sf.Problem(network=network, data=data, init={"scheme": "xavier", "bias_scale": "1/2"})


@pytest.mark.parametrize("biases", [True, [False, True, False]])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_networks_with_biases(activation: str, biases: bool | list[bool]) -> None:
    """One step on the first two samples is a step of descent on the problem of these two."""
    network = sf.FullyConnected((3, 2, 2, 1), activation=activation, biases=biases, skip=[[1, 2]])
    whole, part = (_problem(network, rows) for rows in ([0, 1, 2], [0, 1]))
    path = sf.descend(whole, step_size="1/10", steps=1, method=sf.GradientDescent(batches=sf.Batches(2)), dps=20)
    alone = sf.descend(part, step_size="1/10", steps=1, dps=20)
    np.testing.assert_allclose(path.numpy(["1/10"])[0], alone.numpy(["1/10"])[0], rtol=1e-14)
