"""Gradients through `sf.to_jax` against `jax.jit(jax.grad(...))` of a hand-written loss, float64, side by side.

A 64-50-50-10 network (linear, ReLU, tanh, GELU) with cross-entropy on 1000 samples, and small convolutional networks;
also against `lax.conv_general_dilated` and `lax.reduce_window`. The measurements are interleaved; a ratio is a median
of ratios. Run: python tests/benchmarks/bench_gradient.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import symflow as sf

RNG = np.random.default_rng(5)
SIGMA: dict[str, Callable[[jax.Array], jax.Array]] = {
    "linear": lambda z: z,
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "gelu": partial(jax.nn.gelu, approximate=False),
}
SIDE, CHANNELS, KERNEL = 12, (4, 8), 3


def interleaved(functions: Sequence[Callable[[], Any]], seconds: float = 3.0) -> np.ndarray:
    """Times of single calls, one row a round."""
    for f in functions:
        jax.block_until_ready([f() for _ in range(3)])
    rows: list[list[float]] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(rows) < 9:
        row = []
        for f in functions:
            start = time.perf_counter()
            jax.block_until_ready(f())
            row.append(time.perf_counter() - start)
        rows.append(row)
    return np.array(rows)


def cross_entropy(scores: jax.Array, y: np.ndarray) -> jax.Array:
    """Of scores (N, classes)."""
    return -jnp.mean(jnp.sum(y * jax.nn.log_softmax(scores, axis=1), axis=1))


def classes(samples: int, count: int) -> np.ndarray:
    """One-hot rows."""
    return np.eye(count)[RNG.integers(count, size=samples)]


def dense(activation: str) -> tuple[sf.Objective, list[Callable[[jax.Array], jax.Array]]]:
    """The 64-50-50-10 network: the objective and hand-written losses of theta."""
    widths, samples = [64, 50, 50, 10], 1000
    x, y = RNG.normal(size=(samples, widths[0])), classes(samples, widths[-1])

    def hand(theta: jax.Array, rows: bool) -> jax.Array:
        z, start = jnp.asarray(x if rows else x.T), 0
        for n, (a, b) in enumerate(pairwise(widths), start=1):
            w, start = theta[start : start + a * b].reshape(b, a), start + a * b
            z = z @ w.T if rows else w @ z
            if n < len(widths) - 1:
                z = SIGMA[activation](z)
        return cross_entropy(z if rows else z.T, y)

    network = sf.FullyConnected(tuple(widths), activation=activation)
    objective = sf.network_objective(network, x, y, sf.Loss("cross-entropy"))
    return objective, [lambda t: hand(t, True), lambda t: hand(t, False)]


def convolutional(pool: str, activation: str) -> tuple[sf.Objective, list[Callable[[jax.Array], jax.Array]]]:
    """1 x 12 x 12 images, convolution, pooling, convolution, dense: the objective and a hand-written loss of theta."""
    samples, outputs = 200, 5
    problem = sf.Problem(
        network={
            "kind": "convolutional",
            "activation": activation,
            "input": [1, SIDE, SIDE],
            "layers": [
                {"kind": "convolution", "channels": CHANNELS[0], "kernel": [KERNEL] * 2, "padding": [1, 1]},
                {"kind": f"{pool}-pool", "size": [2, 2], "stride": [2, 2]},
                {"kind": "convolution", "channels": CHANNELS[1], "kernel": [KERNEL] * 2},
                {"kind": "dense", "width": outputs},
            ],
        },
        loss={"kind": "cross-entropy"},
        data={"x": (x := RNG.normal(size=(samples, SIDE * SIDE))), "y": (y := classes(samples, outputs))},
        init={"scheme": "gaussian", "seed": 1, "scale": "1/4"},
    )
    images = x.reshape(samples, 1, SIDE, SIDE)
    shapes = problem.objective.shapes

    def convolve(a: jax.Array, w: jax.Array, padding: int) -> jax.Array:
        return jax.lax.conv_general_dilated(a, w, (1, 1), [(padding, padding)] * 2)

    def hand(theta: jax.Array) -> jax.Array:
        sizes = np.cumsum([0, *(int(np.prod(s)) for s in shapes)])
        first, second, last = (theta[a:b].reshape(s) for (a, b), s in zip(pairwise(sizes), shapes, strict=True))
        bend = SIGMA[activation]
        a = bend(convolve(jnp.asarray(images), first, 1))
        window, stride = (1, 1, 2, 2), (1, 1, 2, 2)
        if pool == "max":
            a = jax.lax.reduce_window(a, -jnp.inf, jax.lax.max, window, stride, "VALID")
        else:
            a = jax.lax.reduce_window(a, 0.0, jax.lax.add, window, stride, "VALID") / 4
        a = bend(convolve(a, second, 0))
        return cross_entropy(a.reshape(samples, -1) @ last.reshape(outputs, -1).T, y)

    return problem.objective, [hand]


CASES: dict[str, Callable[[], tuple[sf.Objective, list[Callable[[jax.Array], jax.Array]]]]] = {
    "64-50-50-10 linear": lambda: dense("linear"),
    "64-50-50-10 relu": lambda: dense("relu"),
    "64-50-50-10 tanh": lambda: dense("tanh"),
    "64-50-50-10 gelu": lambda: dense("gelu"),
    "convolutional, average, linear": lambda: convolutional("average", "linear"),
    "convolutional, average, relu": lambda: convolutional("average", "relu"),
    "convolutional, average, gelu": lambda: convolutional("average", "gelu"),
    "convolutional, max, relu": lambda: convolutional("max", "relu"),
    "convolutional, max, tanh": lambda: convolutional("max", "tanh"),
}


def main() -> None:
    """Prints the table."""
    print("| gradient | symflow, ms | jax.grad, ms | ratio of medians | ratio of minima |")
    print("|---|---|---|---|---|")
    for name, make in CASES.items():
        objective, hands = make()
        theta = np.random.default_rng(1).normal(size=objective.parameter_count) / 5
        ours = sf.to_jax(sf.gradient(objective))
        with jax.enable_x64(True):
            point = jnp.asarray(theta)
            grads = [jax.jit(jax.grad(hand)) for hand in hands]
            for grad in grads:
                np.testing.assert_allclose(ours(point), grad(point), rtol=1e-8, atol=1e-10)
            times = interleaved([partial(f, point) for f in (ours, *grads)])
        best = 1 + int(np.argmin(np.median(times[:, 1:], axis=0)))
        ratio = statistics.median(times[:, 0] / times[:, best])
        least = times.min(axis=0)
        middle = 1e3 * np.median(times, axis=0)
        print(f"| {name} | {middle[0]:.2f} | {middle[best]:.2f} | {ratio:.2f} | {least[0] / least[best]:.2f} |")


if __name__ == "__main__":
    main()
