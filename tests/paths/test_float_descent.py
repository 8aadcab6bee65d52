"""Short runs in float64, number by number in Python, against what JAX compiles for longer ones and against digits."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy

import symflow as sf
from symflow.paths.float_descent import float_states, float_step
from symflow.paths.loops import Steps
from symflow.paths.runs import Run
from symflow.progress import Reporter

ETA, STEPS = Fraction(1, 50), 40
X = [["1/2", "-3/4"], ["1", "1/3"], ["-1/5", "2"], ["-1", "-1/2"]]
NETWORKS = {
    "linear": {"widths": [2, 2, 1], "activation": "linear"},
    "relu with biases": {"widths": [2, 3, 1], "activation": "relu", "biases": True},
    "leaky relu": {"widths": [2, 3, 2], "activation": "leaky-relu", "slope": "1/5"},
    "tanh": {"widths": [2, 2, 1], "activation": "tanh"},
}
METHODS = {
    "gradient descent": sf.GradientDescent(weight_decay="1/10"),
    "minibatches": sf.GradientDescent(batches=sf.Batches(size=3, seed=1)),
    "heavy ball": sf.HeavyBall("9/10"),
    "Nesterov": sf.Nesterov("9/10"),
    "Adam": sf.Adam("9/10", "99/100", "1/1000"),
}


def problem(network: str = "relu with biases", loss: str = "square") -> sf.Problem:
    outputs = NETWORKS[network]["widths"][-1]  # type: ignore[index]
    y = [[f"{(3 * i + 2 * j) % 5 - 2}/3" for j in range(outputs)] for i in range(len(X))]
    if loss == "cross-entropy":
        y = [[int(j == i % outputs) for j in range(outputs)] for i in range(len(X))]
    data = {"x": X, "y": y}
    return sf.Problem(network=NETWORKS[network], data=data, loss=loss, init={"scheme": "gaussian", "seed": 4})


def run_of(problem: sf.Problem, method: sf.Method, steps: int = STEPS) -> Run:
    return Run(problem, method, ETA, list(range(steps + 1)), Reporter(None), False)


CASES = [
    *((network, "square", "gradient descent") for network in NETWORKS),
    ("leaky relu", "cross-entropy", "gradient descent"),
    *(("relu with biases", "square", method) for method in METHODS if method != "gradient descent"),
]


@pytest.mark.parametrize(("network", "loss", "method"), CASES)
def test_python_jax_and_digits_agree(network: str, loss: str, method: str) -> None:
    given = problem(network, loss)
    run = run_of(given, METHODS[method])
    start = np.array([float(v) for v in given.theta0])
    assert run.short_step is not None
    short = float_states(run.repeated, run.short_step, start, run.indices)[:, : len(start)]
    (compiled, *_) = run.compiled(start, np.float64(float(ETA)), None)
    digits = sf.descend(given, step_size=ETA, steps=STEPS, dps=25, method=METHODS[method]).iterates.astype(float)
    assert np.abs(digits[-1] - digits[0]).max() > 1e-2
    assert np.abs(short - digits).max() < 1e-14
    assert np.abs(compiled - digits).max() < 1e-14
    assert np.abs(compiled[:-1] - digits[1:]).max() > 1e-4  # a step less is seen


def test_a_nudge_moves_theta_after_every_step() -> None:
    given = problem("linear")
    run = run_of(given, sf.GradientDescent(), 3)
    start, nudge = np.array([float(v) for v in given.theta0]), np.linspace(-1e-3, 1e-3, len(given.theta0))
    assert run.short_step is not None
    found = float_states(run.repeated, run.short_step, start, run.indices, nudge)
    expected = [start]
    for _ in range(3):
        here = sf.Problem(objective=given.objective, theta0=expected[-1].tolist())
        once = sf.descend(here, step_size=ETA, steps=1, dps=25).iterates[-1].astype(float)
        expected.append(once * (1 + nudge))
    assert np.abs(found - expected).max() < 1e-15


@pytest.mark.parametrize(("power", "start", "step"), [("3/2", "1/100", 1), ("-2", 0, 1), ("1/2", "1/4", "1/4")])
def test_functions_that_are_not_finite_end_the_run(power: str, start: Any, step: Any) -> None:
    """theta^(3/2) below 0, theta^-3 and theta^(-1/2) at 0: what Python's own powers raise errors for."""
    x = sympy.Symbol("x")
    given = sf.Problem(objective=sf.expression_objective(x ** sympy.Rational(power), [x]), theta0=[start])
    with pytest.raises(sf.DescentDiverged, match="diverges"):
        sf.descend(given, step_size=step, steps=4)


def test_long_runs_and_large_networks_are_left_to_jax() -> None:
    assert float_step(Steps(problem().compact, sf.GradientDescent(), ETA, 100)) is not None
    assert float_step(Steps(problem().compact, sf.GradientDescent(), ETA, 10**6)) is None
    large = sf.network_objective(sf.FullyConnected((60, 60)), np.ones((3, 60)), np.ones((3, 60)))
    assert float_step(Steps(large, sf.GradientDescent(), ETA, 1)) is None
