"""Steps of heavy ball and Adam in float64 next to JAX written by hand and to optax, on the same networks.

    python tests/benchmarks/bench_methods.py [--rounds 15] [--seconds 0.5]

All three run the same recursion from the same start inside one `lax.fori_loop`; by hand and with optax the gradient is
`jax.grad` of the loss as one writes it, on one array a layer. Rounds are interleaved, so that what else the machine
does falls on all of them alike; medians of microseconds a step, and of the ratios of a round. Goal: at most 1.03.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import symflow as sf
from symflow.evaluate.jax_runtime import own_modes
from symflow.paths.jax_steps import float64_stepper, jax_slopes

ETA, BETA, RHO, EPS = 1e-4, 0.9, 0.999, 1e-8
NETWORKS = {
    "relu 2-3-1, 10 samples": ((2, 3, 1), "relu", 10),
    "relu 8-16-16-4, 100 samples": ((8, 16, 16, 4), "relu", 100),
    "relu 64-50-50-10, 500 samples": ((64, 50, 50, 10), "relu", 500),
    "linear 8-16-16-4, 100 samples": ((8, 16, 16, 4), "linear", 100),
}
METHODS = {
    "heavy ball": sf.HeavyBall(BETA),
    "Adam": sf.Adam(BETA, RHO, EPS, epsilon_inside=False),
    "SGD of batches of 10": sf.HeavyBall(BETA, batches=sf.Batches(10)),
}

State = tuple[Any, ...]


def problem(widths: tuple[int, ...], activation: str, samples: int) -> sf.Problem:
    draw = np.random.default_rng(0)
    data = {"x": draw.normal(size=(samples, widths[0])), "y": draw.normal(size=(samples, widths[-1]))}
    network = {"widths": list(widths), "activation": activation}
    return sf.Problem(network=network, data=data, init={"scheme": "xavier", "seed": 1})


def loss_by_hand(activation: str) -> Callable[..., Any]:
    """The mean over samples of ||h(x) - y||^2 / 2, rows of x and y being samples."""

    def loss(weights: list[Any], x: Any, y: Any) -> Any:
        for w in weights[:-1]:
            x = x @ w.T
            x = jax.nn.relu(x) if activation == "relu" else x
        return jnp.mean(jnp.sum((x @ weights[-1].T - y) ** 2, axis=1)) / 2

    return loss


def tree(f: Callable[..., Any], *trees: Any) -> Any:
    return jax.tree.map(f, *trees)


def by_hand(name: str, activation: str, x: np.ndarray, y: np.ndarray) -> Callable[[list[Any], int], Any]:
    """The loop as one writes it."""
    slope = jax.grad(loss_by_hand(activation))

    def heavy_ball(k: Any, state: State, chosen: tuple[Any, Any]) -> State:
        theta, v = state
        v = tree(lambda v, g: BETA * v - ETA * g, v, slope(theta, *chosen))
        return tree(jnp.add, theta, v), v

    def whole(k: Any, state: State) -> State:
        return heavy_ball(k, state, (x, y))

    def batch(k: Any, state: State) -> State:
        i = (k % (len(x) // 10)) * 10
        return heavy_ball(k, state, (lax.dynamic_slice_in_dim(x, i, 10), lax.dynamic_slice_in_dim(y, i, 10)))

    def adam(k: Any, state: State) -> State:
        theta, m, s = state
        g = slope(theta, x, y)
        m = tree(lambda m, g: BETA * m + (1 - BETA) * g, m, g)
        s = tree(lambda s, g: RHO * s + (1 - RHO) * g * g, s, g)
        one, two = 1 - BETA ** (k + 1.0), 1 - RHO ** (k + 1.0)
        return tree(lambda t, m, s: t - ETA * (m / one) / (jnp.sqrt(s / two) + EPS), theta, m, s), m, s

    step = {"heavy ball": whole, "Adam": adam, "SGD of batches of 10": batch}[name]

    @jax.jit
    def run(weights: list[Any], steps: Any) -> Any:
        zeros = tree(jnp.zeros_like, weights)
        state = (weights, zeros, zeros) if name == "Adam" else (weights, zeros)
        return lax.fori_loop(0, steps, step, state)[0]

    return run


def with_optax(name: str, activation: str, x: np.ndarray, y: np.ndarray) -> Callable[[list[Any], int], Any] | None:
    """The loop with optax's method; None where it is not installed, and for batches, which are the caller's there."""
    try:
        import optax
    except ImportError:
        return None
    if name not in ("heavy ball", "Adam"):
        return None
    slope = jax.grad(loss_by_hand(activation))
    method = optax.sgd(ETA, momentum=BETA) if name == "heavy ball" else optax.adam(ETA, BETA, RHO, EPS)

    @jax.jit
    def run(weights: list[Any], steps: Any) -> Any:
        def step(_: Any, state: State) -> State:
            theta, inner = state
            moves, inner = method.update(slope(theta, x, y), inner, theta)
            return optax.apply_updates(theta, moves), inner

        return lax.fori_loop(0, steps, step, (weights, method.init(weights)))[0]

    return run


def compare(given: sf.Problem, activation: str, name: str, rounds: int, seconds: float) -> str:
    """One line of the table."""
    method = METHODS[name]
    objective = given.compact if method.batches is None else given.objective
    run, theta = float64_stepper(objective, method), np.array([float(v) for v in given.theta0])
    x, y = (np.array(a, dtype=float) for a in (given.x, given.y))
    weights = [jnp.asarray(theta[where].reshape(shape)) for where, shape in objective.slices()]
    hand, peer = by_hand(name, activation, x, y), with_optax(name, activation, x, y)
    table = jax_slopes(objective, method).table(10**6)

    def ours(steps: int) -> np.ndarray:
        return np.asarray(run(theta, ETA, np.array([steps]), None, table)[0][-1])

    runs: dict[str, Callable[[int], Any]] = {"symflow": ours, "hand": lambda n: hand(weights, n)}
    if peer is not None:
        runs["optax"] = lambda n: peer(weights, n)

    def spent(which: str, steps: int) -> float:
        started = time.perf_counter()
        jax.block_until_ready(runs[which](steps))
        return time.perf_counter() - started

    ends = {which: runs[which](50) for which in runs}  # compiles
    for which, end in ends.items():
        flat = end if which == "symflow" else np.concatenate([np.ravel(w) for w in end])
        assert np.abs(flat - ends["symflow"]).max() < 1e-9, which
    steps = max(1, int(50 * seconds / max(spent("hand", 50), 1e-6)))
    steps = max(1, int(steps * seconds / spent("hand", steps)))
    times: dict[str, list[float]] = {which: [] for which in runs}
    for k in range(rounds):
        for which in sorted(runs, reverse=bool(k % 2)):
            times[which].append(spent(which, steps) / steps)
    cells = [
        f"{1e6 * statistics.median(times[which]):.2f}" if which in times else "-"
        for which in ("symflow", "hand", "optax")
    ]
    for which in ("hand", "optax"):
        ratios = [a / b for a, b in zip(times["symflow"], times[which], strict=True)] if which in times else []
        cells.append(f"{statistics.median(ratios):.3f}" if ratios else "-")
    return " | ".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--only", default="")
    chosen = parser.parse_args()
    columns = ["network", "method", "symflow µs/step", "by hand", "optax", "symflow/hand", "symflow/optax"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    with own_modes():
        for network, (widths, activation, samples) in NETWORKS.items():
            given = problem(widths, activation, samples)
            for name in METHODS:
                if chosen.only in f"{network} {name}":
                    print(
                        f"| {network} | {name} | {compare(given, activation, name, chosen.rounds, chosen.seconds)} |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
