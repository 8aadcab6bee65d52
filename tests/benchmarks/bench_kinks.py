"""Kinks with many samples at 30 digits: how far a ReLU network gets in a minute, and what a kink costs.

python -m tests.benchmarks.bench_kinks [--seconds 60] [--samples 50 200] [--float64]

Times are those of the processor, so that other work on the machine matters little. With --float64: how long descent
against flow to t = 20 takes in float64 (`sf.deviation`), from the problem to the numbers, compilation included; wall.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np

import symflow as sf
from symflow.paths.float64.record import Float64Stats
from symflow.paths.taylor.dense import FlowStats, taylor_steps
from symflow.paths.trajectory import Trajectory

WIDTHS, DIGITS = (10, 20, 10, 5), 30


def problem(scheme: str, loss: str, samples: int) -> sf.Problem:
    """ReLU 10-20-10-5 with normal inputs, rounded to thousandths."""
    rng = np.random.default_rng(0)
    x = [[str(round(float(v), 3)) for v in row] for row in rng.normal(size=(samples, WIDTHS[0]))]
    if loss == "cross-entropy":
        y = {"labels": [int(v) for v in rng.integers(0, WIDTHS[-1], size=samples)]}
    else:
        y = {"y": [[str(round(float(v), 3)) for v in row] for row in rng.normal(size=(samples, WIDTHS[-1]))]}
    network = sf.FullyConnected(WIDTHS, activation="relu")
    return sf.Problem(network=network, loss=loss, data={"x": x} | y, init={"scheme": scheme, "seed": 0})


def until(seconds: float) -> Callable[[float], None]:
    """A report of progress that interrupts what takes longer."""
    start = time.process_time()

    def report(_: float) -> None:
        if time.process_time() - start > seconds:
            raise KeyboardInterrupt

    return report


def reached(p: sf.Problem, seconds: float) -> tuple[Trajectory, float]:
    """The flow as far as it gets, and the time that it took."""
    start = time.process_time()
    try:
        flow = sf.solve_flow(p, horizon=20, dps=DIGITS, error=None, progress=until(seconds))
    except (sf.FlowInterrupted, sf.FlowStopped) as ended:
        flow = ended.trajectory  # type: ignore[assignment]
    return flow, time.process_time() - start


def row(scheme: str, loss: str, samples: int, seconds: float) -> str:
    """One line of the table."""
    flow, spent = reached(problem(scheme, loss, samples), seconds)
    assert isinstance(flow.stats, FlowStats)
    kinks = len({e.time for e in flow.events})
    orders = [len(s.coefficients[0]) - 1 for s in taylor_steps(flow).segments]
    sliding = sum(e.kind == "sliding" for e in flow.events)
    return (
        f"| {scheme} | {loss} | {samples} | {float(flow.horizon):.4f} | {len(orders)} | {kinks} ({sliding} sliding) | "
        f"{spent / len(orders):.2f} | {spent / max(1, kinks):.2f} | {np.median(orders):.0f} |"
    )


def float64_row(scheme: str, loss: str, samples: int) -> str:
    """One line of the table of comparisons in float64."""
    start = time.perf_counter()
    dev = sf.deviation(problem(scheme, loss, samples), step_size="1/1000", horizon=20, float64=True)
    spent = time.perf_counter() - start
    stats, kinds = dev.flow.stats, [e.kind for e in dev.flow.events]
    assert isinstance(stats, Float64Stats)
    parts = f"{stats.seconds:.0f} + {stats.check_seconds or 0:.0f}"
    counts = f"{stats.accepted} | {kinds.count('crossing')} | {kinds.count('sliding')}"
    errors = f"{float(dev.flow.error.value):.1e} | {float(dev.values[-1]):.2e} ± {float(dev.radii[-1]):.0e}"
    return f"| {scheme} | {loss} | {samples} | {spent:.0f} | {parts} | {counts} | {errors} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--samples", type=int, nargs="+", default=[50, 100, 200])
    parser.add_argument("--float64", action="store_true")
    given = parser.parse_args()
    if given.float64:
        print("| start | loss | samples | s in all | flow + check | steps | crossings | slides | error | deviation |")
        print("|---|---|---|---|---|---|---|---|---|---|")
        for scheme in ("xavier", "gaussian"):
            for loss in ("cross-entropy", "square"):
                for samples in given.samples:
                    print(float64_row(scheme, loss, samples), flush=True)
        return
    print(f"ReLU {'-'.join(map(str, WIDTHS))}, P = {sum(a * b for a, b in pairwise(WIDTHS))}, {DIGITS} digits,")
    print(f"{given.seconds:g} s of processor time:\n")
    print("| start | loss | samples | time reached | steps | kinks | s a step | s a kink | median order |")
    print("|---|---|---|---|---|---|---|---|---|")
    for scheme in ("xavier", "gaussian"):
        for loss in ("cross-entropy", "square"):
            for samples in given.samples:
                print(row(scheme, loss, samples, given.seconds), flush=True)


if __name__ == "__main__":
    main()
