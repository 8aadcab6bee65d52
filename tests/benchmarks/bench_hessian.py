"""Time from a problem in memory to the first value of its dense Hessian in JAX (derivation and compilation included).

Each shape is measured in fresh processes (so that no compilation is reused), imports not counted; medians of five,
interleaved with `jax.hessian` of a hand-written loss.  Run: python tests/benchmarks/bench_hessian.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys

SHAPES = ["4-4-4-2", "20-20-20-20-10", "2-2-2-1", "8-8-8-8-4"]

SETUP = """
import sys, time
from itertools import pairwise
import jax, jax.numpy as jnp, numpy as np
import symflow as sf
sf.Problem, sf.to_jax, sf.hessian
widths = [int(d) for d in sys.argv[1].split("-")]
rng = np.random.default_rng(0)
x, y = rng.normal(size=(8, widths[0])), rng.normal(size=(8, widths[-1]))
theta = rng.normal(size=sum(a * b for a, b in pairwise(widths))) / 2
jax.block_until_ready(jax.jit(lambda v: v + 1)(np.ones(2)))
"""
SYMFLOW = (
    SETUP
    + """
start = time.perf_counter()
problem = sf.Problem(network={"widths": widths, "activation": "linear"}, data={"x": x, "y": y}, init={"theta": theta})
sf.to_jax(sf.hessian(problem.objective))(theta).block_until_ready()
print(time.perf_counter() - start)
"""
)
JAX = (
    SETUP
    + """
def loss(theta):
    z, o = x.T, 0
    for a, b in pairwise(widths):
        z, o = theta[o : o + a * b].reshape(b, a) @ z, o + a * b
    return 0.5 * jnp.sum((z - y.T) ** 2) / len(x)
with jax.enable_x64(True):
    start = time.perf_counter()
    jax.jit(jax.hessian(loss))(theta).block_until_ready()
    print(time.perf_counter() - start)
"""
)


def seconds(code: str, shape: str) -> float:
    """One measurement in a fresh process."""
    return float(subprocess.run([sys.executable, "-c", code, shape], check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Prints the table."""
    print(f"{'shape':>16}  {'symflow':>9}  {'jax.hessian':>11}  ratio   (seconds to the first value, medians of 5)")
    for shape in SHAPES:
        pairs = [(seconds(SYMFLOW, shape), seconds(JAX, shape)) for _ in range(5)]
        ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(f"{shape:>16}  {ours:9.3f}  {theirs:11.3f}  {statistics.median(a / b for a, b in pairs):5.2f}")


if __name__ == "__main__":
    main()
