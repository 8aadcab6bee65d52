"""Time to derive gradient, Hessian form and Hessian-vector product: linear in the depth, whatever widths and samples.

Run: python tests/benchmarks/bench_derivation.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction

import numpy as np

import symflow as sf

DERIVATIONS: dict[str, Callable[[sf.Objective], sf.Derived]] = {
    "gradient": sf.gradient,
    "form": sf.hessian_form,
    "product": sf.hessian_vector_product,
}
DEPTHS = (5, 10, 20, 30, 40, 50)
SIZES = ((2, 2), (30, 2), (2, 1000), (100, 100))
ROUNDS = 15


def objective(depth: int, width: int, samples: int) -> sf.Objective:
    """A ReLU network with the square loss."""
    network = sf.FullyConnected((width,) * (depth + 1), Fraction(1), Fraction(0))
    ones = np.ones((samples, width), dtype=int)
    return sf.network_objective(network, ones, ones)


def seconds(derive: Callable[[sf.Objective], sf.Derived], o: sf.Objective) -> float:
    """The least time of several derivations; nodes die with each result, so that none is found ready-made."""

    def once() -> float:
        start = time.perf_counter()
        derived = derive(o)
        end = time.perf_counter() - start
        del derived
        return end

    return min(once() for _ in range(ROUNDS))


def row(label: str, times: list[float]) -> None:
    """Prints one line, in milliseconds."""
    print(f"| {label} | {' | '.join(f'{1e3 * t:.2f}' for t in times)} |", flush=True)


def main() -> None:
    """Prints the tables."""
    deep = [objective(depth, 3, 4) for depth in DEPTHS]
    print(f"| ms, by depth | {' | '.join(map(str, DEPTHS))} | 50 layers / 10 layers |")
    print("|---" * (len(DEPTHS) + 2) + "|")
    for name, derive in DERIVATIONS.items():
        times = [seconds(derive, o) for o in deep]
        print(f"| {name} | {' | '.join(f'{1e3 * t:.2f}' for t in times)} | {times[-1] / times[1]:.2f} |", flush=True)
    print(f"\n| ms, by width and samples, 10 layers | {' | '.join(f'{w}, {n}' for w, n in SIZES)} |")
    print("|---" * (len(SIZES) + 1) + "|")
    wide = [objective(10, width, samples) for width, samples in SIZES]
    for name, derive in DERIVATIONS.items():
        row(name, [seconds(derive, o) for o in wide])


if __name__ == "__main__":
    main()
