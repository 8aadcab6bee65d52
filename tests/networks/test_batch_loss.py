"""The loss over a batch of samples, next to the problem of these samples alone."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mpf

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


CASES: dict[str, dict[str, Any]] = {
    "convolution and cross-entropy": {
        "network": {"kind": "convolutional", "input": [1, 4], "activation": "relu",
                    "layers": [{"kind": "convolution", "channels": 2, "kernel": 2}, {"kind": "max-pool", "size": 3},
                               {"kind": "dense", "width": 3}]},
        "loss": "cross-entropy", "labels": [0, 2, 1, 1, 0], "inputs": 4,
    },
    "logistic": {"network": {"widths": [2, 2, 1], "activation": "leaky-relu", "slope": "1/5"}, "loss": "logistic",
                 "y": [1, -1, -1, 1, 1], "inputs": 2},
    "expression": {"network": {"widths": [2, 2, 1], "activation": "linear"}, "inputs": 2,
                   "y": [1, "-1/2", "2/5", "1/3", -1],
                   "loss": {"kind": "expression", "expression": "(prediction - target)**4 / 4"}},
}  # fmt: skip


@pytest.mark.parametrize("name", list(CASES))
def test_a_batch_is_a_problem_of_its_samples(name: str) -> None:
    """Steps on batches are single steps of gradient descent on problems whose data are those of the batch alone."""
    case = CASES[name]
    x = np.random.default_rng(7).integers(-9, 10, (5, case["inputs"])).astype(object) * Fraction(1, 8)
    rest = {key: case[key] for key in ("network", "loss")}
    key = "labels" if "labels" in case else "y"
    whole = sf.Problem(**rest, data={"x": x, key: case[key]}, init={"scheme": "xavier", "seed": 2})
    lists = [(0, 3, 1), (4, 2), (2, 2, 0)]
    for dps, within in ((None, 1e-14), (30, mpf(10) ** -29)):
        method = sf.GradientDescent(batches=sf.Batches(order=lists))
        run = sf.descend(whole, step_size="1/3", steps=6, dps=dps, method=method)
        with mpmath.workdps(45):
            for k in range(6):
                batch = list(lists[k % 3])
                own = [case[key][i] for i in batch]
                targets = {"y": [[int(c == label) for c in range(3)] for label in own] if key == "labels" else own}
                alone = sf.Problem(**rest, data={"x": x[batch], **targets}, init={"theta": list(run.iterates[k])})
                step = sf.descend(alone, step_size="1/3", steps=1, dps=dps).iterates[1]
                assert max(abs(a - b) for a, b in zip(step, run.iterates[k + 1], strict=True)) < within
