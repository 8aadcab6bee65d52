"""Event-corrected flows of the paper's networks on 1000 digits: error against gradient evaluations.

    python tests/benchmarks/bench_event.py [NETWORK] [--horizon T] [--rtols R ...] [--descent R ...]

The error of a run is its distance from the run at the tightest tolerance, the last of --rtols. With --descent 80 160
the end of descent at the step sizes eta_0/80 and eta_0/160, extrapolated (twice the second minus the first), judges all
of them too: hours. NETWORK is relu (the usual one), conv, or conv-max-pool.
"""

from __future__ import annotations

import argparse
import time

import jax
import numpy as np

import symflow as sf
from symflow.analysis.experiments.images import digits
from symflow.analysis.experiments.networks import network_problem

SAMPLES, ETA = 1000, 1e-3


def descended(problem: sf.Problem, horizon: float, ratio: int) -> np.ndarray:
    """The end of gradient descent at eta_0 / ratio."""
    slope, eta = sf.to_jax(sf.gradient(problem.objective)), ETA / ratio
    start = np.array([float(v) for v in problem.theta0])
    run = jax.jit(lambda x, steps: jax.lax.fori_loop(0, steps, lambda _, v: v - eta * slope(v), x))
    return np.asarray(run(start, round(horizon / eta)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", nargs="?", default="relu", choices=["relu", "conv", "conv-max-pool"])
    parser.add_argument("--horizon", type=float, default=10.0)
    parser.add_argument("--rtols", type=float, nargs="+", default=[1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11])
    parser.add_argument("--descent", type=int, nargs=2)
    args = parser.parse_args()
    problem = network_problem(args.network, digits(SAMPLES), 0)
    ends, rows = [], []
    for rtol in args.rtols:
        clock = time.process_time()
        flow = sf.solve_flow_float64(
            problem, horizon=args.horizon, solver="event-corrected", rtol=rtol, atol=rtol / 100, error=None
        )
        kinds = [sum(e.kind == kind for e in flow.events) for kind in ("crossing", "sliding")]
        rows.append((rtol, flow.stats.accepted, flow.stats.evaluations, *kinds, time.process_time() - clock))
        ends.append(flow.at_end())
        print(f"rtol {rtol:.0e}: {flow.stats.evaluations} gradients, {rows[-1][-1]:.0f} s of CPU time", flush=True)
    judges = {f"rtol {args.rtols[-1]:.0e}": ends[-1]}
    if args.descent:
        with jax.enable_x64(True):
            first, second = (descended(problem, args.horizon, ratio) for ratio in args.descent)
        weight = args.descent[0] / (args.descent[1] - args.descent[0])
        judges["descent, extrapolated"] = second + weight * (second - first)
    print(f"\n| rtol | steps | gradients | crossings | slides | CPU s | {' | '.join(f'from {j}' for j in judges)} |")
    print("|---" * (6 + len(judges)) + "|")
    for end, (rtol, *numbers, seconds) in zip(ends, rows, strict=True):
        apart = [f"{np.linalg.norm(end - judge):.1e}" for judge in judges.values()]
        print(f"| {rtol:.0e} | {' | '.join(f'{n:,}' for n in numbers)} | {seconds:.0f} | {' | '.join(apart)} |")


if __name__ == "__main__":
    main()
