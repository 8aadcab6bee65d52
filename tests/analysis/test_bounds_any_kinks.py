"""Bounds past kinks of networks with biases, skip connections, convolutions and pools."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import symflow as sf
from symflow.analysis.bounds.kinks import gates_at, gates_on
from symflow.evaluate.numpy_batches import evaluate_points
from symflow.networks.network import Network
from symflow.programs.program import Program

NETWORKS: dict[str, Network] = {
    "biases": sf.FullyConnected((1, 3, 1), activation="relu", biases=True),
    "skip": sf.FullyConnected((2, 2, 2, 1), activation=["relu", ("leaky-relu", "1/5")], biases=True, skip=[[1, 2]]),
    "pool": sf.Convolutional(
        (1, 4), (sf.Convolution(2, (2,)), sf.Pool("max", (2,)), sf.Dense(1)), activation="relu", biases=True
    ),
}


def drawn(name: str, seed: int) -> sf.Problem:
    network, rng = NETWORKS[name], np.random.default_rng(seed)
    inputs = int(np.prod([a.size for a in network.input_axes]))
    data = {"x": rng.integers(-8, 9, (4, inputs)) / 4, "y": rng.integers(-4, 5, (4, 1)) / 4}
    init = {"scheme": "xavier", "seed": seed, "bias_scale": "1/2"}
    return sf.Problem(network=network, data=data, init=init, run={"horizon": 2, "step_size": "1/50"})


@pytest.mark.parametrize("name", ["skip", pytest.param("pool", marks=pytest.mark.thorough)])
def test_b_is_the_size_of_the_gradients_jump(name: str) -> None:
    """Across the kink of one gate grad f jumps by (alpha - alpha_bar) (b/N) grad z, whatever the network."""
    objective = drawn(name, 0).objective
    field = sf.to_jax(sf.gradient(objective))
    values = Program(objective.program.inputs, {str(i): g.z for i, g in enumerate(objective.gates)})
    rng, seen, wrong = np.random.default_rng(5), set(), 0

    def everywhere(theta: np.ndarray) -> list[np.ndarray]:
        return [z.reshape(-1) for z in evaluate_points(objective, values, theta[None]).values()]

    with jax.enable_x64(True):
        for _ in range(60):
            low, high = rng.normal(size=(2, objective.parameter_count))
            changed = [(i, int(e)) for i, (a, b) in enumerate(zip(gates_on(objective, low[None]),
                       gates_on(objective, high[None]), strict=True)) for e in np.flatnonzero(a != b)]  # fmt: skip
            if not changed:
                continue
            node, entry = changed[int(rng.integers(len(changed)))]
            for _ in range(60):
                middle = (low + high) / 2
                same = (everywhere(middle)[node][entry] >= 0) == (everywhere(low)[node][entry] >= 0)
                low, high = (middle, high) if same else (low, middle)
            step = 1e-7 * rng.normal(size=len(low))
            here, there = middle - step, middle + step
            flips = sum(int((a != b).sum()) for a, b in zip(gates_on(objective, here[None]),
                        gates_on(objective, there[None]), strict=True))  # fmt: skip
            z = [everywhere(p)[node][entry] for p in (here, there)]
            if flips != 1 or z[0] * z[1] >= 0:
                continue
            gate = objective.gates[node]
            b = gates_at(objective, middle[None]).back[node].reshape(-1)[entry] / gate.axes[-1].size
            jump = float((np.asarray(field(there)) - np.asarray(field(here))) @ step)
            wanted = float(gate.alpha - gate.alpha_bar) * b * abs(z[1] - z[0]) / 2
            assert abs(jump - wanted) <= 1e-5 * np.linalg.norm(step) * (1 + abs(b))
            wrong += abs(jump + wanted) > 1e-5 * np.linalg.norm(step) * (1 + abs(b))
            seen.add(gate.layer)
    assert len(seen) > 1
    assert wrong > 5  # the negative control: the other sign


@pytest.mark.parametrize(
    ("name", "seed"),
    [("biases", 4), *(pytest.param(n, s, marks=pytest.mark.thorough) for n in NETWORKS for s in range(6))],
)
def test_r4_and_r22_hold_past_convex_kinks(name: str, seed: int) -> None:
    problem = drawn(name, seed)
    dev = sf.deviation(problem, dps=15)
    for bound in ("R4", "R22"):
        series = dev.bounds[bound]
        assert not any(v is not None and d > v for d, v in zip(dev.values, series.values, strict=True))
        if (name, seed) == ("biases", 4):
            assert [e.kind for e in dev.flow.events] == ["sliding"]
            assert series.not_applicable is None
