"""Dense Hessians through `sf.to_jax` against `jax.jit(jax.hessian(...))` of hand-written losses, float64, side by side.

Two tables: the time of one evaluation, through symflow's own callable and inside one `jit`; and the time from a problem
in memory to the first value, in fresh processes (derivation, tracing and compilation included, imports not). The
hand-written losses use samples or moments for linear networks with the square loss, samples (as columns or as rows) for
ReLU, tanh and GELU networks with cross-entropy, with `jax.nn.relu`, `jnp.tanh` and `jax.nn.gelu`. `jax.hessian` is
forward over reverse. Measurements are interleaved; a ratio above 1 means that symflow is faster.

Run: python tests/benchmarks/bench_hessian.py [evaluation|first] [widths/samples ...], such as 8-8-4/20 relu:4-4-3/50
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import symflow as sf

SHAPES = ["2-2-2-2/50", "4-4-4-3/50", "8-8-8-4/50", "16-16-16-10/50", "20-20-20-20-10/50"]
SIGMA: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "gelu": partial(jax.nn.gelu, approximate=False),
}
CASES = [
    "2-2-2-1/5",
    "4-4-4-2/8",
    "8-8-8-8-4/20",
    "16-16-16-4/50",
    "4-4-4-4-4-4-4-4-4-4-4/20",
    "20-20-20-20-10/100",
    *(f"{kind}:{shape}" for kind in ("relu", "tanh", "gelu") for shape in SHAPES),
]
UNLISTED = [
    "3-1/1000",
    "5-4/1",
    "1-50-1/10",
    "50-1-50/10",
    "40-2-40/1",
    "4-40-4/1000",
    "12-24-6-3/7",
    "3-3-3-3-3-3-1/1000",
    "1-1-1-1-1-1-1-1-1-1-1/1",
    "64-10-10/1000",
    "-".join(["2"] * 31) + "/100",
    "relu:3-2/1000",
    "relu:2-3-2/1",
    "relu:4-20-4/3",
    "relu:10-5-3/1000",
    "relu:2-2-2-2-2-2/1000",
    "relu:6-6-6-6-6-6-6/50",
    "relu:40-20-2/200",
    "tanh:2-3-2/1",
    "tanh:10-5-3/1000",
    "tanh:6-6-6-6-6-6-6/50",
    "gelu:4-20-4/3",
    "gelu:2-2-2-2-2-2/1000",
    "gelu:40-20-2/200",
]


def unflatten(theta: jax.Array, widths: Sequence[int]) -> list[jax.Array]:
    """Weight matrices, layer 1 first."""
    ends = np.cumsum([0, *(a * b for a, b in pairwise(widths))])
    return [theta[s:e].reshape(b, a) for (s, e), (a, b) in zip(pairwise(ends), pairwise(widths), strict=True)]


def linear_sample(widths: Sequence[int], x: np.ndarray, y: np.ndarray) -> Callable[[jax.Array], jax.Array]:
    """Square loss of a linear network, from the samples."""

    def loss(theta: jax.Array) -> jax.Array:
        z = x.T
        for w in unflatten(theta, widths):
            z = w @ z
        return 0.5 * jnp.sum((z - y.T) ** 2) / len(x)

    return loss


def linear_moment(widths: Sequence[int], x: np.ndarray, y: np.ndarray) -> Callable[[jax.Array], jax.Array]:
    """The same from moments."""
    sigma, cross, square = x.T @ x / len(x), y.T @ x / len(x), np.sum(y * y) / len(x)

    def loss(theta: jax.Array) -> jax.Array:
        m = jnp.eye(widths[0])
        for w in unflatten(theta, widths):
            m = w @ m
        return 0.5 * jnp.sum((m @ sigma) * m) - jnp.sum(m * cross) + 0.5 * square

    return loss


def cross_entropy(
    sigma: Callable[[jax.Array], jax.Array], rows: bool, widths: Sequence[int], x: np.ndarray, y: np.ndarray
) -> Callable[[jax.Array], jax.Array]:
    """Cross-entropy of a network, samples as rows or as columns."""

    def loss(theta: jax.Array) -> jax.Array:
        z, weights = x if rows else x.T, unflatten(theta, widths)
        for w in weights[:-1]:
            z = sigma(z @ w.T if rows else w @ z)
        z = z @ weights[-1].T if rows else weights[-1] @ z
        return -jnp.mean(jnp.sum((y if rows else y.T) * jax.nn.log_softmax(z, axis=int(rows)), axis=int(rows)))

    return loss


class Case:
    """One network on random data: `hand` are the hand-written losses by name."""

    def __init__(self, text: str) -> None:
        kind, _, rest = text.rpartition(":")
        shape, samples = rest.split("/")
        self.name, self.activation = f"{kind or 'linear'} {shape}, {samples}", kind or "linear"
        self.widths = [int(d) for d in shape.split("-")]
        rng = np.random.default_rng(5)
        self.x = rng.normal(size=(int(samples), self.widths[0]))
        self.y = rng.normal(size=(int(samples), self.widths[-1]))
        self.loss = "square"
        hands: dict[str, Any] = {"samples": linear_sample, "moments": linear_moment}
        if self.activation != "linear":
            self.y = np.eye(self.widths[-1])[rng.integers(self.widths[-1], size=int(samples))]
            sigma = SIGMA[self.activation]
            self.loss = "cross-entropy"
            hands = {"samples": partial(cross_entropy, sigma, False), "rows": partial(cross_entropy, sigma, True)}
        self.theta = rng.normal(size=sum(a * b for a, b in pairwise(self.widths))) / 2
        self.hand = {name: make(self.widths, self.x, self.y) for name, make in hands.items()}

    def compiled(self) -> Callable[..., jax.Array]:
        """From the problem to a callable."""
        problem = sf.Problem(
            network={"widths": self.widths, "activation": self.activation},
            loss={"kind": self.loss},
            data={"x": self.x, "y": self.y},
            init={"theta": self.theta},
        )
        return sf.to_jax(sf.hessian(problem.objective))


def interleaved(functions: Sequence[Callable[[], Any]], seconds: float = 1.5) -> np.ndarray:
    """Times of one call in seconds, one row a round; short calls are repeated within a round."""
    for f in functions:
        jax.block_until_ready([f() for _ in range(3)])
    start = time.perf_counter()
    jax.block_until_ready([f() for f in functions])
    repeats = max(1, int(0.004 * len(functions) / (time.perf_counter() - start)))
    rows: list[list[float]] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(rows) < 9:
        row = []
        for f in functions:
            start = time.perf_counter()
            for _ in range(repeats):
                value = f()
            jax.block_until_ready(value)
            row.append((time.perf_counter() - start) / repeats)
        rows.append(row)
    return np.array(rows)


def geometric_mean(values: Sequence[float]) -> float:
    """exp of the mean of the logarithms."""
    return float(np.exp(np.mean(np.log(values))))


def evaluation(cases: Sequence[str]) -> None:
    """Prints the table of single evaluations: columns, then moments (linear) or rows (others)."""
    print("| widths, samples | P | symflow, µs | in one jit, µs | samples, µs | ratio | moments or rows, µs | ratio |")
    print("|---|---|---|---|---|---|---|---|")
    found: dict[str, list[tuple[float, float]]] = {}
    for case in map(Case, cases):
        function = case.compiled()
        with jax.enable_x64(True):
            theta = jnp.asarray(case.theta)
            inside = jax.jit(function)
            hands = {name: jax.jit(jax.hessian(loss)) for name, loss in case.hand.items()}
            for hand in hands.values():
                expected = np.asarray(hand(theta))
                np.testing.assert_allclose(function(theta), expected, rtol=0, atol=1e-12 * np.abs(expected).max())
            times = interleaved([partial(f, theta) for f in (function, inside, *hands.values())])
        own, jitted, *others = 1e6 * np.median(times, axis=0)
        cells, ratios = [f"{own:.1f}", f"{jitted:.1f}"], []
        for n, other in enumerate(others, start=2):
            ratios.append((statistics.median(times[:, n] / times[:, 0]), statistics.median(times[:, n] / times[:, 1])))
            least = times[:, n].min() / times[:, 0].min()
            cells += [f"{other:.1f}", f"{ratios[-1][0]:.2f} (jit {ratios[-1][1]:.2f}, minima {least:.2f})"]
        if case.activation == "linear":
            for name, ratio in zip(hands, ratios, strict=True):
                found.setdefault(f"linear, {name}", []).append(ratio)
        elif len(case.theta) <= 200:
            found.setdefault(f"{case.activation}, the faster one, P <= 200", []).append(min(ratios))
        print(f"| {case.name} | {len(case.theta)} | {' | '.join(cells)} |", flush=True)
    for name, rows in found.items():
        own, jitted = (geometric_mean(column) for column in zip(*rows, strict=True))
        print(f"\nGeometric mean, {name}: {own:.2f} (inside one jit {jitted:.2f})")


def first_value(case: Case, which: str) -> float:
    """Seconds to the first value; every process measures once."""
    jax.block_until_ready(jax.jit(lambda v: v + 1)(np.ones(2)))
    sf.Problem, sf.to_jax, sf.hessian  # noqa: B018  (imports happen on first use)
    with jax.enable_x64(True):
        start = time.perf_counter()
        call = case.compiled() if which == "symflow" else jax.jit(jax.hessian(case.hand[which]))
        call(case.theta).block_until_ready()
        return time.perf_counter() - start


def first(cases: Sequence[str], rounds: int = 5) -> None:
    """Prints the table of times to the first value."""
    print("| widths, samples | symflow, s | samples, s | moments or rows, s | symflow / the faster one |")
    print("|---|---|---|---|---|")
    for text in cases:
        case = Case(text)
        names = ["symflow", *case.hand]
        commands = [[sys.executable, __file__, "once", text, name] for name in names]
        rows = [
            [float(subprocess.run(c, check=True, capture_output=True, text=True).stdout) for c in commands]
            for _ in range(rounds)
        ]
        middle = dict(zip(names, np.median(rows, axis=0), strict=True))
        ratio = statistics.median(row[0] / min(row[1:]) for row in rows)
        cells = [f"{middle[name]:.2f}" for name in names]
        print(f"| {case.name} | {' | '.join(cells)} | {ratio:.2f} |", flush=True)


def main(arguments: Sequence[str]) -> None:
    """Prints the tables."""
    if arguments[:1] == ["once"]:
        print(first_value(Case(arguments[1]), arguments[2]))
        return
    tables = [name for name in arguments if name in ("evaluation", "first")] or ["evaluation", "first"]
    given = [a for a in arguments if a not in tables]
    for name in tables:
        if name == "evaluation":
            evaluation(given or CASES + UNLISTED)
        else:
            first(given or CASES)


if __name__ == "__main__":
    main(sys.argv[1:])
