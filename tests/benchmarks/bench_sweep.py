"""Sweeps in float64 through kinks: 1000 seeds of examples/relu.toml to t = 5, and lanes against flows with digits.

    python tests/benchmarks/bench_sweep.py [--seeds N] [--checked N]

First use in a fresh process, compilation included, and again. Wall time means little on a busy machine: processor time
is printed too. The checked lanes are solved by `solve_flow` with 15 digits.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path

import numpy as np

import symflow as sf

HORIZON, ETA = 5, "1/100"


def checked(base: sf.Problem, table: object, seeds: list[int]) -> tuple[float, float]:
    """The largest ratio of true error to stated error, and the largest true error, of max_deviation."""
    ratios, errors = [], []
    for row in table[table.seed.isin(seeds) & (table.status == "done")].itertuples():
        tables = base.to_dict() | {"init": {"scheme": "xavier", "seed": int(row.seed)}}
        dev = sf.deviation(sf.Problem(**tables), step_size=ETA, horizon=HORIZON, dps=15, bounds=())
        errors.append(abs(row.max_deviation - float(dev.max)))
        ratios.append(errors[-1] / row.error_estimate)
    return max(ratios), max(errors)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--checked", type=int, default=50)
    options = parser.parse_args()
    base = sf.load_problem(Path(__file__).parent.parent.parent / "examples" / "relu.toml")
    print("| run | wall, s | processor, s | done | stopped | events | slides | median error | largest error |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in ("first, with compilation", "again"):
        clock = time.perf_counter(), time.process_time()
        found = sf.sweep_float64(base, scheme="xavier", seed=range(options.seeds), step_size=ETA, horizon=HORIZON)
        seconds = time.perf_counter() - clock[0], time.process_time() - clock[1]
        table = found.floats()
        done = table[table.status == "done"]
        stopped = ", ".join(
            f"{n} {s.removeprefix('stopped: ')}" for s, n in Counter(table.status).items() if s != "done"
        )
        numbers = f"{done.kink_events.sum()} | {done.slides.sum()} | {done.error_estimate.median():.1e}"
        took = f"{seconds[0]:.1f} | {seconds[1]:.1f}"
        print(f"| {name} | {took} | {len(done)} | {stopped} | {numbers} | {done.error_estimate.max():.1e} |")
    seeds = np.unique(np.linspace(0, options.seeds - 1, options.checked).astype(int)).tolist()
    ratio, error = checked(base, table, seeds)
    print(
        f"\n{len(seeds)} of the seeds against flows with 15 digits: the true error of the largest deviation is at most"
    )
    print(f"{error:.1e}, and at most {ratio:.2f} of the error that the table states.")


if __name__ == "__main__":
    main()
